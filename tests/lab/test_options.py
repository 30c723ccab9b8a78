"""Each option of an address, a route and a rule does to the kernel what it does under the real keepalived."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest

from tests.lab.daemons import Daemon
from tests.lab.lab import Lab, Node
from tests.lab.texts import BOTH, global_defs

pytestmark = pytest.mark.lab

ADDRESSES = """
    10.101.1.1/24 scope site \n 10.101.2.1/24 scope host \n 10.101.3.1/24 scope nowhere \n 10.101.4.1/24 scope 300
    10.101.5.1/24 broadcast 10.101.5.200 \n 10.101.6.1/24 broadcast + \n 10.101.7.1/32 brd + \n 10.101.8.1/31 brd -
    10.101.9.1/24 label web \n 239.1.2.3/32 autojoin \n 10.101.10.1/24 home mngtmpaddr -nodad
    10.101.11.1/24 preferred_lft 700 \n 10.101.12.1/24 preferred_lft forever \n 10.101.13.1/24 peer 10.101.14.1
    10.101.15.1/24 peer 2001:db8::1 \n 10.101.16.1/24 nonsense noprefixroute \n 10.101.17.1/33
    10.101.18.1/24 brd 10.101.18.255 scope link label eth1:x dev eth1 noprefixroute \n 10.101.19.1/0
    ff05::77/128 autojoin \n 2001:db8:101::1/64 -nodad \n 2001:db8:102::1/64 home mngtmpaddr noprefixroute
    2001:db8:103::1/64 scope link label web \n 2001:db8:104::1/128 preferred_lft 700 \n 2001:db8:105::1/129
    2001:db8:106::1/64 peer 2001:db8:107::1 \n 2001:db8:108::1/127 no_track \n fe80::99 \n ::ffff:10.101.20.1
"""
ROUTES = """
    2001:db8:51:1::/64 dev eth0 expires 600
    2001:db8:51:3::/64 dev eth0 pref low \n 2001:db8:51:4::/64 dev eth0 pref 1 \n 2001:db8:51:5::/64 dev eth0 pref 3
    2001:db8:51:6::/64 encap ip6 id 7 dst 2001:db8::1 src 2001:db8::2 tc 4 hoplimit 9 dev eth0
    2001:db8:51:7::/64 encap ip id 9 dst 10.1.1.1 dev eth0 \n 198.51.1.0/24 encap ip6 dst 2001:db8::3 dev eth0
    198.51.2.0/24 encap mpls 100/200 via 10.77.0.2 dev eth0 \n 198.51.3.0/24 encap ila 1:2:3:4 via 10.77.0.2 dev eth0
    198.51.4.0/24 dev eth0 quickack 0 congctl lock bbr \n 2001:db8:51:8::/64 dev eth0 quickack 1 congctl reno
    198.51.5.0/24 dev eth0 mtu 1400 advmss lock 1300 rtt lock 2s rttvar lock 1.5s rto_min 300ms features ecn
    198.51.6.0/24 dev eth0 cwnd 5 ssthresh lock 7 reordering lock 9 hoplimit 255 fastopen_no_cookie 0
    198.51.7.0/24 dev eth0 realms 7/cosmos \n 198.51.8.0/24 dev eth0 ttl-propagate disabled
    2001:db8:51:9::/64 dev eth0 mtu lock 1300 hoplimit 9 ttl-propagate enabled scope link
    nat 198.51.9.0/24 dev eth0 \n xresolve 198.51.10.0/24 dev eth0 \n anycast 198.51.11.0/24 dev eth0 scope link
    brd 198.51.12.0/24 dev eth0 scope link \n broadcast 198.51.13.0/24 dev eth0 scope link
    local 198.51.14.0/24 dev eth0 scope host \n unicast 198.51.15.0/24 dev eth0
    anycast 2001:db8:51:a::/64 dev eth0 \n multicast ff05:1::/32 dev eth0 \n local 2001:db8:51:b::/64 dev eth0
    blackhole 2001:db8:51:c::/64 \n throw 2001:db8:51:d::/64 dev eth0 \n prohibit 2001:db8:51:e::/64
    198.51.16.0/24 via inet6 fe80::7 dev eth0 \n 198.51.17.0/24 via inet 10.77.0.2 dev eth0
    198.51.18.0/24 gw 10.77.0.2 dev eth0 \n to 198.51.19.0/24 dev eth0 as to 10.1.1.1 features nonsense
    198.51.20.0/24 oif eth0 dsfield 0x10 table default \n 198.51.21.0/24 oif eth0 table local scope site
    198.51.22.0/24 oif eth0 scope 7 priority 9 \n 198.51.23.0/24 oif eth0 preference 10 protocol bird no_track
    198.51.24.0/24 dev eth0 add \n 198.51.24.0/24 dev eth1 add \n 198.51.25.0/24 dev eth0 append
    198.51.25.0/24 dev eth1 append \n 198.51.26.0/24 dev eth0 \n 198.51.26.0/24 dev eth1 prepend
    2001:db8:51:f::/64 dev eth0 \n 2001:db8:51:f::/64 dev eth1 append \n 2001:db8:51:10::/64 dev eth0 add
    198.51.27.0/24 no_track nexthop via 10.77.0.2 dev eth0 weight 7 onlink nexthop dev eth1
    198.51.28.0/24 no_track mtu 1400 nexthop via 10.99.9.9 dev eth0 onlink
    2001:db8:51:11::/64 nexthop via fe80::7 dev eth0 weight 9 nexthop via fe80::8 dev eth1
    2001:db8:51:12::/64 via fe80::7 dev eth0 onlink src 2001:db8:102::1 table 70000
    0.0.0.0/0 dev eth0 metric 44 \n ::/0 dev eth0 metric 44 \n default6 dev eth0 metric 45 table 300
"""
RULES = """
    to 198.51.1.0/24 lookup main preference 1001 \n dev eth0 table 100 preference 1002
    oif eth1 to any table 100 preference 1003 \n from ::/0 table 100 preference 1004
    fwmark 7 table 100 preference 1005 \n fwmark 0 table 100 preference 1006 \n fwmark 5/0 table 100 preference 1007
    fwmark 0x7/0xffffffff table 100 preference 1008 \n dsfield 0x08 table 100 preference 1009
    ipproto 17 table 100 preference 1010 \n ipproto vrrp table 100 preference 1011
    sport 10-20 table 100 preference 1012 \n dport 80-80 table 100 preference 1013
    uidrange 0-4294967294 table 100 preference 1014 \n suppress_prefixlength 0 table main preference 1015
    suppress_ifgroup default table main preference 1016 \n goto 2000 preference 1017 \n type nop preference 1018
    type prohibit from 10.3.3.3 preference 1019 \n unreachable preference 1020 \n table 100 priority 1021
    table 100 order 1022 \n tunnel-id 0 table 100 preference 1023 \n realms 7 table 100 preference 1024
    from all table local preference 0 \n from 10.1.1.7/8 table 100 preference 0x500 \n table 100 preference 02000
    inet all table 100 preference 1025 \n inet6 all goto 2000 preference 1026 \n inet6 all blackhole preference 1027
    inet6 all iif eth0 oif eth1 fwmark 3/7 tos 8 ipproto udp sport 1-2 dport 3-4 uidrange 5-6 table 100 preference 1028
    from 2001:db8:7::/48 to 2001:db8:8::/48 not sup_pl 3 sup_group 9 table 100 preference 1029
    inet6 all l3mdev preference 1030 \n inet6 all tunnel-id 6 table 5 preference 1031 protocol 99 no_track
    inet6 all from 192.0.2.0/24 table 100 preference 1032 \n inet all from 2001:db8::/32 table 100 preference 1033
    inet6 all realms 3 table 100 preference 1034 \n from 10.4.4.1 goto 2000 \n from 10.4.4.2 table 100
    from 10.4.4.3 not table 100 \n from 2001:db8::5 table 100
"""
STATICS = """
static_ipaddress {
    10.102.1.1/24 dev eth1 scope link brd - preferred_lft 700
    2001:db8:112::1/64 dev eth1 home noprefixroute -nodad
}
static_routes {
    198.52.1.0/24 dev eth1 mtu lock 1300 quickack 1 \n unreachable 198.52.2.0/24 metric 7
    2001:db8:52:1::/64 dev eth1 expires 600 pref high
}
static_rules {
    from 198.52.1.0/24 iif eth1 fwmark 3/3 table 33 preference 800 \n inet6 all dev eth1 nop preference 801
}
"""


BEYOND = {
    "addresses": """
        10.103.1.1 peer 10.103.2.1/24 \n 2001:db8:121::1 peer 2001:db8:122::1/64
        10.103.3.1/24 preferred_lft 0 \n 2001:db8:123::1/64 brd +
    """,
    "routes": """
        anycast 198.53.1.0/24 dev eth0 \n local 198.53.2.0/24 dev eth0 \n broadcast 198.53.3.0/24 dev eth0
        198.53.4.0/24 via 10.77.0.2 or 10.77.0.3 dev eth0 \n inet 198.53.5.7/24 dev eth0
        inet6 2001:db8:53::/64 dev eth0 \n inet6 default dev eth0 metric 46
        198.53.6.0/24 encap ip id 7 dst 10.1.1.1 flags 8 dev eth0 \n 198.53.8.0/24 encap seg6 mode encap dev eth0
        198.53.7.0/24 nexthop via 10.77.0.2 dev eth0 encap ip id 4 dst 10.1.1.2 \
nexthop dev eth1 encap ip6 dst 2001:db8::4
    """,
    "rules": """
        inet from 198.53.1.0/24 table 100 preference 1101 \n inet6 from 2001:db8:124::/48 table 100 preference 1102
        from 0.0.0.0/0 to any table 100 preference 1103 \n table 100 preference 1104 protocol bird no_track
        ipproto nonsense table 100 preference 1105 \n sport 80 table 100 preference 1106
    """,
}
"""What keepalived 2.2.7 reads otherwise than its documentation says, or drops; and rules and a route of which it keeps
what all packets follow."""


def text(addresses: str = "", routes: str = "", rules: str = "") -> str:
    return f"""{global_defs("vrrp_version 3", "vrrp_garp_master_repeat 1")}
{STATICS}
vrrp_instance VI_1 {{
    interface eth0
    virtual_router_id 51
    state MASTER
    priority 255
    advert_int 0.2
    virtual_ipaddress {{
        10.77.0.100/24
    }}
    virtual_ipaddress_excluded {{ {ADDRESSES} {addresses} }}
    virtual_routes {{ {ROUTES} {routes} }}
    virtual_rules {{ {RULES} {rules} \n from 10.255.255.255 table 999 preference 9999 \n }}
}}
"""


FOREVER = 0xFFFFFFFF
LITERALLY = """
unicast 198.51.4.0/24 dev eth0 ~ congctl lock bbr
unicast 198.51.5.0/24 dev eth0 ~ mtu 1400 rtt lock 2s rttvar lock 1.5s advmss lock 1300 features ecn rto_min 300ms
unicast 198.51.6.0/24 dev eth0 ~ ssthresh lock 7 cwnd 5 reordering lock 9 hoplimit 255
unicast 198.51.7.0/24 dev eth0 ~ realms 7/cosmos
unicast 198.51.27.0/24 ~ nexthop via 10.77.0.2 dev eth0 weight 7 onlink nexthop dev eth1 weight 1
unreachable 198.52.2.0/24 ~ metric 7
unicast 2001:db8:51:1::/64 dev eth0 ~ metric 1024 expires N pref medium
unicast 2001:db8:51:6::/64 encap ip6 id 7 src 2001:db8::2 dst 2001:db8::1 hoplimit 9 tc 4 dev eth0 ~ metric 1024 \
pref medium
throw 2001:db8:51:d::/64 dev lo ~ metric 1024 pref medium
1007: from all fwmark 0x5/0 lookup 100 proto keepalived
1024: from all lookup 100 realms 7 proto keepalived
1029: not from 2001:db8:7::/48 to 2001:db8:8::/48 lookup 100 suppress_prefixlength 3 suppress_ifgroup 9 \
proto keepalived
"""
MORE = """
anycast 198.53.1.0/24 dev eth0 table main proto keepalived scope link
local 198.53.2.0/24 dev eth0 table main proto keepalived scope host
broadcast 198.53.3.0/24 dev eth0 table main proto keepalived scope link
unicast 198.53.4.0/24 ~ nexthop via 10.77.0.2 dev eth0 weight 1 nexthop via 10.77.0.3 dev eth0 weight 1
unicast 198.53.5.0/24 dev eth0 ~
unicast 198.53.6.0/24 encap ip id 7 src 0.0.0.0 dst 10.1.1.1 ttl 0 tos 0 seq dev eth0 ~
unicast 198.53.7.0/24 ~ nexthop encap ip id 4 src 0.0.0.0 dst 10.1.1.2 ttl 0 tos 0 via 10.77.0.2 dev eth0 weight 1 \
nexthop encap ip6 id 0 src :: dst 2001:db8::4 hoplimit 0 tc 0 dev eth1 weight 1
1101: from 198.53.1.0/24 lookup 100 proto keepalived
1103: from all lookup 100 proto keepalived
1104: from all lookup 100 proto bird
unicast 2001:db8:53::/64 dev eth0 ~ metric 1024 pref medium
unicast default dev eth0 ~ metric 46 pref medium
1102: from 2001:db8:124::/48 lookup 100 proto keepalived
"""
ALIKE = {"dev": "eth0", "scope": "global", "valid_life_time": FOREVER, "preferred_life_time": FOREVER}
V4, V6 = ({"family": "inet", "label": "eth0", **ALIKE}, {"family": "inet6", "nodad": True, "prefixlen": 64, **ALIKE})
BY_ADDRESS: dict[str, dict[str, Any]] = {
    "10.101.1.1": {**V4, "prefixlen": 24, "scope": "site"},
    "10.101.5.1": {**V4, "prefixlen": 24, "broadcast": "10.101.5.200"},
    "10.101.7.1": {**V4, "prefixlen": 32},
    "10.101.9.1": {**V4, "prefixlen": 24, "label": "web"},
    "239.1.2.3": {**V4, "prefixlen": 32, "autojoin": True},
    "2001:db8:101::1": {name: value for name, value in V6.items() if name != "nodad"},
    "2001:db8:102::1": {**V6, "home": True, "mngtmpaddr": True, "noprefixroute": True},
    "2001:db8:104::1": {**V6, "prefixlen": 128, "preferred_life_time": "700"},
    # Beyond keepalived.
    "10.103.1.1": {**V4, "address": "10.103.2.1", "prefixlen": 24},
    "10.103.3.1": {**V4, "prefixlen": 24, "deprecated": True},
    "2001:db8:121::1": {**V6, "address": "2001:db8:122::1"},
    "2001:db8:123::1": V6,
}


def lines(text: str) -> list[str]:
    """What ip prints; ~ stands for what it says of most routes."""
    return text.replace("~", "table main proto keepalived scope global").strip().splitlines()


def entry(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """What is told twice under one name (dst of a route and of its tunnel) is kept; what counts down is rounded."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        counts = name in ("expires", "preferred_life_time") and 0 < value < FOREVER
        found[f"tunnel {name}" if name in found else name] = f"{-(-value // 100)}00" if counts else value
    return found


def kernel(node: Node) -> list[Any]:
    """Addresses, routes and rules in the order of the kernel, without its own link-local addresses.

    Routes and rules also as text, for the locks of metrics are not told otherwise.
    """

    def asked(*words: str) -> str:
        return node.ask("ip", "-details", *words).stdout

    found: list[Any] = []
    own = set()
    for family in ("-4", "-6"):
        for link in json.loads(asked("-j", family, "address"), object_pairs_hook=entry):
            found += [{"dev": link["ifname"], **each} for each in link.get("addr_info", ()) if each]
        for words in (("route", "show", "table", "all"), ("rule",)):
            found += json.loads(asked("-j", family, *words) or "[]", object_pairs_hook=entry)
            for line in asked(family, *words).replace("\n\t", " ").splitlines():
                found.append(" ".join(re.sub(r"(expires) \d+sec", r"\1 N", line).split()))
    own = {
        each["local"] for each in found if isinstance(each, dict) and each.get("scope") == "link" and "local" in each
    }
    own = {address for address in own if address.startswith("fe80") and address != "fe80::99"}
    return [each for each in found if not any(address in str(each) for address in own)]


def settled(lab: Lab, node: Node, daemon: Daemon) -> list[Any]:
    """Everything is in the kernel when the last rule is, and no address is looked for on the link any more."""
    daemon.wait_log("Entering MASTER STATE", 20)
    lab.hub.until(lambda: "10.255.255.255" in node.run("ip", "rule").stdout, 5, lambda: daemon.log)
    lab.hub.until(lambda: "tentative" not in node.run("ip", "-6", "address").stdout, 5, "addresses are in use")
    return kernel(node)


def host(lab: Lab) -> Node:
    node = lab.node("a", {"eth0": "10.77.0.1/24", "eth1": "10.78.0.1/24"})
    for interface in ("eth0", "eth1"):
        node.set_sysctl(f"net.ipv6.conf.{interface}.dad_transmits", "0")
    node.set_sysctl("net.ipv6.conf.all.disable_ipv6", "0")
    lab.hub.until(lambda: "tentative" not in node.run("ip", "-6", "address").stdout, 5, "the host is ready")
    return node


def test_each_option_does_what_it_does_under_keepalived(lab: Lab) -> None:
    node = host(lab)
    before = kernel(node)
    keepalived = lab.start_keepalived(node, text())
    expected = settled(lab, node, keepalived)
    keepalived.stop()
    # keepalived leaves an address with a peer behind, and a throw with an interface.
    node.run("ip", "address", "flush", "to", "10.101.13.1")
    node.run("ip", "-6", "route", "flush", "proto", "keepalived")
    assert kernel(node) == before
    kad = lab.start_kad(node, text(**BEYOND))
    found = settled(lab, node, kad)
    kad.stop()
    assert kernel(node) == before
    assert [each for each in found if each in expected] == expected
    said = [each for each in found if isinstance(each, str)]
    assert set(lines(LITERALLY)) <= set(said)
    assert [each for each in said if each not in expected and "proto kernel" not in each] == lines(MORE)
    held = {each["local"]: each for each in found if isinstance(each, dict) and "local" in each}
    assert {name: held[name] for name in BY_ADDRESS} == {
        name: {"local": name, **told} for name, told in BY_ADDRESS.items()
    }
    for kind in ("nat 198.51.9.0/24", "xresolve 198.51.10.0/24"):
        assert kad.logged(f"adding the route {kind} dev eth0: Invalid argument")
    for kind in ("mpls 100/200", "ila 1:2:3:4"):
        # As the kernel was built.
        refused = kad.logged(f"adding the route .* encap {kind} via 10.77.0.2 dev eth0: (Operation not|Invalid)")
        assert refused or any(f"encap {kind}" in each for each in said)


@pytest.mark.parametrize("program", BOTH)
def test_what_is_not_tracked_may_be_taken_away(lab: Lab, program: str) -> None:
    node = host(lab)
    mine = {"10.79.0.1", "198.51.100.0", "10.5.5.5"}
    configuration = f"""{global_defs("vrrp_version 3")}
vrrp_instance VI_1 {{
    interface eth0
    virtual_router_id 51
    state MASTER
    priority 255
    advert_int 0.1
    virtual_ipaddress {{
        10.77.0.100/24
    }}
    virtual_ipaddress_excluded {{
        10.79.0.1/24 no_track
    }}
    virtual_routes {{
        198.51.100.0/24 dev eth0 no_track
    }}
    virtual_rules {{
        from 10.5.5.5 table 100 preference 1000 no_track
    }}
}}
"""

    def there() -> set[str]:
        told = "".join(node.run("ip", *words).stdout for words in (("address",), ("route",), ("rule",)))
        return {each for each in mine if each in told}

    daemon = lab.start(program, node, configuration)
    daemon.wait_log("Entering MASTER STATE", 20)
    lab.hub.until(lambda: there() == mine, 5, lambda: daemon.log)
    begin = time.time()
    node.run("ip", "address", "del", "10.79.0.1/24", "dev", "eth0")
    node.run("ip", "route", "del", "198.51.100.0/24")
    node.run("ip", "rule", "del", "preference", "1000")
    lab.hub.never(lambda: there() or daemon.logged("Entering", begin), 0.4, "nobody asks for what is not tracked")
    # What is tracked is answered, and all of it is there again: keepalived starts anew, kad stays MASTER.
    node.run("ip", "address", "del", "10.77.0.100/24", "dev", "eth0")
    lab.hub.until(lambda: there() == mine and "10.77.0.100" in node.watch.held(), 5, lambda: daemon.log)
    daemon.wait_log("Entering MASTER" if program == "keepalived" else "somebody removed 10.77.0.100/24", 5, begin)
    assert bool(daemon.logged("Entering", begin)) is (program == "keepalived")

"""Routes, rules and addresses in the kernel: the same as under the real keepalived, and kept there."""

from __future__ import annotations

import re

import pytest

from tests.lab.daemons import Daemon, Kad
from tests.lab.lab import Lab, Node
from tests.lab.test_crash import kill, replaced
from tests.lab.texts import router

pytestmark = pytest.mark.lab

ROUTES = """
    198.51.100.0/24 via 10.77.0.2
    198.51.101.0/24 via 10.77.0.2 dev eth0 metric 5 src 10.77.0.100 mtu lock 1400 advmss 1360 table 77 tos 0x10
    198.51.102.0/24 dev eth0 rtt 300ms rttvar 3000 rto_min lock 1.5s scope link protocol static no_track
    198.51.103.0/24 nexthop via 10.77.0.2 dev eth0 weight 3 onlink nexthop via 10.77.0.3 dev eth0 weight 256
    198.51.104.0/24 metric 4 nexthop via 10.77.0.2 dev eth0 realms 3/4 nexthop dev eth1 weight 5
    blackhole 198.51.105.0/24
    unreachable 198.51.106.7
    prohibit 198.51.107.0/24 metric 3
    throw 198.51.108.0/24 table 70000
    multicast 232.1.0.0/16 dev eth0
    198.51.109.0/24 via 10.77.0.2 dev eth0 realms 3/4 initcwnd 12 initrwnd 13 window 4000 cwnd lock 40 ssthresh 50 \\
        reordering 6 hoplimit 77 features ecn quickack 1 congctl cubic fastopen_no_cookie 1
    198.51.110.0/24 via 10.99.0.2 dev eth0 onlink append
    198.51.111.0/24 encap ip id 7 dst 10.1.1.1 src 10.1.1.2 tos 4 ttl 9 via 10.77.0.2 dev eth0
    198.51.112.0/24 encap ip6 id 7 dst 2001:db8::1 hoplimit 9 tc 3 via 10.77.0.2 dev eth0
    198.51.113.0/24 via 10.77.0.2 dev eth0 ttl-propagate enabled add
    src 10.77.0.100 to 198.51.114.0/24 dev eth0
    local 10.88.0.0/16 dev lo scope host table 99
    default via 10.77.0.2 dev eth0 metric 900
    2001:db8:5::/64 via fe80::7 dev eth0 metric 33 pref high
    2001:db8:6::5 dev eth0
    2001:db8:7::/64 nexthop via fe80::7 dev eth0 nexthop via fe80::8 dev eth0 weight 4
    unreachable 2001:db8:8::/64
    2001:db8:9::/64 from 2001:db8:a::/64 dev eth0
    default6 via fe80::7 dev eth0 metric 800
"""
RULES = """
    from 198.51.100.0/24 table 100 preference 1000
    to 198.51.101.0/24 lookup 70000 preference 1001
    not from 10.1.0.0/16 to 10.2.0.0/16 table 300 priority 0x500 tos 0x10
    fwmark 0x10/0xff table 5 order 1300
    iif eth0 oif lo table 6 preference 1301
    from 2001:db8::/32 table 7 preference 1302
    table 8 preference 1303 uidrange 10-20 ipproto tcp sport 10-20 dport 30-40
    goto 2000 preference 1304
    nop preference 1305
    blackhole from 10.5.5.5 preference 1306
    unreachable from 10.5.5.6 preference 1307
    type prohibit from 10.5.5.7 preference 1308
    from 10.5.5.8 table default preference 1309 sup_pl 16 sup_group 4 realms 5/6
    inet6 all table 11 preference 1311
    l3mdev preference 1312
    table 12 preference 1313 tunnel-id 77
    table 13 preference 1314 protocol 77 no_track
    from 10.6.6.6 table 14
    from 2001:db8::6 table 14
"""
ADDRESSES = """
    10.77.0.101 \n 10.77.0.102/24 brd + label eth0:a \n 10.77.0.103/24 brd - \n 10.77.0.120/16
    10.79.0.1/24 scope link brd 10.79.0.255 \n 10.80.0.1/24 scope 77
    10.77.0.109/24 dev eth1 \n 10.77.0.111 peer 10.77.5.1 \n 10.77.3.114/24 noprefixroute
    10.77.0.117/24 -nodad preferred_lft 900 \n 10.77.6.1/31
    2001:db8:1::1 \n 2001:db8:1::3/64 \n 2001:db8:2::3/64 noprefixroute \n 2001:db8:1::4/64 home
    2001:db8:1::6/64 mngtmpaddr \n 2001:db8:1::8/64 preferred_lft 900 \n 2001:db8:1::9/128 preferred_lft forever
    2001:db8:1::b/64 preferred_lft 0 \n 2001:db8:1::c peer 2001:db8:5::1 \n 2001:db8:1::d/64 dev eth1 \n fe80::77/64
"""
STATICS = """
static_ipaddress {
    10.90.0.1/24
    10.90.1.1/24 dev eth0 brd + scope link label eth0:st
    2001:db8:90::1/64 dev eth1
}
static_routes {
    198.18.1.0/24 dev eth1
    2001:db8:99::/64 dev eth1
}
static_rules {
    from 198.18.0.1 table 33 preference 800
    iif eth1 table 34
}
"""
WHOLE = f"""
global_defs {{
    vrrp_version 3
    vrrp_garp_master_repeat 1
    vrrp_garp_master_delay 0
    default_interface eth1
}}
{STATICS}
vrrp_instance VI_1 {{
    interface eth0
    virtual_router_id 51
    state MASTER
    priority 255
    advert_int 0.2
    promote_secondaries
    virtual_ipaddress {{
        10.77.0.100/24
    }}
    virtual_ipaddress_excluded {{ {ADDRESSES} }}
    virtual_routes {{ {ROUTES} }}
    virtual_rules {{ {RULES} }}
}}
""".replace(" \\\n", " ")
OUTSIDE = re.compile(r" proto kernel|^local |^broadcast |^multicast ff00|fe80::/64|^::1 ")


def told(node: Node, *words: str) -> str:
    """What `ip` prints; a table that nobody has used is none."""
    return node.ask("ip", *words).stdout


def kernel(node: Node) -> list[str]:
    """Routes, rules and addresses beside what each host has, without what counts time or is made by chance."""
    found = []
    for family in ("-4", "-6"):
        routes = told(node, "-details", family, "route", "show", "table", "all").replace("\n\t", " ")
        found += [f"{family} {line.strip()}" for line in routes.splitlines() if not OUTSIDE.search(line)]
        found += [f"{family} {line}" for line in told(node, "-details", family, "rule").splitlines()]
    found += told(node, "route", "show", "table", "99").splitlines()
    for interface in ("eth0", "eth1"):
        for line in told(node, "-o", "address", "show", "dev", interface).splitlines():
            text = re.sub(r"(preferred_lft) \d+sec", r"\1 N", line.partition(" ")[2])
            # The kernel's own link-local address.
            if "fe80" not in text or "fe80::77" in text:
                found.append(" ".join(text.split()))
    found.append(node.run("cat", "/proc/sys/net/ipv4/conf/eth0/promote_secondaries").stdout)
    return sorted(found)


def host(lab: Lab) -> Node:
    node = lab.node("a", {"eth0": "10.77.0.1/24", "eth1": "10.78.0.1/24"})
    node.set_sysctl("net.ipv6.conf.all.disable_ipv6", "0")
    return node


def settled(lab: Lab, node: Node, daemon: Daemon, last: str = "iif eth1") -> list[str]:
    """Everything is in the kernel when the last rule is."""
    daemon.wait_log("Entering MASTER STATE", 20)
    lab.hub.until(lambda: last in told(node, "-6", "rule") + told(node, "rule"), 5, lambda: daemon.log)
    lab.hub.until(lambda: "tentative" not in told(node, "-6", "address"), 5, "addresses are in use")
    return kernel(node)


def test_the_kernel_holds_what_it_holds_under_keepalived(lab: Lab) -> None:
    node = host(lab)
    lab.hub.until(lambda: "tentative" not in told(node, "-6", "address"), 5, "the host is ready")
    before = kernel(node)
    keepalived = lab.start_keepalived(node, WHOLE)
    expected = settled(lab, node, keepalived, "from 2001:db8::6 ")
    assert len(expected) - len(before) > 70
    keepalived.stop()
    # keepalived leaves addresses with a peer behind.
    node.run("ip", "address", "flush", "to", "10.77.0.111")
    assert kernel(node) == before
    kad = lab.start_kad(node, WHOLE)
    assert settled(lab, node, kad, "from 2001:db8::6 ") == expected
    assert not kad.logged("adding .*: ")
    kad.stop()
    assert kernel(node) == before


CARE = """
global_defs {
    vrrp_version 3
}
track_group G {
    group {
        VI_1
    }
}
static_ipaddress {
    10.90.0.1/24 dev eth1 track_group G
}
static_routes {
    198.18.1.0/24 via 10.90.0.9 dev eth1
}
vrrp_instance VI_1 {
    interface eth0
    virtual_router_id 51
    state MASTER
    priority 255
    advert_int 0.2
    virtual_ipaddress {
        10.77.0.100/24
    }
    virtual_routes {
        198.51.100.0/24 via 10.77.0.9 dev eth0
        2001:db8:7::/64 nexthop via fe80::7 dev eth0 nexthop via fe80::8 dev eth0
        198.51.101.0/24 dev eth0 src 10.77.0.100
    }
    virtual_rules {
        from 198.51.100.0/24 table 100 preference 1000
    }
}
"""
OURS = ("198.51.100.0/24", "198.51.101.0/24", "198.18.1.0/24", "from 198.51.100.0/24", "fe80::7", "fe80::8")


def held(node: Node) -> set[str]:
    text = "".join(told(node, family, *words) for family in ("-4", "-6") for words in (("route",), ("rule",)))
    return {each for each in OURS if each in text} | ({"10.90.0.1"} & node.watch.held())


EVERYTHING = {*OURS, "10.90.0.1"}


def back(lab: Lab, node: Node, daemon: Kad) -> None:
    lab.hub.until(lambda: held(node) == EVERYTHING, 3, lambda: f"{EVERYTHING - held(node)}\n{daemon.log}")


def test_nothing_is_lost_to_hands_crashes_and_reloads_and_nothing_stays(lab: Lab) -> None:
    node = host(lab)
    kad = lab.start_kad(node, CARE)
    kad.wait_log("Entering MASTER STATE", 20)
    back(lab, node, kad)
    # By hand: at once, and without a transition.
    for words in (
        ("route", "del", "198.51.100.0/24"),
        ("rule", "del", "preference", "1000"),
        ("-6", "route", "del", "2001:db8:7::/64", "via", "fe80::8"),
        ("address", "del", "10.90.0.1/24", "dev", "eth1"),
        ("address", "del", "10.77.0.100/24", "dev", "eth0"),
    ):
        node.run("ip", *words)
        back(lab, node, kad)

    def has_told(pattern: str, times: int) -> None:
        """What the kernel does is seen sooner than what the log says."""
        lab.hub.until(lambda: len(kad.logged(pattern)) == times or None, 2, lambda: f"{pattern}\n{kad.log}")

    has_told("somebody removed the (route|rule)", 3)
    assert len(kad.logged("Entering")) == len(kad.logged("Entering (BACKUP|MASTER)")) == 2
    # Replaced by hand: ours takes its place again.
    before = kernel(node)
    for words in (
        ("route", "replace", "198.51.100.0/24", "via", "10.77.0.8"),
        ("route", "change", "198.51.101.0/24", "via", "10.77.0.8"),
        ("route", "replace", "blackhole", "198.18.1.0/24"),
        ("-6", "route", "replace", "2001:db8:7::/64", "via", "fe80::9", "dev", "eth0"),
    ):
        node.run("ip", *words)
        lab.hub.until(lambda: kernel(node) == before, 3, lambda: f"{before}\n{kernel(node)}\n{kad.log}")
    has_told("somebody replaced the route .*: (putting it back|back in)", 4)
    assert any("somebody replaced the route" in event["text"] for event in kad.dump("events"))
    # What is put beside it, or in the place of another one, is not kad's.
    node.run("ip", "route", "add", "198.51.100.0/24", "via", "10.77.0.8", "metric", "7")
    node.run("ip", "route", "replace", "198.51.100.0/24", "via", "10.77.0.7", "metric", "7")
    lab.hub.until(lambda: "10.77.0.7" in told(node, "route"), 2, "another route")
    node.run("ip", "route", "del", "198.51.100.0/24", "metric", "7")
    # A replacement of the child finds all of it, and adds nothing twice.
    before = kernel(node)
    old, _ = kill(kad, "vrrp")
    replaced(lab, kad, "vrrp", old)
    lab.hub.never(lambda: kernel(node) != before, 0.5, "the kernel keeps what it has")
    node.run("ip", "route", "del", "198.51.100.0/24")
    back(lab, node, kad)
    # What is put before it is behind it then; what is put behind it is left alone.
    node.run("ip", "route", "prepend", "198.51.100.0/24", "via", "10.77.0.8")
    first = ("route", "get", "198.51.100.1")
    lab.hub.until(lambda: "via 10.77.0.9" in told(node, *first) or None, 3, lambda: kad.log)
    has_told(r"somebody put another one before the route 198\.51\.100\.0/24 .*: putting it back", 1)
    node.run("ip", "route", "append", "198.51.100.0/24", "via", "10.77.0.7")
    assert len(re.findall(r"via 10\.77\.0\.[789]", told(node, "route"))) == 3
    for gateway in "87":
        node.run("ip", "route", "del", "198.51.100.0/24", "via", f"10.77.0.{gateway}")
    lab.hub.never(lambda: kernel(node) != before, 0.2, "the kernel keeps what it has")
    has_told(r"somebody (put|removed) .*the route 198\.51\.100\.0", 3)
    # A reload touches what changed.
    changed = CARE.replace("198.51.101.0/24 dev eth0 src 10.77.0.100", "198.51.102.0/24 dev eth0")
    node.write("changed.conf", changed)
    foretold = kad.ask("--check-reload", "/etc/keepalived/changed.conf").stdout
    assert '"198.51.101.0/24 dev eth0 src 10.77.0.100"] -> [' in foretold
    assert '"198.51.102.0/24 dev eth0"]' in foretold
    kad.reload(changed)
    lab.hub.until(
        lambda: held(node) == EVERYTHING - {"198.51.101.0/24"} and "198.51.102.0" in told(node, "route"),
        5,
        lambda: kad.log,
    )
    # The group of the static address follows its interface.
    node.run("ip", "link", "set", "eth1", "down")
    kad.wait_log("Entering FAULT STATE: interface eth1 of the address 10.90.0.1 is down", 3)
    assert held(node) <= {"10.90.0.1"}
    node.run("ip", "link", "set", "eth1", "up")
    lab.hub.until(lambda: held(node) == EVERYTHING - {"198.51.101.0/24"}, 5, lambda: kad.log)
    # A life that is killed as a whole leaves it; the next one takes it away.
    kad.kill()
    assert held(node) == EVERYTHING - {"198.51.101.0/24"}
    again = lab.start_kad(node, "global_defs {\n}\n")
    lab.hub.until(lambda: held(node) == set(), 15, lambda: again.log)


def test_promotion_outlives_a_death_and_an_interface_and_is_given_back(lab: Lab) -> None:
    node = host(lab)
    setting = "/proc/sys/net/ipv4/conf/eth0/promote_secondaries"

    def promotes(value: str) -> None:
        lab.hub.until(lambda: node.ask("cat", setting).stdout == f"{value}\n" or None, 5, f"{value} in {setting}")

    node.set_sysctl("net.ipv4.conf.eth0.promote_secondaries", "0")
    vips = ("10.79.0.1/24", "10.79.0.2/24")
    daemon = lab.start_kad(node, router(addresses=vips, more="promote_secondaries"))
    lab.hub.until(lambda: "10.79.0.2/24" in told(node, "address"), 5, "the addresses are there")
    promotes("1")
    # Without it the kernel takes away every other address of the network with its first one.
    node.ip("addr", "del", vips[0], "dev", "eth0")
    assert "10.79.0.2/24" in told(node, "address")
    old, moment = kill(daemon, "vrrp")
    replaced(lab, daemon, "vrrp", old)
    lab.remove_interface(node, "eth0")
    daemon.wait_log("Entering FAULT STATE", since=moment)
    lab.add_interface(node, "eth0", "10.77.0.1/24")
    promotes("1")
    assert daemon.stop() == 0
    # The new interface has what all new ones have.
    promotes(node.run("cat", "/proc/sys/net/ipv4/conf/default/promote_secondaries").stdout.strip())


def test_promotion_is_given_back_by_the_life_after(lab: Lab) -> None:
    node = host(lab)
    node.set_sysctl("net.ipv4.conf.eth0.promote_secondaries", "0")
    daemon = lab.start_kad(node, router(more="promote_secondaries"))
    daemon.wait_log("Startup complete")
    old, _ = kill(daemon, "vrrp")
    replaced(lab, daemon, "vrrp", old)
    assert daemon.stop() == 0
    assert node.run("cat", "/proc/sys/net/ipv4/conf/eth0/promote_secondaries").stdout == "0\n"

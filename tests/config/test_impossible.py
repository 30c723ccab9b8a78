"""Words that no kernel and no packet has room for: each gets a finding, and what is left of the file runs."""

from __future__ import annotations

import msgspec
import pytest

from kad.analyzer.process import Analysis
from kad.model.vrrp import VrrpInstance, VrrpSlice
from tests.config.encoded import encode
from tests.config.hosts import judged

ROUTE = "198.51.100.0/24 dev eth0 no_track"
RULE = "from 192.0.2.0/24 no_track"


def instance(words: str = "", *, address: str = "192.0.2.9/24", more: str = "", interface: str = "eth0") -> str:
    """The words begin in line 4, the address is in line 5 of an instance without them."""
    words = f"{words}\n" if words else ""
    return (
        f"vrrp_instance A {{\ninterface {interface}\nvirtual_router_id 51\n{words}"
        f"virtual_ipaddress {{\n{address}\n}}\n{more}}}\n"
    )


def service(words: str, *, name: str = "192.0.2.1 80", server: str = "192.0.2.30 80") -> str:
    """The words are in line 7."""
    return (
        f"virtual_server {name} {{\nlb_algo rr\nlb_kind NAT\nprotocol TCP\nreal_server {server} {{\n"
        f"TCP_CHECK {{\n{words}\n}}\n}}\n}}\n"
    )


def findings(analysis: Analysis) -> list[str]:
    return [f"{one.severity} {one.place.line}:{one.place.column} {one.text}" for one in analysis.diagnostics]


def of(analysis: Analysis) -> VrrpInstance:
    (made,) = msgspec.msgpack.decode(analysis.slices["vrrp"], type=VrrpSlice).instances
    return made


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        # An address with the index of a zone.
        (instance(address="fe80::1%eth0/64"), "warning 5:1 virtual_ipaddress: fe80::1%eth0 is not an IP address"),
        (
            instance(address="192.0.2.9/24 peer fe80::1%eth0"),
            "warning 5:19 192.0.2.9/24: peer: fe80::1%eth0 is not an IP address; the address is kept without it",
        ),
        (
            instance("unicast_peer {\nfe80::2%eth0\n}", address="fe80::1/64"),
            "warning 5:1 unicast_peer: fe80::2%eth0 is not an IP address",
        ),
        (
            instance("mcast_src_ip fe80::2%eth0", address="fe80::1/64"),
            "warning 4:14 mcast_src_ip: fe80::2%eth0 is not an IP address",
        ),
        (
            instance("unicast_src_ip fe80::2%eth0", address="fe80::1/64"),
            "warning 4:16 unicast_src_ip: fe80::2%eth0 is not an IP address",
        ),
        (
            instance("mcast_dst_ip ff02::12%eth0", address="fe80::1/64"),
            "warning 4:14 mcast_dst_ip: ff02::12%eth0 is not an IP address",
        ),
        (
            instance(more="virtual_routes {\n2001:db8::/64 via fe80::1%eth0 dev eth0\n}\n"),
            "warning 8:19 fe80::1%eth0 is not an IP address",
        ),
        (
            instance(more="virtual_routes {\n2001:db8::/64 nexthop via fe80::1%eth0 dev eth0\n}\n"),
            "warning 8:27 fe80::1%eth0 is not an IP address",
        ),
        ("static_ipaddress {\nfe80::1%eth0 dev eth0\n}\n", "warning 2:1 static_ipaddress: fe80::1%eth0"),
        (service("connect_ip fe80::1%eth0"), "warning 7:12 connect_ip: fe80::1%eth0 is not an IP address"),
        (service("bindto fe80::1%eth0"), "warning 7:8 bindto: fe80::1%eth0 is not an IP address"),
        (
            service("", name="2001:db8::1 80", server="fe80::2%eth0 80"),
            "warning 5:13 real_server: fe80::2%eth0 is not an IP address",
        ),
        (
            "virtual_server_group G {\nfe80::1%eth0-9 80\n}\n",
            "warning 2:1 virtual_server_group: fe80::1%eth0 is not an IP address",
        ),
        (
            "global_defs {\nlvs_sync_daemon eth0 group ff02::1%eth0\n}\n",
            "warning 2:22 lvs_sync_daemon: group needs a mult",
        ),
        ("bfd_instance B {\nneighbor_ip fe80::1%eth0\n}\n", "warning 2:13 neighbor_ip: fe80::1%eth0 is not an IP"),
        (
            "virtual_server_group G {\nfe80::%eth0/64 80\n}\n",
            "warning 2:1 virtual_server_group: fe80::%eth0 is not an IP address",
        ),
        (
            instance("use_ipvlan v1 2001:db8::5/64"),
            "warning 4:1 A: 2001:db8::5 is not of the family of the instance, IPv4; it is ignored",
        ),
        # A name that no interface can have.
        (instance(interface="eth0/1"), "warning 2:11 interface: eth0/1 cannot be the name of an interface"),
        (instance(interface=".."), "warning 2:11 interface: .. cannot be the name of an interface"),
        (instance(interface="0123456789abcdef"), "warning 2:11 interface: 0123456789abcdef cannot be the name"),
        (instance(interface='"a b"'), 'warning 2:11 interface: "a b" cannot be the name of an interface'),
        (instance(address="192.0.2.9/24 dev a/b"), "warning 5:18 virtual_ipaddress: a/b cannot be the name"),
        (instance(address="fd00::9/64 dev .."), "warning 5:16 virtual_ipaddress: .. cannot be the name"),
        ("static_ipaddress {\n192.0.2.9 dev a/b\n}\n", "warning 2:15 static_ipaddress: a/b cannot be the name"),
        (instance("vrf a/b"), "warning 4:5 vrf: a/b cannot be the name of an interface"),
        (instance("use_vmac .."), "warning 4:10 use_vmac: .. cannot be the name of an interface"),
        (instance("use_ipvlan a:b"), "warning 4:12 use_ipvlan: "),
        (
            "global_defs {\nvmac_prefix a/b\n}\n" + instance("use_vmac"),
            "warning 2:13 vmac_prefix: a/b cannot be the name of an interface",
        ),
        (
            instance(more="virtual_routes {\n198.51.100.0/24 dev a/b\n}\n"),
            "warning 8:21 dev: a/b cannot be the name of an interface",
        ),
        (
            instance(more="virtual_rules {\niif 0123456789abcdef table 5 preference 7\n}\n"),
            "warning 8:5 iif: 0123456789abcdef cannot be the name of an interface",
        ),
        (service("bind_if 0123456789abcdef"), "warning 7:9 bind_if: 0123456789abcdef cannot be the name"),
        ("global_defs {\nlvs_sync_daemon a/b\n}\n", "warning 2:17 lvs_sync_daemon: a/b cannot be the name"),
        ("linkbeat_interfaces {\na/b\n}\n", "warning 2:1 linkbeat_interfaces: a/b cannot be the name"),
        ("interface_up_down_delays {\na/b 5\n}\n", "warning 2:1 interface_up_down_delays: a/b cannot be the name"),
        ("garp_group {\ngarp_interval 1\ninterface a/b\n}\n", "warning 3:11 interface: a/b cannot be the name"),
        # A number that its field does not hold.
        (
            instance(address="192.0.2.9/24 preferred_lft 4294967296"),
            "warning 5:28 192.0.2.9/24: 4294967296 is neither forever nor a number of seconds in 0..4294967295",
        ),
        (
            instance("use_vmac v1 group 4294967296"),
            "warning 4:1 A: the group 4294967296 is neither a number of 0..4294967295 nor in /etc/iproute2/group",
        ),
        (
            instance("kernel_rx_buf_size 3000000000"),
            "note 4:20 kernel_rx_buf_size: no socket has 3000000000 bytes; 2147483647 is used",
        ),
        (
            "global_defs {\nvrrp_rx_bufs_policy 3000000000\n}\n" + instance(),
            "note 2:21 vrrp_rx_bufs_policy: no socket has 3000000000 bytes; 2147483647 is used",
        ),
        (
            "global_defs {\nvrrp_netlink_cmd_rcv_bufs 3000000000\n}\n" + instance(),
            "note 2:27 vrrp_netlink_cmd_rcv_bufs: no socket has 3000000000 bytes; 2147483647 is used",
        ),
        (
            instance(more=f"virtual_rules {{\n{RULE} table 5 preference 1_000\n}}\n"),
            "warning 8:47 preference: 1_000 is not a whole number",
        ),
        (
            instance(more=f"virtual_rules {{\n{RULE} goto 50 preference 0100\n}}\n"),
            "warning 8:1 goto 50 must be above the preference 64",
        ),
        (
            instance(more="virtual_rules {\nfwmark 0x1ffffffff table 5 preference 7\n}\n"),
            "warning 8:8 fwmark: 0x1ffffffff is not a mark, nor a mark and a mask, of 0..4294967295",
        ),
        (
            instance(more="virtual_rules {\nfwmark 1/0x1ffffffff table 5 preference 7\n}\n"),
            "warning 8:8 fwmark: 1/0x1ffffffff is not a mark",
        ),
        (
            instance(more=f"virtual_routes {{\n{ROUTE} encap ip id 5 dst 192.0.2.3 flags 65536\n}}\n"),
            "warning 8:69 flags: 65536 is not in 0..65535",
        ),
        (
            instance(more=f"virtual_routes {{\n{ROUTE} rto_min 121s\n}}\n"),
            "warning 8:43 rto_min: 121s is above 120s",
        ),
        (
            instance(more=f"virtual_routes {{\n{ROUTE} rtt 961s\n}}\n"),
            "warning 8:39 rtt: 961s is above 960s",
        ),
        (
            instance(more=f"virtual_routes {{\n{ROUTE} rtt 200s\n}}\n"),
            "note 8:1 A: 198.51.100.0/24 dev eth0 no_track rtt 200s: rtt 200s is not in 0.2..120 s; 120 s is used",
        ),
        (
            instance(more=f"virtual_routes {{\n{ROUTE} rto_min 1ms\n}}\n"),
            "note 8:1 A: 198.51.100.0/24 dev eth0 no_track rto_min 1ms: rto_min 1ms is not in 0.2..120 s;",
        ),
        (
            instance(more="virtual_routes {\ninet6 198.51.100.0/24 no_track dev eth0\n}\n"),
            "warning 8:7 IPv4 and IPv6 are mixed: inet6 198.51.100.0/24",
        ),
        (
            instance(more="virtual_rules {\nto 192.0.2.0/24 inet6 all table 7 preference 9\n}\n"),
            "warning 8:4 IPv4 and IPv6 are mixed: inet6 192.0.2.0/24",
        ),
        (
            "static_rules {\ninet from 2001:db8::/32 table 7 preference 9\n}\n" + instance(),
            "warning 2:11 IPv4 and IPv6 are mixed: inet 2001:db8::/32",
        ),
        (
            instance(more="virtual_routes {\n198.51.100.0/24 no_track nexthop via fe80::1 dev eth0\n}\n"),
            "warning 8:38 IPv4 and IPv6 are mixed: 198.51.100.0/24 fe80::1",
        ),
        (instance(f"priority {'9' * 5000}"), "warning 4:10 priority: "),
        (instance(address=f"192.0.2.9/{'9' * 5000}"), "warning 5:1 virtual_ipaddress: "),
        (f"virtual_server 192.0.2.1 {'9' * 5000} {{\n}}\n", "warning 1:16 virtual_server: "),
        ("bfd_instance abcdefghijklmnopqrstuvwxyz012345 {\nneighbor_ip 192.0.2.7\n}\n", "warning 1:14 bfd_instance: "),
        # A name that TLS cannot say.
        (
            service("}\nSSL_GET {\nenable_sni\nvirtualhost .example\nurl {\npath /\n}"),
            "warning 11:1 '.example' cannot be the name of a server in TLS; it is not sent",
        ),
        (
            service(f"}}\nSSL_GET {{\nverify\nvirtualhost {'a' * 64}.example\nurl {{\npath /\n}}"),
            f"warning 11:1 '{'a' * 64}.example' cannot be the name of a server in TLS; the url is ignored",
        ),
        (
            service("}\nHTTP_GET {\nurl {\npath /\nregex a\nregex_min_offset 99999999999999999999\n}"),
            "warning 12:1 regex_min_offset 99999999999999999999 is not a whole number; it is ignored",
        ),
    ],
)
def test_it_is_said_and_nothing_falls(text: str, finding: str) -> None:
    analysis = judged(text)
    severity, place, words = finding.split(" ", 2)
    found = [one for one in findings(analysis) if one.startswith(f"{severity} {place} ")]
    assert any(words in one for one in found), findings(analysis)
    encode(analysis)


@pytest.mark.parametrize(
    "text",
    [
        instance(address="192.0.2.9/24 preferred_lft 4294967295"),
        instance("use_vmac v1 group 4294967295"),
        instance(more=f"virtual_rules {{\n{RULE} goto 2000 preference 0100\n}}\n"),
        instance(more="virtual_rules {\nfwmark 0xffffffff/0xffffffff table 5 preference 7 no_track\n}\n"),
        instance(more=f"virtual_routes {{\n{ROUTE} encap ip id 18446744073709551615 dst 192.0.2.3 flags 65535\n}}\n"),
        instance(more=f"virtual_routes {{\n{ROUTE} rto_min 120s rtt 120s rttvar 120s\n}}\n"),
        service("fwmark 4294967295"),
    ],
)
def test_the_largest_are_taken(text: str) -> None:
    """The mark of a check is a number without sign to the kernel, whatever Python takes it for."""
    analysis = judged(text)
    assert findings(analysis) == []
    encode(analysis)


def test_what_is_wrong_in_a_line_costs_no_more_than_keepalived_lets_it_cost() -> None:
    """An address without its lifetime, one without its line; a buffer of the largest size, and a sum of them."""
    kept = of(judged(instance(address="192.0.2.9/24 preferred_lft 99999999999\n192.0.2.10/24 dev a/b")))
    assert [(each.address, each.preferred_lft) for each in kept.virtual_addresses] == [("192.0.2.9", None)]
    assert of(judged(instance("kernel_rx_buf_size 3000000000"))).receive_buffer == 2147483647
    several = "".join(
        instance("kernel_rx_buf_size 2000000000", address=f"192.0.2.{number}/24")
        .replace("instance A", f"instance A{number}")
        .replace("_id 51", f"_id {number}")
        for number in range(51, 54)
    )
    encode(judged(several))


def test_a_thousand_networks_may_have_the_same_virtual_router_id() -> None:
    lines = "\n".join(f"10.0.{number >> 8}.{number & 255} dev vlan{number} use_vmac" for number in range(1001))
    analysis = judged(
        "global_defs {\nvmac_addr_prefix eightlet\n}\n" + instance(address=lines).replace("_id 51", "_id 151")
    )
    names = [device.name for device in of(analysis).further_devices]
    assert len(set(names)) == 1001
    assert (names[0], names[999], names[1000]) == ("eightlet.151", "eightlet999.151", "vrrp1.151")

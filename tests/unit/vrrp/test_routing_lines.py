"""Lines of virtual_routes and virtual_rules as numbers: tables, times, families, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from kad.config.lines import Word
from kad.config.values import Clamped, Words, Wrong
from kad.model.routing import Encap, Nexthop, Route, Rule
from kad.vrrp.keywords.iproute2_names import Names
from kad.vrrp.keywords.route_numbers import to_route, to_rule
from kad.vrrp.keywords.route_words import RouteLine, RuleLine, route_line, rule_line
from tests.config.hosts import Memory

NAMES = Names(
    Memory(
        {
            "/etc/iproute2/rt_tables": "255 local\n254 main\n253 default\n# a comment\n0x64 blue # 100\n",
            "/etc/iproute2/rt_tables.d/more.conf": "200 green\n",
            "/usr/share/iproute2/rt_tables": "7 red\n",
            "/usr/share/iproute2/rt_dsfield": "0x10 lowdelay\n",
            "/usr/share/iproute2/rt_realms": "5 inner\n6 outer\n",
            "/etc/protocols": "ospf\t89\tOSPFIGP\n",
        }
    )
)


def words(text: str) -> Words:
    return tuple(Word(each, 0) for each in text.split())


def route(text: str) -> Route:
    """The complaints that keep the line are those of another test."""
    try:
        line: RouteLine = route_line().read(words(text))
    except Clamped as clamped:
        line = clamped.value
    return to_route(line, NAMES, {"blue": 10}.get)


def rule(text: str) -> Rule:
    try:
        line: RuleLine = rule_line().read(words(text))
    except Clamped as clamped:
        line = clamped.value
    return to_rule(line, 16384, NAMES)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("198.51.100.0/24 dev eth0", {"destination": "198.51.100.0", "prefix": 24, "device": "eth0"}),
        ("198.51.100.9/24 dev eth0", {"destination": "198.51.100.0", "prefix": 24, "device": "eth0"}),
        ("198.51.100.9 via 10.0.0.1", {"destination": "198.51.100.9", "prefix": 32, "gateway": "10.0.0.1"}),
        ("default via 10.0.0.1 metric 7", {"gateway": "10.0.0.1", "metric": 7}),
        ("0.0.0.0/0 via 10.0.0.1", {"gateway": "10.0.0.1"}),
        ("default via fe80::1 dev eth0", {"family": 6, "gateway": "fe80::1", "device": "eth0"}),
        ("default6 dev eth0", {"family": 6, "device": "eth0"}),
        ("inet6 default dev eth0", {"family": 6, "device": "eth0"}),
        ("to blackhole 10.1.0.0/16", {"type": 6, "destination": "10.1.0.0", "prefix": 16}),
        (
            "local 10.1.0.0/16 dev lo",
            {"type": 2, "destination": "10.1.0.0", "prefix": 16, "scope": 254},
        ),
        ("brd 10.1.0.255 dev eth0", {"type": 3, "destination": "10.1.0.255", "prefix": 32, "scope": 253}),
        ("10.1.0.0/16 dev eth0 table blue", {"table": 100}),
        ("10.1.0.0/16 dev eth0 table green", {"table": 200}),
        ("10.1.0.0/16 dev eth0 table 70000", {"table": 70000}),
        ("10.1.0.0/16 dev eth0 vrf blue", {"table": 10}),
        ("10.1.0.0/16 dev eth0 tos lowdelay", {"tos": 0x10}),
        ("10.1.0.0/16 dev eth0 scope link", {"scope": 253}),
        ("10.1.0.0/16 dev eth0 realms inner/outer", {"realms": 0x50006}),
        ("10.1.0.0/16 dev eth0 realms 0x10", {"realms": 16}),
        ("10.1.0.0/16 dev eth0 protocol bird", {"protocol": 18}),
        ("10.1.0.0/16 dev eth0 protocol bird no_track", {"protocol": 12}),
        ("10.1.0.0/16 dev eth0 append", {"placement": "append"}),
        ("10.1.0.0/16 as to 10.9.9.9 dev eth0", {"device": "eth0"}),
        ("10.1.0.0/16 as 10.9.9.9 dev eth0", {"device": "eth0"}),
        ("10.1.0.0/16 dev eth0 features nope", {"metrics": ()}),
        ("2001:db8::/32 dev eth0 scope link", {"scope": 0}),
        ("10.1.0.0/16 dev eth0 rtt 300", {"metrics": (("rtt", 1600),)}),
        ("10.1.0.0/16 dev eth0 rtt 3000 rttvar 3000", {"metrics": (("rtt", 3000), ("rttvar", 3000))}),
        ("10.1.0.0/16 dev eth0 rtt 1.5s rttvar 2000ms", {"metrics": (("rtt", 12000), ("rttvar", 8000))}),
        ("10.1.0.0/16 dev eth0 rto_min lock .5s", {"metrics": (("rto_min", 500),), "locked": ("rto_min",)}),
        ("10.1.0.0/16 dev eth0 features ecn quickack 0", {"metrics": (("quickack", 0), ("features", 1))}),
        ("10.1.0.0/16 dev eth0 mtu lock 1400 congctl bbr", {"metrics": (("mtu", 1400),), "congestion": "bbr"}),
        ("2001:db8::/32 from 2001:db9::/32 dev eth0", {"source": "2001:db9::", "source_prefix": 32}),
        ("2001:db8::/32 dev eth0 pref high expires 9", {"preference": 1, "expires": 9}),
        ("10.1.0.0/16 dev eth0 ttl-propagate disabled", {"ttl_propagate": False}),
        (
            "10.1.0.0/16 via 10.0.0.1 or 10.0.0.2 dev eth0",
            {
                "gateway": None,
                "device": None,
                "nexthops": (
                    Nexthop(gateway="10.0.0.1", device="eth0"),
                    Nexthop(gateway="10.0.0.2", device="eth0"),
                ),
            },
        ),
        (
            "10.1.0.0/16 nexthop via inet 10.0.0.1 weight 3 onlink nexthop dev eth1 realms 4 encap mpls 16/17",
            {
                "nexthops": (
                    Nexthop(gateway="10.0.0.1", weight=3, onlink=True),
                    Nexthop(device="eth1", realms=4, encap=Encap(kind="mpls", labels=(16, 17))),
                )
            },
        ),
        (
            "10.1.0.0/16 dev eth0 encap ip id 7 dst 10.9.9.9 ttl 9 tos lowdelay",
            {"encap": Encap(kind="ip", id=7, destination="10.9.9.9", ttl=9, tos=0x10)},
        ),
        (
            "10.1.0.0/16 dev eth0 encap ip6 dst 2001:db8::9 hoplimit 9 tc 4",
            {"encap": Encap(kind="ip6", destination="2001:db8::9", ttl=9, tos=4)},
        ),
        ("10.1.0.0/16 dev eth0 encap ila 1:2:3:ffff", {"encap": Encap(kind="ila", locator=0x000100020003FFFF)}),
    ],
)
def test_a_route(text: str, expected: dict[str, Any]) -> None:
    made = route(text)
    assert {name: getattr(made, name) for name in expected} == expected
    assert made.family == expected.get("family", 6 if "2001:db8::/32" in text else 4)


def test_what_nobody_wrote_is_main_unicast_and_ours() -> None:
    assert route("10.1.0.0/16 dev eth0") == Route(
        family=4, type=1, destination="10.1.0.0", prefix=16, device="eth0", table=254, protocol=18, scope=0, metric=0
    )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("10.1.0.0/16 dev eth0 table nope", "there is no table nope"),
        ("10.1.0.0/16 dev eth0 table red", "there is no table red"),
        ("10.1.0.0/16 dev eth0 scope 256", "scope 256 is above 255"),
        ("10.1.0.0/16 dev eth0 realms nope", "there is no realm nope"),
        ("10.1.0.0/16 dev eth0 vrf eth0", "eth0 is not a VRF of this host"),
        ("10.1.0.0/16 dev eth0 encap mpls x", "encap mpls needs labels below 1048576, joined by /"),
        ("10.1.0.0/16 dev eth0 encap ila 1:2", "encap ila needs a locator of four hexadecimal numbers, joined by :"),
        ("10.1.0.0/16 dev eth0 encap ip dst 2001:db8::1", "encap ip needs IPv4 addresses"),
        ("10.1.0.0/16 via inet6 fe80::1 dev eth0", "IPv4 and IPv6 are mixed: 10.1.0.0/16 inet6 fe80::1"),
        ("inet6 10.1.0.0/16 dev eth0", "IPv4 and IPv6 are mixed: inet6 10.1.0.0/16"),
        (
            "10.1.0.0/16 nexthop dev eth0 nexthop dev eth1 via inet6 fe80::1",
            "IPv4 and IPv6 are mixed: 10.1.0.0/16 inet6 fe80::1",
        ),
    ],
)
def test_a_route_that_the_kernel_cannot_be_told(text: str, complaint: str) -> None:
    with pytest.raises(Wrong) as wrong:
        route(text)
    assert str(wrong.value) == complaint


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("from 10.0.0.0/8 table blue preference 5", {"source": "10.0.0.0", "source_prefix": 8, "table": 100}),
        ("to 10.0.0.7 lookup 70000 order 5", {"destination": "10.0.0.7", "destination_prefix": 32, "table": 70000}),
        ("from all to any table 9 preference 5", {"source": None, "destination": None}),
        ("table 9 preference 0x50", {"preference": 80, "action": 1}),
        ("table 9", {"preference": 16384}),
        ("not from 2001:db8::/32 table 9 priority 5", {"family": 6, "inverted": True}),
        ("inet6 table 9 preference 5", {"family": 6, "table": 9}),
        ("inet6 all table 9 preference 5", {"family": 6, "table": 9}),
        ("goto 10 preference 5", {"action": 2, "goto": 10}),
        ("nop preference 5", {"action": 3}),
        ("type blackhole from 10.0.0.1 preference 5", {"action": 6}),
        ("unreachable preference 5", {"action": 7}),
        ("prohibit preference 5", {"action": 8}),
        ("l3mdev preference 5", {"action": 1, "l3mdev": True}),
        ("table 9 preference 5 fwmark 0x10/0xff", {"mark": 16, "mask": 255}),
        ("table 9 preference 5 fwmark 7", {"mark": 7, "mask": None}),
        ("table 9 preference 5 tunnel-id 77 tos 4", {"tunnel_id": 77, "tos": 4}),
        ("table 9 preference 5 ipproto ospf sport 1-2", {"ip_protocol": 89, "source_ports": (1, 2)}),
        ("table 9 preference 5 ipproto udp uidrange 3-4", {"ip_protocol": 17, "users": (3, 4)}),
        ("table 9 preference 5 sup_pl 16 sup_group 4", {"suppress_prefixlength": 16, "suppress_group": 4}),
        ("table 9 preference 5 iif eth0 oif lo", {"incoming": "eth0", "outgoing": "lo"}),
        ("table 9 preference 5 protocol 99", {"protocol": 18}),
        ("table 9 preference 5 protocol 99 no_track", {"protocol": 99}),
    ],
)
def test_a_rule(text: str, expected: dict[str, Any]) -> None:
    made = rule(text)
    assert {name: getattr(made, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("table 9 preference 5 uidrange 20-10", "20-10 is not a range of numbers up to 4294967295"),
        ("table 9 preference 5 dport 1-65536", "1-65536 is not a range of numbers up to 65535"),
        ("table 9 preference 5 ipproto nosuch", "there is no IP protocol nosuch"),
        ("table 9 preference 5 sup_group nosuch", "there is no group nosuch"),
        ("table 9 goto 7 preference 5", "table and goto cannot be combined in one rule"),
        ("inet6 from 192.0.2.0/24 table 9 preference 5", "IPv4 and IPv6 are mixed: inet6 192.0.2.0/24"),
        ("inet all to 2001:db8::1 table 9 preference 5", "IPv4 and IPv6 are mixed: inet 2001:db8::1"),
        ("inet6 all table 9 realms 4 preference 5", "realms is for IPv4 alone"),
        ("from 2001:db8::1 table 9 realms 4 preference 5", "realms is for IPv4 alone"),
        ("goto 10 from 192.0.2.1", "goto 10 needs a preference below it"),
        ("nop realms 4 preference 5", "realms suppress_prefixlength sup_pl suppress_ifgroup sup_group need a table"),
    ],
)
def test_a_rule_that_the_kernel_cannot_be_told(text: str, complaint: str) -> None:
    with pytest.raises(Wrong) as wrong:
        rule(text)
    assert str(wrong.value).startswith(complaint)

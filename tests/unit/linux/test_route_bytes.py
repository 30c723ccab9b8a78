"""Requests for routes and rules as literal bytes, and the keys by which a removal is recognised."""

from __future__ import annotations

from kad.linux.netlink.encode_route import encode_route
from kad.linux.netlink.encode_rule import encode_rule
from kad.linux.netlink.routes import key
from kad.model.routing import Encap, Nexthop, Route, Rule

PLAIN = Route(family=4, type=1, destination="198.51.100.0", prefix=24, gateway="10.77.0.2", device="eth0")


def hexed(text: str) -> bytes:
    return bytes.fromhex(text)


def test_a_route_with_a_place_for_the_index() -> None:
    add, delete, indexes = encode_route(PLAIN)
    # struct rtmsg: family, lengths, tos, table main, protocol 18, scope, unicast; DST, GATEWAY, OIF.
    body = "02 18 00 00 fe 12 00 01 00000000 0800 0100 c6336400 0800 0500 0a4d0002 0800 0400 00000000"
    assert add == hexed("34000000 1800 0504 00000000 00000000" + body)
    assert delete == hexed("34000000 1900 0500 00000000 00000000" + body)
    assert indexes == ((48, "eth0"),)


def test_metrics_locks_and_what_pyroute2_does_not_know() -> None:
    route = Route(
        family=4,
        type=1,
        destination="198.51.100.0",
        prefix=24,
        table=1000,
        metrics=(("mtu", 1400), ("fastopen_no_cookie", 1)),
        locked=("mtu",),
        congestion="cubic",
        ttl_propagate=True,
        placement="append",
    )
    add, _, _ = encode_route(route)
    assert add[4:8] == hexed("1800 050c")
    assert add[16:28] == hexed("02 18 00 00 00 12 00 01 00000000")
    attributes = "0800 0100 c6336400 0800 0f00 e8030000 0500 1a00 01 000000"
    metrics = "2800 0800 0800 0100 04000000 0800 0200 78050000 0800 1100 01000000 0a00 1000 6375626963 00 0000"
    assert add[28:] == hexed(attributes + metrics)


def test_several_ways_each_with_its_own_place() -> None:
    hops = (Nexthop(gateway="10.77.0.2", device="eth0"), Nexthop(gateway="10.77.0.3", device="eth1", weight=256))
    add, _, indexes = encode_route(Route(family=4, type=1, destination="198.51.100.0", prefix=24, nexthops=hops))
    assert add[36:] == hexed("2400 0900 1000 00 00 00000000 0800 0500 0a4d0002 1000 00 ff 00000000 0800 0500 0a4d0003")
    assert indexes == ((44, "eth0"), (60, "eth1"))


def test_tunnels() -> None:
    def encap(**fields: object) -> bytes:
        add, _, _ = encode_route(Route(family=4, type=1, destination="198.51.100.0", prefix=24, encap=Encap(**fields)))
        return add[36:]

    ip = "0600 1500 0200 0000 2000 1600 0c00 0100 0000000000000007 0800 0200 0a010101 0500 0400 09 000000"
    assert encap(kind="ip", id=7, destination="10.1.1.1", ttl=9) == hexed(ip)
    ip6 = "0600 1500 0400 0000 1800 1600 1400 0200 20010db8000000000000000000000001"
    assert encap(kind="ip6", destination="2001:db8::1") == hexed(ip6)
    # RFC 3032: label 30, then label 40 with the bottom of the stack.
    assert encap(kind="mpls", labels=(30, 40)) == hexed("0600 1500 0100 0000 1000 1600 0c00 0100 0001e000 00028100")
    assert encap(kind="ila", locator=1) == hexed("0600 1500 0300 0000 1000 1600 0c00 0100 0000000000000001")


def test_only_a_unicast_route_may_stand_beside_an_equal_one() -> None:
    add, _, _ = encode_route(Route(family=4, type=6, destination="198.51.100.0", prefix=24))
    assert add[6:8] == hexed("0506")


def test_a_rule() -> None:
    rule = Rule(family=4, action=1, preference=9, table=7, inverted=True, incoming="eth0", mark=5, mask=0xFFFFFFFF)
    add, delete = encode_rule(rule)
    body = "02 00 00 00 07 00 00 01 02000000 0800 0600 09000000 0900 0300 65746830 00 000000 0800 0a00 05000000"
    assert add == hexed("40000000 2000 0506 00000000 00000000" + body + "0500 1500 12 000000")
    assert delete == hexed("40000000 2100 0500 00000000 00000000" + body + "0500 1500 12 000000")


class TestKeys:
    def test_what_is_said_beside_changes_nothing(self) -> None:
        add, delete, _ = encode_route(PLAIN)
        assert key(add) == key(delete)
        other, _, _ = encode_route(Route(family=4, type=1, destination="198.51.100.0", prefix=24, gateway="10.77.0.9"))
        assert key(other) == key(add)

    def test_tables_and_metrics_tell_routes_apart(self) -> None:
        keys = {
            key(encode_route(Route(family=4, type=1, destination="198.51.100.0", prefix=24, **fields))[0])
            for fields in ({}, {"table": 77}, {"table": 1000}, {"metric": 5}, {"tos": 4})
        }
        assert len(keys) == 5

    def test_no_metric_is_1024_for_ipv6(self) -> None:
        made = [Route(family=6, type=1, destination="2001:db8::", prefix=32, metric=each) for each in (0, 1024)]
        assert len({key(encode_route(each)[0]) for each in made}) == 1

    def test_selectors_tell_rules_apart(self) -> None:
        fields = ({}, {"mark": 5}, {"incoming": "eth0"}, {"source": "10.0.0.0", "source_prefix": 8}, {"inverted": True})
        keys = {key(encode_rule(Rule(family=4, action=1, preference=9, table=7, **each))[0]) for each in fields}
        assert len(keys) == 5

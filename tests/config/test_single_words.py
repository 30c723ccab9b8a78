"""What is wrong with one word costs that word and not its line: lists, and what stands behind an address."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from kad.analyzer.language import language
from kad.checker.checker_slice import CheckerSlice
from kad.checker.checks.http import HttpCheck
from kad.config.grammar import words_of
from kad.config.keyword import Entry
from kad.config.values import Clamped, Value, Wrong
from kad.model.ipvs import IpvsSlice
from kad.model.vrrp import UnicastPeer, VrrpSlice
from tests.config.hosts import judged, said


def read(value: Value, text: str) -> Any:
    return value.read(words_of("w", value, f"w {text}"))


def entries() -> dict[tuple[str, str], Entry]:
    """Every keyword with a value and every block of lines, by its context and name."""
    found = {}
    for layout in language().layouts():
        for entry in (*layout.words.values(), *([layout.lines] if layout.lines else [])):
            if entry.keyword.value is not None:
                found[layout.context, entry.name] = entry
    return found


ENTRIES = entries()
CHECK = "virtual_server/real_server"
LISTS: list[tuple[str, str, str, str, list[str]]] = [
    ("global_defs", "vrrp_cpu_affinity", "0 x 1 99999", "0 1", ["x is not a whole number; 99999 is not in 0..8191"]),
    ("global_defs", "checker_cpu_affinity", "x 0", "0", ["x is not a whole number"]),
    ("global_defs", "bfd_cpu_affinity", "0 -1", "0", ["-1 is not in 0..8191"]),
    ("global_defs", "include_check", "read reed match", "read match", ["reed is not one of read, match"]),
    ("global_defs", "lvs_timeouts", "tcp 5 tcpfin x udp 7", "tcp 5 udp 7", ["tcpfin needs seconds of 0..2678400"]),
    ("global_defs", "lvs_timeouts", "tcp 5 ucp udp 7", "tcp 5 udp 7", ["ucp is not one of tcp, tcpfin, udp"]),
    ("global_defs", "lvs_sync_daemon", "eth0 A id x port 7", "eth0 inst A port 7", ["id needs a number of 0..255"]),
    ("global_defs", "lvs_sync_daemon", "eth0 A group 10.0.0.1 ttl 7", "eth0 inst A ttl 7", ["group needs a multicast"]),
    ("global_defs", "vrrp_garp_extra_if", "5 all", "all 5", []),
    ("garp_group", "interfaces", "eth0 a/b eth1", "eth0 eth1", ["a/b cannot be the name of an interface"]),
    ("", "linkbeat_interfaces", "eth0 mii", "eth0", ["mii is not one of MII, ETHTOOL, IOCTL"]),
    ("", "interface_up_down_delays", "eth0 1 x", "eth0 1 1", ["x is not a number of seconds in 0..255"]),
    ("", "static_ipaddress", "10.0.0.9/24 brd x home", "10.0.0.9/24 home", ["x is not an IP address"]),
    (
        "vrrp_instance",
        "virtual_ipaddress",
        "10.0.0.9/24 labl x home",
        "10.0.0.9/24 home",
        ["labl is not an option"],
    ),
    ("vrrp_instance", "virtual_ipaddress_excluded", "10.0.0.9/24 scope x", "10.0.0.9/24", ["x is not one of global"]),
    (
        "vrrp_instance",
        "unicast_peer",
        "10.0.0.2 x 7 min_ttl 5",
        "10.0.0.2 min_ttl 5",
        ["x is not", "7 is"],
    ),
    (
        "vrrp_instance",
        "unicast_peer",
        "10.0.0.2 min_ttl 300 max_ttl 8",
        "10.0.0.2 max_ttl 8",
        ["min_ttl needs a number"],
    ),
    ("vrrp_instance", "unicast_peer", "10.0.0.2 min_ttl 5 max_ttl 4", "10.0.0.2", ["both are ignored"]),
    ("vrrp_instance", "track_interface", "eth1 weight x", "eth1", ["the weight x is not a whole number"]),
    (
        "vrrp_instance",
        "track_interface",
        "eth1 weight 5 x",
        "eth1 weight 5",
        ["x is not one of weight"],
    ),
    ("vrrp_instance", "track_script", "S weight 300", "S", ["the weight 300 is not in -254..254"]),
    ("vrrp_instance", "track_process", "P x weight 5 reverse", "P weight 5 reverse", ["x is not one of weight"]),
    ("vrrp_instance", "track_file", "T weight", "T", ["weight needs a number"]),
    ("vrrp_instance", "track_bfd", "B weight 5 weight 6", "B weight 5", ["weight is given a second time"]),
    ("vrrp_instance", "use_vmac", "a a/b", "a", ["a/b is a second name, after a"]),
    ("vrrp_instance", "use_ipvlan", "10.0.0.1/24 a b vepa", "a 10.0.0.1/24 vepa", ["b is a second name, after a"]),
    ("vrrp_instance", "use_ipvlan", "10.0.0.1/x a", "a", ["/x is not a prefix length of 0..32"]),
    ("virtual_server", "lb_kind", "DR bogus", "DR", ["bogus is not one of type, port, nocsum, csum, remcsum"]),
    ("virtual_server", "lb_kind", "TUN type gre csum bogus", "TUN type gre csum", ["bogus is not one of type, port"]),
    ("virtual_server", "lb_kind", "TUN type bogus", "TUN", ["type needs one of ipip gue gre"]),
    ("virtual_server", "lb_kind", "TUN type gue port x", "TUN", ["x is not a port", "a gue tunnel needs a port"]),
    ("virtual_server", "sorry_server_lvs_method", "DR bogus", "DR", ["bogus is not one of type, port"]),
    (CHECK, "lvs_method", "TUN nocsum bogus", "TUN nocsum", ["bogus is not one of type, port, nocsum, csum, remcsum"]),
    (f"{CHECK}/HTTP_GET/url", "status_code", "302 3xx 200-299", "302 200-299", ["3xx is not a status code"]),
    (f"{CHECK}/SSL_GET/url", "status_code", "302 3xx 4xx", "302", ["3xx is not a status code", "4xx is not a status"]),
    ("track_file", "init_file", "5 bogus", "5", ["bogus is neither a number nor overwrite"]),
    ("vrrp_script", "weight", "5 bogus", "5", ["bogus is not reverse"]),
]
WITHOUT_WRONG_WORDS = {
    # Names and texts: every word can be meant.
    "group",
    "notification_email",
    "process",
    "regex_options",
    "regex_stack",
    "vrrp_iptables",
    "vrrp_ipsets",
    "request_header",
    "basic_auth",
}
ONE_VALUE = {
    # All words together are one value; a part of it would be another one.
    "umask",
    "payload",
    "require_reply",
    "virtual_routes",
    "virtual_rules",
    "static_routes",
    "static_rules",
    # Its members stand one on a line.
    "virtual_server_group",
}
SAME = {
    # The line of a sync group or of an instance, or of a virtual or a real server, is the same.
    ("vrrp_sync_group", name)
    for name in ("track_interface", "track_script", "track_process", "track_file", "track_bfd")
} | {("vrrp_instance", "garp_extra_if")}


@pytest.mark.parametrize(("context", "name", "text", "expected", "complaints"), LISTS)
def test_a_wrong_word_costs_that_word(context: str, name: str, text: str, expected: str, complaints: list[str]) -> None:
    value = ENTRIES[context, name].keyword.value
    assert value is not None
    wanted = read(value, expected)
    if not complaints:
        assert read(value, text) == wanted
        return
    with pytest.raises(Clamped) as caught:
        read(value, text)
    assert caught.value.value == wanted
    assert not caught.value.is_harmless
    for complaint in complaints:
        assert complaint in str(caught.value)


def test_every_list_is_in_the_table() -> None:
    lists = {
        (context, name)
        for (context, name), entry in ENTRIES.items()
        if entry.keyword.value is not None and entry.keyword.value.most is None
    }
    named = {(context, name) for context, name, *_ in LISTS} | SAME
    assert {one for one in lists - named if one[1] not in WITHOUT_WRONG_WORDS | ONE_VALUE} == set()


WITH_PREFIX = {
    # The prefix has a meaning there.
    "virtual_ipaddress",
    "virtual_ipaddress_excluded",
    "static_ipaddress",
    "virtual_routes",
    "static_routes",
    "virtual_server_group",
    "use_ipvlan",
}
REFUSED = {
    # keepalived refuses it as well: these are the name of a host, and a mask itself.
    "smtp_server",
    "persistence_granularity",
}
ADDRESSES = ("192.0.2.9", "224.0.0.9", "ff02::9")


def accepts(value: Value, text: str) -> bool:
    try:
        read(value, text)
    except (Wrong, Clamped):
        return False
    return True


def takes_address(value: Value) -> str | None:
    """The address that it takes where it takes addresses, and not every word."""
    found = (each for each in ADDRESSES if accepts(value, each) and not accepts(value, f"{each}."))
    return next(found, None)


def values() -> list[tuple[str, Value]]:
    """Every value of the language, and every head of a block, by name."""
    found = [(name, entry.keyword.value) for (_, name), entry in ENTRIES.items() if entry.keyword.value is not None]
    for layout in language().layouts():
        if layout.head is not None:
            found.append((layout.context.rpartition("/")[2], layout.head[1]))
    return found


def test_what_stands_behind_an_address_is_ignored() -> None:
    seen = set()
    for name, value in values():
        address = takes_address(value)
        if address is None or name in WITH_PREFIX | REFUSED:
            continue
        seen.add(name)
        for behind in ("/24", "/999", "/x", "-12"):
            with pytest.raises(Clamped) as caught:
                read(value, address + behind)
            assert caught.value.value == read(value, address), name
            # keepalived takes the address and says nothing.
            assert caught.value.is_harmless, name
    assert seen == {
        "bindto",
        "connect_ip",
        "mcast_dst_ip",
        "mcast_src_ip",
        "neighbor_ip",
        "real_server",
        "sorry_server",
        "source_ip",
        "unicast_peer",
        "unicast_src_ip",
        "virtual_server",
        "vrrp_mcast_group4",
        "vrrp_mcast_group6",
    }


def test_masks_behind_the_addresses_of_unicast() -> None:
    analysis = judged(
        "vrrp_instance A {\ninterface eth0\nvirtual_router_id 5\nunicast_src_ip 192.0.2.2/24\n"
        "unicast_peer {\n192.0.2.3/24\n192.0.2.4/24 bogus min_ttl 7\n}\n"
        "virtual_ipaddress { 192.0.2.9/24 }\ncheck_unicast_src\n}\n"
    )
    assert said(analysis) == [
        "note 4 unicast_src_ip: /24 behind 192.0.2.2 is ignored; 192.0.2.2 is used",
        "note 6 192.0.2.3/24: /24 behind 192.0.2.3 is ignored; the peer is kept",
        "warning 7 192.0.2.4/24: /24 behind 192.0.2.4 is ignored; bogus is not one of min_ttl, max_ttl;"
        " the peer is kept",
    ]
    [instance] = msgspec.msgpack.decode(analysis.slices["vrrp"], type=VrrpSlice).instances
    assert instance.source_address == "192.0.2.2"
    assert instance.unicast_peers == (UnicastPeer(address="192.0.2.3"), UnicastPeer(address="192.0.2.4", min_ttl=7))


def test_masks_behind_the_addresses_of_a_service() -> None:
    text = "virtual_server 192.0.2.9/24 80 {\nlb_algo rr\nlb_kind NAT\nprotocol TCP\nsorry_server 192.0.2.8/24 80\n"
    text += "real_server 192.0.2.20/24 80 {\nHTTP_GET {\nconnect_ip 192.0.2.21/24\nurl {\npath /\n"
    text += "status_code 302 3xx\n}\n}\n}\n}\nvirtual_server 192.0.2.9 80 {\nprotocol TCP\n}\n"
    analysis = judged(text)
    assert analysis.exit_code == 5
    assert said(analysis) == [
        "note 1 virtual_server: /24 behind 192.0.2.9 is ignored; 192.0.2.9 is used",
        "note 5 sorry_server: /24 behind 192.0.2.8 is ignored; 192.0.2.8 is used",
        "note 6 real_server: /24 behind 192.0.2.20 is ignored; 192.0.2.20 is used",
        "note 8 connect_ip: /24 behind 192.0.2.21 is ignored; 192.0.2.21 is used",
        "warning 11 status_code: 3xx is not a status code of 100..599 or a range of them; only that word is ignored",
        "note 16 virtual_server 192.0.2.9 80 is listed twice; the first one is used"
        " -> put all real servers into one block",
    ]
    [service] = msgspec.msgpack.decode(analysis.slices["ipvs"], type=IpvsSlice).virtual_servers
    assert (service.name, service.label) == ("192.0.2.9 80", "[192.0.2.9]:tcp:80")
    assert [server.address for server in service.everybody] == ["192.0.2.20", "192.0.2.8"]
    [server] = msgspec.msgpack.decode(analysis.slices["checker"], type=CheckerSlice).servers
    [check] = server.checks
    assert isinstance(check, HttpCheck)
    assert check.connection.address == "192.0.2.21"
    assert check.urls[0].status == ((302, 302),)

"""What the kernel is asked for follows from the words of a virtual_server and its group."""

from __future__ import annotations

from typing import Any

import pytest

from kad.analyzer.process import Options, analyze
from kad.checker.checker_slice import CheckerSlice
from kad.model import secret
from kad.model.ipvs import IpvsSlice, Member, RealServer, SyncDaemon, Timeouts, VirtualServer
from kad.model.ipvs_table import FLAG_1, FLAG_2, FLAG_3, ONE_PACKET
from kad.model.vrrp import VrrpSlice
from tests.config.hosts import FILE, a_host, judged, said

GROUPS = """
virtual_server_group web {
    192.0.2.40 80
    192.0.2.44-46 81
    192.0.2.64/31 82
    fwmark 5
}
virtual_server_group marks {
    fwmark 6 inet6
}
"""


def ipvs(text: str) -> IpvsSlice:
    return secret.decode(judged(text).slices["ipvs"], IpvsSlice)


def block(words: str, head: str = "192.0.2.9 80", servers: str = "real_server 192.0.2.20 80 {\n}\n") -> str:
    return f"virtual_server {head} {{\n{words}\n{servers}}}\n"


def served(words: str, head: str = "192.0.2.9 80", servers: str = "real_server 192.0.2.20 80 {\n}\n") -> VirtualServer:
    (found,) = ipvs(GROUPS + block(words, head, servers)).virtual_servers
    return found


WORDS = "lb_algo rr\nlb_kind NAT\nprotocol TCP\n"


@pytest.mark.parametrize(
    ("head", "words", "name", "members"),
    [
        ("192.0.2.9 80", WORDS, "192.0.2.9 80", [Member(first="192.0.2.9", last="192.0.2.9", port=80)]),
        (
            "192.0.2.9 53",
            "lb_algo rr\nlb_kind NAT\nprotocol UDP",
            "192.0.2.9 53 UDP",
            [Member(first="192.0.2.9", last="192.0.2.9", port=53)],
        ),
        ("fwmark 7", "lb_algo rr\nlb_kind NAT", "fwmark 7", [Member(fwmark=7)]),
        (
            "fwmark 7",
            "lb_algo rr\nlb_kind TUN\nip_family inet6",
            "fwmark 7 inet6",
            [Member(fwmark=7, family=6)],
        ),
        (
            "group web",
            "lb_algo rr\nlb_kind NAT",
            "group web UDP",
            [
                Member(first="192.0.2.40", last="192.0.2.40", port=80),
                Member(first="192.0.2.44", last="192.0.2.46", port=81),
                Member(first="192.0.2.64", last="192.0.2.65", port=82),
                Member(fwmark=5),
            ],
        ),
        ("group marks", "lb_algo rr\nlb_kind NAT", "group marks", [Member(fwmark=6, family=6)]),
    ],
)
def test_members(head: str, words: str, name: str, members: list[Member]) -> None:
    found = served(words, head)
    assert (found.name, list(found.members)) == (name, members)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("lb_algo sh\nsh-port\nsh-fallback", {"scheduler": "sh", "flags": FLAG_1 | FLAG_2}),
        ("lb_algo mh\nmh-port", {"scheduler": "mh", "flags": FLAG_2}),
        ("lb_algo rr\nsh-port\nmh-port", {"scheduler": "rr", "flags": 0}),
        ("lb_algo mh\nflag-1\nflag-3", {"flags": FLAG_1 | FLAG_3}),
        ("ops", {"flags": 0}),
        ("ops\nprotocol UDP", {"flags": ONE_PACKET, "protocol": "UDP"}),
        ("persistence_timeout", {"persistence_timeout": 360, "netmask": None}),
        ("persistence_timeout 50", {"persistence_timeout": 50}),
        ("persistence_granularity 255.255.255.0", {"persistence_timeout": 360, "netmask": 0xFFFFFF00}),
        ("persistence_granularity 24\npersistence_timeout 9", {"persistence_timeout": 9, "netmask": 0xFFFFFF00}),
        ("persistence_engine sip", {"engine": "sip", "persistence_timeout": 0}),
        ("quorum 1\nomega", {"quorum": 1, "hysteresis": 0, "omega": True}),
        ("quorum 9", {"quorum": 1}),
        ("quorum 1\nhysteresis 1", {"quorum": 1, "hysteresis": 0}),
    ],
)
def test_words(words: str, expected: dict[str, Any]) -> None:
    found = served(WORDS + words)
    assert {name: getattr(found, name) for name in expected} == expected


def test_a_service_without_port_is_persistent_and_ipv6_has_prefixes() -> None:
    assert served(WORDS, "192.0.2.9").persistence_timeout == 360
    found = served(WORDS + "persistence_granularity 64", "2001:db8::9 80", "real_server 2001:db8::2 80 {\n}\n")
    assert (found.family, found.netmask, found.persistence_timeout) == (6, 64, 360)


@pytest.mark.parametrize(
    ("words", "inside", "expected"),
    [
        (
            "",
            "weight 0\nuthreshold 9\nlthreshold 3",
            RealServer(address="192.0.2.20", port=80, weight=0, upper=9, lower=3),
        ),
        ("lb_kind DR", "", RealServer(address="192.0.2.20", port=80, method="DR")),
        (
            "lb_kind TUN type gue port 6080 remcsum",
            "",
            RealServer(address="192.0.2.20", port=80, method="TUN", tunnel="gue", tunnel_port=6080, checksum="remcsum"),
        ),
        (
            "",
            "lvs_method TUN type gre nocsum",
            RealServer(address="192.0.2.20", port=80, method="TUN", tunnel="gre"),
        ),
        ("inhibit_on_failure", "", RealServer(address="192.0.2.20", port=80, inhibit=True)),
        ("inhibit_on_failure", "inhibit_on_failure false", RealServer(address="192.0.2.20", port=80)),
        ("alpha", "TCP_CHECK {\n}", RealServer(address="192.0.2.20", port=80, alpha=True)),
        ("alpha", "", RealServer(address="192.0.2.20", port=80)),
        ("", "TCP_CHECK {\nalpha\n}\nTCP_CHECK {\n}", RealServer(address="192.0.2.20", port=80, alpha=True)),
    ],
)
def test_real_servers(words: str, inside: str, expected: RealServer) -> None:
    found = served(f"{WORDS}{words}", servers=f"real_server 192.0.2.20 80 {{\n{inside}\n}}\n")
    assert found.real_servers == (expected,)


def test_the_sorry_server() -> None:
    words = "sorry_server 192.0.2.30 8080\nsorry_server_inhibit\nsorry_server_lvs_method TUN"
    # What is not translated reaches it at the port of the service.
    expected = RealServer(address="192.0.2.30", port=80, method="TUN", inhibit=True)
    assert served(WORDS + words).sorry_server == expected
    assert served(WORDS + "sorry_server 192.0.2.30 8080").sorry_server == RealServer(address="192.0.2.30", port=8080)


def test_two_protocols_at_one_address_are_two_services_in_both_processes() -> None:
    words = "lb_algo rr\nlb_kind NAT\nprotocol {}\n"
    text = block(words.format("UDP"), "192.0.2.9 53") + block(words.format("TCP"), "192.0.2.9 53")
    analysis = judged(text)
    names = ["192.0.2.9 53 UDP", "192.0.2.9 53"]
    assert [one.name for one in ipvs(text).virtual_servers] == names
    checker = secret.decode(analysis.slices["checker"], CheckerSlice)
    assert [one.service for one in checker.servers] == names


def test_a_service_that_stands_twice_is_served_once() -> None:
    other = block(WORDS, servers="real_server 192.0.2.21 80 {\n}\n")
    text = block(WORDS) + other
    assert [each.real_servers[0].address for each in ipvs(text).virtual_servers] == ["192.0.2.20"]
    assert any(
        "virtual_server 192.0.2.9 80 is listed twice; the first one is used" in one for one in said(judged(text))
    )


def test_two_ports_of_one_host_are_one_server_where_ports_are_not_translated() -> None:
    servers = "".join(f"real_server 192.0.2.20 {port} {{\nTCP_CHECK {{\n}}\n}}\n" for port in (80, 81))
    routed = block("lb_algo rr\nlb_kind DR\nprotocol TCP\n", servers=servers)
    assert [one.port for one in ipvs(routed).virtual_servers[0].real_servers] == [80]
    assert len(secret.decode(judged(routed).slices["checker"], CheckerSlice).servers) == 1
    wanted = "real_server 192.0.2.20 81 is listed twice, as 192.0.2.20 80; it is ignored"
    assert any(wanted in one for one in said(judged(routed)))
    assert len(ipvs(block(WORDS, servers=servers)).virtual_servers[0].real_servers) == 2


def test_a_group_that_is_not_there_is_told() -> None:
    text = block(WORDS, "group nobody") + block(WORDS)
    assert [each.name for each in ipvs(text).virtual_servers] == ["192.0.2.9 80"]
    wanted = "there is no virtual_server_group nobody with a member; the virtual_server is ignored"
    assert any(wanted in one for one in said(judged(text)))


def test_what_holds_for_the_whole_table() -> None:
    instance = "vrrp_instance VI {\ninterface eth0\nvirtual_router_id 51\nvirtual_ipaddress {\n192.0.2.9\n}\n}\n"
    words = "lvs_timeouts tcp 60 udp 5\nlvs_flush\nlvs_flush_on_stop VS\nrs_init_notifies\n"
    found = ipvs(
        f"global_defs {{\n{words}lvs_sync_daemon eth1 VI maxlen 1400 group 224.0.0.82\n}}\n{instance}{block(WORDS)}"
    )
    assert (found.timeouts, found.flush, found.flush_on_stop, found.init_notifies) == (
        Timeouts(tcp=60, udp=5),
        True,
        "VS",
        True,
    )
    assert found.sync_daemon == SyncDaemon(interface="eth1", instance="VI", id=51, maxlen=1400, group="224.0.0.82")
    spoken = instance.replace("interface eth0", "interface eth0\nlvs_sync_daemon_interface eth1")
    assert ipvs(f"{spoken}{block(WORDS)}").sync_daemon == SyncDaemon(interface="eth1", instance="VI", id=51)
    other = ipvs(f"global_defs {{\nlvs_sync_daemon eth1 id 9\n}}\n{block(WORDS)}")
    assert other.sync_daemon == SyncDaemon(interface="eth1", id=9)
    assert (other.timeouts, other.flush, other.flush_on_stop, other.init_notifies) == (None, False, "", False)


def test_a_sync_daemon_that_follows_nobody_is_told() -> None:
    text = f"global_defs {{\nlvs_sync_daemon eth1 NOBODY\n}}\n{block(WORDS)}"
    told = "note 2 lvs_sync_daemon follows NOBODY, which is no vrrp_instance that runs: it stays backup"
    assert told in said(judged(text))


ROUTER = """vrrp_instance VI_1 {
    interface eth0
    virtual_router_id 51
    virtual_ipaddress {
        192.0.2.77
    }
    virtual_ipaddress_excluded {
        192.0.2.45
    }
}
"""


@pytest.mark.parametrize(
    ("words", "options", "address"),
    [
        ("", Options(), "192.0.2.45"),
        ("global_defs {\n ipvs_required yes\n}\n", Options(), "192.0.2.45"),
        ("global_defs {\n ipvs_required no\n}\n", Options(), ""),
        ("", Options(checker=False), ""),
    ],
    ids=["default", "yes", "no", "VRRP alone"],
)
def test_an_instance_knows_which_of_its_addresses_ipvs_must_serve(words: str, options: Options, address: str) -> None:
    text = words + GROUPS + block(WORDS, "group web") + ROUTER
    slices = analyze(FILE, a_host(text), options).slices
    [instance] = secret.decode(slices["vrrp"], VrrpSlice).instances
    assert instance.served_address == address

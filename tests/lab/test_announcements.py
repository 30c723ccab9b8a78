"""What is said and held when a router becomes MASTER: the bytes of adverts and gratuitous ARPs, and the addresses."""

from __future__ import annotations

import itertools
import socket
import statistics
import struct
import time
from typing import Any

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.rubbish import frame, ipv4, pdu
from tests.lab.test_ipv6 import speak_ipv6
from tests.lab.texts import BOTH, global_defs, instance, router
from tests.lab.wire import Advert

pytestmark = pytest.mark.lab

VIP = "10.77.0.100"
Pair = tuple[Lab, Node, Node]


@pytest.mark.parametrize("program", BOTH)
def test_five_gratuitous_arps_at_once_and_five_after_the_delay(pair: Pair, program: str) -> None:
    lab, a, _ = pair
    lab.start(program, a, router())
    seen = lab.wire.wait_announcements(10, seconds=8, node="a", address=VIP)
    first_advert = lab.wire.adverts(node="a")[0]
    assert first_advert.time <= seen[0].time
    assert seen[4].time - seen[0].time < 0.3
    # garp_master_delay 1 in this file.
    assert 0.9 < seen[5].time - seen[0].time < 1.3
    assert seen[9].time - seen[5].time < 0.3
    mac = a.ip("link", "show", "eth0")[0]["address"].replace(":", "")
    vip = "0a4d0064"
    wanted = f"ffffffffffff{mac}0806 0001080006040001 {mac}{vip} ffffffffffff{vip}"
    assert {each.frame[:42].hex() for each in seen} == {wanted.replace(" ", "")}
    lab.hub.never(lambda: len(lab.wire.announcements(address=VIP)) > 10, 1.5, "more than ten")


@pytest.mark.parametrize("program", BOTH)
def test_repeat_and_refresh(pair: Pair, program: str) -> None:
    lab, a, _ = pair
    more = "garp_master_repeat 2\n garp_master_delay 0\n garp_master_refresh 1\n garp_master_refresh_repeat 3"
    lab.start(program, a, router(more=more))
    seen = lab.wire.wait_announcements(8, seconds=8, node="a", address=VIP)
    times = [entry.time - seen[0].time for entry in seen[:8]]
    assert times[1] < 0.3
    assert 0.7 < times[2] < 1.3
    assert times[4] - times[2] < 0.3
    assert 1.7 < times[5] < 2.4


@pytest.mark.parametrize("program", BOTH)
def test_announcements_of_an_interface_keep_their_distance(pair: Pair, program: str) -> None:
    lab, a, _ = pair
    speak_ipv6(a, "fe80::1/64")
    words = global_defs("vrrp_garp_interval 0.1", "vrrp_gna_interval 0.05", "vrrp_garp_master_repeat 2")
    fourth = instance(addresses=tuple(f"10.77.0.10{number}/24" for number in range(3)))
    sixth = instance("VI_6", vrid=52, addresses=("fe80::100/64", "2001:db8::100/64"))
    lab.start(program, a, words + fourth + sixth)
    # Two rounds at once, and two after garp_master_delay 1. What waits in keepalived's queue it does not queue twice.
    counts = {4: 12, 6: 8} if program == "kad" else {4: 8, 6: 6}
    lab.wire.wait_announcements(sum(counts.values()), seconds=8, node="a")
    for version, distance in ((4, 0.1), (6, 0.05)):
        seen = [each.time for each in lab.wire.announcements() if (":" in each.address) == (version == 6)]
        assert len(seen) == counts[version]
        gaps = [later - sooner for sooner, later in itertools.pairwise(seen)]
        assert all(gap > distance - 0.01 for gap in gaps), gaps
        # One of them is the rest of the delay, and the machine may be late for another.
        assert statistics.median(gaps) < distance + 0.05, gaps


@pytest.mark.parametrize("program", BOTH)
def test_vrrp_min_garp_announces_once_unless_another_number_is_written(pair: Pair, program: str) -> None:
    lab, a, _ = pair
    text = f"global_defs {{\n vrrp_min_garp\n}}\n{instance(addresses=(f'{VIP}/24', '10.77.0.101/24'))}"
    lab.start(program, a, text + instance("VI_2", vrid=52, addresses=("10.77.0.102/24",), more="garp_master_repeat 3"))
    lab.wire.wait_announcements(5, seconds=8, node="a")
    # The second burst would come 5 seconds after the first one by default; what is left out by the one is by the other.
    lab.hub.never(lambda: len(lab.wire.announcements()) > 5, 0.5, "more than these")
    assert len(lab.wire.announcements(address="10.77.0.102")) == 3


@pytest.mark.parametrize("program", BOTH)
def test_each_round_names_every_address(pair: Pair, program: str) -> None:
    lab, a, _ = pair
    addresses = ("10.77.0.101/24", "10.77.0.102/24", "10.77.0.103/24")
    lab.start(program, a, router(addresses=addresses, more="garp_master_repeat 2"))
    seen = lab.wire.wait_announcements(6, seconds=8, node="a")
    assert [entry.address[-1] for entry in seen[:6]] == list("123123")


@pytest.mark.parametrize("program", BOTH)
def test_a_master_that_hears_a_weaker_one_announces_again(pair: Pair, program: str) -> None:
    lab, a, b = pair
    lab.start(program, a, router(priority=150, more="garp_lower_prio_repeat 3\n garp_lower_prio_delay 0"))
    # The rounds of becoming MASTER are over.
    lab.wire.wait_announcements(10, seconds=8, node="a", address=VIP)
    begin = time.time()
    speaker = b.socket(socket.AF_PACKET, socket.SOCK_RAW)
    speaker.bind(("eth0", 0))
    weaker = pdu("10.77.0.2", version=3, vrid=51, priority=1, addresses=(VIP,), interval=10)
    speaker.send(frame(ipv4(weaker, "10.77.0.2"), "02:00:00:00:00:02"))
    speaker.close()
    heard = lab.wire.wait_advert(node="b", seconds=1, since=begin)
    # It contradicts at once, and announces.
    answer = lab.wire.wait_advert(node="a", seconds=1, since=heard.time)
    assert answer.time - heard.time < 0.05
    lab.wire.wait_announcements(3, seconds=2, node="a", address=VIP, since=heard.time)
    lab.hub.never(lambda: len(lab.wire.announcements(address=VIP, since=begin)) > 3, 0.5, "more than three")


@pytest.mark.parametrize("program", BOTH)
def test_addresses_are_held_as_written(pair: Pair, program: str) -> None:
    lab, a, _ = pair
    lab.add_interface(a, "eth1", "10.78.0.1/24")
    addresses = (
        "10.77.0.100/24 brd 10.77.0.255 dev eth0 scope global label eth0:vip",
        "10.77.0.101/24 brd +",
        "10.77.0.102",
        "10.78.0.103/25 dev eth1 scope link",
    )
    excluded = "virtual_ipaddress_excluded {\n 10.79.0.104/16 dev eth1\n }"
    daemon = lab.start(program, a, router(addresses=addresses, more=excluded))
    lab.wait_holder("10.79.0.104", a, seconds=5)
    lab.wait_holder("10.77.0.102", a, seconds=1)
    keys = ("local", "prefixlen", "broadcast", "scope", "label")
    held = {
        (link["ifname"], *(entry.get(key) for key in keys))
        for link in a.ip("addr", "show")
        for entry in link["addr_info"]
        if not entry["local"].endswith(".1")
    }
    assert held == {
        ("eth0", "10.77.0.100", 24, "10.77.0.255", "global", "eth0:vip"),
        ("eth0", "10.77.0.101", 24, "10.77.0.255", "global", "eth0"),
        ("eth0", "10.77.0.102", 32, None, "global", "eth0"),
        ("eth1", "10.78.0.103", 25, None, "link", "eth1"),
        ("eth1", "10.79.0.104", 16, None, "global", "eth1"),
    }
    sent = lab.wire.wait_advert(node="a", seconds=1)
    assert sent.addresses == ("10.77.0.100", "10.77.0.101", "10.77.0.102", "10.78.0.103")
    assert daemon.stop() == 0
    for address in ("10.77.0.100", "10.77.0.101", "10.77.0.102", "10.78.0.103", "10.79.0.104"):
        lab.wait_holder(address, seconds=1)


SUBJECTS: dict[str, dict[str, Any]] = {
    "version 2 without authentication": {"version": 2, "advert_int": 1},
    "version 2 with a password": {
        "version": 2,
        "advert_int": 1,
        "more": "authentication {\n auth_type PASS\n auth_pass abcd\n }",
    },
    "version 3": {"advert_int": 0.25},
    "three addresses": {"addresses": ("10.77.0.100/24", "10.77.0.7", "192.0.2.200/32")},
    "unicast": {"more": "unicast_peer {\n 10.77.0.9\n }"},
    "slow": {"advert_int": 40.95, "priority": 255, "state": "MASTER"},
}


def without_identification(advert: Advert) -> str:
    """The packet in hexadecimal; the IP header's identification and checksum, which follow each other, are masked."""
    packet = bytearray(advert.packet)
    packet[4:6] = packet[10:12] = b"\0\0"
    return packet.hex()


@pytest.mark.parametrize("subject", SUBJECTS)
def test_adverts_are_those_of_keepalived_byte_for_byte(lab: Lab, subject: str) -> None:
    settings = SUBJECTS[subject]
    # The same address on both, so that the packets may be compared; they must not hear each other.
    nodes = [lab.node(name, {"eth0": "10.77.0.1/24"}) for name in ("a", "b")]
    for node in nodes:
        # The peer of the unicast subject needs no answer to its ARP.
        node.run("ip", "neigh", "add", "10.77.0.9", "lladdr", "02:00:00:00:00:09", "dev", "eth0")
        lab.cut(node)
    ours = lab.start_kad(nodes[0], router(**settings))
    theirs = lab.start_keepalived(nodes[1], router(**settings))
    sent = [without_identification(lab.wire.wait_advert(node=name, seconds=8, since=0)) for name in ("a", "b")]
    assert sent[0] == sent[1]
    ours.stop()
    theirs.stop()
    farewells = [lab.wire.wait_advert(node=name, priority=0, seconds=1, since=0) for name in ("a", "b")]
    assert without_identification(farewells[0]) == without_identification(farewells[1])
    assert header_checksum(farewells[0].packet) == 0


def test_the_checksum_of_version_2_in_version_3(pair: Pair) -> None:
    lab, a, _ = pair
    lab.start_kad(a, router(more="v3_checksum_as_v2"))
    # Over the eight bytes and the address alone, without a pseudo header; Debian's keepalived does not know the word.
    assert lab.wire.wait_advert(node="a", seconds=5).packet[20:].hex() == "31336401000a60100a4d0064"


@pytest.mark.parametrize("version", [2, 3])
def test_tcpdump_finds_nothing_wrong_with_an_advert(pair: Pair, version: int) -> None:
    lab, a, _ = pair
    lab.start_kad(a, router(version=version, advert_int=1, priority=255, state="MASTER"))
    packet = lab.wire.wait_advert(node="a", seconds=5).packet
    # A pcap file of one packet that begins with its IP header (link type 101).
    head = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)
    (a.files / "run" / "advert.pcap").write_bytes(head + struct.pack("<IIII", 0, 0, len(packet), len(packet)) + packet)
    said = a.run("tcpdump", "-vv", "-nn", "-r", "/run/advert.pcap").stdout
    assert f"10.77.0.1 > 224.0.0.18: VRRPv{version}, Advertisement, vrid 51, prio 255" in said
    assert "ttl 255" in said
    assert "addrs: 10.77.0.100" in said
    assert "bad" not in said


def header_checksum(packet: bytes) -> int:
    """The internet checksum over an IPv4 header, 0 when the header is right (RFC 1071)."""
    total = sum(int.from_bytes(packet[at : at + 2], "big") for at in range(0, 20, 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


@pytest.mark.parametrize("program", BOTH)
def test_two_instances_keep_their_addresses_apart(pair: Pair, program: str) -> None:
    lab, a, b = pair
    lab.start(program, a, global_defs() + instance("one", vrid=1) + instance("two", vrid=2, addresses=("10.77.0.102",)))
    lab.start_keepalived(b, global_defs() + instance("one", vrid=1, priority=150))
    lab.wait_holder(VIP, b, seconds=5)
    lab.wait_holder("10.77.0.102", a, seconds=5)
    lab.stays(VIP, b, 0.5)
    assert lab.holders("10.77.0.102") == {"a"}


def test_an_address_that_the_kernel_refuses_is_shown_and_not_announced(lab: Lab) -> None:
    a = lab.node("a", {"eth0": "10.77.0.1/24", "eth1": "10.78.0.1/24"})
    speak_ipv6(a, "fe80::1/64")
    a.set_sysctl("net.ipv6.conf.eth1.disable_ipv6", "1")
    addresses = ("fe80::100/64", "2001:db8::9/64 dev eth1")
    daemon = lab.start_kad(a, router(addresses=addresses))
    # The second round comes after the delay of a second.
    lab.wire.wait_announcements(10, seconds=8, node="a", address="fe80::100")
    assert daemon.logged(r"\(VI_1\) adding 2001:db8::9/64 on eth1: Permission denied")
    assert lab.wire.announcements(address="2001:db8::9") == []
    status = daemon.ask("--status")
    assert (status.returncode, status.stdout.count("holds fe80::100, lacks 2001:db8::9 (Permission denied)")) == (2, 1)
    shown = daemon.dump("vrrp")["instances"][0]["virtual_addresses"]
    assert [each.get("refused") for each in shown] == [None, "Permission denied"]
    a.set_sysctl("net.ipv6.conf.eth1.disable_ipv6", "0")
    begin = time.time()
    lab.link_down(a, "eth1")
    lab.heal(a, "eth1")
    lab.wire.wait_announcements(1, seconds=8, node="a", address="2001:db8::9", since=begin)
    assert daemon.ask("--status").returncode == 0

"""VRRP over IPv6: keepalived and kad side by side, from link-local addresses, to the group and from peer to peer."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.texts import PAIRS, global_defs, instance, router
from tests.lab.wire import Advert, Announcement

pytestmark = pytest.mark.lab

VIP = "2001:db8::100"
VIPS = ("fe80::100/64", "2001:db8::100/64")
Pair = tuple[Lab, Node, Node]
DOWN = 0.45
"""Seconds: more than any master-down interval at 0.1 s between adverts."""


def speak_ipv6(node: Node, *addresses: str) -> None:
    """These are its only IPv6 addresses on eth0, and usable at once."""
    node.set_sysctl("net.ipv6.conf.eth0.addr_gen_mode", "1")
    node.set_sysctl("net.ipv6.conf.eth0.disable_ipv6", "0")
    for address in addresses:
        node.run("ip", "addr", "add", address, "dev", "eth0", "nodad")


@pytest.fixture
def pair_v6(pair: Pair) -> Pair:
    """The nodes have fe80::1 and fe80::2, and the network 2001:db8::/64."""
    for number, node in enumerate(pair[1:], start=1):
        speak_ipv6(node, f"fe80::{number}/64", f"2001:db8::{number}/64")
    return pair


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_the_group_of_ipv6(pair_v6: Pair, first: str, second: str) -> None:
    lab, a, b = pair_v6
    lab.start(first, a, router(priority=150, addresses=VIPS))
    lab.wait_holder(VIP, a, seconds=5)
    lab.start(second, b, router(priority=100, addresses=VIPS)).wait_log("Entering BACKUP STATE")
    lab.stays(VIP, a, DOWN)
    said = lab.wire.wait_advert(node="a", seconds=1)
    assert (said.source, said.destination, said.ttl, said.version) == ("fe80::1", "ff02::12", 255, 3)
    assert said.addresses == ("fe80::100", "2001:db8::100")
    announced = lab.wire.wait_announcements(5, node="a", address=VIP, seconds=2)
    mac = a.ip("link", "show", "eth0")[0]["address"]
    assert {each.sender for each in announced} == {mac}
    lab.cut(a)
    lab.wait_holder(VIP, a, b, seconds=2)
    lab.wire.wait_announcements(5, node="b", address="fe80::100", seconds=2, since=0)
    lab.heal(a)
    lab.wait_holder(VIP, a, seconds=2)
    lab.stays(VIP, a, DOWN)


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_equal_priorities_and_an_orderly_stop(pair_v6: Pair, first: str, second: str) -> None:
    lab, a, b = pair_v6
    lab.cut(b)
    stays = lab.start(first, a, router(addresses=VIPS))
    leaves = lab.start(second, b, router(addresses=VIPS))
    lab.wait_holder(VIP, a, b, seconds=5)
    lab.heal(b)
    # fe80::2 is the higher address.
    lab.wait_holder(VIP, b, seconds=2)
    begin = time.time()
    assert leaves.stop() == 0
    lab.wire.wait_advert(node="b", priority=0, seconds=1, since=begin)
    lab.wait_holder(VIP, a, seconds=2)
    assert stays.logged("Entering MASTER STATE", begin)


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_unicast_peers_of_ipv6(pair_v6: Pair, first: str, second: str) -> None:
    lab, a, b = pair_v6

    def text(mine: int, other: int, priority: int) -> str:
        peers = f"unicast_src_ip 2001:db8::{mine}\n unicast_peer {{\n 2001:db8::{other}\n }}\n unicast_ttl 64"
        return router(priority=priority, addresses=VIPS, more=peers)

    lab.start(first, a, text(1, 2, 150))
    lab.wait_holder(VIP, a, seconds=5)
    lab.start(second, b, text(2, 1, 100)).wait_log("Entering BACKUP STATE")
    lab.stays(VIP, a, DOWN)
    said = lab.wire.wait_advert(node="a", seconds=1)
    assert (said.source, said.destination, said.ttl) == ("2001:db8::1", "2001:db8::2", 64)
    lab.cut(a)
    lab.wait_holder(VIP, a, b, seconds=2)
    lab.heal(a)
    lab.wait_holder(VIP, a, seconds=2)


SUBJECTS: dict[str, dict[str, Any]] = {
    "multicast": {"addresses": VIPS, "advert_int": 0.25},
    "unicast": {"addresses": VIPS, "more": "unicast_peer {\n fe80::9\n }\n unicast_ttl 200"},
    "families": {
        "addresses": ("fe80::100/64",),
        "more": "native_ipv6\n virtual_ipaddress_excluded {\n 10.77.0.100/24\n }",
    },
}


def without_flow_label(advert: Advert) -> str:
    """The packet in hexadecimal; the flow label, which the kernel may choose, is masked."""
    return (advert.packet[:1] + bytes([advert.packet[1] & 0xF0, 0, 0]) + advert.packet[4:]).hex()


def without_hardware_address(seen: Announcement) -> bytes:
    """A neighbour advertisement or a gratuitous ARP, without its checksum and whose it is."""
    mac = bytes.fromhex(seen.sender.replace(":", ""))
    frame = seen.frame.replace(mac, bytes(6))
    return frame[:56] + frame[58:] if frame[12:14] == b"\x86\xdd" else frame


@pytest.mark.parametrize("subject", SUBJECTS)
def test_adverts_over_ipv6_are_those_of_keepalived_byte_for_byte(lab: Lab, subject: str) -> None:
    settings = SUBJECTS[subject]
    nodes = [lab.node(name, {"eth0": "10.77.0.1/24"}) for name in ("a", "b")]
    for node in nodes:
        speak_ipv6(node, "fe80::1/64")
        # The peer of the unicast subject answers nothing.
        node.run("ip", "neigh", "add", "fe80::9", "lladdr", "02:00:00:00:00:09", "dev", "eth0")
        lab.cut(node)
    ours = lab.start_kad(nodes[0], router(**settings))
    theirs = lab.start_keepalived(nodes[1], router(**settings))
    sent = [without_flow_label(lab.wire.wait_advert(node=name, seconds=8, since=0)) for name in ("a", "b")]
    assert sent[0] == sent[1]
    held = {address.partition("/")[0] for address in settings["addresses"]}
    held |= {"10.77.0.100"} if subject == "families" else set()
    for address in held:
        lab.wait_holder(address, *nodes, seconds=2)
        one, other = (
            lab.wire.wait_announcements(1, seconds=2, node=name, address=address, since=0)[0] for name in ("a", "b")
        )
        # The hardware addresses differ, and with them the checksum.
        assert without_hardware_address(one) == without_hardware_address(other)
    ours.stop()
    theirs.stop()
    farewells = [lab.wire.wait_advert(node=name, priority=0, seconds=1, since=0) for name in ("a", "b")]
    assert without_flow_label(farewells[0]) == without_flow_label(farewells[1])


def test_no_link_local_address_is_a_fault_until_one_comes(pair: Pair) -> None:
    lab, a, _ = pair
    a.set_sysctl("net.ipv6.conf.eth0.addr_gen_mode", "1")
    a.set_sysctl("net.ipv6.conf.eth0.disable_ipv6", "0")
    text = global_defs("vrrp_mcast_group6 ff02::1:2") + instance(addresses=VIPS)
    daemon = lab.start_kad(a, text)
    daemon.wait_log("Entering FAULT STATE.*eth0 has no IPv6 link-local address to send from")
    a.run("ip", "addr", "add", "fe80::7/64", "dev", "eth0", "nodad")
    said = lab.wire.wait_advert(node="a", seconds=2)
    assert (said.source, said.destination) == ("fe80::7", "ff02::1:2")
    a.run("ip", "addr", "del", "fe80::7/64", "dev", "eth0")
    daemon.wait_log("Entering FAULT STATE", since=said.time)
    lab.wait_holder(VIP, seconds=1)

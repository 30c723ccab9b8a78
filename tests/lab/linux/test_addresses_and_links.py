"""rtnetlink against the kernel, seen from outside by `ip`."""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest

from kad.linux.files.sysctl import interface_setting, set_interface_setting
from kad.linux.netlink.address import (
    ALREADY_THERE,
    IFA_F_DEPRECATED,
    IFA_F_NOPREFIXROUTE,
    IFA_F_PERMANENT,
    NO_INTERFACE,
    NOT_THERE,
    Address,
    dump_addresses,
    encode_add,
    encode_delete,
    parse_address,
)
from kad.linux.netlink.link import ETHERNET, Link, dump_links, parse_link
from kad.linux.netlink.network_table import Network
from kad.linux.netlink.socket import RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_LINK, Message, Netlink, Overrun
from tests.lab.lab import Lab, Node

pytestmark = pytest.mark.lab

T = TypeVar("T")


@pytest.fixture
def node(lab: Lab) -> Node:
    """One node with eth0, which has no address."""
    made = lab.node("a", {"eth0": ""})
    made.set_sysctl("net.ipv6.conf.all.disable_ipv6", "0")
    return made


@pytest.fixture
def netlink(node: Node) -> Iterator[Netlink]:
    opened = node.inside(Netlink.open)
    yield opened
    opened.close()


@pytest.fixture
def index(netlink: Netlink) -> int:
    return next(link.index for link in dump_links(netlink) if link.name == "eth0")


def shown(node: Node, *words: str) -> list[dict[str, object]]:
    """Addresses of eth0 that are not made by the kernel itself."""
    (interface,) = node.ip("addr", "show", "dev", "eth0", *words)
    return [entry for entry in interface["addr_info"] if not str(entry.get("local", "fe80")).startswith("fe80")]


def told(monitor: Netlink, parse: Callable[[Message], T | None], wanted: Callable[[T], bool]) -> T:
    """The first wanted thing that the monitor tells."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        select.select([monitor], [], [], 1)
        for message in monitor.receive():
            parsed = parse(message)
            if parsed is not None and wanted(parsed):
                return parsed
    raise AssertionError("the monitor did not tell it")


def read_all(monitor: Netlink) -> None:
    while monitor.receive():
        pass


def test_addresses_come_and_go(node: Node, netlink: Netlink, index: int) -> None:
    plain = ("10.77.0.100", 32)
    assert netlink.request([encode_add(index, *plain), encode_add(index, *plain)]) == [0, ALREADY_THERE]
    (entry,) = shown(node)
    assert (entry["local"], entry["prefixlen"], entry["scope"], entry["label"]) == (*plain, "global", "eth0")
    assert [address.protocol for address in dump_addresses(netlink) if address.address == plain[0]] == [18]
    assert "broadcast" not in entry
    assert netlink.request([encode_delete(index, *plain), encode_delete(index, *plain)]) == [0, NOT_THERE]
    assert shown(node) == []
    assert netlink.request([encode_add(999, *plain), encode_delete(999, *plain)]) == [NO_INTERFACE, NO_INTERFACE]


def test_an_address_with_everything(node: Node, netlink: Netlink, index: int) -> None:
    request = encode_add(
        index,
        "10.77.0.100",
        24,
        broadcast="10.77.0.255",
        label="eth0:vip",
        scope=253,
        flags=IFA_F_NOPREFIXROUTE,
        preferred_lft=0,
    )
    assert netlink.request([request]) == [0]
    (entry,) = shown(node)
    assert (entry["broadcast"], entry["label"], entry["scope"]) == ("10.77.0.255", "eth0:vip", "link")
    assert entry["noprefixroute"] is True
    assert entry["deprecated"] is True
    address = Address(
        index=index,
        family=4,
        address="10.77.0.100",
        prefix=24,
        broadcast="10.77.0.255",
        label="eth0:vip",
        scope=253,
        protocol=18,
        flags=IFA_F_NOPREFIXROUTE | IFA_F_DEPRECATED | IFA_F_PERMANENT,
    )
    assert address in dump_addresses(netlink)


def test_an_address_with_a_peer(node: Node, netlink: Netlink, index: int) -> None:
    assert netlink.request([encode_add(index, "10.77.0.100", 32, peer="10.88.0.1")]) == [0]
    (entry,) = shown(node)
    assert (entry["local"], entry["address"]) == ("10.77.0.100", "10.88.0.1")
    (address,) = [address for address in dump_addresses(netlink) if address.index == index and address.family == 4]
    assert (address.address, address.peer) == ("10.77.0.100", "10.88.0.1")
    assert netlink.request([encode_delete(index, "10.77.0.100", 32, peer="10.88.0.1")]) == [0]


def test_ipv6_addresses_are_usable_at_once_and_a_host_address_is_no_source(
    node: Node, netlink: Netlink, index: int
) -> None:
    requests = [encode_add(index, "fd00::64", 128), encode_add(index, "fd01::64", 64)]
    requests.append(encode_add(index, "fd02::64", 128, preferred_lft=1000))
    assert netlink.request(requests) == [0, 0, 0]
    entries = {entry["local"]: entry for entry in shown(node, "scope", "global")}
    assert entries["fd00::64"]["deprecated"] is True
    assert entries["fd00::64"]["nodad"] is True
    assert "tentative" not in entries["fd00::64"]
    assert "deprecated" not in entries["fd01::64"]
    assert 990 <= int(str(entries["fd02::64"]["preferred_life_time"])) <= 1000
    assert netlink.request([encode_add(index, "fd00::64", 128)]) == [ALREADY_THERE]
    assert netlink.request([encode_delete(index, "fd00::64", 128)] * 2) == [0, NOT_THERE]


def test_a_thousand_addresses_in_one_batch(node: Node, netlink: Netlink, index: int) -> None:
    addresses = [f"10.{number // 250}.{number % 250}.1" for number in range(1000)]
    with_errors = [encode_add(index, address, 32) for address in addresses]
    with_errors.insert(500, encode_add(index, addresses[0], 32))
    answers = netlink.request(with_errors)
    assert (answers.count(0), answers[500]) == (1000, ALREADY_THERE)
    assert {entry["local"] for entry in shown(node)} == set(addresses)
    assert {address.address for address in dump_addresses(netlink) if address.index == index} >= set(addresses)
    assert netlink.request([encode_delete(index, address, 32) for address in addresses]) == [0] * 1000
    assert shown(node) == []


def test_a_small_buffer_still_hears_every_answer(node: Node, index: int) -> None:
    small = node.inside(lambda: Netlink.open(receive_buffer=2048))
    addresses = [f"10.{number // 250}.{number % 250}.1" for number in range(500)]
    assert small.request([encode_add(index, address, 32) for address in addresses]) == [0] * 500
    small.close()


def test_a_monitor_tells_of_addresses_and_links(node: Node, index: int) -> None:
    groups = (RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR)
    monitor = node.inside(lambda: Netlink.open(groups))
    assert monitor.receive() == []
    for words, deleted in ((("add",), False), (("del",), True)):
        node.run("ip", "addr", *words, "10.77.0.9/24", "dev", "eth0")
        address, gone = told(monitor, parse_address, lambda found: found[0].address == "10.77.0.9")
        assert (address.index, address.prefix, gone) == (index, 24, deleted)
    node.run("ip", "link", "set", "eth0", "down")
    link, _ = told(monitor, parse_link, lambda found: not found[0].up)
    assert (link.name, link.index) == ("eth0", index)
    node.run("ip", "link", "del", "eth0")
    assert told(monitor, parse_link, lambda found: found[1])[0].name == "eth0"
    monitor.close()


def test_a_monitor_that_was_not_read_says_so_and_lives_on(node: Node, netlink: Netlink, index: int) -> None:
    monitor = node.inside(lambda: Netlink.open((RTNLGRP_IPV4_IFADDR,), receive_buffer=2048))
    netlink.request([encode_add(index, f"10.77.1.{number}", 32) for number in range(1, 200)])
    with pytest.raises(Overrun):
        read_all(monitor)
    read_all(monitor)
    netlink.request([encode_delete(index, "10.77.1.1", 32)])
    assert told(monitor, parse_address, lambda found: found[1])[0].address == "10.77.1.1"
    monitor.close()


def test_links_as_ip_shows_them(lab: Lab, node: Node, netlink: Netlink) -> None:
    node.run("ip", "link", "add", "br0", "type", "bridge")
    node.run("ip", "link", "add", "mv0", "link", "eth0", "type", "macvlan", "mode", "private")
    node.run("ip", "link", "set", "mv0", "arp", "off")
    node.run("ip", "link", "set", "mv0", "master", "br0")
    links = {link.name: link for link in dump_links(netlink)}
    seen = {interface["ifname"]: interface for interface in node.ip("-d", "link")}
    assert links.keys() == seen.keys()
    for name, link in links.items():
        assert (link.index, link.mtu) == (seen[name]["ifindex"], seen[name]["mtu"])
        assert link.mac.hex(":") == seen[name]["address"]
        assert link.kind == seen[name].get("linkinfo", {}).get("info_kind", "")
    assert (links["mv0"].lower, links["mv0"].master) == (links["eth0"].index, links["br0"].index)
    assert (links["mv0"].arp, links["eth0"].arp, links["lo"].loopback) == (False, True, True)
    assert (links["eth0"].up, links["br0"].up, links["eth0"].hardware) == (True, False, ETHERNET)

    def eth0() -> Link:
        return next(link for link in dump_links(netlink) if link.name == "eth0")

    lab.link_down(node)
    lab.hub.until(lambda: not eth0().up, 2, "eth0 has lost its carrier")


def test_settings_of_an_interface(node: Node) -> None:
    def change() -> tuple[str, str]:
        before = interface_setting(4, "eth0", "arp_ignore")
        set_interface_setting(4, "eth0", "arp_ignore", "1")
        return before, interface_setting(4, "eth0", "arp_ignore")

    assert node.inside(change) == ("0", "1")
    assert node.run("cat", "/proc/sys/net/ipv4/conf/eth0/arp_ignore").stdout == "1\n"


def test_what_is_known_ahead_is_read_though_the_socket_is_empty(node: Node) -> None:
    def look() -> tuple[bool, int, bool, list[str]]:
        network = Network()
        asked: list[str] = []
        network.read_later = lambda: asked.append("read")
        index = next(link.index for link in network.links() if link.name == "eth0")
        network.request([encode_add(index, "10.77.0.9", 24)])
        known = network.catch_up() and network.has_anywhere("10.77.0.9")
        network.catch_up()
        announced = bool(select.select([network], [], [], 0)[0])
        changes = [type(change).__name__ for change in network.read()]
        network._monitor.close()
        network._commands.close()
        return known, len(asked), announced, changes

    assert node.inside(look) == (True, 1, False, ["AddressChanged"])

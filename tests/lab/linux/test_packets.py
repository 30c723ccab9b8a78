"""Adverts, gratuitous ARP and neighbour advertisements from one node to the other, over a real kernel."""

from __future__ import annotations

import contextlib
import errno
import select
import socket
import time
from collections.abc import Callable, Iterator

import pytest

from kad.linux.refused import Refused
from kad.linux.sockets.arp import gratuitous_arp
from kad.linux.sockets.ethernet_sender import FrameSender, on_interface
from kad.linux.sockets.ip_header import ipv4_header, ipv6_header
from kad.linux.sockets.ndisc import unsolicited_advertisement
from kad.linux.sockets.packet_sockets import PacketSockets
from kad.linux.sockets.sendmmsg import BatchReceiver, BatchSender, Datagram, sockaddr_in, sockaddr_in6
from kad.linux.sockets.vrrp_socket import AH, join, leave, open_receiver, open_sender
from tests.lab.lab import Lab, Node

pytestmark = pytest.mark.lab

GROUP = "224.0.0.18"
GROUP6 = "ff02::12"
ADVERT = bytes.fromhex("213364010101aa520a4d00646162636400000000")


def index(node: Node) -> int:
    return node.inside(lambda: socket.if_nametoindex("eth0"))


class Ends:
    """Senders and receivers of a test, closed after it."""

    def __init__(self, closing: contextlib.ExitStack) -> None:
        self._closing = closing

    def sender(self, node: Node, family: int = 4, *, multicast: bool = True) -> BatchSender:
        def opened() -> socket.socket:
            return open_sender(socket.if_nametoindex("eth0"), "eth0", family, multicast=multicast)

        return BatchSender(self._closing.enter_context(node.inside(opened)))

    def receiver(
        self, node: Node, family: int = 4, group: str | None = GROUP, *, protocol: int = 112, interface: str = "eth0"
    ) -> BatchReceiver:
        def opened() -> socket.socket:
            return open_receiver(socket.if_nametoindex(interface), interface, family, group, protocol=protocol)

        return BatchReceiver(self._closing.enter_context(node.inside(opened)))

    def frames(self, node: Node) -> FrameSender:
        sockets = node.inside(PacketSockets.open)
        for each in sockets:
            self._closing.enter_context(each)
        return FrameSender(sockets.frames)


@pytest.fixture
def ends() -> Iterator[Ends]:
    with contextlib.ExitStack() as closing:
        yield Ends(closing)


def advert(source: str, destination: str, ttl: int = 255, protocol: int = 112, mark: bytes = b"") -> Datagram:
    payload = ADVERT + mark
    header = ipv4_header(source, destination, len(payload), ttl, 0, protocol)
    return Datagram(header + payload, sockaddr_in(destination))


Arrived = tuple[bytes, bytes, bytes, int]
"""A packet (IPv6: what follows its header), its source, its destination, its TTL or hop limit."""


def ends_of(packet: bytes) -> Arrived:
    if packet[0] >> 4 == 4:
        return packet, packet[12:16], packet[16:20], packet[8]
    return packet[40:], packet[8:24], packet[24:40], packet[7]


def arrived(batch: BatchReceiver, count: int) -> list[Arrived]:
    """So many packets, awaited."""
    packets: list[Arrived] = []
    deadline = time.monotonic() + 5
    while len(packets) < count:
        assert time.monotonic() < deadline, f"{len(packets)} of {count} packets came"
        select.select([batch.socket], [], [], 1)
        packets += map(ends_of, batch.receive())
    return packets


@pytest.fixture
def nodes(pair: tuple[Lab, Node, Node]) -> tuple[Node, Node]:
    """a and b, which know one another, so that no unicast waits for ARP."""
    _, a, b = pair
    assert a.run("ping", "-c", "1", "-W", "2", "10.77.0.2").returncode == 0
    return a, b


def test_an_advert_to_the_group_arrives_with_its_ttl_but_not_at_home(nodes: tuple[Node, Node], ends: Ends) -> None:
    a, b = nodes
    at_home, away = ends.receiver(a), ends.receiver(b)
    assert ends.sender(a).send([advert("10.77.0.1", GROUP), advert("10.77.0.1", GROUP, ttl=3)]) == []
    (packet, source, destination, ttl), (_, _, _, second_ttl) = arrived(away, 2)
    assert packet[20:] == ADVERT
    assert packet[:4].hex() == "45c00028"
    assert packet[10:12] != b"\0\0"
    assert (source, destination) == (socket.inet_aton("10.77.0.1"), socket.inet_aton(GROUP))
    assert (ttl, second_ttl) == (255, 3)
    assert at_home.receive() == []


def test_a_source_that_the_host_does_not_hold(nodes: tuple[Node, Node], ends: Ends) -> None:
    a, b = nodes
    away = ends.receiver(b)
    assert ends.sender(a).send([advert("10.66.0.9", GROUP)]) == []
    assert ends.sender(a, multicast=False).send([advert("10.66.0.9", "10.77.0.2", ttl=64)]) == []
    first, second = arrived(away, 2)
    assert first[1] == second[1] == socket.inet_aton("10.66.0.9")
    assert second[2:] == (socket.inet_aton("10.77.0.2"), 64)


def test_a_receiver_hears_the_groups_that_it_joined_and_no_others(nodes: tuple[Node, Node], ends: Ends) -> None:
    a, b = nodes
    unicast_only, standard, moved = ends.receiver(b, group=None), ends.receiver(b), ends.receiver(b)
    join(moved.socket, index(b), "224.0.0.77")
    leave(moved.socket, index(b), GROUP)
    multicast = ends.sender(a)
    unicast = ends.sender(a, multicast=False)
    assert multicast.send([advert("10.77.0.1", GROUP, mark=b"18"), advert("10.77.0.1", "224.0.0.77", mark=b"77")]) == []
    assert unicast.send([advert("10.77.0.1", "10.77.0.2", mark=b"uc")]) == []

    def marks(batch: BatchReceiver, count: int) -> list[bytes]:
        return [packet[-2:] for packet, *_ in arrived(batch, count)]

    # The unicast advert came last: what is not there with it never comes.
    assert marks(unicast_only, 1) == [b"uc"]
    assert marks(standard, 2) == [b"18", b"uc"]
    assert marks(moved, 2) == [b"77", b"uc"]


def test_a_receiver_hears_its_protocol_and_its_interface_alone(nodes: tuple[Node, Node], ends: Ends) -> None:
    a, b = nodes
    vrrp, authenticated = ends.receiver(b), ends.receiver(b, protocol=AH)
    b.run("ip", "link", "add", "other", "type", "bridge")
    b.run("ip", "link", "set", "other", "up")
    elsewhere = ends.receiver(b, interface="other")
    assert ends.sender(a, multicast=False).send([advert("10.77.0.1", "10.77.0.2")]) == []
    assert ends.sender(a).send([advert("10.77.0.1", GROUP, protocol=AH), advert("10.77.0.1", GROUP)]) == []
    assert [packet[9] for packet, *_ in arrived(vrrp, 2)] == [112, 112]
    assert [packet[9] for packet, *_ in arrived(authenticated, 1)] == [51]
    assert elsewhere.receive() == []


def test_adverts_have_priority_and_no_route_leads_the_group_away(nodes: tuple[Node, Node], ends: Ends) -> None:
    """Of the local groups (224.0.0.0/24) the kernel knows that itself."""
    a, b = nodes
    group = "239.1.2.3"
    a.run("ip", "route", "add", group, "via", "10.77.0.2")
    with b.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800)) as wire:
        wire.bind(("eth0", 0x0800))
        wire.settimeout(5)
        batch = ends.sender(a)
        assert batch.socket.getsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY) == 6
        assert batch.send([advert("10.77.0.1", group)]) == []
        frame = wire.recv(2000)
        while frame[23] != 112:
            frame = wire.recv(2000)
        assert frame[:6].hex() == "01005e010203"


def test_a_thousand_adverts_in_one_go(nodes: tuple[Node, Node], ends: Ends) -> None:
    a, b = nodes
    away = ends.receiver(b)
    marks = [number.to_bytes(2, "big") for number in range(1000)]
    assert ends.sender(a).send([advert("10.77.0.1", GROUP, mark=mark) for mark in marks]) == []
    assert [packet[-2:] for packet, *_ in arrived(away, 1000)] == marks


def test_adverts_while_the_interface_is_down_are_told_as_unsent(nodes: tuple[Node, Node], ends: Ends) -> None:
    a, _ = nodes
    batch = ends.sender(a)
    a.run("ip", "link", "set", "eth0", "down")
    unsent = batch.send([advert("10.77.0.1", GROUP)] * 3)
    assert [place for place, _ in unsent] == [0, 1, 2]
    assert {reason for _, reason in unsent} <= {errno.ENETDOWN, errno.ENETUNREACH, errno.ENODEV}
    a.run("ip", "link", "set", "eth0", "up")


def test_an_interface_that_does_not_exist_is_refused(nodes: tuple[Node, Node]) -> None:
    a, _ = nodes
    openings: list[Callable[[], socket.socket]] = [
        lambda: open_receiver(99, "nothere", 4, GROUP),
        lambda: open_receiver(socket.if_nametoindex("eth0"), "eth0", 4, "10.0.0.1"),
        lambda: open_sender(99, "nothere", 4, multicast=True),
    ]
    for opening in openings:
        with pytest.raises(Refused):
            a.inside(opening)


def link_local(node: Node) -> str:
    entries = node.ip("-6", "addr", "show", "dev", "eth0", "scope", "link")
    return next((str(entry["local"]) for one in entries for entry in one["addr_info"] if "tentative" not in entry), "")


def test_ipv6_adverts(pair: tuple[Lab, Node, Node], ends: Ends) -> None:
    lab, a, b = pair
    for node in (a, b):
        node.set_sysctl("net.ipv6.conf.eth0.accept_dad", "0")
        node.set_sysctl("net.ipv6.conf.eth0.disable_ipv6", "0")
        lab.hub.until(lambda node=node: link_local(node), 5, "a link-local address")  # type: ignore[misc]
    at_home, away = ends.receiver(a, 6, GROUP6), ends.receiver(b, 6, GROUP6)
    source, target = "fe80::77", link_local(b)
    group = Datagram(ipv6_header(source, GROUP6, 20, 255) + ADVERT, sockaddr_in6(GROUP6, index(a)))
    one = Datagram(ipv6_header(link_local(a), target, 20, 64) + ADVERT, sockaddr_in6(target, index(a)))
    assert ends.sender(a, 6).send([group]) == []
    assert ends.sender(a, 6, multicast=False).send([one]) == []
    packed = {text: socket.inet_pton(socket.AF_INET6, text) for text in (source, GROUP6, link_local(a), target)}
    assert sorted(arrived(away, 2), key=lambda packet: -packet[3]) == [
        (ADVERT, packed[source], packed[GROUP6], 255),
        (ADVERT, packed[link_local(a)], packed[target], 64),
    ]
    assert at_home.receive() == []


def test_gratuitous_arp_teaches_the_other_node(pair: tuple[Lab, Node, Node], ends: Ends) -> None:
    lab, a, b = pair
    b.set_sysctl("net.ipv4.conf.eth0.arp_accept", "1")
    mac = bytes.fromhex("020000000077")
    frames = ends.frames(a)
    assert frames.send_frames([(index(a), gratuitous_arp(mac, "10.77.0.100"))]) == []

    def neighbour() -> list[str]:
        return [entry["lladdr"] for entry in b.ip("neigh", "show", "10.77.0.100") if "lladdr" in entry]

    lab.hub.until(lambda: neighbour() == [mac.hex(":")], 5, "b knows the new neighbour")


def test_frames_are_whole_and_failures_told(pair: tuple[Lab, Node, Node], ends: Ends) -> None:
    _, a, b = pair
    mac = bytes.fromhex("020000000077")
    garp, gna = gratuitous_arp(mac, "10.77.0.100"), unsolicited_advertisement(mac, "fd00::64")
    frames = ends.frames(a)
    with (
        b.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as wire,
        a.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as at_home,
    ):
        wire.bind(("eth0", 3))
        at_home.bind(("eth0", 3))
        wire.settimeout(5)
        at_home.settimeout(5)
        unsent = frames.send([on_interface(index(a), garp), on_interface(999, garp), on_interface(index(a), gna)])
        assert unsent == [(1, errno.ENXIO)]
        seen: list[bytes] = []
        while len(seen) < 2:
            frame = wire.recv(2000)
            if frame[6:12] == mac:
                seen.append(frame)
        assert seen == [garp, gna]
        ethertypes: list[int] = []
        while len(ethertypes) < 2:
            frame, (_, ethertype, *_) = at_home.recvfrom(2000)
            if frame[6:12] == mac:
                ethertypes.append(ethertype)
        assert ethertypes == [0x0806, 0x86DD]
    a.run("ip", "link", "set", "eth0", "down")
    assert frames.send([on_interface(index(a), garp)]) == [(0, errno.ENETDOWN)]

"""Many datagrams in one system call, here over UDP on the loopback interface."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator

import pytest

from kad.linux.batch import LARGEST_PACKET, BatchReceiver, BatchSender, Datagram, Unsent


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
    ):
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024 * 1024)
        receiver.bind(("127.0.0.1", 0))
        yield sender, receiver


def to(receiver: socket.socket, payload: bytes) -> Datagram:
    host, port = receiver.getsockname()
    return Datagram(payload, struct.pack("=H", socket.AF_INET) + struct.pack("!H4s8x", port, socket.inet_aton(host)))


def nowhere(payload: bytes) -> Datagram:
    return Datagram(payload, struct.pack("=H14x", 0x1234))


Ends = tuple[socket.socket, socket.socket]


def test_all_leave_in_order_beyond_one_call(ends: Ends) -> None:
    sender, receiver = ends
    payloads = [bytes([number]) * (20 + number) for number in range(50)]
    assert BatchSender(sender, capacity=8).send([to(receiver, payload) for payload in payloads]) == []
    batch = BatchReceiver(receiver, capacity=20)
    sizes, packets = [], []
    while received := batch.receive():
        sizes.append(len(received))
        packets += [packet for packet, *_ in received]
    assert sizes == [20, 20, 10]
    assert packets == payloads


def test_a_datagram_is_sent_again_and_again(ends: Ends) -> None:
    sender, receiver = ends
    advert = to(receiver, b"advert" * 5)
    batch = BatchSender(sender)
    for _ in range(3):
        assert batch.send([advert, advert]) == []
    assert [packet for packet, *_ in BatchReceiver(receiver).receive()] == [b"advert" * 5] * 6


def test_refused_ones_are_told_and_the_others_leave(ends: Ends) -> None:
    sender, receiver = ends
    good, bad = to(receiver, b"good" * 5), nowhere(b"bad")
    unsent = BatchSender(sender, capacity=4).send([bad, good, good, bad, good, good, bad])
    assert unsent == [Unsent(0, errno.EAFNOSUPPORT), Unsent(3, errno.EAFNOSUPPORT), Unsent(6, errno.EAFNOSUPPORT)]
    assert len(BatchReceiver(receiver).receive()) == 4


def test_nothing_to_send_and_nothing_to_receive(ends: Ends) -> None:
    sender, receiver = ends
    assert BatchSender(sender).send([]) == []
    assert BatchReceiver(receiver).receive() == []


def test_a_full_socket_refuses_the_rest_without_waiting() -> None:
    sender, receiver = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with sender, receiver:
        unsent = BatchSender(sender).send([Datagram(b"x" * 100, b"") for _ in range(2000)])
        assert unsent
        assert {reason for _, reason in unsent} == {errno.EAGAIN}
        assert [place for place, _ in unsent] == list(range(2000 - len(unsent), 2000))


def test_ends_and_ttl_come_from_the_ip_header_and_long_packets_are_cut(ends: Ends) -> None:
    sender, receiver = ends
    header = bytes.fromhex("45c0002800010000ff70d0440a4d0001e0000012")
    BatchSender(sender).send([to(receiver, header + bytes(20)), to(receiver, bytes(LARGEST_PACKET + 100))])
    (first, source, destination, ttl), (second, *_) = BatchReceiver(receiver).receive()
    assert (first, source.hex(), destination.hex(), ttl) == (header + bytes(20), "0a4d0001", "e0000012", 255)
    assert len(second) == LARGEST_PACKET


def test_ipv6_tells_source_destination_and_hop_limit() -> None:
    if not socket.has_ipv6:
        pytest.skip("IPv6")
    with (
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sender,
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as receiver,
    ):
        try:
            receiver.bind(("::1", 0))
        except OSError:
            pytest.skip("an IPv6 loopback address")
        receiver.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
        receiver.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        batch = BatchReceiver(receiver, capacity=2)
        for hops in (255, 7):
            sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, hops)
            sender.sendto(b"advert", receiver.getsockname())
        one = socket.inet_pton(socket.AF_INET6, "::1")
        assert batch.receive() == [(b"advert", one, one, 255), (b"advert", one, one, 7)]
        sender.sendto(b"again", receiver.getsockname())
        assert batch.receive() == [(b"again", one, one, 7)]

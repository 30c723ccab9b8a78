"""Many datagrams in one system call, here over UDP on the loopback interface."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator

import pytest

from kad.linux.sockets.sendmmsg import LARGEST_PACKET, BatchReceiver, BatchSender, Datagram, Unsent, Volley


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
        packets += received
    assert sizes == [20, 20, 10]
    assert packets == payloads


def test_a_datagram_is_sent_again_and_again(ends: Ends) -> None:
    sender, receiver = ends
    advert = to(receiver, b"advert" * 5)
    batch = BatchSender(sender)
    for _ in range(3):
        assert batch.send([advert, advert]) == []
    assert BatchReceiver(receiver).receive() == [b"advert" * 5] * 6


def test_a_volley_leaves_as_its_datagrams_would_and_needs_them_no_more(ends: Ends) -> None:
    sender, receiver = ends
    payloads = [bytes([number]) * (20 + number) for number in range(50)]
    datagrams = [to(receiver, payload) for payload in payloads]
    volley = Volley(datagrams)
    assert len(volley) == 50
    for datagram in datagrams:
        datagram._memory[:] = bytes(datagram.size)
    batch, heard = BatchSender(sender, capacity=8), BatchReceiver(receiver)
    for _ in range(2):
        assert batch.fire(volley) == []
        assert heard.receive() == payloads


def test_who_is_refused_in_a_volley_is_told_by_place(ends: Ends) -> None:
    sender, receiver = ends
    good, bad = to(receiver, b"good" * 5), nowhere(b"bad")
    unsent = BatchSender(sender, capacity=4).fire(Volley([bad, good, good, bad, good, good, bad]))
    assert unsent == [Unsent(0, errno.EAFNOSUPPORT), Unsent(3, errno.EAFNOSUPPORT), Unsent(6, errno.EAFNOSUPPORT)]
    assert len(BatchReceiver(receiver).receive()) == 4


def test_an_empty_volley_is_nothing(ends: Ends) -> None:
    assert BatchSender(ends[0]).fire(Volley([])) == []


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


def test_packets_of_one_length_and_of_several(ends: Ends) -> None:
    sender, receiver = ends
    alike = [bytes([number]) * 32 for number in range(40)]
    several = [b"x" * 32, b"y" * 40, b"z" * 32]
    batch = BatchReceiver(receiver)
    for payloads in (alike, several, alike[:1]):
        assert BatchSender(sender).send([to(receiver, payload) for payload in payloads]) == []
        assert batch.receive() == payloads


def test_long_packets_are_cut(ends: Ends) -> None:
    sender, receiver = ends
    BatchSender(sender).send([to(receiver, bytes(LARGEST_PACKET + 100))])
    (packet,) = BatchReceiver(receiver).receive()
    assert packet == bytes(LARGEST_PACKET)


def test_an_ipv6_packet_gets_its_header_back() -> None:
    if not socket.has_ipv6:
        pytest.skip("IPv6")
    with (
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sender,
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM, socket.IPPROTO_UDP) as receiver,
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
        ends = "0" * 31 + "1" + "0" * 31 + "1"
        # RFC 8200 3: version 6, payload length 6, next header 17 (here UDP), hop limit 255 and 7, ::1 twice.
        wanted = [bytes.fromhex(f"60000000 0006 11 {hops} {ends}") + b"advert" for hops in ("ff", "07")]
        assert batch.receive() == wanted
        sender.sendto(b"advert", receiver.getsockname())
        assert batch.receive() == wanted[1:]

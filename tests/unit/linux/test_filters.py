"""Socket filters: the steps themselves, run by the book, and by a kernel where there is one."""

from __future__ import annotations

import random
import socket
import struct

import pytest

from kad.linux.sockets import bfd_socket
from kad.linux.sockets.bpf import NETWORK_HEADER, Program, attach, near_sources, one_of


def passes(steps: Program, packet: bytes) -> bool:
    """What the kernel would do, one step after the other."""
    accumulator, at = 0, 0
    while True:
        code, when, otherwise, operand = steps[at]
        at += 1
        match code:
            case 0x20:
                operand -= NETWORK_HEADER if operand >= NETWORK_HEADER else 0
                if operand + 4 > len(packet):
                    return False
                accumulator = int.from_bytes(packet[operand : operand + 4])
            case 0x30:
                accumulator = packet[operand - NETWORK_HEADER]
            case 0x35:
                at += when if accumulator >= operand else otherwise
            case 0x05:
                at += operand
            case 0x15:
                at += when if accumulator == operand else otherwise
            case 0x25:
                at += when if accumulator > operand else otherwise
            case 0x06:
                return operand != 0
            case _:
                raise AssertionError(code)


@pytest.mark.parametrize("count", [0, 1, 2, 4, 5, 9, 100, 1000])
def test_it_passes_these_and_no_others(count: int) -> None:
    dice = random.Random(count)
    numbers = {dice.getrandbits(32) for _ in range(count)}
    steps = one_of(14, numbers)
    assert len(steps) <= 4096
    assert all(passes(steps, bytes(14) + number.to_bytes(4)) for number in numbers)
    others = {number + 1 for number in numbers if number < 0xFFFFFFFF} | {0, 0xFFFFFFFF, dice.getrandbits(32)}
    assert not any(passes(steps, bytes(14) + number.to_bytes(4)) for number in others - numbers)
    assert not passes(steps, bytes(17))


def test_too_many_pass_everything() -> None:
    assert passes(one_of(14, range(2000)), b"")


def test_the_kernel_takes_it() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        ours.setblocking(False)
        attach(ours, one_of(2, range(1, 1001)))
        for number in (0, 1, 500, 1000, 1001):
            theirs.send(b"ab" + number.to_bytes(4))
        heard = []
        while len(heard) < 3:
            heard.append(int.from_bytes(ours.recv(10)[2:]))
        assert heard == [1, 500, 1000]
        with pytest.raises(BlockingIOError):
            ours.recv(10)


def datagram(family: int, source: str, ttl: int) -> bytes:
    """The IP header, before which a filter's offsets from the network header count."""
    if family == 4:
        return bytes(8) + bytes([ttl]) + bytes(3) + socket.inet_aton(source) + bytes(12)
    return bytes(7) + bytes([ttl]) + socket.inet_pton(socket.AF_INET6, source) + bytes(24)


FOUR = {"10.0.0.2": 255, "10.0.0.3": 250, "192.0.2.7": 0}
SIX = {"fe80::2": 255, "fd00::2": 254, "fd00:0:0:1::2": 0}


@pytest.mark.parametrize(("family", "known"), [(4, FOUR), (6, SIX)])
def test_only_near_sources_pass(family: int, known: dict[str, int]) -> None:
    inet = socket.AF_INET if family == 4 else socket.AF_INET6
    steps = near_sources({socket.inet_pton(inet, source): least for source, least in known.items()})
    for source, least in known.items():
        for ttl in (0, 64, 249, 250, 253, 254, 255):
            assert passes(steps, datagram(family, source, ttl)) is (ttl >= least), (source, ttl)
    for other in ("10.0.0.4", "0.0.0.0") if family == 4 else ("fe80::3", "fd00:0:0:1::3", "::"):
        assert not passes(steps, datagram(family, other, 255))


def test_of_too_many_sources_the_lowest_ttl_counts_alone() -> None:
    steps = near_sources({number.to_bytes(4): 250 for number in range(1, 2000)})
    assert [passes(steps, datagram(4, "0.0.255.255", ttl)) for ttl in (249, 250)] == [False, True]


@pytest.mark.parametrize(("family", "address"), [(4, "127.0.0.1"), (6, "::1")])
def test_the_kernel_looks_at_source_and_ttl_of_udp(family: int, address: str) -> None:
    with bfd_socket.listen(family, 0) as ours:
        port = ours.getsockname()[1]
        bfd_socket.hear_only(ours, {address: 255})
        inet = socket.AF_INET if family == 4 else socket.AF_INET6
        level, option = (socket.IPPROTO_IP, 2) if family == 4 else (socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS)
        with socket.socket(inet, socket.SOCK_DGRAM) as theirs:
            for ttl in (64, 254, 255):
                theirs.setsockopt(level, option, ttl)
                theirs.sendto(control(multiplier=ttl), (address, port))
        assert [arrived.data for arrived in bfd_socket.receive(ours)] == [control(multiplier=255)]
        bfd_socket.hear_only(ours, {"192.0.2.1" if family == 4 else "2001:db8::1": 0})
        with socket.socket(inet, socket.SOCK_DGRAM) as theirs:
            theirs.sendto(control(), (address, port))
        assert bfd_socket.receive(ours) == []


def control(
    version: int = 1, bits: int = 0xC0, multiplier: int = 3, length: int = 24, mine: int = 7, more: bytes = b""
) -> bytes:
    """A control packet of BFD (RFC 5880 4.1)."""
    return struct.pack("!BBBBIIIII", version << 5, bits, multiplier, length, mine, 0, 50_000, 50_000, 0) + more


MALFORMED = [
    b"",
    control()[:23],
    control(version=0),
    control(version=2),
    control(length=23),
    control(length=25),
    control(more=b"x"),
    control(bits=0xC1),
    control(multiplier=0),
    control(mine=0),
]
FOR_THE_PROCESS = [
    control(),
    control(bits=0x40),
    # Authentication, which the process names.
    control(bits=0xC4),
    control(length=26, more=b"ab"),
]


@pytest.mark.parametrize(("family", "address"), [(4, "127.0.0.1"), (6, "::1")])
def test_the_kernel_drops_what_no_sender_of_bfd_can_mean(family: int, address: str) -> None:
    with bfd_socket.listen(family, 0) as ours:
        bfd_socket.hear_only(ours, {address: 0})
        with socket.socket(ours.family, socket.SOCK_DGRAM) as theirs:
            for data in MALFORMED + FOR_THE_PROCESS:
                theirs.sendto(data, (address, ours.getsockname()[1]))
        assert [arrived.data for arrived in bfd_socket.receive(ours)] == FOR_THE_PROCESS

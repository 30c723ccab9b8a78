"""UDP sockets of BFD: packets with their hop limit and the address that they were sent to."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Mapping
from typing import NamedTuple

from kad.linux.refused import Refused, closed_on_failure, refusing
from kad.linux.sockets import bpf

_IP_PKTINFO, _IPV6_RECVPKTINFO = 8, 49
_IP_TTL, _IP_RECVTTL = 2, 12
_IPV6_RECVHOPLIMIT = 51
_FIRST_PORT, _LAST_PORT = 49152, 65535
_ATTEMPTS = 50
RECEIVES = 64


class Arrived(NamedTuple):
    """A datagram."""

    source: str
    destination: str
    ttl: int | None
    """None where the kernel did not say."""
    data: bytes


_LENGTH_OF_UDP, _PAYLOAD = 4, 8
"""Places in what the filter of a UDP socket is given."""
_DROP = (bpf.RETURN, 0, 0, 0)
_WELL_FORMED: bpf.Program = [
    # RFC 5880 6.8.6: no sender can mean such a packet. What a wrong configuration of the neighbour sends
    # (authentication, a state) goes on to the process, which counts and names it.
    (bpf.LOAD_HALF, 0, 0, _LENGTH_OF_UDP),
    (bpf.AT_LEAST, 1, 0, _PAYLOAD + 24),
    _DROP,
    # The length that it states is that of the payload.
    (bpf.SUBTRACT, 0, 0, _PAYLOAD),
    (bpf.COPY, 0, 0, 0),
    (bpf.LOAD_BYTE, 0, 0, _PAYLOAD + 3),
    (bpf.EQUAL_X, 1, 0, 0),
    _DROP,
    # Version 1.
    (bpf.LOAD_BYTE, 0, 0, _PAYLOAD),
    (bpf.AND, 0, 0, 0xE0),
    (bpf.EQUAL, 1, 0, 0x20),
    _DROP,
    # The bit for multipoint is 0.
    (bpf.LOAD_BYTE, 0, 0, _PAYLOAD + 1),
    (bpf.ANY_BIT, 0, 1, 0x01),
    _DROP,
    # The multiplier and the sender's discriminator are not 0.
    (bpf.LOAD_BYTE, 0, 0, _PAYLOAD + 2),
    (bpf.EQUAL, 0, 1, 0),
    _DROP,
    (bpf.LOAD, 0, 0, _PAYLOAD + 4),
    (bpf.EQUAL, 0, 1, 0),
    _DROP,
]


def listen(family: int, port: int) -> socket.socket:
    """Everything that is sent to that port; `family` is 4 or 6. Raises Refused."""
    six = family == 6
    kind = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    with (
        refusing(f"listening for BFD on port {port}"),
        closed_on_failure(socket.socket(socket.AF_INET6 if six else socket.AF_INET, kind)) as sock,
    ):
        if six:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVHOPLIMIT, 1)
            sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVPKTINFO, 1)
        else:
            sock.setsockopt(socket.IPPROTO_IP, _IP_RECVTTL, 1)
            sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        sock.bind(("::" if six else "0.0.0.0", port))
    return sock


def hear_only(sock: socket.socket, neighbors: Mapping[str, int]) -> None:
    """Let the kernel drop what is malformed, comes from other hosts, or has a lower TTL than the neighbour's packets.

    A dropped packet fills no buffer and wakes no process. Raises Refused.
    """
    family = socket.AF_INET6 if sock.family == socket.AF_INET6 else socket.AF_INET
    sources = {socket.inet_pton(family, address.partition("%")[0]): least for address, least in neighbors.items()}
    with refusing("the filter of BFD"):
        bpf.attach(sock, [*_WELL_FORMED, *bpf.near_sources(sources)])


def speak(neighbor: str, port: int, source: str | None, ttl: int, chance: Callable[[], float]) -> socket.socket:
    """To one neighbour, from a port of 49152..65535 (RFC 5881 4). Raises Refused."""
    six = ":" in neighbor
    kind = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    with (
        refusing(f"speaking BFD to {neighbor}{f' from {source}' if source else ''}"),
        closed_on_failure(socket.socket(socket.AF_INET6 if six else socket.AF_INET, kind)) as sock,
    ):
        level, option = (socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS) if six else (socket.IPPROTO_IP, _IP_TTL)
        sock.setsockopt(level, option, ttl)
        _bind(sock, source or ("::" if six else "0.0.0.0"), chance)
        sock.connect((neighbor, port))
    return sock


def receive(sock: socket.socket) -> list[Arrived]:
    """What has arrived since, at most RECEIVES datagrams."""
    arrived: list[Arrived] = []
    for _ in range(RECEIVES):
        try:
            data, control, _, address = sock.recvmsg(512, 256)
        except BlockingIOError:
            break
        except OSError:  # an ICMP error of an earlier packet
            continue
        ttl, destination = None, ""
        for level, kind, value in control:
            match level, kind:
                case (socket.IPPROTO_IP, 2) | (socket.IPPROTO_IPV6, 52):
                    (ttl,) = struct.unpack_from("=i", value)
                case socket.IPPROTO_IP, 8:
                    destination = socket.inet_ntop(socket.AF_INET, value[8:12])
                case socket.IPPROTO_IPV6, 50:
                    destination = socket.inet_ntop(socket.AF_INET6, value[:16])
        arrived.append(Arrived(address[0].partition("%")[0], destination, ttl, data))
    return arrived


def send(sock: socket.socket, data: bytes) -> None:
    """Raises Refused; an ICMP error that came for an earlier packet is not one of this."""
    for _ in range(2):
        try:
            sock.send(data)
            return
        except ConnectionRefusedError:
            continue
        except OSError as error:
            raise Refused("sending BFD", error.errno or 0) from error


def _bind(sock: socket.socket, source: str, chance: Callable[[], float]) -> None:
    for attempt in range(_ATTEMPTS):
        port = _FIRST_PORT + int(chance() * (_LAST_PORT - _FIRST_PORT + 1)) % (_LAST_PORT - _FIRST_PORT + 1)
        try:
            sock.bind((source, port))
            return
        except OSError as error:
            if error.errno != 98 or attempt == _ATTEMPTS - 1:  # EADDRINUSE
                raise

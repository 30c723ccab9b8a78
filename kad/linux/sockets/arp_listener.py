"""Who says that it has an address: ARP packets and neighbour advertisements of others, filtered by the kernel."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterable
from typing import NamedTuple

from kad.linux.refused import closed_on_failure, refusing
from kad.linux.sockets.bpf import attach, one_of

_ARP = struct.Struct("!HHBBH6s4s6s4s")  # hardware, protocol, their sizes, operation, sender, target
_ARP_SENDER = 14
_OF_IPV4_OVER_ETHERNET = (1, 0x0800, 6, 4)

_ICMP6_FILTER = 1
_NEIGHBOUR_ADVERTISEMENT = 136
_ALL_TYPES_BUT_THAT = bytearray(b"\xff" * 32)
# One bit a type, 1 blocks; struct icmp6_filter is eight words of the host's order.
struct.pack_into(
    "=I",
    _ALL_TYPES_BUT_THAT,
    _NEIGHBOUR_ADVERTISEMENT // 32 * 4,
    0xFFFFFFFF ^ (1 << _NEIGHBOUR_ADVERTISEMENT % 32),
)
_TARGET = slice(8, 24)
_END_OF_TARGET = 20
_OPTION = 24
_TARGET_LINK_LAYER_ADDRESS = (2, 1)
_IPV6_PKTINFO = 50
_MOST_AT_ONCE = 64


class Claim(NamedTuple):
    """A host with this hardware address says that the address is there."""

    interface: int
    """The index of that on which it was heard."""
    address: str
    mac: bytes


class ArpListener:
    """Hears every ARP packet with one of the addresses as its sender, on every interface."""

    def __init__(self, sock: socket.socket) -> None:
        """The ARP socket of kad.linux.sockets.packet_sockets."""
        self._socket = sock

    def fileno(self) -> int:
        return self._socket.fileno()

    def listen_for(self, addresses: Iterable[str]) -> None:
        """These from now on. Raises Refused."""
        numbers = [int.from_bytes(socket.inet_pton(socket.AF_INET, each)) for each in addresses]
        with refusing("filter for ARP"):
            attach(self._socket, one_of(_ARP_SENDER, numbers))

    def receive(self) -> list[Claim]:
        """What waits, at most 64 packets."""
        claims = []
        with contextlib.suppress(BlockingIOError):
            for _ in range(_MOST_AT_ONCE):
                packet, (name, *_) = self._socket.recvfrom(_ARP.size)
                if len(packet) == _ARP.size and _ARP.unpack(packet)[:4] == _OF_IPV4_OVER_ETHERNET:
                    sender, address = _ARP.unpack(packet)[5:7]
                    with contextlib.suppress(OSError):
                        index = socket.if_nametoindex(name)
                        claims.append(Claim(index, socket.inet_ntop(socket.AF_INET, address), sender))
        return claims


class NeighbourListener:
    """Hears the neighbour advertisements for one of the addresses that reach this host."""

    def __init__(self) -> None:
        """Raises Refused."""
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        with refusing("ICMPv6 socket"):
            opened = socket.socket(socket.AF_INET6, kind, socket.IPPROTO_ICMPV6)
        with refusing("ICMPv6 socket"), closed_on_failure(opened) as sock:
            sock.setsockopt(socket.IPPROTO_ICMPV6, _ICMP6_FILTER, bytes(_ALL_TYPES_BUT_THAT))
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
            attach(sock, one_of(_END_OF_TARGET, ()))
        self._socket = sock

    def fileno(self) -> int:
        return self._socket.fileno()

    def listen_for(self, addresses: Iterable[str]) -> None:
        """These from now on; the filter looks at their last four bytes. Raises Refused."""
        packed = [socket.inet_pton(socket.AF_INET6, each) for each in addresses]
        with refusing("filter for neighbour advertisements"):
            attach(self._socket, one_of(_END_OF_TARGET, [int.from_bytes(each[12:]) for each in packed]))

    def receive(self) -> list[Claim]:
        """What waits, at most 64 packets."""
        claims = []
        with contextlib.suppress(BlockingIOError):
            for _ in range(_MOST_AT_ONCE):
                packet, control, _, _ = self._socket.recvmsg(128, 64)
                mac = _link_layer_address(packet)
                for level, kind, data in control:
                    if (level, kind) == (socket.IPPROTO_IPV6, _IPV6_PKTINFO) and mac:
                        (index,) = struct.unpack_from("=I", data, 16)
                        claims.append(Claim(index, socket.inet_ntop(socket.AF_INET6, packet[_TARGET]), mac))
        return claims


def _link_layer_address(packet: bytes) -> bytes:
    """That of the target, from the first option; empty where it is not said."""
    if len(packet) >= _OPTION + 8 and tuple(packet[_OPTION : _OPTION + 2]) == _TARGET_LINK_LAYER_ADDRESS:
        return packet[_OPTION + 2 : _OPTION + 8]
    return b""

"""Many datagrams in one system call: sendmmsg and recvmmsg on memory that is laid out beforehand."""

from __future__ import annotations

import ctypes
import errno
import socket
import struct
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from kad.linux.libc import LIBC
from kad.linux.refused import Refused

LARGEST_PACKET = 4608
"""Bytes that a received packet may have; VRRP for 255 IPv6 addresses needs 4,156."""

_HEAD = 128
"""Bytes of a received packet that lie side by side with those of the others; nearly every packet ends within them."""
_TAIL = LARGEST_PACKET - _HEAD
_MSG_DONTWAIT = 0x40
_CONTROL = 128  # bytes for IPV6_PKTINFO and IPV6_HOPLIMIT
_SOCKADDR_IN6 = 28
_IPV6_PKTINFO = 50
_IPV6_HOPLIMIT = 52
_LEVEL_AND_TYPE = struct.Struct("=ii")
_INT = struct.Struct("=i")

_IPV6_VERSION = b"\x60\0\0\0"
_IPV6_PAYLOAD_LENGTH = struct.Struct("!H")
_REMEMBERED_ENDS = 4096

_IOVEC = struct.Struct("@PN")  # base, length
# struct msghdr: name, its length, iovec, their number, control, its length, flags; then the length of struct mmsghdr.
_MMSGHDR = struct.Struct("@PIPNPNi0PI0P")
_HEADER = _MMSGHDR.size
_LENGTH_PLACE = struct.calcsize("@PIPNPNi0P") // 4
_CONTROL_LENGTH = struct.Struct("@N")
_CONTROL_LENGTH_PLACE = struct.calcsize("@PIPNP")
_CMSG_DATA = _CONTROL_LENGTH.size + _LEVEL_AND_TYPE.size

_sendmmsg = LIBC.sendmmsg
_sendmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)
_recvmmsg = LIBC.recvmmsg
_recvmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p)


def sockaddr_in(address: str) -> bytes:
    """IPv4 destination of a Datagram."""
    return struct.pack("=HH4s8x", socket.AF_INET, 0, socket.inet_pton(socket.AF_INET, address))


def sockaddr_in6(address: str, scope: int = 0) -> bytes:
    """IPv6 destination of a Datagram; `scope` is the interface's index for a link-local one."""
    return struct.pack("=HHI16sI", socket.AF_INET6, 0, 0, socket.inet_pton(socket.AF_INET6, address), scope)


def sockaddr_ll(ifindex: int, ethertype: bytes) -> bytes:
    """The interface by which a whole frame leaves; `ethertype` as the frame itself has it."""
    return struct.pack("=H2siHBB8x", socket.AF_PACKET, ethertype, ifindex, 0, 0, 0)


class Datagram:
    """Bytes and where they go, laid out for sendmmsg once and sent as often as wanted."""

    __slots__ = ("_data", "_memory", "_name_length", "header")

    def __init__(self, payload: bytes, destination: bytes) -> None:
        """destination: a packed sockaddr."""
        name = _IOVEC.size
        self._name_length = len(destination)
        self._data = data = name + len(destination) + -len(destination) % _IOVEC.size
        # One block, which must live and stay in place as long as the header that points into it.
        self._memory = memory = bytearray(data + len(payload))
        memory[name : name + len(destination)] = destination
        memory[data:] = payload
        self.header = self._pointing_to(_address(memory), memory)

    @property
    def payload(self) -> bytes:
        return bytes(self._memory[self._data :])

    @property
    def size(self) -> int:
        """Bytes of memory."""
        return len(self._memory)

    def lie_at(self, address: int, memory: bytearray | memoryview) -> bytes:
        """The header by which it is sent from this memory, which is at that address and becomes its copy."""
        memory[:] = self._memory
        return self._pointing_to(address, memory)

    def _pointing_to(self, address: int, memory: bytearray | memoryview) -> bytes:
        _IOVEC.pack_into(memory, 0, address + self._data, len(memory) - self._data)
        return _MMSGHDR.pack(address + _IOVEC.size, self._name_length, address, 1, 0, 0, 0, 0)


class Volley:
    """Datagrams that leave together again and again: they lie side by side, and none of them is looked at any more."""

    __slots__ = ("_headers", "_memory", "address", "datagrams")

    def __init__(self, datagrams: Iterable[Datagram]) -> None:
        self.datagrams = tuple(datagrams)
        sizes = [each.size + -each.size % _IOVEC.size for each in self.datagrams]
        # A byte too many: nothing has no address.
        self._memory = bytearray(sum(sizes) + 1)
        memory, at = memoryview(self._memory), _address(self._memory)
        headers: list[bytes] = []
        begin = 0
        for each, size in zip(self.datagrams, sizes, strict=True):
            headers.append(each.lie_at(at + begin, memory[begin : begin + each.size]))
            begin += size
        self._headers = bytearray(b"".join(headers) + b"\0")
        self.address = _address(self._headers)
        """Of the headers."""

    def __len__(self) -> int:
        return len(self.datagrams)


class Unsent(NamedTuple):
    """A datagram of the batch that did not leave."""

    place: int
    errno: int


class BatchSender:
    """sendmmsg on one socket."""

    def __init__(self, sock: socket.socket, capacity: int = 1024) -> None:
        """capacity: datagrams a system call, at most 1,024 (UIO_MAXIOV)."""
        self.socket = sock
        self._fd = sock.fileno()
        self._capacity = capacity
        self._headers = bytearray(capacity * _HEADER)
        self._address = _address(self._headers)

    def send(self, datagrams: Sequence[Datagram]) -> list[Unsent]:
        """Send all in order without waiting; which of them the kernel refused, and why (EAGAIN: no room now)."""
        unsent: list[Unsent] = []
        for start in range(0, len(datagrams), self._capacity):
            count = self._lay_out(datagrams[start : start + self._capacity])
            unsent += self._send(self._address, start, count)
        return unsent

    def fire(self, volley: Volley) -> list[Unsent]:
        """The same of a volley."""
        unsent: list[Unsent] = []
        for start in range(0, len(volley), self._capacity):
            count = min(len(volley) - start, self._capacity)
            unsent += self._send(volley.address + start * _HEADER, start, count)
        return unsent

    def _send(self, address: int, start: int, count: int) -> Iterable[Unsent]:
        """So many headers from this address; the first one is the datagram of this place."""
        sent = _sendmmsg(self._fd, address, count, _MSG_DONTWAIT)
        return () if sent == count else self._insist(address, start, max(sent, 0), count)

    def _lay_out(self, datagrams: Sequence[Datagram]) -> int:
        count = len(datagrams)
        self._headers[: count * _HEADER] = b"".join([datagram.header for datagram in datagrams])
        return count

    def _insist(self, address: int, start: int, place: int, count: int) -> Iterator[Unsent]:
        """The rest of a batch that stopped: a call tells its reason only for the first datagram it is given."""
        reason = 0
        while place < count:
            if reason != errno.EAGAIN:
                sent = _sendmmsg(self._fd, address + place * _HEADER, count - place, _MSG_DONTWAIT)
                if sent > 0:
                    place += sent
                    continue
                reason = ctypes.get_errno()
                if reason == errno.EINTR:
                    continue
            yield Unsent(start + place, reason)
            place += 1


class BatchReceiver:
    """recvmmsg on one raw socket, IPv4 or IPv6."""

    def __init__(self, sock: socket.socket, capacity: int = 64) -> None:
        """capacity: packets a system call."""
        self.socket = sock
        self.capacity = capacity
        self._fd = sock.fileno()
        self._protocol = sock.proto
        self._remembered_ends: dict[bytes, bytes] = {}
        ipv6 = sock.family == socket.AF_INET6
        name_size, control_size = (_SOCKADDR_IN6, _CONTROL) if ipv6 else (0, 0)
        self._heads = memoryview(bytearray(capacity * _HEAD))
        self._tails = memoryview(bytearray(capacity * _TAIL))
        self._names = memoryview(bytearray(capacity * name_size))
        self._controls = memoryview(bytearray(capacity * control_size))
        self._iovecs = bytearray(2 * capacity * _IOVEC.size)
        self._headers = memoryview(bytearray(capacity * _HEADER))
        heads, tails, iovecs = _address(self._heads), _address(self._tails), _address(self._iovecs)
        names, controls = (_address(self._names), _address(self._controls)) if ipv6 else (0, 0)
        for place in range(capacity):
            at = 2 * place * _IOVEC.size
            _IOVEC.pack_into(self._iovecs, at, heads + place * _HEAD, _HEAD)
            _IOVEC.pack_into(self._iovecs, at + _IOVEC.size, tails + place * _TAIL, _TAIL)
            name, control = names + place * name_size, controls + place * control_size
            header = (name, name_size, iovecs + at, 2, control, control_size, 0, 0)
            _MMSGHDR.pack_into(self._headers, place * _HEADER, *header)
        self._address = _address(self._headers)
        self._fresh_headers = bytes(self._headers) if ipv6 else None
        self._lengths = self._headers.cast("I")[_LENGTH_PLACE :: _HEADER // 4]

    def receive(self) -> list[bytes]:
        """What waits, at most `capacity` packets with their IP header; empty when nothing does.

        The kernel keeps the header of an IPv6 packet to itself: it is made anew from what is told beside it, with
        traffic class and flow label 0. Longer packets are cut off.
        """
        if self._fresh_headers is not None:
            self._headers[:] = self._fresh_headers
        count = _recvmmsg(self._fd, self._address, self.capacity, _MSG_DONTWAIT, None)
        if count < 0:
            reason = ctypes.get_errno()
            if reason in (errno.EAGAIN, errno.EINTR):
                return []
            raise Refused("receiving VRRP", reason)
        lengths = self._lengths[:count].tolist()
        return self._ipv4(lengths) if self._fresh_headers is None else self._ipv6(lengths)

    def _ipv4(self, lengths: list[int]) -> list[bytes]:
        if len(set(lengths)) == 1 and lengths[0] <= _HEAD:
            # The usual case, many adverts of one length: all of them in one step.
            return list(_pieces(lengths[0], len(lengths)).unpack_from(self._heads))
        return [self._packet(place, length) for place, length in enumerate(lengths)]

    def _ipv6(self, lengths: list[int]) -> list[bytes]:
        received: list[bytes] = []
        for place, length in enumerate(lengths):
            header = _IPV6_VERSION + _IPV6_PAYLOAD_LENGTH.pack(length) + self._ends(place)
            received.append(header + self._packet(place, length))
        return received

    def _packet(self, place: int, length: int) -> bytes:
        head, tail = place * _HEAD, place * _TAIL
        if length <= _HEAD:
            return self._heads[head : head + length].tobytes()
        return self._heads[head : head + _HEAD].tobytes() + self._tails[tail : tail + length - _HEAD].tobytes()

    def _ends(self, place: int) -> bytes:
        """The IPv6 header of one packet from the next header on; what was told of it before is not read again."""
        name = place * _SOCKADDR_IN6
        source = self._names[name + 8 : name + 24].tobytes()
        (size,) = _CONTROL_LENGTH.unpack_from(self._headers, place * _HEADER + _CONTROL_LENGTH_PLACE)
        control = self._controls[place * _CONTROL : place * _CONTROL + size].tobytes()
        ends = self._remembered_ends.get(source + control)
        if ends is None:
            if len(self._remembered_ends) >= _REMEMBERED_ENDS:
                self._remembered_ends.clear()
            destination, hop_limit = _told_beside(control)
            ends = bytes([self._protocol, hop_limit]) + source + destination
            self._remembered_ends[source + control] = ends
        return ends


@lru_cache(maxsize=1024)
def _pieces(length: int, count: int) -> struct.Struct:
    return struct.Struct(f"{length}s{_HEAD - length}x" * count)


def _told_beside(control: bytes) -> tuple[bytes, int]:
    """Destination and hop limit, from the control messages of one IPv6 packet."""
    destination, hop_limit = bytes(16), 0
    offset = 0
    while offset + _CMSG_DATA <= len(control):
        (length,) = _CONTROL_LENGTH.unpack_from(control, offset)
        match _LEVEL_AND_TYPE.unpack_from(control, offset + _CONTROL_LENGTH.size):
            case socket.IPPROTO_IPV6, int(kind) if kind == _IPV6_PKTINFO:
                destination = control[offset + _CMSG_DATA : offset + _CMSG_DATA + 16]
            case socket.IPPROTO_IPV6, int(kind) if kind == _IPV6_HOPLIMIT:
                (hop_limit,) = _INT.unpack_from(control, offset + _CMSG_DATA)
        offset += max(length + -length % _CONTROL_LENGTH.size, _CMSG_DATA)
    return destination, hop_limit


def _address(memory: bytearray | memoryview) -> int:
    """Where the memory is; it stays there, since nothing here resizes it."""
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))

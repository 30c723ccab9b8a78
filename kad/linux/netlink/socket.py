"""Raw rtnetlink: messages as bytes that are built once, sent many at a time, and answered one errno each."""

from __future__ import annotations

import errno
import select
import socket
import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from kad.linux.netlink.pollable import readiness
from kad.linux.refused import Refused, closed_on_failure, refusing
from kad.linux.sockets import bpf

NLM_F_REQUEST = 0x1
NLM_F_ACK = 0x4
NLM_F_DUMP_INTR = 0x10
NLM_F_DUMP = 0x300
NLM_F_REPLACE = 0x100
NLM_F_EXCL = 0x200
NLM_F_CREATE = 0x400
NLM_F_APPEND = 0x800

RTNLGRP_LINK = 1
RTNLGRP_IPV4_IFADDR = 5
RTNLGRP_IPV4_ROUTE = 7
RTNLGRP_IPV4_RULE = 8
RTNLGRP_IPV6_IFADDR = 9
RTNLGRP_IPV6_ROUTE = 11
RTNLGRP_IPV6_RULE = 19

_NLMSG_ERROR = 2
_NLMSG_DONE = 3
_SOL_NETLINK = 270
_NETLINK_ADD_MEMBERSHIP = 1
_NETLINK_CAP_ACK = 10
_SO_RCVBUFFORCE = 33
_LARGEST_BUFFER = (1 << 31) - 1
"""An int of C."""

_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_ATTRIBUTE = struct.Struct("=HH")  # length, type
_ERRNO = struct.Struct("=i")
_SEQUENCE = struct.Struct("=I")
_SEQUENCE_OFFSET = 8
_TYPE_MASK = 0x3FFF  # without NLA_F_NESTED and NLA_F_NET_BYTEORDER

_ACK_FOOTPRINT = 1536  # bytes of receive buffer that the kernel charges for one acknowledgement, generously
_SEND_BYTES = 96 * 1024  # under the smallest usual net.core.wmem_default
_DATAGRAM = 64 * 1024
_RECEIVE_BUFFER = 1024 * 1024
_RECEIVES = 64  # datagrams that one receive() takes at most
_MOST_DISCARDED = 100_000
_DUMP_TRIES = 10
_ANSWER_SECONDS = 5


class Overrun(Exception):
    """The kernel dropped messages of a monitor because they were not read in time: dump again."""


class Message(NamedTuple):
    """One netlink message without its header's length and port."""

    kind: int
    flags: int
    sequence: int
    body: bytes


def attribute(kind: int, payload: bytes) -> bytes:
    """One attribute, padded to four bytes."""
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(payload), kind) + payload + bytes(-len(payload) % 4)


def attributes(data: bytes) -> dict[int, bytes]:
    """Attributes by type; of a type that occurs twice the last one; what is cut off is left out."""
    return {kind: data[start:end] for kind, start, end in spans(data, 0)}


def spans(data: bytes, offset: int) -> Iterator[tuple[int, int, int]]:
    """Type of each attribute from `offset` on, and where its payload begins and ends; what is cut off is left out."""
    while offset + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if length < _ATTRIBUTE.size or offset + length > len(data):
            return
        yield kind & _TYPE_MASK, offset + _ATTRIBUTE.size, offset + length
        offset += length + (-length % 4)


def message(kind: int, flags: int, body: bytes) -> bytes:
    """A request with sequence 0; whoever sends it writes the real sequence number in."""
    return _HEADER.pack(_HEADER.size + len(body), kind, flags | NLM_F_REQUEST, 0, 0) + body + bytes(-len(body) % 4)


def messages(data: bytes) -> Iterator[Message]:
    """The messages of one datagram; what is cut off is left out."""
    offset = 0
    while offset + _HEADER.size <= len(data):
        length, kind, flags, sequence, _ = _HEADER.unpack_from(data, offset)
        if length < _HEADER.size or offset + length > len(data):
            return
        yield Message(kind, flags, sequence, data[offset + _HEADER.size : offset + length])
        offset += length + (-length % 4)


def enlarge_receive_buffer(sock: socket.socket, size: int) -> None:
    """Ask for `size` bytes beyond net.core.rmem_max, or what the kernel grants without CAP_NET_ADMIN."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, min(size, _LARGEST_BUFFER))
    except PermissionError:
        set_receive_buffer(sock, size)


def set_receive_buffer(sock: socket.socket, size: int) -> None:
    """Ask for `size` bytes, of which the kernel grants net.core.rmem_max."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, min(size, _LARGEST_BUFFER))


class Netlink:
    """A netlink socket of the namespace in which it was opened: for requests, or to monitor groups."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._ready: select.epoll | None = None
        self._sequence = 0
        self._acks = 1
        self._count_acks()

    @classmethod
    def open(
        cls, groups: Sequence[int] = (), receive_buffer: int = _RECEIVE_BUFFER, protocol: int = socket.NETLINK_ROUTE
    ) -> Netlink:
        """With groups (RTNLGRP_ numbers) a monitor that never blocks; without, a socket for request() and dump()."""
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC
        with (
            refusing("netlink socket"),
            closed_on_failure(socket.socket(socket.AF_NETLINK, kind, protocol)) as sock,
        ):
            enlarge_receive_buffer(sock, receive_buffer)
            sock.setsockopt(_SOL_NETLINK, _NETLINK_CAP_ACK, 1)
            sock.bind((0, 0))
            for group in groups:
                sock.setsockopt(_SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP, group)
            if groups:
                sock.setblocking(False)
            else:
                # The kernel answers inside the send; the limit is for a kernel that lost its answer.
                limit = struct.pack("ll", _ANSWER_SECONDS, 0)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        opened = cls(sock)
        if groups:
            opened._ready = readiness(sock)
        return opened

    def size(self, receive_buffer: int | None, *, forced: bool) -> None:
        """Have so many bytes wait to be read, `forced` beyond net.core.rmem_max; None: as with open()."""
        if receive_buffer is None or forced:
            enlarge_receive_buffer(self._socket, receive_buffer or _RECEIVE_BUFFER)
        else:
            set_receive_buffer(self._socket, receive_buffer)
        self._count_acks()

    def _count_acks(self) -> None:
        """How many acknowledgements can wait."""
        self._acks = max(1, self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // _ACK_FOOTPRINT)

    def attach(self, program: bpf.Program) -> None:
        """Hear from now on only what passes."""
        with refusing("netlink filter"):
            bpf.attach(self._socket, program)

    def fileno(self) -> int:
        return (self._ready or self._socket).fileno()

    def close(self) -> None:
        if self._ready is not None:
            self._ready.close()
        self._socket.close()

    def request(self, batch: Sequence[bytes]) -> list[int]:
        """Send messages that carry NLM_F_ACK, in order; the errno of each, 0 where the kernel did it."""
        results: list[int] = []
        for chunk in _chunks(batch, self._acks):
            results += self._request(chunk)
        return results

    def ask(self, request: bytes) -> list[Message]:
        """The answers to a request that carries NLM_F_ACK and is no dump; raises Refused."""
        sequence = self._send_numbered(request)
        answers: list[Message] = []
        while True:
            for answer in self._answers():
                if answer.sequence != sequence:
                    continue
                if answer.kind != _NLMSG_ERROR:
                    answers.append(answer)
                    continue
                code = -_ERRNO.unpack_from(answer.body)[0]
                if code:
                    raise Refused("netlink request", code)
                return answers

    def dump(self, request: bytes) -> list[Message]:
        """All answers to a request that carries NLM_F_DUMP, of one moment: an interrupted dump is repeated."""
        for _ in range(_DUMP_TRIES):
            answers = self._dump(request)
            if answers is not None:
                return answers
        raise Refused("netlink dump", errno.EBUSY)

    def stream(self, request: bytes) -> Iterator[Message]:
        """The answers to a dump as they come, for what is long and may change meanwhile; raises Refused."""
        return (answer for answer in self._answers_to_dump(request) if answer.kind != _NLMSG_DONE)

    def receive(self) -> list[Message]:
        """What a monitor has been told since; raises Overrun when something was lost, then dump again.

        What was told before the loss is gone too: after a dump it would be yesterday's news.
        """
        received: list[Message] = []
        for _ in range(_RECEIVES):
            try:
                data, (port, _groups) = self._socket.recvfrom(_DATAGRAM)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno == errno.ENOBUFS:
                    self._discard()
                    raise Overrun from error
                raise Refused("netlink monitor", error.errno or 0) from error
            if port == 0:  # from the kernel, not from a process that pretends
                received += messages(data)
        return received

    def _discard(self) -> None:
        """Until the queue is empty the kernel puts nothing into it."""
        for _ in range(_MOST_DISCARDED):
            try:
                self._socket.recv(1)
            except BlockingIOError:
                return
            except OSError:
                continue

    def _send(self, data: bytes | bytearray) -> None:
        with refusing("netlink request"):
            self._socket.send(data)

    def _answers(self) -> Iterator[Message]:
        with refusing("netlink answer"):
            data, (port, _groups) = self._socket.recvfrom(_DATAGRAM)
        if port == 0:
            yield from messages(data)

    def _request(self, chunk: Sequence[bytes]) -> list[int]:
        data = bytearray(b"".join(chunk))
        first = self._sequence + 1
        offset = 0
        for sequence, one in enumerate(chunk, first):
            _SEQUENCE.pack_into(data, offset + _SEQUENCE_OFFSET, sequence & 0xFFFFFFFF)
            offset += len(one)
        self._sequence += len(chunk)
        self._send(data)
        results: dict[int, int] = {}
        while len(results) < len(chunk):
            for answer in self._answers():
                place = (answer.sequence - first) & 0xFFFFFFFF
                if answer.kind == _NLMSG_ERROR and place < len(chunk):
                    results[place] = -_ERRNO.unpack_from(answer.body)[0]
        return [results[place] for place in range(len(chunk))]

    def _send_numbered(self, request: bytes) -> int:
        """The sequence number that its answers carry."""
        self._sequence += 1
        sequence = self._sequence & 0xFFFFFFFF
        data = bytearray(request)
        _SEQUENCE.pack_into(data, _SEQUENCE_OFFSET, sequence)
        self._send(data)
        return sequence

    def _dump(self, request: bytes) -> list[Message] | None:
        answers: list[Message] = []
        interrupted = False
        for answer in self._answers_to_dump(request):
            interrupted = interrupted or bool(answer.flags & NLM_F_DUMP_INTR)
            if answer.kind != _NLMSG_DONE:
                answers.append(answer)
        return None if interrupted else answers

    def _answers_to_dump(self, request: bytes) -> Iterator[Message]:
        """With the last one, which only says that it is the last."""
        sequence = self._send_numbered(request)
        while True:
            for answer in self._answers():
                if answer.sequence != sequence:
                    continue
                if answer.kind not in (_NLMSG_DONE, _NLMSG_ERROR):
                    yield answer
                    continue
                code = -_ERRNO.unpack_from(answer.body)[0] if len(answer.body) >= _ERRNO.size else 0
                if code:
                    raise Refused("netlink dump", code)
                yield answer._replace(kind=_NLMSG_DONE)
                return


def _chunks(batch: Sequence[bytes], count: int) -> Iterator[Sequence[bytes]]:
    """Runs of at most `count` messages and _SEND_BYTES bytes (one message at least)."""
    start = size = 0
    for place, one in enumerate(batch):
        if place > start and (place - start == count or size + len(one) > _SEND_BYTES):
            yield batch[start:place]
            start, size = place, 0
        size += len(one)
    if start < len(batch):
        yield batch[start:]

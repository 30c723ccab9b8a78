"""The kernel's process events (proc connector): who was born, runs another program, is renamed, or has ended."""

from __future__ import annotations

import errno
import os
import socket
import struct
from enum import IntEnum
from typing import NamedTuple

from kad.linux.netlink.pollable import readiness
from kad.linux.netlink.socket import Overrun, enlarge_receive_buffer, messages
from kad.linux.refused import Refused, closed_on_failure, refusing
from kad.linux.sockets import bpf
from kad.model.program_end import Exited, Killed, ProcessEnd

_NETLINK_CONNECTOR = 11
_CN_IDX_PROC = _CN_VAL_PROC = 1
_LISTEN = 1
_NLMSG_DONE = 3
_RECEIVES = 256
"""Datagrams that one receive() takes at most."""

_NLMSG = struct.Struct("=IHHII")
_CN = struct.Struct("=IIIIHH")  # index, value, sequence, acknowledgement, length, flags
_EVENT = struct.Struct("=IIQ")  # what, processor, nanoseconds
_DATA = _CN.size + _EVENT.size  # within the body of a message


class _What(IntEnum):
    NONE = 0
    FORK = 0x1
    EXEC = 0x2
    COMM = 0x200
    EXIT = 0x80000000


_WHAT_AT = _NLMSG.size + _CN.size
_DATA_AT = _NLMSG.size + _DATA


class Born(NamedTuple):
    """A process forked another one."""

    parent: int
    pid: int


class Executed(NamedTuple):
    """A process runs another program now."""

    pid: int


class Renamed(NamedTuple):
    """A process changed its name."""

    pid: int


class Ended(NamedTuple):
    """A process ended."""

    pid: int
    ending: ProcessEnd


class Listening(NamedTuple):
    """The kernel answered the request: events of every process come from now on."""


Event = Born | Executed | Renamed | Ended | Listening


class ProcessEvents:
    """Events of all processes of the host; threads are left out.

    The kernel gives them in the initial network, user and PID namespaces only: elsewhere open() is refused, or no
    Listening ever comes.
    """

    def __init__(self, sock: socket.socket, request: int) -> None:
        self._socket = sock
        self._ready = readiness(sock)
        self._request = request
        self._listening = False
        """Before the kernel has answered, what comes is meant for listeners of other namespaces, in their numbers."""

    @classmethod
    def open(cls, receive_buffer: int = 4 * 1024 * 1024) -> ProcessEvents:
        """Ask for events; raises Refused (ECONNREFUSED in a network namespace, EPERM without CAP_NET_ADMIN)."""
        kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        with (
            refusing("the kernel's process events"),
            closed_on_failure(socket.socket(socket.AF_NETLINK, kind, _NETLINK_CONNECTOR)) as sock,
        ):
            enlarge_receive_buffer(sock, receive_buffer)
            _attach_filter(sock)
            sock.bind((0, _CN_IDX_PROC))
            request = os.getpid()
            body = _CN.pack(_CN_IDX_PROC, _CN_VAL_PROC, 0, request, 4, 0) + struct.pack("=I", _LISTEN)
            sock.send(_NLMSG.pack(_NLMSG.size + len(body), _NLMSG_DONE, 0, 0, 0) + body)
        return cls(sock, request)

    def fileno(self) -> int:
        return self._ready.fileno()

    def close(self) -> None:
        self._ready.close()
        self._socket.close()

    def receive(self) -> list[Event]:
        """What happened since; raises Overrun when something was lost, Refused when the kernel turned us away."""
        events: list[Event] = []
        for _ in range(_RECEIVES):
            try:
                data, (port, _groups) = self._socket.recvfrom(1024)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno == errno.ENOBUFS:
                    raise Overrun from error
                raise Refused("the kernel's process events", error.errno or 0) from error
            if port == 0:  # from the kernel, not from a process that pretends
                for message in messages(data):
                    event = self._event(message.body)
                    self._listening = self._listening or isinstance(event, Listening)
                    if event is not None and self._listening:
                        events.append(event)
        return events

    def _event(self, body: bytes) -> Event | None:
        index, value, _, acknowledgement, _, _ = _CN.unpack_from(body)
        if (index, value) != (_CN_IDX_PROC, _CN_VAL_PROC):
            return None
        what, _, _ = _EVENT.unpack_from(body, _CN.size)
        if what == _What.NONE:
            # Each listener's answer is told to all.
            if acknowledgement != self._request + 1:
                return None
            (code,) = struct.unpack_from("=I", body, _DATA)
            if code:
                raise Refused("the kernel's process events", code)
            return Listening()
        first, second, third, fourth = struct.unpack_from("=4I", body, _DATA)
        match what:
            case _What.FORK if third == fourth:
                return Born(second, fourth)
            case _What.EXEC if first == second:
                return Executed(second)
            case _What.COMM if first == second:
                return Renamed(second)
            case _What.EXIT if first == second:
                signal = third & 0x7F
                return Ended(second, Killed(signal) if signal else Exited(third >> 8 & 0xFF))
        return None


def _attach_filter(sock: socket.socket) -> None:
    """Let the kernel drop what is not asked for: events of threads, of identities, of sessions."""
    program = [
        (bpf.LOAD, 0, 0, _WHAT_AT),
        (bpf.EQUAL, 6, 0, socket.htonl(_What.FORK)),
        (bpf.EQUAL, 9, 0, socket.htonl(_What.EXEC)),
        (bpf.EQUAL, 8, 0, socket.htonl(_What.COMM)),
        (bpf.EQUAL, 7, 0, socket.htonl(_What.EXIT)),
        (bpf.EQUAL, 1, 0, socket.htonl(_What.NONE)),
        (bpf.RETURN, 0, 0, 0),
        (bpf.RETURN, 0, 0, 0xFFFFFFFF),
        (bpf.LOAD, 0, 0, _DATA_AT + 8),  # fork: the child's thread and process must be one
        (bpf.COPY, 0, 0, 0),
        (bpf.LOAD, 0, 0, _DATA_AT + 12),
        (bpf.EQUAL_X, 5, 4, 0),
        (bpf.LOAD, 0, 0, _DATA_AT),  # the others: thread and process must be one
        (bpf.COPY, 0, 0, 0),
        (bpf.LOAD, 0, 0, _DATA_AT + 4),
        (bpf.EQUAL_X, 1, 0, 0),
        (bpf.RETURN, 0, 0, 0),
        (bpf.RETURN, 0, 0, 0xFFFFFFFF),
    ]
    bpf.attach(sock, program)

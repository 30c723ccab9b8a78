"""What addresses a node's kernel holds, and when it got and lost them, told by rtnetlink."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import struct
import time
from collections.abc import Iterator
from typing import NamedTuple

from tests.lab.hub import Hub
from tests.lab.namespaces import Namespaces

_RTM_NEWADDR, _RTM_DELADDR, _RTM_GETADDR = 20, 21, 22
_NLM_F_REQUEST_DUMP, _NLMSG_DONE = 0x301, 3
_GROUPS = 0x10 | 0x100
_SO_RCVBUFFORCE = 33
_IFA_ADDRESS, _IFA_LOCAL = 1, 2


class AddressEvent(NamedTuple):
    """An address came (added) or went; `time` in UNIX seconds."""

    time: float
    node: str
    added: bool
    address: str


class AddressWatch:
    """Address events of one node."""

    def __init__(self, hub: Hub, node: Namespaces) -> None:
        self._hub = hub
        self._node = node.name
        self.events: list[AddressEvent] = []
        self._told: set[tuple[int, str]] = set()
        self._events = node.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        # A flood of events shall be lost by whoever is tested, not here.
        self._events.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 64 * 1024 * 1024)
        self._events.bind((0, _GROUPS))
        self._events.setblocking(False)
        self._questions = node.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        self._questions.bind((0, 0))
        self._told = self._held()
        hub.watch(self._events, self._read)

    def held(self) -> set[str]:
        """Every address that the kernel holds now."""
        return {address for _, address in self._held()}

    def caught_up(self) -> bool:
        """The events read so far tell all that the kernel holds now."""
        return self._held() == self._told

    def _held(self) -> set[tuple[int, str]]:
        header = struct.pack("=IHHII", 24, _RTM_GETADDR, _NLM_F_REQUEST_DUMP, 1, 0)
        self._questions.send(header + bytes(8))
        held: set[tuple[int, str]] = set()
        while True:
            for kind, body in _messages(self._questions.recv(65536)):
                if kind == _NLMSG_DONE:
                    return held
                held.add(_address(body))

    def close(self) -> None:
        self._hub.forget(self._events)
        self._events.close()
        self._questions.close()

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                for kind, body in _messages(self._events.recv(65536)):
                    if kind in (_RTM_NEWADDR, _RTM_DELADDR):
                        self._tell(kind == _RTM_NEWADDR, *_address(body))

    def _tell(self, added: bool, index: int, address: str) -> None:
        change = self._told.add if added else self._told.discard
        change((index, address))
        self.events.append(AddressEvent(time.time(), self._node, added, address))


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """struct nlmsghdr: length, type, flags, sequence, pid; bodies aligned to four bytes."""
    while len(data) >= 16:
        length, kind = struct.unpack_from("=IH", data)
        yield kind, data[16:length]
        data = data[(length + 3) & ~3 :]


def _address(body: bytes) -> tuple[int, str]:
    """Interface and address: struct ifaddrmsg ends with the index; IFA_LOCAL is ours where there is a peer."""
    found = {}
    at = 8
    while at + 4 <= len(body):
        length, kind = struct.unpack_from("=HH", body, at)
        found[kind] = body[at + 4 : at + length]
        at += (length + 3) & ~3
    address = ipaddress.ip_address(found.get(_IFA_LOCAL) or found[_IFA_ADDRESS])
    return struct.unpack_from("=I", body, 4)[0], str(address)

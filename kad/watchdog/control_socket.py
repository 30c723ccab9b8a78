"""The control socket as the parent serves it: who may ask what, one request and one answer a client."""

from __future__ import annotations

import array
import contextlib
import grp
import os
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from kad.linux.process.capabilities import is_confined
from kad.linux.sockets.peer import peer_of
from kad.shared.control_protocol import GROUP, ControlError, Permission, socket_path

_SO_SNDBUFFORCE = 32
_LARGEST_BUFFER = 64 * 1024 * 1024
_LARGEST_OF_LOOKER = 4 * 1024 * 1024
_SO_PEERGROUPS = 59
_PEER_GROUPS_ROOM = 1024
"""Bytes, 256 groups: Python asks for no more."""
_LARGEST_REQUEST = 4096


def listen(runtime_directory: Path) -> socket.socket:
    """A listening socket in place of whatever an earlier life left there; raises OSError."""
    path = socket_path(runtime_directory)
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    previous = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(previous)
    group = _group_id()
    if group is not None and os.geteuid() == 0:
        os.chown(path, 0, group)
        os.chmod(path, 0o660)
    listener.listen(128)
    return listener


def _group_id() -> int | None:
    try:
        return grp.getgrnam(GROUP).gr_gid
    except KeyError:
        return None


def may(peer: socket.socket, permission: Permission) -> bool:
    """Whether the process at the other end has the permission; a child of kad, and what it forks, may nothing."""
    pid, uid, gid = peer_of(peer)
    if is_confined(pid):
        return False
    if uid in (0, os.geteuid()):
        return True
    return permission is Permission.LOOK and _group_id() in {gid, *_other_groups(peer)}


def _other_groups(peer: socket.socket) -> list[int]:
    groups = array.array("I")
    try:
        groups.frombytes(peer.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _PEER_GROUPS_ROOM))
    except OSError:
        return []
    return groups.tolist()


class _Request(msgspec.Struct, frozen=True):
    """What every request says; the rest of it is for the verb."""

    verb: str


_Arguments = TypeVar("_Arguments", bound=msgspec.Struct)


def verb_of(request: bytes) -> str:
    """Raises ControlError: this is no request."""
    return arguments_of(request, _Request).verb


def arguments_of(request: bytes, kind: type[_Arguments]) -> _Arguments:
    """Raises ControlError: the request has not these fields."""
    try:
        return msgspec.json.decode(request, type=kind)
    except (ValueError, RecursionError) as error:
        raise ControlError("the request is no JSON line of ours") from error


class Conversation:
    """One client of the daemon: a request that arrives in pieces, an answer that leaves in pieces."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self.connection = connection
        self.uid = peer_of(connection).uid
        self.may_act = self.uid in (0, os.geteuid())
        self.has_asked = False
        """Its request has come."""
        self.on_end: list[Callable[[], None]] = []
        """Called when the client has ended."""
        self._request = b""
        self._answer = memoryview(b"")
        self._descriptors: list[int] = []
        """They go with the first byte of the answer."""

    def fileno(self) -> int:
        return self.connection.fileno()

    def read(self) -> bytes | None:
        """The request when it is whole; raises ControlError when it never will be."""
        try:
            data = self.connection.recv(_LARGEST_REQUEST)
        except BlockingIOError:
            return None
        except OSError as error:
            raise ControlError(str(error)) from error
        self._request += data
        if b"\n" in self._request:
            self.has_asked = True
            return self._request
        if not data or len(self._request) > _LARGEST_REQUEST:
            raise ControlError("the request is not whole")
        return None

    def begin(self) -> None:
        """Let the client know that its request was read; white space before JSON means nothing."""
        with contextlib.suppress(OSError):
            self.connection.send(b" ")

    def answer(self, answer: bytes, descriptors: Sequence[int] = ()) -> None:
        """Copies of the descriptors go along; raises OSError: there can be no copy."""
        for each in descriptors:
            self._descriptors.append(os.dup(each))
        self._answer = memoryview(answer)
        # A long answer would take a turn of the daemon's loop for each piece.
        size = min(2 * len(answer), _LARGEST_BUFFER if self.may_act else _LARGEST_OF_LOOKER)
        with contextlib.suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, size)

    @property
    def waiting_bytes(self) -> int:
        """Of the answer, not read yet."""
        return len(self._answer)

    def write(self) -> bool:
        """Send what goes; True when all of it is sent or nobody listens any more."""
        try:
            while self._answer:
                self._answer = self._answer[self._send_some() :]
                self.close_descriptors()
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True

    def _send_some(self) -> int:
        if self._descriptors:
            return socket.send_fds(self.connection, [self._answer], self._descriptors)
        return self.connection.send(self._answer)

    def close_descriptors(self) -> None:
        """They do not go along, or have gone."""
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._descriptors = []

    def close(self) -> None:
        self.close_descriptors()
        self.connection.close()

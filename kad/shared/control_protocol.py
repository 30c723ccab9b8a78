"""The control socket: a JSON line asks, a JSON object answers; look verbs for the group, act verbs for the owner."""

from __future__ import annotations

import array
import contextlib
import grp
import json
import os
import socket
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from kad.linux.process.capabilities import is_confined
from kad.linux.process.memfd import read_memory_file
from kad.linux.process.process import processor_time

LOOK = frozenset({"dump", "status"})
ACT = frozenset({"reload", "stop", "configuration", "drain", "undrain"})
"""The configuration holds passwords."""
GROUP = "kad"
RELOAD_SECONDS = 120.0
"""Who asks for a reload is answered when it is over; a large configuration takes its time."""
STATUS_SECONDS = 1.8
"""Within which the parent acknowledges a request unless it is busy; a stopped one is known as that within 2 s."""
_ANSWER_SECONDS = 20.0
"""A snapshot that somebody else asked for may have to be waited for first."""
_SO_SNDBUFFORCE = 32
_LARGEST_BUFFER = 64 * 1024 * 1024
_LARGEST_OF_LOOKER = 4 * 1024 * 1024
_SO_PEERGROUPS = 59
_PEER_GROUPS_ROOM = 1024
"""Bytes, 256 groups: Python asks for no more."""
_LARGEST_REQUEST = 4096
_SILENT = "the parent process does not answer within {:g} s"
_MOST_DESCRIPTORS = 16
"""Of one answer."""
_CLOSE_ON_EXEC = 0x40000000
"""MSG_CMSG_CLOEXEC"""


class ControlError(Exception):
    """The daemon could not be asked, or it refused."""


class Silent(ControlError):
    """The daemon runs and does not answer."""


def socket_path(runtime_directory: Path) -> Path:
    return runtime_directory / "control"


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


class Peer(NamedTuple):
    """The process at the other end, as it was when it connected."""

    pid: int
    uid: int
    gid: int


def peer_of(connection: socket.socket) -> Peer:
    """Raises OSError."""
    return Peer(*struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)))


def may(peer: socket.socket, verb: str) -> bool:
    """Whether the process at the other end may ask that; a child of kad, and what it forks, may nothing."""
    pid, uid, gid = peer_of(peer)
    if is_confined(pid):
        return False
    if uid in (0, os.geteuid()):
        return True
    return verb in LOOK and _group_id() in {gid, *_other_groups(peer)}


def _other_groups(peer: socket.socket) -> list[int]:
    groups = array.array("I")
    try:
        groups.frombytes(peer.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _PEER_GROUPS_ROOM))
    except OSError:
        return []
    return groups.tolist()


class Request(msgspec.Struct, frozen=True):
    """What a client asks."""

    verb: str
    section: str | None = None
    service: str = ""
    """Of drain and undrain."""
    server: str = ""
    timeout: float | None = None


_REQUEST = msgspec.json.Decoder(Request)


class Conversation:
    """One client of the daemon: a request that arrives in pieces, an answer that leaves in pieces."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self.connection = connection
        self.uid = peer_of(connection).uid
        self.may_act = self.uid in (0, os.geteuid())
        self.has_asked = False
        """Its request has come."""
        self._request = b""
        self._answer = memoryview(b"")
        self._descriptors: list[int] = []
        """They go with the first byte of the answer."""

    def fileno(self) -> int:
        return self.connection.fileno()

    def read(self) -> Request | None:
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
            try:
                return _REQUEST.decode(self._request)
            except (ValueError, RecursionError) as error:
                raise ControlError("the request is no JSON line of ours") from error
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


def ask(runtime_directory: Path, request: dict[str, Any], timeout: float = _ANSWER_SECONDS) -> dict[str, Any]:
    """Put a request to the running daemon; raises ControlError.

    Silent is raised when the parent is stopped or waits for something else, and after `timeout` seconds without a byte.
    """
    return _ask(runtime_directory, request, timeout).decoded


def ask_configuration(runtime_directory: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    """What the daemon says of its running configuration, and what each child was given; raises ControlError."""
    answer = _ask(runtime_directory, {"verb": "configuration"}, _ANSWER_SECONDS)
    said = answer.decoded
    return said, dict(zip(said["slices"], answer.files, strict=True))


def ask_dump(runtime_directory: Path, section: str | None) -> bytes:
    """A dump, or one section of it, as JSON that a person can read; raises ControlError."""
    answer = _ask(runtime_directory, {"verb": "dump", "section": section}, _ANSWER_SECONDS)
    return msgspec.json.format(answer.parts["dump"], indent=2)


class _Answer(NamedTuple):
    parts: dict[str, msgspec.Raw]
    files: list[bytes]
    """Contents of the memory files that came along."""

    @property
    def decoded(self) -> dict[str, Any]:
        return {name: msgspec.json.decode(part) for name, part in self.parts.items()}


def _ask(runtime_directory: Path, request: dict[str, Any], timeout: float) -> _Answer:
    path = socket_path(runtime_directory)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            _connect(connection, path, timeout)
            connection.settimeout(timeout)
            connection.sendall(json.dumps(request).encode() + b"\n")
            files: list[bytes] = []
            parts = [_first_bytes(connection, files, timeout)]
            connection.settimeout(max(timeout, _ANSWER_SECONDS))
            while part := _receive(connection, files):
                parts.append(part)
        except FileNotFoundError:
            raise ControlError(f"no kad is running here (no {path})") from None
        except ConnectionRefusedError:
            raise ControlError(f"no kad is running here (nobody listens at {path})") from None
        except PermissionError:
            raise ControlError(
                f"no permission to ask at {path}: be root, the daemon's user or in group {GROUP}"
            ) from None
        except TimeoutError:
            raise Silent(_SILENT.format(max(timeout, _ANSWER_SECONDS))) from None
        except OSError as error:
            raise ControlError(f"{path}: {error.strerror or error}") from error
    try:
        answer = msgspec.json.decode(b"".join(parts), type=dict[str, msgspec.Raw])
    except msgspec.DecodeError as error:
        raise ControlError("the daemon's answer was cut off") from error
    if not msgspec.json.decode(answer.get("ok", b"false")):
        raise ControlError(str(msgspec.json.decode(answer.get("error", b'"refused"'))))
    return _Answer(answer, files)


def _connect(connection: socket.socket, path: Path, timeout: float) -> None:
    """Wait for a place among the clients that the parent has not accepted yet. Raises TimeoutError or OSError."""
    # A socket with a timeout of Python's own does not wait for that: the kernel refuses it where the queue is full.
    seconds, rest = divmod(timeout, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@ll", int(seconds), int(rest * 1e6)))
    try:
        connection.connect(str(path))
    except BlockingIOError:
        raise TimeoutError from None


def _first_bytes(connection: socket.socket, files: list[bytes], longest: float) -> bytes:
    """The beginning of the answer, which the parent sends in the turn of its loop that reads the request.

    Without it after STATUS_SECONDS, the parent is waited for only while it uses or wants a processor, as under a large
    dump of another client; `longest` seconds in all. Raises Silent.
    """
    parent = peer_of(connection).pid
    waited = 0.0
    while True:
        before = processor_time(parent, asleep=True)
        seconds = min(STATUS_SECONDS, longest - waited)
        connection.settimeout(seconds)
        try:
            return _receive(connection, files)
        except TimeoutError:
            waited += seconds
            if waited >= longest or not _is_busy(parent, before):
                raise Silent(_SILENT.format(waited)) from None


def _is_busy(pid: int, before: float | None) -> bool:
    """Whether the process has had a processor since it had had `before` seconds of it, or wants one now.

    So it is taken for busy where it cannot be seen from this PID namespace.
    """
    return pid == 0 or processor_time(pid) is not None or processor_time(pid, asleep=True) != before


def _receive(connection: socket.socket, files: list[bytes]) -> bytes:
    """What has come; the contents of memory files that came along are appended to `files`."""
    data, descriptors, _, _ = socket.recv_fds(connection, 1 << 20, _MOST_DESCRIPTORS, _CLOSE_ON_EXEC)
    for descriptor in descriptors:
        try:
            files.append(read_memory_file(descriptor))
        finally:
            os.close(descriptor)
    return data

"""A request to the running daemon over its control socket, and the answer."""

from __future__ import annotations

import json
import os
import socket
import struct
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from kad.linux.process.memfd import read_memory_file
from kad.linux.process.process import processor_time
from kad.linux.sockets.peer import peer_of
from kad.shared.control_protocol import GROUP, ControlError, socket_path

STATUS_SECONDS = 1.8
"""Within which the parent acknowledges a request unless it is busy; a stopped one is known as that within 2 s."""
_ANSWER_SECONDS = 20.0
"""A snapshot that somebody else asked for may have to be waited for first."""
_SILENT = "the parent process does not answer within {:g} s"
_MOST_DESCRIPTORS = 16
"""Of one answer."""
_CLOSE_ON_EXEC = 0x40000000
"""MSG_CMSG_CLOEXEC"""


class Silent(ControlError):
    """The daemon runs and does not answer."""


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

"""Sockets of checks: bound, marked and placed as a check asks for, never blocking, connected in the background."""

from __future__ import annotations

import errno
import os
import resource
import socket
import struct

from kad.linux.refused import Refused
from kad.model.checker import Connection

_SO_MARK = 36
_OURS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EPERM, errno.EACCES})
_PENDING = frozenset({0, errno.EINPROGRESS, errno.EINTR})
_U32 = struct.Struct("=I")
_NO_LINGER = struct.pack("ii", 1, 0)
_NOT_OURS_TO_ANSWER = frozenset({errno.EADDRNOTAVAIL, errno.EAGAIN})

Address = tuple[str, int] | tuple[str, int, int, int]


class Exhausted(Refused):
    """This host cannot make the attempt now; it says nothing of the server."""


class Unreachable(Exception):
    """The server cannot be reached from here; the text says why."""


def stream(connection: Connection, *, no_delay: bool) -> socket.socket:
    """A TCP socket that is connecting; writable when it is done. Raises Unreachable, Exhausted.

    `no_delay`: more will be sent than was answered so far, and is not to wait for that answer.
    """
    sock = _socket(connection, socket.SOCK_STREAM)
    try:
        if no_delay:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if connection.bind_port:
            # A fixed port must be free again for the next attempt: it is closed without TIME_WAIT.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        _connect(sock, connection)
    except BaseException:
        sock.close()
        raise
    return sock


def datagram(connection: Connection) -> socket.socket:
    """A connected UDP socket: the server's ICMP errors reach it. Raises Unreachable, Exhausted."""
    sock = _socket(connection, socket.SOCK_DGRAM)
    try:
        _connect(sock, connection)
    except BaseException:
        sock.close()
        raise
    return sock


def failure(sock: socket.socket) -> str:
    """Why a connect failed; empty when it did not."""
    number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    return os.strerror(number) if number else ""


def allow_descriptors(wanted: int) -> int:
    """Raise the limit of open files as far as it is needed and allowed; what it is now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        return most
    return wanted if soft == resource.RLIM_INFINITY else soft


def is_six(connection: Connection) -> bool:
    return ":" in connection.address


def place(sock: socket.socket, connection: Connection) -> None:
    """Source address, port, interface and mark. Raises OSError."""
    if connection.fwmark:
        sock.setsockopt(socket.SOL_SOCKET, _SO_MARK, _U32.pack(connection.fwmark))
    if connection.bind_if is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, connection.bind_if.encode() + b"\0")
    if connection.bindto is not None or connection.bind_port:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        anywhere = "::" if is_six(connection) else "0.0.0.0"
        sock.bind(_address(connection.bindto or anywhere, connection.bind_port, connection))


def destination(connection: Connection) -> Address:
    """What connect() takes. Raises OSError: there is no such interface."""
    return _address(connection.address, connection.port, connection)


def translated(error: OSError, what: str) -> Exception:
    """Unreachable, or Exhausted where this host is to blame."""
    number = error.errno or 0
    if number in _OURS:
        return Exhausted(what, number)
    return Unreachable(f"{what}: {os.strerror(number)}")


def _socket(connection: Connection, kind: int) -> socket.socket:
    family = socket.AF_INET6 if is_six(connection) else socket.AF_INET
    try:
        sock = socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    except OSError as error:
        raise translated(error, "a socket for a check") from error
    try:
        place(sock, connection)
    except OSError as error:
        sock.close()
        source = " ".join(filter(None, (connection.bindto, connection.bind_if, str(connection.bind_port or ""))))
        raise translated(error, f"asking from {source or f'mark {connection.fwmark}'}") from error
    return sock


def _connect(sock: socket.socket, connection: Connection) -> None:
    try:
        number = sock.connect_ex(destination(connection))
    except OSError as error:
        raise translated(error, f"interface {connection.bind_if}") from error
    if number in _PENDING:
        return
    if number in _NOT_OURS_TO_ANSWER and connection.bindto is None and not connection.bind_port:
        raise Exhausted(f"no port is free to reach {connection.target} from", number)
    raise Unreachable(os.strerror(number))


def _address(text: str, port: int, connection: Connection) -> Address:
    if ":" not in text:
        return text, port
    link = connection.bind_if if text.startswith("fe80:") else None
    return text, port, 0, socket.if_nametoindex(link) if link else 0

"""Echo requests: a socket of the kernel's ping, or a raw one where the kernel's is not allowed."""

from __future__ import annotations

import errno
import os
import secrets
import socket
import struct

from kad.linux.sockets.check_socket import Exhausted, Unreachable, destination, is_six, place, translated
from kad.model.checker import Connection
from kad.shared.checksum import internet_checksum

_ECHO = struct.Struct("!BBHHH")  # type, code, checksum, identifier, sequence
_REQUEST_4, _REPLY_4 = 8, 0
_REQUEST_6, _REPLY_6 = 128, 129
_COOKIE = 16


class Echo:
    """One echo request and its reply."""

    def __init__(self, connection: Connection) -> None:
        """Send the request. Raises Unreachable, Exhausted."""
        self._six = is_six(connection)
        self._cookie = secrets.token_bytes(_COOKIE)
        self.socket, self._raw = _open(self._six)
        try:
            place(self.socket, connection)
            self.socket.connect(destination(connection))
            self.socket.send(self._request())
        except OSError as error:
            self.socket.close()
            if error.errno in (errno.EPERM, errno.EACCES) and not connection.fwmark:
                raise Unreachable(os.strerror(error.errno)) from error
            raise translated(error, "sending an echo request") from error

    def is_reply(self, data: bytes) -> bool:
        """The packet that was read is the reply to this request."""
        if self._raw and not self._six:
            data = data[(data[0] & 0xF) * 4 :] if data else b""
        wanted = _REPLY_6 if self._six else _REPLY_4
        return len(data) >= _ECHO.size and data[0] == wanted and data[_ECHO.size :] == self._cookie

    def _request(self) -> bytes:
        """The kernel sets the identifier, and the checksum where it is not a raw IPv4 socket."""
        kind = _REQUEST_6 if self._six else _REQUEST_4
        plain = _ECHO.pack(kind, 0, 0, 0, 1) + self._cookie
        return _ECHO.pack(kind, 0, internet_checksum(plain), 0, 1) + self._cookie


def is_allowed(family: int) -> bool:
    """Whether this process may open the kernel's ping socket of that family, 4 or 6."""
    try:
        _ping_socket(family == 6).close()
    except OSError:
        return False
    return True


def _ping_socket(six: bool) -> socket.socket:
    family = socket.AF_INET6 if six else socket.AF_INET
    protocol = socket.IPPROTO_ICMPV6 if six else socket.IPPROTO_ICMP
    return socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, protocol)


def _open(six: bool) -> tuple[socket.socket, bool]:
    try:
        return _ping_socket(six), False
    except PermissionError:
        pass
    except OSError as error:
        raise translated(error, "a ping socket") from error
    family = socket.AF_INET6 if six else socket.AF_INET
    protocol = socket.IPPROTO_ICMPV6 if six else socket.IPPROTO_ICMP
    try:
        return socket.socket(family, socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, protocol), True
    except OSError as error:
        raise Exhausted("a ping socket (net.ipv4.ping_group_range does not allow one)", error.errno or 0) from error

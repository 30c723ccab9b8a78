"""TCP_CHECK: a server is well that accepts a connection; also what is said first to one behind a proxy."""

from __future__ import annotations

import socket

_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_VERSION_2_LOCAL = 0x20


def proxy_header(version: int, sock: socket.socket) -> bytes:
    """The PROXY header of a connection that a proxy opened for itself; empty for version 0."""
    match version:
        case 1:
            source, target = sock.getsockname(), sock.getpeername()
            family = "TCP6" if sock.family == socket.AF_INET6 else "TCP4"
            return f"PROXY {family} {source[0]} {target[0]} {source[1]} {target[1]}\r\n".encode()
        case 2:
            return _SIGNATURE + bytes((_VERSION_2_LOCAL, 0, 0, 0))
    return b""

"""UDP_CHECK: a server is well that does not refuse a datagram, or that answers it as it should."""

from __future__ import annotations

import os
import socket

from kad.checker.checker_api import Ended, Outcome
from kad.checker.datagram_attempt import Exchange
from kad.child.multiplexer import Mux
from kad.linux.sockets import check_socket
from kad.linux.sockets.check_socket import Unreachable
from kad.model.checker import UdpCheck


def send(sock: socket.socket, payload: bytes) -> None:
    """One datagram; a socket that cannot send it is closed. Raises Unreachable."""
    try:
        sock.send(payload)
    except OSError as error:
        sock.close()
        raise Unreachable(os.strerror(error.errno or 0)) from error


def judge(check: UdpCheck, data: bytes) -> Outcome | None:
    """What an answer means; None: answers do not matter."""
    if not check.require_reply:
        return None
    if not check.min_reply_length <= len(data) <= check.max_reply_length:
        bounds = f"{check.min_reply_length}..{check.max_reply_length}"
        return Outcome(False, f"the reply has {len(data)} bytes, not {bounds}")
    size = len(check.mask)
    if len(data) < size or any(
        (got ^ wanted) & bits for got, wanted, bits in zip(data, check.reply, check.mask, strict=False)
    ):
        return Outcome(False, f"the reply {data[: max(size, 16)].hex()} is not as required")
    return Outcome(True, f"reply of {len(data)} bytes")


def begin(mux: Mux, check: UdpCheck, ended: Ended) -> Exchange:
    """Raises Unreachable, Exhausted."""
    timeout = check.connection.timeout
    sock = check_socket.datagram(check.connection)
    send(sock, check.payload)

    def silence(seconds: float) -> Outcome:
        if check.require_reply:
            return Outcome(False, f"no reply within {seconds:g} s")
        return Outcome(True, f"nothing refused within {seconds:g} s")

    return Exchange(mux, sock, timeout, lambda data: judge(check, data), silence, ended)

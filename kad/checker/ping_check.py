"""PING_CHECK: a server is well that echoes."""

from __future__ import annotations

from kad.checker.checker_api import Ended, Outcome
from kad.checker.datagram_attempt import Exchange
from kad.child.multiplexer import Mux
from kad.linux.sockets.icmp import Echo
from kad.model.checker import PingCheck


def begin(mux: Mux, check: PingCheck, ended: Ended) -> Exchange:
    """Raises Unreachable, Exhausted."""
    echo = Echo(check.connection)
    timeout = check.connection.timeout

    def judge(data: bytes) -> Outcome | None:
        return Outcome(True, "echo") if echo.is_reply(data) else None

    def silence(seconds: float) -> Outcome:
        return Outcome(False, f"no echo within {seconds:g} s")

    return Exchange(mux, echo.socket, timeout, judge, silence, ended)

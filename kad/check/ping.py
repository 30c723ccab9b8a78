"""PING_CHECK: a server is well that echoes."""

from __future__ import annotations

from kad.check.attempt import Ended, Outcome
from kad.check.exchange import Exchange
from kad.check.keywords import PingCheck
from kad.linux.icmp import Echo
from kad.mux import Mux


def begin(mux: Mux, check: PingCheck, ended: Ended) -> Exchange:
    """Raises Unreachable, Exhausted."""
    echo = Echo(check.connection)
    timeout = check.connection.timeout

    def judge(data: bytes) -> Outcome | None:
        return Outcome(True, "echo") if echo.is_reply(data) else None

    def silence(seconds: float) -> Outcome:
        return Outcome(False, f"no echo within {seconds:g} s")

    return Exchange(mux, echo.socket, timeout, judge, silence, ended)

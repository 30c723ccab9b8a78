"""Which capabilities the configured checks need."""

from __future__ import annotations

import pytest

from kad.checker.check import Followed, Question
from kad.checker.checker_slice import CheckedServer, CheckerSlice
from kad.checker.checks.bfd import BfdCheck
from kad.checker.checks.misc import MiscCheck
from kad.checker.checks.ping import PingCheck
from kad.checker.checks.tcp import TcpCheck
from kad.checker.required_capabilities import needed
from kad.linux.process.capabilities import Capability
from kad.model.checker import Connection, Timing

RARELY = Timing()
NET_ADMIN, NET_RAW, LOW_PORT = Capability.NET_ADMIN, Capability.NET_RAW, Capability.NET_BIND_SERVICE


def tcp(mark: int = 0, port: int = 0) -> TcpCheck:
    return TcpCheck(connection=Connection(address="192.0.2.1", port=80, fwmark=mark, bind_port=port), timing=RARELY)


def ping(address: str, mark: int = 0) -> PingCheck:
    return PingCheck(connection=Connection(address=address, fwmark=mark), timing=RARELY)


@pytest.mark.parametrize(
    ("checks", "wanted"),
    [
        ((), set()),
        ((tcp(),), set()),
        ((tcp(mark=7),), {NET_ADMIN}),
        ((tcp(port=1023),), {LOW_PORT}),
        ((tcp(port=1024),), set()),
        ((ping("192.0.2.1"),), set()),
        ((ping("2001:db8::1"),), {NET_RAW}),
        ((ping("2001:db8::1", mark=7), tcp(port=1)), {NET_ADMIN, NET_RAW, LOW_PORT}),
        ((BfdCheck(name="b"), MiscCheck(timing=RARELY, program="p", text="p", timeout=1.0)), set()),
    ],
)
def test_a_check_needs_no_more_than_its_attempts_do(
    checks: tuple[Question | Followed, ...], wanted: set[Capability]
) -> None:
    """Here every process may open ping sockets of IPv4, and only those; the kernel is asked once a family."""
    asked: list[int] = []

    def may_ping(family: int) -> bool:
        asked.append(family)
        return family == 4

    server = CheckedServer(service="s", address="192.0.2.1", checks=checks * 2)
    assert needed(CheckerSlice(servers=(server,)), may_ping) == wanted
    assert len(asked) == len(set(asked))

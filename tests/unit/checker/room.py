"""A checker's room on a real loop: tests await what it says, with nothing but sockets of this host around it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from kad.checker.checker_slice import CheckedServer, CheckerSlice
from kad.checker.process.worker import Room
from kad.child.multiplexer import Mux
from kad.linux.process import capabilities
from kad.model import secret
from kad.model.checker import Check, Connection, Credentials, Timing
from kad.shared.log import Destination, Logger
from kad.shared.messages import Message, ServerHealth

SOON = Timing(delay_loop=0.05, retry=1, delay_before_retry=0.02, warmup=0.0)


class Log(Logger):
    """Keeps the lines."""

    def __init__(self) -> None:
        super().__init__("test", Destination(syslog=False))
        self.lines: list[str] = []

    def write(self, level: object, text: str) -> None:
        self.lines.append(text)


class Stage:
    """A room, what it says, and a loop that turns while somebody waits."""

    def __init__(self) -> None:
        self.mux = Mux()
        self.said: list[Message] = []
        self.log = Log()
        self.room = Room(self.mux, self.said.append, self.log)
        self._generation = 0

    def configure(self, *servers: CheckedServer, credentials: tuple[Credentials, ...] = ()) -> None:
        self._generation += 1
        wanted = CheckerSlice(servers=servers, credentials=credentials)
        self.room.prepare(self._generation, secret.encode(wanted))
        self.room.commit(self._generation)

    def check(self, *checks: Check, port: int = 80, alpha: bool = False) -> None:
        """One server with these checks."""
        self.configure(server(*checks, port=port, alpha=alpha))

    def health(self, port: int = 80) -> ServerHealth:
        """What was last said of the server of that port."""
        return [one for one in self.said if isinstance(one, ServerHealth) and one.port == port][-1]

    def until(self, reached: Callable[[], object], seconds: float = 10.0) -> None:
        """Turn the loop until it is true."""

        async def wait() -> None:
            end = time.monotonic() + seconds
            while not reached():
                assert time.monotonic() < end, f"not reached; log: {self.log.lines}; said: {self.said[-3:]}"
                await asyncio.sleep(0.002)

        self.mux.loop.run_until_complete(wait())

    def verdict(self, port: int = 80, seconds: float = 10.0) -> ServerHealth:
        """The first result of every check of the server."""
        self.until(lambda: self.health(port).known, seconds)
        return self.health(port)

    def close(self) -> None:
        self.mux.loop.run_until_complete(self.room.stop(True, 0.0))
        self.mux.loop.close()


def server(*checks: Check, port: int = 80, alpha: bool = False, homes: tuple[str, ...] | None = None) -> CheckedServer:
    return CheckedServer(
        service="192.0.2.9 80", address="127.0.0.1", port=port, alpha=alpha, checks=checks, while_local=homes
    )


def at(port: int, address: str = "127.0.0.1", timeout: float = 2.0) -> Connection:
    return Connection(address=address, port=port, timeout=timeout)


@contextmanager
def staged(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """Attempts begin at once, and this process keeps its privileges."""
    monkeypatch.setattr("kad.checker.health.FIRST", 0.0)
    monkeypatch.setattr(capabilities, "drop_to", lambda *_, **__: None)
    made = Stage()
    try:
        yield made
    finally:
        made.close()

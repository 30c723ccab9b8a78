"""What a dead vrrp process held is released by the runner, in whatever order that process and the parent die."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import cast

import msgspec
import pytest

from kad.child.last_release import LastRelease
from kad.child.multiplexer import Mux
from kad.linux.process import fork as fork_module
from kad.linux.process.fork import Birth
from kad.linux.process.memfd import write_memory_file
from kad.linux.process.pid_file import PidFile
from kad.shared import messages
from kad.shared.log import Destination, Logger
from tests.unit.watchdog import Parent

SLICE = msgspec.msgpack.encode({"instances": [{"advertisement_interval": 0.2}]})


class Loop:
    """In place of a Mux: a clock that the test sets, and what is waited for."""

    def __init__(self) -> None:
        self.time = 0.0
        self.watched: dict[int, Callable[[], None]] = {}
        self.due: list[tuple[float, Callable[[], None]]] = []

    def now(self) -> float:
        return self.time

    def watch(self, descriptor: int, callback: Callable[[], None], _doing: str) -> None:
        self.watched[descriptor] = callback

    def unwatch(self, descriptor: int) -> None:
        del self.watched[descriptor]

    def at(self, moment: float, callback: Callable[[], None]) -> Loop:
        self.due.append((moment, callback))
        return self

    def cancel(self) -> None:
        self.due.clear()

    def turn(self) -> None:
        due, self.due = [each for each in self.due if each[0] <= self.time], []
        for _, callback in due:
            callback()


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Processes that were forked to release."""
    found: list[int] = []

    def fork(_live: object) -> Birth:
        pid = os.posix_spawn("/bin/true", ["/bin/true"], {})
        found.append(pid)
        ours, theirs = socket.socketpair()
        theirs.close()
        return Birth(pid, os.pidfd_open(pid), ours)

    monkeypatch.setattr(fork_module, "fork", fork)
    return found


def born(pid_file: Path) -> tuple[LastRelease, Loop, int]:
    """A runner that was told of a vrrp process, and the pid of that one."""
    loop = Loop()
    release = LastRelease(cast(Mux, loop), Logger("test", Destination(syslog=False, detail=True)))
    vrrp = os.posix_spawn("/bin/sleep", ["/bin/sleep", "600"], {})
    release.take(messages.VrrpProcess(pid=vrrp, pid_file=str(pid_file)), write_memory_file("vrrp", SLICE))
    return release, loop, vrrp


def end(loop: Loop, vrrp: int) -> None:
    """The vrrp process dies; what waits for that is called."""
    os.kill(vrrp, 9)
    os.waitpid(vrrp, 0)
    for callback in list(loop.watched.values()):
        callback()


async def finish(release: LastRelease, loop: Loop) -> None:
    """The parent is gone."""
    leaving = asyncio.ensure_future(release.orphaned())
    while not leaving.done():
        await asyncio.sleep(0.01)
        loop.turn()
        for callback in list(loop.watched.values()):
            callback()


@pytest.mark.parametrize("buried", [False, True], ids=["the parent dies before it has noticed", "it had buried it"])
def test_the_vrrp_process_dies_and_then_the_parent(tmp_path: Path, forked: list[int], buried: bool) -> None:
    release, loop, vrrp = born(tmp_path / "kad.pid")
    end(loop, vrrp)
    if buried:
        release.take(messages.VrrpProcess(pid_file=str(tmp_path / "kad.pid")), None)
    assert forked == []
    asyncio.run(finish(release, loop))
    assert len(forked) == 1


@pytest.mark.parametrize(("seconds", "releases"), [(0.3, 1), (3.0, 0)], ids=["the dead parent's", "another daemon's"])
def test_a_lock_that_stays_is_another_daemon_s(
    tmp_path: Path, forked: list[int], seconds: float, releases: int
) -> None:
    release, loop, vrrp = born(tmp_path / "kad.pid")
    end(loop, vrrp)
    lock = PidFile(tmp_path / "kad.pid")
    leaving: list[bool] = []

    async def watch() -> None:
        waiting = asyncio.ensure_future(finish(release, loop))
        while not waiting.done():
            await asyncio.sleep(0.01)
            loop.time += 0.1
            if loop.time > seconds and not leaving:
                leaving.append(True)
                lock.remove()
        await waiting

    asyncio.run(watch())
    assert len(forked) == releases
    if not leaving:
        lock.remove()


def test_the_parent_sends_the_place_of_its_lock_with_every_word_of_a_vrrp_process(parent: Parent) -> None:
    runner, vrrp = parent.child("runner"), parent.child("vrrp")
    assert vrrp.member.pid is not None
    os.kill(vrrp.member.pid, 9)
    parent.until(lambda: len(parent.lives["vrrp"]) == 2)
    said = [message for message in runner.read() if isinstance(message, messages.VrrpProcess)]
    assert said
    assert {message.pid_file for message in said} == {str(parent.folder / "kad.pid")}

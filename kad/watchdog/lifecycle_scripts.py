"""startup_script and shutdown_script: a program that the parent runs while no child does."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from kad.config.codes import without_interpreter
from kad.linux.process.spawn import kill_group, reap, spawn
from kad.linux.refused import Refused
from kad.model.program_end import is_success
from kad.model.runner import Program
from kad.runner.script_security import check_safety

if TYPE_CHECKING:
    from kad.watchdog.daemon import Watchdog

_GRACE = 2.0
"""Seconds between TERM and KILL."""


class Errand:
    """One run of one program; `done` is called when it has ended, or could not be started."""

    def __init__(self, watchdog: Watchdog, program: Program, timeout: float, done: Callable[[], None]) -> None:
        self._watchdog = watchdog
        self._program = program
        self._done = done
        self._terminated = False
        self.deadline = time.monotonic() + timeout
        check_safety(program, os.environ)
        self._spawned = spawn(
            program.argv,
            os.environ,
            user=program.user,
            group=program.group,
            supplementary_groups=program.supplementary_groups,
        )
        if self._spawned.lacks_interpreter:
            watchdog.log.info(without_interpreter(program.argv[0]))
        watchdog.watch(self._spawned.pidfd, self._end)

    @property
    def process(self) -> int:
        return self._spawned.pid

    def hurry(self) -> None:
        """The daemon ends: there is no time for it."""
        self.deadline = min(self.deadline, time.monotonic())

    def fall_due(self, now: float) -> None:
        """It runs too long: TERM to its group, then KILL."""
        if now >= self.deadline:
            doing = "killing" if self._terminated else "ending"
            why = "the daemon ends" if self._watchdog.stopping and not self._terminated else "it takes too long"
            self._watchdog.log.warning(f"{self._program.text}: {why}: {doing} it")
            kill_group(self._spawned.pid, signal.SIGKILL if self._terminated else signal.SIGTERM)
            self._terminated = True
            self.deadline = now + _GRACE

    def _end(self) -> None:
        ending = reap(self._spawned.pidfd)
        if ending is None:
            return
        self._watchdog.unwatch(self._spawned.pidfd)
        os.close(self._spawned.pidfd)
        if not is_success(ending):
            self._watchdog.log.warning(f"{self._program.text} {ending}")
        self._done()


def begin(watchdog: Watchdog, program: Program | None, timeout: float, done: Callable[[], None]) -> Errand | None:
    """Run the program if there is one; `done` follows in any case."""
    if program is None:
        done()
        return None
    watchdog.log.info(f"Running {program.text}")
    try:
        return Errand(watchdog, program, timeout, done)
    except Refused as refused:
        watchdog.log.error(f"{program.text}: {refused}")
        done()
        return None

"""startup_script and shutdown_script: a program that the parent runs while no child does."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from kad.config.codes import without_interpreter
from kad.linux.process.spawn import Spawned, kill_group, reap, spawn
from kad.linux.refused import Refused
from kad.model.program_end import is_success
from kad.model.runner import Program
from kad.runner.script_security import check_safety
from kad.shared.log import Logger
from kad.watchdog.selector_loop import SelectorLoop

_GRACE = 2.0
"""Seconds between TERM and KILL."""


@dataclass
class _Run:
    """A program at work."""

    program: Program
    spawned: Spawned
    deadline: float
    done: Callable[[], None]
    terminated: bool = False


class LifecycleScripts:
    """At most one of them runs; a Timed of the loop."""

    def __init__(self, loop: SelectorLoop, log: Logger, is_stopping: Callable[[], bool]) -> None:
        self._loop = loop
        self._log = log
        self._is_stopping = is_stopping
        self._run: _Run | None = None

    def run(self, program: Program | None, timeout: float, done: Callable[[], None]) -> None:
        """Run the program if there is one; `done` is called when it has ended, or could not be started."""
        if program is None:
            done()
            return
        self._log.info(f"Running {program.text}")
        try:
            self._run = self._start(program, time.monotonic() + timeout, done)
        except Refused as refused:
            self._log.error(f"{program.text}: {refused}")
            done()

    def _start(self, program: Program, deadline: float, done: Callable[[], None]) -> _Run:
        """Raises Refused."""
        check_safety(program, os.environ)
        spawned = spawn(
            program.argv,
            os.environ,
            user=program.user,
            group=program.group,
            supplementary_groups=program.supplementary_groups,
        )
        if spawned.lacks_interpreter:
            self._log.info(without_interpreter(program.argv[0]))
        self._loop.watch(spawned.pidfd, self._end)
        return _Run(program, spawned, deadline, done)

    @property
    def process(self) -> int | None:
        """Pid of the program at work."""
        return self._run.spawned.pid if self._run is not None else None

    @property
    def deadline(self) -> float | None:
        return self._run.deadline if self._run is not None else None

    def hurry(self) -> None:
        """The daemon ends: there is no time for it."""
        if self._run is not None:
            self._run.deadline = min(self._run.deadline, time.monotonic())

    def fall_due(self, now: float) -> None:
        """It runs too long: TERM to its group, then KILL."""
        run = self._run
        if run is not None and now >= run.deadline:
            doing = "killing" if run.terminated else "ending"
            why = "the daemon ends" if self._is_stopping() and not run.terminated else "it takes too long"
            self._log.warning(f"{run.program.text}: {why}: {doing} it")
            kill_group(run.spawned.pid, signal.SIGKILL if run.terminated else signal.SIGTERM)
            run.terminated = True
            run.deadline = now + _GRACE

    def _end(self) -> None:
        run = self._run
        assert run is not None
        ending = reap(run.spawned.pidfd)
        if ending is None:
            return
        self._loop.unwatch(run.spawned.pidfd)
        os.close(run.spawned.pidfd)
        self._run = None
        if not is_success(ending):
            self._log.warning(f"{run.program.text} {ending}")
        run.done()

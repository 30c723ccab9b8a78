"""Programs of the operator: started, heard to the end, and ended when they must be; nothing else executes any."""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from kad.child.multiplexer import Mux
from kad.config.codes import without_interpreter
from kad.linux.process.spawn import Spawned, kill_group, reap, spawn, why_not_executed
from kad.linux.refused import Refused
from kad.model.program_end import NotStarted, ProgramEnd
from kad.model.runner import Program
from kad.runner.script_check import Signal
from kad.runner.script_security import check_safety
from kad.shared.log import Logger

KEPT_OUTPUT = 2048
"""Bytes: the end of what a program prints says why it failed."""
LINGERING = 64
"""Pipes that outlive their program, held by a daemon it left behind; the oldest is closed beyond that."""
NOTED = 256
"""Files of which it is known that a note of them was logged."""
_SIGNALS = {Signal.TERM: signal.SIGTERM, Signal.KILL: signal.SIGKILL}

Ended = Callable[[ProgramEnd, str], None]
"""Called with how the program ended, and the end of what it printed."""


@dataclass(slots=True)
class Execution:
    """One program that runs."""

    spawned: Spawned
    ended: Ended
    output_fd: int | None
    """Open as long as something may still print there."""
    tail: bytearray = field(default_factory=bytearray)


class Programs:
    """Runs programs, collects the end of their output, and says when they end."""

    def __init__(self, mux: Mux, log: Logger) -> None:
        self._mux = mux
        self._log = log
        self._lingering: deque[int] = deque()
        self._noted: set[str] = set()
        """Files that have no `#!`, which has been logged."""

    def start(
        self,
        program: Program,
        arguments: tuple[str, ...],
        environment: dict[str, str],
        ended: Ended,
        *,
        dies_with_us: bool = False,
    ) -> Execution | None:
        """Start it; None when that failed, and `ended` follows in the next turn of the loop."""
        try:
            return self.try_start(program, arguments, environment, ended, dies_with_us=dies_with_us)
        except Refused as error:
            # Not at once: whoever starts a program is not yet ready for its end.
            self._mux.loop.call_soon(ended, NotStarted(str(error)), "")
            return None

    def try_start(
        self,
        program: Program,
        arguments: tuple[str, ...],
        environment: dict[str, str],
        ended: Ended,
        *,
        dies_with_us: bool = False,
    ) -> Execution:
        """Start it; raises Refused."""
        check_safety(program, os.environ)
        spawned = spawn(
            [*program.argv, *arguments],
            os.environ | environment,
            user=program.user,
            group=program.group,
            supplementary_groups=program.supplementary_groups,
            output=True,
            dies_with_us=dies_with_us,
        )
        if spawned.lacks_interpreter:
            self._note_interpreter(program)
        execution = Execution(spawned, ended, spawned.output_fd)
        if execution.output_fd is not None:
            self._mux.watch(execution.output_fd, lambda: self._read(execution))
        self._mux.watch(spawned.pidfd, lambda: self._end(execution))
        return execution

    def signal(self, execution: Execution | None, which: Signal) -> None:
        """To the program and all that it started in its group."""
        if execution is None:
            return
        try:
            kill_group(execution.spawned.pid, _SIGNALS[which])
        except Refused as error:
            self._log.warning(str(error))

    def close(self) -> None:
        """Forget the pipes of what earlier programs left behind."""
        while self._lingering:
            self._drop(self._lingering.popleft())

    def _read(self, execution: Execution) -> None:
        """Take what is there."""
        fd = execution.output_fd
        for _ in range(16):  # A program that prints without end must not hold the loop.
            if fd is None:
                return
            try:
                data = os.read(fd, 65536)
            except BlockingIOError:
                return
            if data:
                execution.tail += data
                del execution.tail[:-KEPT_OUTPUT]
            else:
                self._drop(fd)
                execution.output_fd = fd = None

    def _end(self, execution: Execution) -> None:
        pidfd = execution.spawned.pidfd
        end = reap(pidfd)
        if end is None:
            return
        self._mux.unwatch(pidfd)
        os.close(pidfd)
        self._read(execution)
        if execution.output_fd is not None:
            self._linger(execution.output_fd)
        output = execution.tail.decode(errors="replace")
        reason = why_not_executed(execution.spawned, end, output)
        if reason is None:
            execution.ended(end, output)
        else:
            execution.ended(NotStarted(reason), "")

    def _note_interpreter(self, program: Program) -> None:
        """Once for each file, among the last ones that were executed."""
        path = program.argv[0]
        if path not in self._noted:
            self._noted = {path, *list(self._noted)[:NOTED]}
            self._log.info(without_interpreter(path))

    def _linger(self, fd: int) -> None:
        """A daemon that the program left behind still writes there; a closed pipe would kill it."""
        self._mux.unwatch(fd)
        self._mux.watch(fd, lambda: self._discard(fd))
        self._lingering.append(fd)
        if len(self._lingering) > LINGERING:
            self._drop(self._lingering.popleft())

    def _discard(self, fd: int) -> None:
        try:
            if os.read(fd, 65536):
                return
        except BlockingIOError:
            return
        self._lingering.remove(fd)
        self._drop(fd)

    def _drop(self, fd: int) -> None:
        self._mux.unwatch(fd)
        os.close(fd)

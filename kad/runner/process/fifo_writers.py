"""Joins the FIFOs of the configuration to pipes and to the programs that read them; a reader is never waited for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable

import msgspec

from kad.child.multiplexer import Mux
from kad.linux.files.fifo import Pipe
from kad.linux.refused import Refused
from kad.model.program_end import ProgramEnd
from kad.model.runner import Fifo
from kad.runner import fifo_queue
from kad.runner.fifo_queue import Backlog, Reader
from kad.runner.process.deadline_timer import Schedule
from kad.runner.process.program_runner import Ended, Execution, Programs
from kad.runner.script_check import Report, Signal
from kad.runner.sequences import Sequences
from kad.shared.log import Logger
from kad.shared.messages import Event, FifoKept, FifoLine, FifoOpened, Message
from kad.shared.state_machine import DeadlineReached

LAST_LINES = 0.5
"""Seconds that a reader gets for the last lines when kad ends."""
LAST_WORDS = 2 * fifo_queue.FAREWELL
"""Seconds that its program gets then, a TERM in the middle of them."""
_LOOK = 0.01


class Served:
    """One FIFO, what waits for it, and its program."""

    def __init__(self, configured: Fifo) -> None:
        self.configured = configured
        self.pipe: Pipe | None = None
        self.made = False
        """Ours to remove."""
        self.backlog = Backlog()
        self.reader = Reader()
        self.execution: Execution | None = None
        self.written = 0
        self.is_full = False
        self.kept: set[tuple[str, int]] = set()
        """Subject and number of the lines of the backlog that the next life has been told of."""
        self.missed = 0
        """Lines that were dropped when it was last said."""
        self.complaint = ""
        """Why it is not open, as it was last said."""


class Fifos:
    """All FIFOs of the daemon."""

    def __init__(
        self, mux: Mux, say: Callable[[Message], None], log: Logger, programs: Programs, schedule: Schedule
    ) -> None:
        self._mux = mux
        self._say = say
        self._log = log
        self._programs = programs
        self._schedule = schedule
        self._served: dict[str, Served] = {}
        self._leaving: list[Served] = []
        self._ours: set[str] = set()
        self._sequences = Sequences()
        self._kept: dict[str, list[FifoLine]] = {}
        """By path: what the life before this one had not written."""

    def remember(self, message: FifoOpened | FifoKept) -> None:
        """What an earlier life of this process made, and what it still had to write there."""
        match message:
            case FifoOpened(path=path, made=True):
                self._ours.add(path)
            case FifoKept(path=path, line=line):
                self._kept.setdefault(path, []).append(line)
                self._sequences.advance(line.subject, line.sequence)

    def configure(self, fifos: Iterable[Fifo]) -> None:
        """A FIFO whose path stays is not touched: its readers and what they have not read stay too."""
        wanted = {each.path: each for each in fifos}
        for path in self._served.keys() - wanted.keys():
            self._remove(path)
        for path, configured in wanted.items():
            served = self._served.setdefault(path, Served(configured))
            before, served.configured = served.configured, configured
            for line in self._kept.pop(path, ()):
                served.backlog.add(line)
                served.kept.add((line.subject, line.sequence))
            if served.pipe is None:
                self._open(served)
                self._write(served)
            elif served.made and msgspec.structs.replace(before, script=configured.script) != configured:
                self._give(served)
            self._feed(served, fifo_queue.Wanted(configured.script if served.pipe is not None else None))
        for path, lines in self._kept.items():
            for line in lines:
                self._say(FifoKept(path=path, line=line, deleted=True))
        self._kept.clear()

    def write(self, message: FifoLine) -> None:
        """A line for whom it concerns."""
        if not self._sequences.advance(message.subject, message.sequence):
            return
        for served in self._served.values():
            if message.source in served.configured.sources:
                self._put(served, message)

    def snapshot(self) -> list[dict[str, object]]:
        """Plain values for JSON."""
        return [
            {
                "path": path,
                "open": served.pipe is not None,
                "written": served.written,
                "waiting": len(served.backlog),
                "unread_bytes": served.pipe.unread() if served.pipe is not None else 0,
                "dropped": served.backlog.dropped,
                "script": served.configured.script.text if served.configured.script else None,
                "script_pid": served.execution.spawned.pid if served.execution else None,
                "script_starts": served.reader.starts,
            }
            for path, served in self._served.items()
        ]

    async def stop(self) -> None:
        """Give the last lines to whoever reads, then let the programs end, by themselves where they do."""
        all_served = list(self._served.values())
        for served in all_served:
            self._listen(served)
        await self._until(lambda: not [served for served in all_served if not self._is_done(served)], LAST_LINES)
        for path in list(self._served):
            self._remove(path)
        await self._until(lambda: not self._leaving, LAST_WORDS)
        for served in self._leaving:
            self._programs.signal(served.execution, Signal.KILL)

    async def _until(self, condition: Callable[[], bool], seconds: float) -> None:
        end = self._mux.now() + seconds
        while not condition() and self._mux.now() < end:
            await asyncio.sleep(_LOOK)

    def _listen(self, served: Served) -> None:
        """Learn whether anybody reads it; from now on nobody calls when there is room again."""
        self._rest(served)
        if served.pipe is not None:
            # The parent would count as a reader.
            self._say(FifoOpened(path=served.configured.path, deleted=True))
            try:
                served.pipe.listen_to_readers()
            except Refused as refused:
                self._complain(served, str(refused))

    def _is_done(self, served: Served) -> bool:
        """Everything is read, or nobody is there to read it."""
        pipe, backlog = served.pipe, served.backlog
        if pipe is None or (served.execution is None and not pipe.has_reader()):
            return True
        while (head := backlog.head) and (taken := pipe.write(head)):
            self._settle(served, backlog.written(taken))
        return not backlog and not pipe.unread()

    def _open(self, served: Served) -> None:
        configured = served.configured
        try:
            served.pipe = Pipe(configured.path, mode=configured.mode, user=configured.user, group=configured.group)
        except Refused as refused:
            if str(refused) != served.complaint:
                served.complaint = str(refused)
                self._complain(served, f"{refused}: nothing can be written to it")
            return
        served.complaint = ""
        served.made = served.pipe.made or configured.path in self._ours
        if served.made:
            self._ours.add(configured.path)
        self._say(FifoOpened(path=configured.path, made=served.made))
        served.is_full = False

    def _give(self, served: Served) -> None:
        assert served.pipe is not None
        configured = served.configured
        try:
            served.pipe.give_to(mode=configured.mode, user=configured.user, group=configured.group)
        except Refused as refused:
            self._complain(served, str(refused))

    def _remove(self, path: str) -> None:
        served = self._served.pop(path)
        if served.pipe is not None:
            self._rest(served)
            served.pipe.close(remove=served.made)
            served.pipe = None
        self._ours.discard(path)
        self._say(FifoOpened(path=path, deleted=True))
        for line in served.backlog:
            self._settle(served, line)
        self._leaving.append(served)
        self._feed(served, fifo_queue.Closed())

    def _put(self, served: Served, message: FifoLine) -> None:
        if served.pipe is None or not served.pipe.is_in_place():
            if served.pipe is not None:
                self._complain(served, f"FIFO {served.configured.path} was removed by somebody: making it again")
                self._rest(served)
                served.pipe.close(remove=False)
                served.pipe = None
            self._open(served)
            self._feed(served, fifo_queue.Wanted(served.configured.script if served.pipe is not None else None))
        dropped = served.backlog.dropped
        self._settle(served, served.backlog.add(message))
        if served.backlog.dropped > dropped and dropped == served.missed:
            path = served.configured.path
            self._complain(served, f"FIFO {path} is not read: lines are dropped, but the latest of each object")
        if not served.is_full:
            self._write(served)
        if served.backlog:  # and then this line is its last
            served.kept.add((message.subject, message.sequence))
            self._say(FifoKept(path=served.configured.path, line=message))

    def _settle(self, served: Served, line: FifoLine | None) -> None:
        """This line no longer waits."""
        if line is not None and (line.subject, line.sequence) in served.kept:
            served.kept.discard((line.subject, line.sequence))
            self._say(FifoKept(path=served.configured.path, line=line, deleted=True))

    def _write(self, served: Served) -> None:
        """As much as there is room for."""
        pipe, backlog = served.pipe, served.backlog
        if pipe is None:
            return
        try:
            while head := backlog.head:
                taken = pipe.write(head)
                if not taken:
                    self._wait_for_room(served)
                    return
                self._settle(served, backlog.written(taken))
                served.written += taken == len(head)
        except Refused as refused:
            self._complain(served, str(refused))
        self._rest(served)
        if backlog.dropped > served.missed:
            missed, served.missed = backlog.dropped - served.missed, backlog.dropped
            self._complain(served, f"FIFO {served.configured.path} is read again: {missed} lines were dropped")

    def _wait_for_room(self, served: Served) -> None:
        assert served.pipe is not None
        if not served.is_full:
            served.is_full = True
            self._mux.watch_writable(served.pipe.fileno(), lambda: self._write(served))

    def _rest(self, served: Served) -> None:
        if served.is_full and served.pipe is not None:
            served.is_full = False
            self._mux.unwatch_writable(served.pipe.fileno())

    def _complain(self, served: Served, text: str) -> None:
        self._log.warning(text)
        self._say(Event(when=time.time(), kind="fifo", object=f"fifo/{served.configured.path}", text=text))

    # the programs that read

    def _feed(self, served: Served, event: fifo_queue.Event) -> None:
        for action in served.reader.handle(event, self._mux.now()):
            match action:
                case fifo_queue.StartProgram(program):
                    path = served.configured.path
                    served.execution = self._programs.start(
                        program, (path,), {}, self._ended(served), dies_with_us=True
                    )
                case fifo_queue.SignalProgram(which):
                    self._programs.signal(served.execution, which)
                case Report(text):
                    self._complain(served, text)
        if served.reader.finished:
            self._schedule.forget(served.reader)
            self._leaving = [other for other in self._leaving if other is not served]
        else:
            self._schedule.watch(served.reader, lambda _now: self._feed(served, DeadlineReached()))

    def _ended(self, served: Served) -> Ended:
        def ended(ending: ProgramEnd, output: str) -> None:
            served.execution = None
            self._feed(served, fifo_queue.ProgramEnded(ending, output))

        return ended

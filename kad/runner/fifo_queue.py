"""Decides which lines a FIFO gets when its reader is slow, and when the program that reads it is started again."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from kad.model import escaping
from kad.model.program_end import NotStarted, ProgramEnd
from kad.model.runner import Program
from kad.runner.script_check import GRACE, STUBBORN, Report, Signal, how_it_ended
from kad.shared.messages import FifoLine
from kad.shared.state_machine import DeadlineReached

LIMIT = 1000
"""Lines that wait for room in the pipe; the kernel holds about 2,000 more."""
MOST = 16_384
"""Lines that wait, however many objects they are about."""
SETTLED = 10.0
"""Seconds after which a program that ends has worked: it is started again at once."""
LONGEST_PAUSE = 60.0
FAREWELL = 0.5
"""Seconds that a program has to end by itself once its FIFO has."""


class Waiting(NamedTuple):
    """A line that the pipe has not taken, or not whole."""

    line: FifoLine
    data: bytes


class Backlog:
    """Lines in their order; beyond LIMIT the oldest goes of which a later one of the same subject waits.

    Beyond MOST the oldest goes.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._lines: deque[Waiting] = deque()
        self._count: Counter[str] = Counter()
        self._begun = False
        """Part of the first line is written: it cannot be dropped."""
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._lines)

    def __iter__(self) -> Iterator[FifoLine]:
        return (waiting.line for waiting in self._lines)

    @property
    def head(self) -> bytes:
        """What is to be written next; empty when nothing waits."""
        return self._lines[0].data if self._lines else b""

    def add(self, line: FifoLine) -> FifoLine | None:
        """One more line, and which one had to go for it; a newline inside the text would make it two."""
        text = escaping.one_line(" ".join(line.text.splitlines()))
        self._lines.append(Waiting(line, f"{text}\n".encode(errors="replace")))
        self._count[line.subject] += 1
        # The latest of each subject stays.
        if len(self._lines) > MOST:
            return self._drop_oldest()
        if len(self._lines) > max(self._limit, len(self._count)):
            return self._drop()
        return None

    def written(self, count: int) -> FifoLine | None:
        """So many bytes of the head were taken; the line, when that was its end."""
        line, data = self._lines.popleft()
        if count < len(data):
            self._begun = True
            self._lines.appendleft(Waiting(line, data[count:]))
            return None
        self._begun = False
        self._forget(line.subject)
        return line

    def _drop(self) -> FifoLine | None:
        begun = self._lines[0].line.subject if self._begun else None
        for index in range(int(self._begun), len(self._lines)):
            line = self._lines[index].line
            if self._count[line.subject] - (line.subject == begun) > 1:
                self._forget(line.subject)
                del self._lines[index]
                self.dropped += 1
                return line
        return None

    def _drop_oldest(self) -> FifoLine:
        index = int(self._begun)
        line = self._lines[index].line
        self._forget(line.subject)
        del self._lines[index]
        self.dropped += 1
        return line

    def _forget(self, subject: str) -> None:
        self._count[subject] -= 1
        if not self._count[subject]:
            del self._count[subject]


@dataclass(frozen=True, slots=True)
class Wanted:
    """This program is to read the FIFO from now on; None: none is."""

    program: Program | None


@dataclass(frozen=True, slots=True)
class Closed:
    """The FIFO is gone: whoever reads it finds the end of file."""


@dataclass(frozen=True, slots=True)
class ProgramEnded:
    """It runs no longer, or has never run."""

    ending: ProgramEnd
    output: str


@dataclass(frozen=True, slots=True)
class StartProgram:
    """Run it; the answer is ProgramEnded."""

    program: Program


@dataclass(frozen=True, slots=True)
class SignalProgram:
    """Send this to its group."""

    signal: Signal


Event = Wanted | Closed | ProgramEnded | DeadlineReached
Action = StartProgram | SignalProgram | Report


@dataclass(slots=True)
class Absent:
    """None runs, and none is to be started."""


@dataclass(slots=True)
class Reading:
    """The program runs."""

    program: Program
    since: float


@dataclass(slots=True)
class Pausing:
    """It died and is started again at that moment."""

    until: float


@dataclass(slots=True)
class Ending:
    """It is to end; the next signal is due then."""

    until: float
    signals: int = 0
    """How many it was sent."""


class Reader:
    """The life of a *_fifo_script: started, started again with growing pauses, ended."""

    def __init__(self) -> None:
        self.wanted: Program | None = None
        self.phase: Absent | Reading | Pausing | Ending = Absent()
        self.starts = 0
        self._failures = 0

    @property
    def deadline(self) -> float | None:
        """Monotonic seconds."""
        return self.phase.until if isinstance(self.phase, Pausing | Ending) else None

    @property
    def finished(self) -> bool:
        """Nothing runs and nothing will."""
        return isinstance(self.phase, Absent)

    def handle(self, event: Event, now: float) -> list[Action]:
        """The actions are to be done in their order."""
        match event:
            case Wanted(program):
                self.wanted = program
                return self._follow_wish(now)
            case Closed():
                self.wanted = None
                if isinstance(self.phase, Reading):
                    self.phase = Ending(now + FAREWELL)
                return self._follow_wish(now)
            case ProgramEnded(ending, output):
                return self._end(ending, output, now)
            case DeadlineReached():
                return self._late(now)

    def _follow_wish(self, now: float) -> list[Action]:
        match self.phase:
            case Reading(program) if program != self.wanted:
                self.phase = Ending(now + GRACE, signals=1)
                return [SignalProgram(Signal.TERM)]
            case Absent() | Pausing():
                self._failures = 0
                return self._start(now)
            case _:
                return []

    def _start(self, now: float) -> list[Action]:
        if self.wanted is None:
            self.phase = Absent()
            return []
        self.phase = Reading(self.wanted, now)
        self.starts += 1
        return [StartProgram(self.wanted)]

    def _end(self, ending: ProgramEnd, output: str, now: float) -> list[Action]:
        if not isinstance(self.phase, Reading):
            self._failures = 0
            return self._start(now)
        lived = now - self.phase.since
        self._failures = 0 if lived >= SETTLED else self._failures + 1
        pause = min(2.0 ** (self._failures - 1), LONGEST_PAUSE) if self._failures else 0.0
        self.phase = Pausing(now + pause)
        said = f": {' | '.join(output.strip().splitlines())}" if output.strip() else ""
        how = str(ending) if isinstance(ending, NotStarted) else f"ended ({how_it_ended(ending)}) after {lived:.1f} s"
        again = f"again in {pause:g} s" if pause else "again now"
        return [Report(f"FIFO script {self._name()} {how}{said}; {again}")]

    def _late(self, now: float) -> list[Action]:
        match self.phase:
            case Pausing(until) if until <= now:
                return self._start(now)
            case Ending(until) as ending if until <= now:
                ending.signals += 1
                ending.until = now + (STUBBORN if ending.signals > 2 else GRACE)
                return [SignalProgram(Signal.TERM if ending.signals == 1 else Signal.KILL)]
            case _:
                return []

    def _name(self) -> str:
        return self.wanted.text if self.wanted is not None else ""

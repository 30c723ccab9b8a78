"""When to start, restart, kill and give up on one child; pure."""

from __future__ import annotations

from collections import deque
from enum import Enum

import msgspec

from kad.shared.exit_codes import EXIT_CONFIGURATION, EXIT_NO_PERMISSION, EXIT_OK, describe

BACK_OFF = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0)
"""Seconds before the next try, by the number of early deaths in a row."""
_EARLY = 1.0
"""A death this soon (seconds) after the child was configured says that it cannot live."""
_OFTEN = 2
"""So many unexpected ends within `_RECENT` say that a child ends again and again."""
_RECENT = 60.0
"""Seconds."""
_MOST_ENDS = 100
_BIRTH = 10.0
"""Seconds without a sign of life that a child has before it is configured."""
_ABSENCE = 5.0
"""Seconds for which a child may be away before that is said to whoever watches over the daemon."""
_DOUBTFUL = 0.75
"""Part of the patience after which a child that was asked has not answered."""
_LATE = 0.25
"""A deadline that is served later than this (seconds) says that the parent itself was not scheduled."""
_ANSWER = 0.1
"""Seconds that a child that was asked has for its answer, where half of its patience is more."""
_SHARE = 0.2
"""Part of the patience for which a child that wants a processor must have had one before it is called deaf."""
_LAST_MOMENT = 1.0
"""Seconds in which a child that closed its channel must have ended."""
_STARVED = 10.0
"""Seconds of silence after which it is replaced even if it hardly had a processor."""


class Phase(Enum):
    """Where a child is in its life."""

    ABSENT = "absent"
    STARTING = "starting"
    RUNNING = "running"
    WAITING = "waiting"
    STOPPING = "stopping"


class Wanted(msgspec.Struct, frozen=True):
    """The configuration has work for this child."""


class Unwanted(msgspec.Struct, frozen=True):
    """The child shall leave: the daemon ends, or the configuration has no work for it."""

    patience: float


class Configured(msgspec.Struct, frozen=True):
    """The child runs what it was given."""


class Answered(msgspec.Struct, frozen=True):
    """The child gave a sign of life, at this moment; None: now."""

    at: float | None = None


class Died(msgspec.Struct, frozen=True):
    """The process is gone: its exit status, or 128 + the signal."""

    status: int


class Dismissed(msgspec.Struct, frozen=True):
    """The child is about to be killed to make room for another life; that says nothing against it."""


class DeadlineReached(msgspec.Struct, frozen=True):
    """The supervision's own deadline has come."""

    cpu: float | None = None
    """Seconds of processor time that the child has had so far, when it wants a processor now; None: it waits for
    something else, or is stopped."""


class Unreachable(msgspec.Struct, frozen=True):
    """The child has closed its end of the channel: it dies, or can at least be told nothing any more."""


class Refused(msgspec.Struct, frozen=True):
    """The child has broken the protocol, and is killed for it."""


Event = Unreachable | Refused | Wanted | Unwanted | Configured | Answered | Died | Dismissed | DeadlineReached


class Fork(msgspec.Struct, frozen=True):
    """Start the child now."""


class TellStop(msgspec.Struct, frozen=True):
    """Ask the child to leave in order."""


class AskAlive(msgspec.Struct, frozen=True):
    """Ask for a sign of life."""


class Kill(msgspec.Struct, frozen=True):
    """SIGKILL, and why."""

    reason: str


class Gone(msgspec.Struct, frozen=True):
    """The child has left for good."""


class GiveUp(msgspec.Struct, frozen=True):
    """The daemon cannot run: end it with this status."""

    status: int
    reason: str


class Complain(msgspec.Struct, frozen=True):
    """A line for the log, and an event of the journal."""

    level: str
    text: str
    what: str
    """ended, or delayed: it is not started again at once."""


Action = Fork | TellStop | AskAlive | Kill | Gone | GiveUp | Complain


class Supervision:
    """A Machine (kad.shared.state_machine) for one child process."""

    def __init__(self, name: str, deaf_after: float) -> None:
        self.name = name
        self.deaf_after = deaf_after
        """Seconds without a sign of life after which the child is replaced."""
        self.phase = Phase.ABSENT
        self.deadline: float | None = None
        self.restarts = 0
        self._ends: deque[tuple[float, int]] = deque(maxlen=_MOST_ENDS)
        """Moment and exit status of its last unexpected ends."""
        self._early_deaths = 0
        self._configured_at: float | None = None
        self._heard_at = 0.0
        self._asked_at: float | None = None
        """Since it was last heard."""
        self._cpu_when_asked: float | None = None
        self._ever_configured = False
        self._kill_said = False
        self._dismissed = False
        self._unreachable_at: float | None = None
        self._refused = False

    def is_well(self, now: float) -> bool:
        """Not wanted, or answering, or replaced so recently that nobody need worry."""
        match self.phase:
            case Phase.ABSENT | Phase.STOPPING:
                return True
            case Phase.RUNNING:
                return now - self._heard_at <= _DOUBTFUL * self.deaf_after
            case _:
                return now - self._heard_at <= _ABSENCE

    def failing(self, now: float) -> str:
        """How often and how it ended of late, where that is no single accident; empty: it is well."""
        recent = [status for at, status in self._ends if now - at < _RECENT]
        if len(recent) < _OFTEN and self.phase is not Phase.WAITING:
            return ""
        if not recent:
            return "it waits for its next start"
        times = "once" if len(recent) == 1 else f"{len(recent)} times"
        return f"{times} in {_RECENT:.0f} s, it last {describe(recent[-1])}"

    @property
    def is_sent_away(self) -> bool:
        """Its end is no fault: it was told to leave, or makes room for another life."""
        return self.phase is Phase.STOPPING or self._dismissed

    def listen_closer(self, deaf_after: float) -> None:
        """The child holds something now that others would miss sooner, or no longer does (seconds)."""
        if deaf_after != self.deaf_after:
            self.deaf_after = deaf_after
            if self.phase is Phase.RUNNING:
                self.deadline = self._heard_at + deaf_after / 2

    def handle(self, event: Event, now: float) -> list[Action]:
        match event:
            case Wanted():
                # A new configuration is a new chance for a child that had to wait.
                return self._start(now) if self.phase in (Phase.ABSENT, Phase.WAITING) else []
            case Unwanted(patience):
                return self._stop(patience, now)
            case Configured() if self.phase in (Phase.STARTING, Phase.RUNNING):
                self.phase = Phase.RUNNING
                self._configured_at = now
                self._ever_configured = True
                return self._hear(now)
            case Answered(at):
                return self._hear(now if at is None else at)
            case Died(status):
                return self._bury(status, now)
            case Dismissed():
                self._dismissed = True
                return []
            case Unreachable():
                if self.phase in (Phase.STARTING, Phase.RUNNING) and not self._kill_said:
                    self._unreachable_at = now
                    self.deadline = now + _LAST_MOMENT
                return []
            case Refused():
                self._refused = self._kill_said = True
                return []
            case DeadlineReached(cpu):
                return self._fall_due(cpu, now)
            case Configured():
                # Said by a child that is told to leave; it is not brought back by that.
                return []

    def _start(self, now: float) -> list[Action]:
        self.phase = Phase.STARTING
        self._configured_at = None
        self._kill_said = self._dismissed = self._refused = False
        self._unreachable_at = None
        self._asked_at = None
        self._heard_at, self.deadline = now, None
        self._hear(now)
        return [Fork()]

    def _hear(self, at: float) -> list[Action]:
        news = at > self._heard_at or self.deadline is None
        if (
            news
            and self._unreachable_at is None
            and self.phase in (Phase.STARTING, Phase.RUNNING)
            and not self._kill_said
        ):
            self._heard_at, self._asked_at = at, None
            self.deadline = at + self._patience / 2
        return []

    @property
    def _patience(self) -> float:
        """A child that is only just born imports and reads; it holds nothing yet."""
        return max(self.deaf_after, _BIRTH) if self.phase is Phase.STARTING else self.deaf_after

    def _stop(self, patience: float, now: float) -> list[Action]:
        match self.phase:
            case Phase.STARTING | Phase.RUNNING:
                self.phase = Phase.STOPPING
                self.deadline = now + patience
                return [TellStop()]
            case Phase.WAITING:
                self.phase, self.deadline = Phase.ABSENT, None
                return [Gone()]
            case _:
                return []

    def _bury(self, status: int, now: float) -> list[Action]:
        said = Complain("error", f"{self.name} process {describe(status)}", "ended")
        match self.phase:
            case Phase.STOPPING:
                self.phase, self.deadline = Phase.ABSENT, None
                return [Gone()] if status == EXIT_OK else [said, Gone()]
            case Phase.STARTING if not self._ever_configured and status in (EXIT_CONFIGURATION, EXIT_NO_PERMISSION):
                self.phase, self.deadline = Phase.ABSENT, None
                return [said, GiveUp(status, f"the {self.name} process cannot run here")]
            case _:
                return [said, *self._replace(status, now)]

    def _replace(self, status: int, now: float) -> list[Action]:
        self.restarts += 1
        if self._dismissed:
            return self._start(now)
        self._ends.append((now, status))
        if self._configured_at is not None and not self._refused and now - self._configured_at > _EARLY:
            self._early_deaths = 0
            return self._start(now)
        delay = BACK_OFF[min(self._early_deaths, len(BACK_OFF) - 1)]
        self._early_deaths += 1
        if not delay:
            return self._start(now)
        self.phase, self.deadline = Phase.WAITING, now + delay
        return [Complain("warning", f"{self.name} process is started again in {delay:.0f} s", "delayed")]

    def _fall_due(self, cpu: float | None, now: float) -> list[Action]:
        if self.deadline is None or now < self.deadline:
            return []
        late = now - self.deadline
        match self.phase:
            case Phase.WAITING:
                return self._start(now)
            case Phase.STOPPING:
                self.deadline = now + 1.0
                return [Kill("it did not leave in time")]
            case Phase.STARTING | Phase.RUNNING:
                return self._doubt(cpu, now, late)
            case _:
                self.deadline = None
                return []

    def _doubt(self, cpu: float | None, now: float, late: float) -> list[Action]:
        """Half of the patience is gone: ask; all of it: replace. When it was the parent that slept, all begins anew."""
        if self._kill_said:
            self.deadline = now + 1.0
            return []
        if self._unreachable_at is not None:
            if now - self._unreachable_at < _LAST_MOMENT - 0.001:
                self.deadline = self._unreachable_at + _LAST_MOMENT
                return []
            self._kill_said = True
            self.deadline = now + 1.0
            return [Kill("its channel is closed")]
        if late > _LATE:
            self._heard_at, self._asked_at = now, None
        silence = now - self._heard_at
        if self._asked_at is None:
            self._asked_at, self._cpu_when_asked = now, cpu
            self.deadline = max(self._heard_at + self._patience, now + min(_ANSWER, self._patience / 2))
            return [AskAlive()]
        if silence < self._patience - 0.001:
            self.deadline = self._heard_at + self._patience
            return []
        lacking = self._lacks(cpu)
        if lacking > 0.0 and silence < _STARVED:
            self.deadline = now + max(lacking, _ANSWER / 2)
            return []
        self.deadline = now + 1.0
        self._kill_said = True
        return [Kill(f"no sign of life for {silence:.2f} s")]

    def _lacks(self, cpu: float | None) -> float:
        """Seconds of a processor that it was not given; another life would not be given them either."""
        if cpu is None:
            return 0.0
        if self._cpu_when_asked is None:
            # Until it wants one it was asleep, and the question woke it.
            self._cpu_when_asked = cpu
        return _SHARE * self._patience - (cpu - self._cpu_when_asked)

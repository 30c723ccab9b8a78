"""Decides when one vrrp_script runs, when it has run too long, and what its results mean."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from math import floor

from kad.model.program_end import Exited, Killed, NotStarted, ProgramEnd, is_success
from kad.model.runner import Program, VrrpScript
from kad.shared.state_machine import DeadlineReached

GRACE = 2.0
"""Seconds between SIGTERM and SIGKILL, and between the first two SIGKILLs."""
STUBBORN = 10.0
"""Seconds between further SIGKILLs to a program that does not die."""


class Signal(Enum):
    """What a program's group is sent."""

    TERM = "TERM"
    KILL = "KILL"


@dataclass(frozen=True, slots=True)
class Started:
    """The script is configured: it runs from now on."""


@dataclass(frozen=True, slots=True)
class Resumed:
    """What an earlier life of this process found; it stands until the program says otherwise. Comes before Started."""

    value: int
    reason: str
    output: str


@dataclass(frozen=True, slots=True)
class ProgramEnded:
    """It runs no longer, or has never run."""

    ending: ProgramEnd
    output: str


@dataclass(frozen=True, slots=True)
class Answered:
    """What the script's probe found, asked for by AskProbe, or `unasked`: found out between two questions."""

    good: bool
    reason: str
    unasked: bool = False


@dataclass(frozen=True, slots=True)
class Slept:
    """This process did not run for a while: what the program did meanwhile, and whether it could, is not known."""


@dataclass(frozen=True, slots=True)
class Reconfigured:
    """The keywords of the script changed."""

    script: VrrpScript


@dataclass(frozen=True, slots=True)
class Stopped:
    """The script is no longer configured, or the daemon ends."""


@dataclass(frozen=True, slots=True)
class StartProgram:
    """Run it; the answer is ProgramEnded."""

    program: Program


@dataclass(frozen=True, slots=True)
class AskProbe:
    """Ask instead of running it; the answer is Answered."""


@dataclass(frozen=True, slots=True)
class SignalProgram:
    """Send this to the group of the running program."""

    signal: Signal


@dataclass(frozen=True, slots=True)
class Observe:
    """The script's value changed: 1 good, 0 failed."""

    value: int
    reason: str
    output: str


@dataclass(frozen=True, slots=True)
class Report:
    """A line for the log."""

    text: str


Event = Started | Resumed | ProgramEnded | Answered | Slept | DeadlineReached | Reconfigured | Stopped
Action = StartProgram | AskProbe | SignalProgram | Observe | Report


@dataclass(frozen=True, slots=True)
class Idle:
    """Not started, or stopped and ended."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """The next run starts at this moment; the interval counts from `since`, when the last one did."""

    since: float
    until: float


@dataclass(frozen=True, slots=True)
class Running:
    """Within its time."""

    since: float
    until: float


@dataclass(frozen=True, slots=True)
class Ending:
    """Signalled, and not dead yet; its result, if it had one, no longer counts."""

    since: float
    until: float
    kills: int = 0
    stopped: bool = False
    changed: bool = False


@dataclass(frozen=True, slots=True)
class Hopeless:
    """It can never run, and has failed for good."""


Phase = Idle | Waiting | Running | Ending | Hopeless


class ScriptCheck:
    """One vrrp_script: fall and rise counted as keepalived counts them (the first result decides at once)."""

    def __init__(self, script: VrrpScript, early: float = 0.0) -> None:
        self.script = script
        self._early = early
        """Seconds by which one run comes before its time, so that many scripts do not start together for good."""
        self.phase: Phase = Idle()
        self.value: int | None = None
        self.reason = "not run yet"
        self.output = ""
        self.last_ending: ProgramEnd | None = None
        self.counter = script.rise - 1
        self._first = True

    @property
    def deadline(self) -> float | None:
        """Monotonic seconds."""
        return None if isinstance(self.phase, Idle | Hopeless) else self.phase.until

    @property
    def finished(self) -> bool:
        """Nothing runs and nothing will: the machine can be forgotten."""
        return isinstance(self.phase, Idle)

    def handle(self, event: Event, now: float) -> list[Action]:
        """The actions are to be done in their order."""
        match event:
            case Started():
                return self._start(now) if isinstance(self.phase, Idle) else []
            case Resumed(value, reason, output):
                self.value, self.reason, self.output = value, reason, output
                self.counter = self._full if value else 0
                self._first = False
                return []
            case ProgramEnded(ending, output):
                return self._ended(ending, output, now)
            case Answered(good, reason, unasked):
                return self._answered(good, reason, unasked)
            case DeadlineReached():
                return self._late(now) if self.deadline is not None and now >= self.deadline else []
            case Slept():
                if isinstance(self.phase, Running):
                    self.phase = Running(self.phase.since, now + self.script.timeout)
                return []
            case Reconfigured(script):
                return self._reconfigure(script, now)
            case Stopped():
                return self._stop(now)

    def _start(self, now: float) -> list[Action]:
        if self.script.impossible:
            self.phase = Hopeless()
            self._first = True
            return self._judge(NotStarted(self.script.impossible), "")
        if self.script.program.probe is not None:
            self.phase = Waiting(now, now + self.script.interval)
            return [AskProbe()]
        self.phase = Running(since=now, until=now + self.script.timeout)
        return [StartProgram(self.script.program)]

    def _answered(self, good: bool, reason: str, unasked: bool) -> list[Action]:
        if unasked:
            if good or self.value != 1 or not self.script.immediate:
                return []
            self._first = True  # it counts without any other
        ending = Exited(0 if good else 1)
        actions = self._tell_ending(ending)
        if good:
            return actions + self._count(True, "succeeded", reason, "")
        return actions + self._count(False, f"failed ({how_it_ended(ending)}): {reason}", reason, "")

    def _ended(self, ending: ProgramEnd, output: str, now: float) -> list[Action]:
        match self.phase:
            case Running(since, _):
                self.phase = Waiting(since, self._next_start(since, now))
                return self._judge(ending, output)
            case Ending(stopped=True):
                self.phase = Idle()
            case Ending(changed=True):
                return self._start(now)
            case Ending(since, _):
                self.phase = Waiting(since, self._next_start(since, now))
                self.output = output
        return []

    def _next_start(self, since: float, now: float) -> float:
        """The first multiple of the interval since the previous start that is still to come."""
        interval = self.script.interval
        if self._early and since + interval - self._early > now:
            early, self._early = self._early, 0.0
            return since + interval - early
        return since + interval * max(1, floor((now - since) / interval) + 1)

    def _late(self, now: float) -> list[Action]:
        match self.phase:
            case Waiting():
                return self._start(now)
            case Running(since, _):
                self.phase = Ending(since=since, until=now + GRACE)
                seconds = f"{self.script.timeout:g} s"
                return [SignalProgram(Signal.TERM), *self._count(False, "timed_out", f"timed out after {seconds}", "")]
            case Ending(since, _, kills, stopped, changed):
                later = now + (GRACE if kills == 0 else STUBBORN)
                self.phase = Ending(since, later, kills + 1, stopped, changed)
                actions: list[Action] = [SignalProgram(Signal.KILL)]
                if kills and not stopped and not changed:
                    # A program that not even SIGKILL ends (a dead file server) must fail the check in the end.
                    actions += self._count(False, "timed_out", "cannot be killed", "")
                return actions
        return []

    def _reconfigure(self, script: VrrpScript, now: float) -> list[Action]:
        old, self.script = self.script, script
        if (old.program, old.impossible) != (script.program, script.impossible):
            # The old value stands until the new program has spoken, so that a reload alone moves no priority.
            self._first = True
            self.last_ending = None
            return self._restart(now)
        match self.phase:
            case Waiting(since, _):
                self.phase = Waiting(since, max(now, since + script.interval))
            case Running(since, until):
                # Not from `since`: where this process slept, the time began anew.
                self.phase = Running(since, until - old.timeout + script.timeout)
        return self._count_anew(old) if (old.rise, old.fall) != (script.rise, script.fall) else []

    def _count_anew(self, old: VrrpScript) -> list[Action]:
        """The results since the last change count under the new rise and fall; enough of them decide now."""
        rise, fall = self.script.rise, self.script.fall
        if self.value is None:
            self.counter = rise - 1
        elif self.value:
            failures = old.rise + old.fall - 1 - self.counter
            self.counter = self._full - failures
            if failures >= fall:
                return self._count(False, "failed", self.reason, self.output)
        elif self.counter >= rise:
            return self._count(True, "succeeded", self.reason, self.output)
        return []

    def _restart(self, now: float) -> list[Action]:
        match self.phase:
            case Waiting() | Hopeless():
                return self._start(now)
            case Running(since, _):
                self.phase = Ending(since, now + GRACE, changed=True)
                return [SignalProgram(Signal.TERM)]
            case Ending(since, until, kills, stopped=False):
                self.phase = Ending(since, until, kills, changed=True)
        return []

    def _stop(self, now: float) -> list[Action]:
        match self.phase:
            case Waiting() | Hopeless():
                self.phase = Idle()
            case Running(since, _):
                self.phase = Ending(since, now + GRACE, stopped=True)
                return [SignalProgram(Signal.TERM)]
            case Ending(since, until, kills):
                self.phase = Ending(since, until, kills, stopped=True)
        return []

    @property
    def _full(self) -> int:
        return self.script.rise + self.script.fall - 1

    def _judge(self, ending: ProgramEnd, output: str) -> list[Action]:
        actions = self._tell_ending(ending)
        if isinstance(ending, NotStarted):
            return actions + self._count(False, f"failed (not started: {ending.reason})", str(ending), "")
        how = how_it_ended(ending)
        if is_success(ending):
            return actions + self._count(True, "succeeded", how, output)
        return actions + self._count(False, f"failed ({how})", how, output)

    def _tell_ending(self, ending: ProgramEnd) -> list[Action]:
        changed = ending != self.last_ending and not isinstance(self.last_ending, NotStarted | None)
        self.last_ending = ending
        if not changed or isinstance(ending, NotStarted):
            return []
        now = f"returning {ending.status}" if isinstance(ending, Exited) else str(ending)
        return [Report(f"Script `{self.script.name}` now {now}")]

    def _count(self, good: bool, phrase: str, reason: str, output: str) -> list[Action]:
        """Counter 0 … rise + fall - 1; good from rise on."""
        rise = self.script.rise
        self.reason, self.output = reason, output
        if not self._first and good and self.counter < rise - 1:
            self.counter += 1
            return []
        if not self._first and not good and self.counter > rise:
            self.counter -= 1
            return []
        self._first = False
        self.counter = self._full if good else 0
        value = 1 if good else 0
        if value == self.value:
            return []
        self.value = value
        actions: list[Action] = [Report(f"VRRP_Script({self.script.name}) {phrase}")]
        if output.strip() and not good:
            lines = " | ".join(output.strip().splitlines())
            actions.append(Report(f"VRRP_Script({self.script.name}) printed: {lines}"))
        return [*actions, Observe(value=value, reason=reason, output="" if good else output)]


def how_it_ended(ending: ProgramEnd) -> str:
    """In keepalived's words."""
    return f"due to signal {ending.signal}" if isinstance(ending, Killed) else str(ending)

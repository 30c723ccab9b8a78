"""Decides in which order the notify programs run: one at a time for each object, and the latest state wins."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from kad.messages import Notified, Notify
from kad.run.script import GRACE, STUBBORN, DeadlineReached, Report, Signal, how_it_ended

LIMIT = 60.0
"""Seconds that a program may run once something newer waits behind it.

keepalived knows no limit, and a program that nothing waits for has none here either.
"""


@dataclass(frozen=True, slots=True)
class Asked:
    """A message came; the program is one that the configuration holds, or it is refused by the driver before."""

    message: Notify


@dataclass(frozen=True, slots=True)
class ProgramEnded:
    """Exit status; 128 + n after signal n; None: it could not be started (`output` says why)."""

    job: int
    status: int | None
    output: str


@dataclass(frozen=True, slots=True)
class RunProgram:
    """Run what the message names; the answer is ProgramEnded with that job."""

    job: int
    message: Notify


@dataclass(frozen=True, slots=True)
class SignalProgram:
    """Send this to the group of that job's program."""

    job: int
    signal: Signal


@dataclass(frozen=True, slots=True)
class Answer:
    """Say this to the asker."""

    message: Notified


Event = Asked | ProgramEnded | DeadlineReached
Action = RunProgram | SignalProgram | Answer | Report


@dataclass(slots=True)
class Job:
    """A program that runs."""

    number: int
    message: Notify
    since: float
    signalled_at: float | None = None
    kills: int = 0


@dataclass(frozen=True, slots=True)
class Pending:
    """A message that waits; from `impatient_at` on it runs beside what still runs."""

    message: Notify
    impatient_at: float | None


@dataclass(slots=True)
class Line:
    """What one object waits for."""

    running: dict[int, Job] = field(default_factory=dict)
    waiting: deque[Pending] = field(default_factory=deque)
    last_sequence: int = -1


class NotifyQueue:
    """All notify programs of the daemon."""

    def __init__(self) -> None:
        self.lines: dict[str, Line] = {}
        self._next_job = 0

    @property
    def deadline(self) -> float | None:
        """Monotonic seconds."""
        moments = [moment for line in self.lines.values() for moment in _moments(line)]
        return min(moments, default=None)

    @property
    def awaited(self) -> bool:
        """Somebody waits for the end of a program."""
        return any(
            message.awaited_until is not None
            for line in self.lines.values()
            for message in [job.message for job in line.running.values()] + [entry.message for entry in line.waiting]
        )

    def handle(self, event: Event, now: float) -> list[Action]:
        """The actions are to be done in their order."""
        match event:
            case Asked(message):
                return self._ask(message, now)
            case ProgramEnded(job, status, output):
                return self._end(job, status, output, now)
            case DeadlineReached():
                return [action for line in self.lines.values() for action in self._late(line, now)]

    def _ask(self, message: Notify, now: float) -> list[Action]:
        line = self.lines.setdefault(message.object, Line())
        if message.sequence <= line.last_sequence:
            return []
        line.last_sequence = message.sequence
        actions: list[Action] = []
        for entry in list(line.waiting):
            # Whoever stops has no use for what was to be told of the states before.
            if entry.message.program == message.program or message.awaited_until is not None:
                line.waiting.remove(entry)
                actions.append(Answer(_answer(entry.message, None, f"overtaken by {message.program}", 0.0)))
        half = None if message.awaited_until is None else now + message.awaited_until / 2
        line.waiting.append(Pending(message, half))
        return actions + self._advance(line, now)

    def _end(self, number: int, status: int | None, output: str, now: float) -> list[Action]:
        for line in self.lines.values():
            job = line.running.pop(number, None)
            if job is None:
                continue
            actions: list[Action] = []
            if job.message.timeout is None:
                actions += _complaint(job.message.program, status, output)
            actions.append(Answer(_answer(job.message, status, output, now - job.since)))
            return actions + self._advance(line, now)
        return []

    def _advance(self, line: Line, now: float) -> list[Action]:
        """Start what may start."""
        actions: list[Action] = []
        while line.waiting:
            impatient = line.waiting[0].impatient_at
            if line.running and (impatient is None or now < impatient):
                break
            message = line.waiting.popleft().message
            self._next_job += 1
            line.running[self._next_job] = Job(self._next_job, message, now)
            actions.append(RunProgram(self._next_job, message))
        return actions

    def _late(self, line: Line, now: float) -> list[Action]:
        actions: list[Action] = []
        for job in line.running.values():
            until = _until(line, job)
            if until is None or until > now:
                continue
            if job.signalled_at is None:
                if job.message.timeout is None:
                    actions.append(Report(f"{job.message.program} has run for {now - job.since:.0f} s: ending it"))
                actions.append(SignalProgram(job.number, Signal.TERM))
            else:
                job.kills += 1
                actions.append(SignalProgram(job.number, Signal.KILL))
            job.signalled_at = now
        return actions + self._advance(line, now)


def _complaint(program: str, status: int | None, output: str) -> list[Action]:
    if status is None:
        return [Report(f"{program} could not be started: {output}")]
    said = f": {output.strip()}" if output else ""
    return [Report(f"{program} failed ({how_it_ended(status)}){said}")] if status else []


def _until(line: Line, job: Job) -> float | None:
    """When this job is to be signalled."""
    if job.signalled_at is not None:
        return job.signalled_at + (STUBBORN if job.kills > 1 else GRACE)
    if job.message.timeout is not None:
        return job.since + job.message.timeout
    return job.since + LIMIT if line.waiting else None


def _moments(line: Line) -> list[float]:
    moments = [until for job in line.running.values() if (until := _until(line, job)) is not None]
    if line.waiting and line.waiting[0].impatient_at is not None:
        moments.append(line.waiting[0].impatient_at)
    return moments


def _answer(message: Notify, status: int | None, output: str, duration: float) -> Notified:
    return Notified(
        program=message.program,
        object=message.object,
        sequence=message.sequence,
        status=status,
        output=output,
        duration=duration,
    )

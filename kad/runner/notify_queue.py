"""Decides in which order the programs of one object run: one at a time, and the latest state wins."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from kad.model.program_end import NotStarted, ProgramEnd, TimedOut, is_success
from kad.runner.script_check import GRACE, STUBBORN, Report, Signal, how_it_ended
from kad.shared.messages import Notified, Notify
from kad.shared.state_machine import DeadlineReached

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
    """It runs no longer, or has never run."""

    job: int
    ending: ProgramEnd
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


@dataclass(frozen=True, slots=True)
class Keep:
    """A life after this one is to run it too, or no longer, as long as no program was started for it."""

    message: Notify
    wanted: bool = True


Event = Asked | ProgramEnded | DeadlineReached
Action = RunProgram | SignalProgram | Answer | Keep | Report


@dataclass(slots=True)
class Job:
    """A program that runs."""

    number: int
    message: Notify
    since: float
    signalled_at: float | None = None
    kills: int = 0
    is_answered: bool = False


@dataclass(slots=True)
class Pending:
    """A message that waits; from `impatient_at` on it runs beside what still runs, at `late_at` it is too late."""

    message: Notify
    impatient_at: float | None
    late_at: float | None
    is_kept: bool = False


class NotifyLine:
    """The programs that are to be told of one object."""

    def __init__(self) -> None:
        self.running: dict[int, Job] = {}
        self.waiting: deque[Pending] = deque()
        self.last_sequence = -1
        self._next_job = 0

    @property
    def deadline(self) -> float | None:
        """Monotonic seconds."""
        moments = [moment for job in self.running.values() if (moment := self._until(job)) is not None]
        moments += [entry.late_at for entry in self.waiting if entry.late_at is not None]
        if self.waiting and self.waiting[0].impatient_at is not None:
            moments.append(self.waiting[0].impatient_at)
        return min(moments, default=None)

    @property
    def is_idle(self) -> bool:
        """No program runs, and none waits."""
        return not self.running and not self.waiting

    @property
    def awaited(self) -> bool:
        """Somebody waits for the end of a program."""
        messages = [job.message for job in self.running.values()] + [entry.message for entry in self.waiting]
        return any(message.awaited_until is not None for message in messages)

    def handle(self, event: Event, now: float) -> list[Action]:
        """The actions are to be done in their order."""
        match event:
            case Asked(message):
                return self._ask(message, now)
            case ProgramEnded(job, ending, output):
                return self._end(job, ending, output, now)
            case DeadlineReached():
                return self._late(now)

    def _ask(self, message: Notify, now: float) -> list[Action]:
        if message.sequence <= self.last_sequence:
            return []
        self.last_sequence = message.sequence
        actions: list[Action] = []
        for entry in list(self.waiting):
            # Whoever stops has no use for what was to be told of the states before.
            is_past = message.awaited_until is not None and entry.message.awaited_until is None
            if entry.message.program == message.program or is_past:
                self.waiting.remove(entry)
                actions += self._drop(entry, f"overtaken by {message.program}")
        half = None if message.awaited_until is None else now + message.awaited_until / 2
        late = None if message.timeout is None else now + message.timeout
        asked = Pending(message, half, late)
        self.waiting.append(asked)
        actions += self._advance(now)
        # A check that is lost with this process is asked for again anyway.
        if asked in self.waiting and message.timeout is None:
            asked.is_kept = True
            actions.append(Keep(message))
        return actions

    def _end(self, number: int, ending: ProgramEnd, output: str, now: float) -> list[Action]:
        job = self.running.pop(number, None)
        if job is None:
            return []
        actions: list[Action] = []
        if job.message.timeout is None:
            actions += _complaint(job.message.program, ending, output)
        if not job.is_answered:
            actions.append(Answer(_answer(job.message, ending, output, now - job.since)))
        return actions + self._advance(now)

    def _advance(self, now: float) -> list[Action]:
        """Start what may start."""
        actions: list[Action] = []
        while self.waiting:
            impatient = self.waiting[0].impatient_at
            if self.running and (impatient is None or now < impatient):
                break
            entry = self.waiting.popleft()
            self._next_job += 1
            self.running[self._next_job] = Job(self._next_job, entry.message, now)
            actions.append(RunProgram(self._next_job, entry.message))
            if entry.is_kept:
                actions.append(Keep(entry.message, wanted=False))
        return actions

    def _late(self, now: float) -> list[Action]:
        actions: list[Action] = []
        for entry in list(self.waiting):
            if entry.late_at is not None and entry.late_at <= now:
                self.waiting.remove(entry)
                actions += self._drop(entry, "the run before it has not ended")
        for job in self.running.values():
            until = self._until(job)
            if until is None or until > now:
                continue
            if job.signalled_at is None:
                actions += self._give_up(job, now)
            else:
                job.kills += 1
                actions.append(SignalProgram(job.number, Signal.KILL))
            job.signalled_at = now
        return actions + self._advance(now)

    def _give_up(self, job: Job, now: float) -> list[Action]:
        """It has run for too long. Who set a timeout is told when it is over, not when the program has died of it."""
        ran = now - job.since
        signal = SignalProgram(job.number, Signal.TERM)
        if job.message.timeout is None:
            return [Report(f"{job.message.program} has run for {ran:.0f} s: ending it"), signal]
        job.is_answered = True
        return [signal, Answer(_answer(job.message, TimedOut(job.message.timeout), "", ran))]

    def _drop(self, entry: Pending, why: str) -> list[Action]:
        """It is not run."""
        answer = Answer(_answer(entry.message, NotStarted(why), "", 0.0))
        return [answer, Keep(entry.message, wanted=False)] if entry.is_kept else [answer]

    def _until(self, job: Job) -> float | None:
        """When this job is to be signalled."""
        if job.signalled_at is not None:
            return job.signalled_at + (STUBBORN if job.kills > 1 else GRACE)
        if job.message.timeout is not None:
            return job.since + job.message.timeout
        return job.since + LIMIT if self.waiting else None


def _complaint(program: str, ending: ProgramEnd, output: str) -> list[Action]:
    if is_success(ending):
        return []
    if isinstance(ending, NotStarted):
        return [Report(f"{program} {ending}")]
    said = f": {' | '.join(output.strip().splitlines())}" if output.strip() else ""
    return [Report(f"{program} failed ({how_it_ended(ending)}){said}")]


def _answer(message: Notify, ending: ProgramEnd, output: str, duration: float) -> Notified:
    return Notified(
        program=message.program,
        object=message.object,
        sequence=message.sequence,
        ending=ending,
        output=output,
        duration=duration,
    )

"""Which processes are meant by a name, told as each tool tells it, and how many of them there must be; pure."""

from __future__ import annotations

from dataclasses import dataclass

from kad.model.tracking import TrackedProcess
from kad.shared.state_machine import DeadlineReached


@dataclass(frozen=True, slots=True)
class Counted:
    """So many processes are there now."""

    number: int


@dataclass(frozen=True, slots=True)
class Reconfigured:
    """The keywords changed; the pattern did not."""

    tracked: TrackedProcess


@dataclass(frozen=True, slots=True)
class Observe:
    """The value changed: 1 within the quorum, 0 not."""

    value: int
    reason: str


class ProcessQuorum:
    """One vrrp_track_process: a change that is undone within its delay never counts."""

    def __init__(self, tracked: TrackedProcess) -> None:
        self.tracked = tracked
        self.number: int | None = None
        self.value: int | None = None
        self.reason = "not counted yet"
        self._since: float | None = None
        """When the number left or entered the quorum, which does not count yet; None: nothing waits."""
        self._grew = False
        """Then."""

    @property
    def deadline(self) -> float | None:
        """Monotonic seconds."""
        if self._since is None:
            return None
        return self._since + (self.tracked.fork_delay if self._grew else self.tracked.terminate_delay)

    def handle(self, event: Counted | Reconfigured | DeadlineReached, now: float) -> list[Observe]:
        """Observe, where the value changes."""
        match event:
            case Counted(number):
                return self._count(number, now)
            case Reconfigured(tracked):
                self.tracked = tracked
                waits = self.deadline is not None and self.deadline > now and self._wanted() != self.value
                return [] if waits else self._settle()
            case DeadlineReached():
                return self._settle() if self.deadline is not None and now >= self.deadline else []

    def resume(self, value: int, reason: str) -> None:
        """What an earlier life of this process said; the first number corrects it at once."""
        self.value, self.reason = value, reason

    def _count(self, number: int, now: float) -> list[Observe]:
        before, self.number = self.number, number
        if before is None:
            return self._settle()
        if self._wanted() == self.value:
            self._since = None
            return []
        if self._since is not None:
            return []
        self._since, self._grew = now, number > before
        return self._settle() if self.deadline == now else []

    def _wanted(self) -> int:
        number, most = self.number or 0, self.tracked.quorum_max
        return int(number >= self.tracked.quorum and (most is None or number <= most))

    def _settle(self) -> list[Observe]:
        self._since = None
        if self.number is None or self._wanted() == self.value:
            return []
        self.value = self._wanted()
        self.reason = self._sentence()
        return [Observe(self.value, self.reason)]

    def _sentence(self) -> str:
        tracked = self.tracked
        least, most = tracked.quorum, tracked.quorum_max
        wanted = f"{least} or more" if most is None else f"{least}" if least == most else f"{least} to {most}"
        verb = "runs" if self.number == 1 else "run"
        return f"{self.number} of process {tracked.pattern} {verb}, {wanted} wanted"

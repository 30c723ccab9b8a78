"""Plays for machines: `>>` something happens, `<<` is what the machine wants done next, and nothing is left unsaid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_EXACT = 1e-9


@dataclass(frozen=True)
class At:
    """The clock moves on; nothing may fall due on the way, or the play forgot a moment."""

    moment: float


@dataclass(frozen=True)
class Late:
    """The clock moves on, and what fell due on the way was not served: the process slept."""

    moment: float


@dataclass(frozen=True)
class Due:
    """The machine waits for exactly this moment, and the clock moves there; None: it waits for nothing."""

    moment: float | None


class Play:
    """One machine on a clock of its own; `assert Play(machine) >> event << action << action >> event`."""

    def __init__(self, machine: Any, now: float = 0.0) -> None:
        self.machine = machine
        self.now = now
        self._event: object = None
        self._wanted: list[object] = []

    def __rshift__(self, event: object) -> Play:
        self._nothing_left()
        match event:
            case Due(moment):
                self._fall_due(moment)
            case At(moment):
                deadline = self.machine.deadline
                if deadline is not None and deadline < moment - _EXACT:
                    raise AssertionError(f"something falls due at {deadline}, before {moment}")
                self.now = moment
            case Late(moment):
                self.now = moment
            case _:
                self._event = event
                self._wanted = list(self.machine.handle(event, self.now))
        return self

    def __lshift__(self, action: object) -> Play:
        """Next this is wanted; `...`: whatever else."""
        if action is ...:
            self._wanted.clear()
            return self
        if not self._wanted:
            raise AssertionError(f"at {self.now} after {self._event} nothing more is wanted, not {action}")
        wanted = self._wanted.pop(0)
        if wanted != action:
            raise AssertionError(f"at {self.now} after {self._event}\n  wanted   {wanted}\n  expected {action}")
        return self

    def __bool__(self) -> bool:
        self._nothing_left()
        return True

    def _fall_due(self, moment: float | None) -> None:
        deadline = self.machine.deadline
        if moment is None or deadline is None:
            if deadline is not moment:
                raise AssertionError(f"at {self.now} the deadline is {deadline}, not {moment}")
            return
        if abs(deadline - moment) > _EXACT:
            raise AssertionError(f"at {self.now} the deadline is {deadline}, not {moment}")
        self.now = deadline

    def _nothing_left(self) -> None:
        if self._wanted:
            raise AssertionError(f"at {self.now} after {self._event} this is wanted too: {self._wanted}")

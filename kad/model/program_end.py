"""How a program ended, as typed values: an exit status is never taken for a signal, nor a failed start for a result."""

from __future__ import annotations

import msgspec


class Exited(msgspec.Struct, frozen=True, tag="exited"):
    """It ended by itself; a shell whose command died of signal n exits with status 128 + n, and that is a status."""

    status: int

    def __str__(self) -> str:
        return f"exited with status {self.status}"


class Killed(msgspec.Struct, frozen=True, tag="killed"):
    """A signal ended it."""

    signal: int

    def __str__(self) -> str:
        return f"was killed by signal {self.signal}"


class TimedOut(msgspec.Struct, frozen=True, tag="timed_out"):
    """It ran longer than it may, and has been sent a signal; it need not have ended yet."""

    seconds: float

    def __str__(self) -> str:
        return f"timed out after {self.seconds:g} s"


class NotStarted(msgspec.Struct, frozen=True, tag="not_started"):
    """It did not run."""

    reason: str
    transient: bool = False
    """For a reason that will pass: nothing can be learned from it."""

    def __str__(self) -> str:
        return f"could not be started: {self.reason}"


ProcessEnd = Exited | Killed
"""What the kernel reports of a process."""
ProgramEnd = Exited | Killed | TimedOut | NotStarted
"""What the asker for a program learns."""


def is_success(ending: ProgramEnd) -> bool:
    return ending == Exited(0)


def shell_status(ending: ProcessEnd) -> int:
    """One number, as a shell has it: for kad's own processes, none of which exits with a status above 127."""
    return ending.status if isinstance(ending, Exited) else 128 + ending.signal

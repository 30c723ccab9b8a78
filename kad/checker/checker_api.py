"""What every checker offers: one attempt that ends by itself, in bounded time and memory, with an outcome."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol


class Outcome(NamedTuple):
    """How an attempt ended."""

    ok: bool
    reason: str
    """One sentence without a full stop."""
    weight: int | None = None
    """What the server's weight is from now on; None: as configured."""
    expires: float | None = None
    """UNIX time at which the server's certificate ends, where it was verified."""
    is_void: bool = False
    """Nothing was learned of the server: this host could not make the attempt."""


class Computation(NamedTuple):
    """What is said next, or the outcome, is still to be computed, which may take long: outside of the loop."""

    compute: Callable[[], bytes | Outcome]


Ended = Callable[[Outcome], None]
"""Told once, and never by the call that begins the attempt."""


class Attempt(Protocol):
    """One attempt that is being made."""

    @property
    def deadline(self) -> float | None:
        """Monotonic seconds at which expire() is to be called; None: it has ended."""

    def expire(self) -> None:
        """The deadline has come."""

    def allow(self, timeout: float) -> None:
        """A reload gives each step another number of seconds, counted from where it began."""

    def cancel(self) -> None:
        """Let go of everything; the outcome is not told."""


class Conversation(Protocol):
    """What is said on a connection; it does no I/O."""

    @property
    def awaited(self) -> str:
        """What the server owes now: "no HTTP response within 5 s" says it."""

    def begin(self) -> bytes:
        """What is said first; empty where the server speaks first."""

    def hear(self, data: bytes) -> bytes | Outcome | Computation:
        """The server spoke: what is said next, or the outcome; nothing else is called while a Computation runs."""

    def end(self) -> Outcome | Computation:
        """The server has closed the connection, or let it fall (then `hear` is not called again)."""

"""What every checker offers: one attempt that ends by itself, in bounded time and memory, with an outcome."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, NoReturn, Protocol

from kad.model.checker import Check, Connection, Tls, Url
from kad.shared.messages import Notified


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


class Attempts(Protocol):
    """What a check makes an attempt by. Each raises Unreachable, and Exhausted when nothing can be learned now."""

    def stream(
        self,
        connection: Connection,
        ended: Ended,
        conversation: Conversation | None = None,
        tls: tuple[Tls | None, Url] | None = None,
    ) -> Attempt:
        """Over TCP, with the name of the Url in TLS; without a conversation it succeeds when it is connected."""

    def datagram(
        self,
        connection: Connection,
        payload: bytes,
        judge: Callable[[bytes], Outcome | None],
        silence: Callable[[float], Outcome],
        ended: Ended,
    ) -> Attempt:
        """One datagram is sent; None of `judge` leaves one that came out, `silence` gets the seconds without one."""

    def echo(
        self, connection: Connection, reply: Outcome, silence: Callable[[float], Outcome], ended: Ended
    ) -> Attempt:
        """One echo request is sent; `reply` is the outcome when its reply comes."""

    def program(
        self, check: Check, program: str, timeout: float, judge: Callable[[Notified], Outcome], ended: Ended
    ) -> Attempt:
        """The runner runs the program of that id."""

    def refuse(self, reason: str) -> NoReturn:
        """The check cannot be made: its server has failed."""

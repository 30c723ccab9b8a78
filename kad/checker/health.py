"""Decides when one check is made, and what its results say of the server's health."""

from __future__ import annotations

from math import floor
from typing import ClassVar

import msgspec

from kad.model.checker import Timing
from kad.shared.state_machine import DeadlineReached

FIRST = 1.0
"""Seconds before any first attempt."""
_STEP = 0.05
"""Seconds between two moments at which checks begin, at most."""


class Started(msgspec.Struct, frozen=True):
    """The check is made from now on; `spread`, 0 to 1, is its place within the warmup."""

    spread: float


class Resumed(msgspec.Struct, frozen=True):
    """What an earlier life, or an earlier configuration, knew; it stands until the check says otherwise."""

    healthy: bool
    reason: str
    weight: int | None = None


class AttemptEnded(msgspec.Struct, frozen=True):
    """The attempt that was asked for has its result; `weight` is what it makes the server's weight, if anything."""

    ok: bool
    reason: str
    weight: int | None = None


class AttemptVoid(msgspec.Struct, frozen=True):
    """The attempt could not be made, which says nothing of the server: it is made again soon."""


class Reconfigured(msgspec.Struct, frozen=True):
    """The keywords of the check changed; what is asked may be another question now."""

    timing: Timing
    spread: float


class Retimed(msgspec.Struct, frozen=True):
    """Only the times and counts of the check changed: what waits counts from where it began."""

    timing: Timing


class Suspended(msgspec.Struct, frozen=True):
    """Nobody wants to know: no attempts until Started comes again, and the last verdict stands."""


class StartAttempt(msgspec.Struct, frozen=True):
    """Ask; the answer is AttemptEnded. `url` counts from 0."""

    url: int


class CancelAttempt(msgspec.Struct, frozen=True):
    """The attempt no longer matters, and no answer is wanted."""


class Verdict(msgspec.Struct, frozen=True):
    """Said of the first result and of each change."""

    healthy: bool
    reason: str
    weight: int | None = None
    retries: int = 0
    """Attempts that failed before the last one."""


class AttemptFailed(msgspec.Struct, frozen=True):
    """One attempt failed, which changes nothing yet and is to be logged."""

    reason: str


Event = Started | Resumed | AttemptEnded | AttemptVoid | DeadlineReached | Reconfigured | Retimed | Suspended
Action = StartAttempt | CancelAttempt | Verdict | AttemptFailed


class Idle(msgspec.Struct, frozen=True):
    """Not started, or suspended."""

    until: ClassVar[None] = None


class Waiting(msgspec.Struct, frozen=True):
    """The next attempt begins at this moment."""

    until: float
    since: float
    spread: float | None = None
    """The place of the first attempt within the warmup; None: it is not the first."""
    began: float | None = None
    """When the last attempt did; None: none has ended."""


class Attempting(msgspec.Struct, frozen=True):
    """An attempt is being made."""

    since: float
    until: ClassVar[None] = None


Phase = Idle | Waiting | Attempting


class Health:
    """One check: the first result decides at once; later it takes `retry` more failures to fall, one success to rise.

    With urls they are asked for in turn, delay_loop apart. Where one failed, it is asked for until it is good, and then
    all of them from the first; only a whole pass makes the server healthy again.
    """

    __slots__ = ("_failed", "_failure", "_url", "has_run", "healthy", "phase", "reason", "timing", "tries", "weight")

    def __init__(self, timing: Timing) -> None:
        self.timing = timing
        self.phase: Phase = Idle()
        self.healthy = not timing.alpha
        self.has_run = False
        """There was a verdict."""
        self.reason = "not checked yet"
        self.weight: int | None = None
        self.tries = 0
        """Attempts that failed, one after the other, without a verdict."""
        self._url = 0
        self._failed = False
        """The present url failed, and has to become good before the others are asked for."""
        self._failure = AttemptEnded(False, "not checked yet")
        """The last of `tries`."""

    @property
    def deadline(self) -> float | None:
        """Monotonic seconds."""
        return self.phase.until

    def handle(self, event: Event, now: float) -> list[Action]:
        """The actions are to be done in their order."""
        match event:
            case AttemptEnded():
                return self._ended(event, now) if isinstance(self.phase, Attempting) else []
            case AttemptVoid():
                if isinstance(self.phase, Attempting):
                    self.phase = Waiting(now + FIRST, now)
            case DeadlineReached():
                due = self.phase.until
                return self._start(now) if due is not None and now >= due else []
            case Started(spread):
                if isinstance(self.phase, Idle):
                    self.phase = self._first(spread, now)
            case Resumed():
                self.healthy, self.reason, self.weight = event.healthy, event.reason, event.weight
                self.has_run = True
            case Reconfigured(timing, spread):
                return self._reconfigure(timing, spread, now)
            case Retimed(timing):
                return self._retime(timing, now)
            case Suspended():
                was_attempting = isinstance(self.phase, Attempting)
                self.phase = Idle()
                return [CancelAttempt()] if was_attempting else []
        return []

    def _first(self, spread: float, now: float) -> Waiting:
        return Waiting(now + FIRST + spread * self.timing.warmup, now, spread)

    def _start(self, now: float) -> list[Action]:
        self.phase = Attempting(now)
        return [StartAttempt(self._url)]

    def _reconfigure(self, timing: Timing, spread: float, now: float) -> list[Action]:
        self.timing = timing
        self._url, self._failed, self.tries = 0, False, 0
        match self.phase:
            case Waiting() as waiting:
                self.phase = min(waiting, self._first(spread, now), key=lambda one: one.until)
            case Attempting():
                self.phase = self._first(spread, now)
                return [CancelAttempt()]
        return []

    def _retime(self, timing: Timing, now: float) -> list[Action]:
        """The failures so far count under the new `retry`; enough of them decide now."""
        self.timing = timing
        actions = self._give_up() if self.tries > timing.retry else []
        if isinstance(self.phase, Waiting):
            self.phase = msgspec.structs.replace(self.phase, until=max(self._until(self.phase), now))
        return actions

    def _until(self, waiting: Waiting) -> float:
        if waiting.spread is not None:
            return self._first(waiting.spread, waiting.since).until
        return waiting.until if waiting.began is None else self._next(waiting.began, waiting.since)

    def _ended(self, event: AttemptEnded, now: float) -> list[Action]:
        assert isinstance(self.phase, Attempting)
        began = self.phase.since
        actions = self._good(event) if event.ok else self._bad(event)
        self.phase = Waiting(self._next(began, now), now, None, began)
        return actions

    def _good(self, event: AttemptEnded) -> list[Action]:
        self.tries = 0
        recovered, self._failed = self._failed, False
        if self.timing.urls:
            self._url = 0 if recovered else self._url + 1
            if recovered or self._url < self.timing.urls:
                return []
            self._url = 0
        return self._conclude(True, event)

    def _bad(self, event: AttemptEnded) -> list[Action]:
        """What has failed has no retries; but a url that fails on the way up has them."""
        if not self.has_run:
            self._failed = True
            return self._conclude(False, event)
        if not self.healthy:
            self.reason = event.reason
        if self.healthy or (self.timing.urls and not self._failed):
            self.tries += 1
            self._failure = event
            if self.tries > self.timing.retry and (concluded := self._give_up()):
                return concluded
        else:
            self._failed = True
        return [AttemptFailed(event.reason)] if self.timing.log_all_failures else []

    def _give_up(self) -> list[Action]:
        """More attempts failed than `retry`; a verdict where that is news."""
        self._failed = True
        retries, self.tries = self.tries - 1, 0
        return self._conclude(False, self._failure, retries) if self.healthy else []

    def _conclude(self, healthy: bool, event: AttemptEnded, retries: int = 0) -> list[Action]:
        known = self.has_run and (self.healthy, self.weight) == (healthy, event.weight)
        self.has_run, self.healthy, self.reason, self.weight = True, healthy, event.reason, event.weight
        return [] if known else [Verdict(healthy, event.reason, event.weight, retries)]

    def _next(self, began: float, now: float) -> float:
        timing = self.timing
        if self.tries:
            return now + timing.delay_before_retry
        if self._failed and timing.urls:
            return now + max(timing.delay_before_retry, timing.delay_loop)
        if timing.fast_recovery and timing.urls and not (self.has_run and self.healthy) and not self._failed:
            return now
        if timing.from_start:
            return began + timing.delay_loop * (floor((now - began) / timing.delay_loop) + 1)
        return _together(now + timing.delay_loop, timing.delay_loop)


def _together(moment: float, interval: float) -> float:
    """Moments that are near one another become the same one, so that one turn of the loop serves several checks.

    Twenty moments an interval or more keep the load spread, and none moves by more than a fortieth of it.
    """
    step = min(_STEP, interval / 20)
    return round(moment / step) * step if step else moment

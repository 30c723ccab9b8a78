"""One check that is made again and again, for every server that is put to it."""

from __future__ import annotations

import time
from array import array

from kad.checker.check import Question
from kad.checker.checker_api import Attempt, Outcome
from kad.checker.health import Health
from kad.shared.messages import CheckState

_KEPT = 32
"""Latencies of good attempts that the median is taken of."""


class Probe:
    """State of one check; the room drives it."""

    __slots__ = (
        "_latencies",
        "_next",
        "attempt",
        "attempts",
        "began",
        "check",
        "expires",
        "failures",
        "health",
        "last",
        "since",
        "spread",
        "turn",
        "users",
        "warn_after",
    )

    def __init__(self, check: Question, spread: float) -> None:
        self.check = check
        self.health = Health(check.timing)
        self.spread = spread
        self.attempt: Attempt | None = None
        self.users: dict[str, None] = {}
        """Keys of the servers, in their order."""
        self.since = time.time()
        """UNIX time at which the check last changed its mind."""
        self.began = 0.0
        self.attempts = 0
        self.failures = 0
        self.last: float | None = None
        self.expires: float | None = None
        self.warn_after = 0.0
        self.turn = 0
        """Grows when an attempt that was asked for is no longer wanted."""
        self._latencies = array("f")
        self._next = 0

    @property
    def deadline(self) -> float | None:
        """Monotonic seconds."""
        return self.health.phase.until if self.attempt is None else self.attempt.deadline

    def note(self, outcome: Outcome, latency: float) -> None:
        """Count an attempt that has ended."""
        self.attempts += 1
        self.expires = outcome.expires if outcome.expires is not None else self.expires
        if not outcome.ok:
            self.failures += 1
        elif self.check.is_answered:
            self.last = latency
            if len(self._latencies) < _KEPT:
                self._latencies.append(latency)
            else:
                self._latencies[self._next] = latency
                self._next = (self._next + 1) % _KEPT

    def median(self) -> float | None:
        """Of the latest good attempts, in seconds."""
        ordered = sorted(self._latencies)
        return round(ordered[len(ordered) // 2], 6) if ordered else None

    def state(self) -> CheckState:
        return CheckState(
            kind=self.check.kind,
            target=self.check.target,
            healthy=self.health.healthy,
            known=self.health.has_run,
            reason=self.health.reason,
            since=self.since,
            latency=self.last,
        )

    def snapshot(self, now: float) -> dict[str, object]:
        """Plain values for JSON; times in seconds."""
        timing = self.check.timing
        due = self.health.deadline
        plain: dict[str, object] = {
            "kind": self.check.kind,
            "target": self.check.target,
            "healthy": self.health.healthy,
            "known": self.health.has_run,
            "since": self.since,
            "reason": self.health.reason,
            "latency": {"last": None if self.last is None else round(self.last, 6), "p50": self.median()},
            "attempts": self.attempts,
            "failed_attempts": self.failures,
            "failures_in_a_row": self.health.tries,
            "phase": type(self.health.phase).__name__.lower(),
            "next_in": None if due is None else round(max(0.0, due - now), 3),
            "delay_loop": timing.delay_loop,
            "retry": timing.retry,
            "delay_before_retry": timing.delay_before_retry,
            "shared_by": len(self.users),
        }
        if self.expires is not None:
            plain["certificate_expires"] = self.expires
        return plain

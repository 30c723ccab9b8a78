"""Decides when alerts leave as letters: many at once in one, and again and again while the server is away."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from kad.runner.script_check import Report
from kad.shared.messages import Mail
from kad.shared.state_machine import DeadlineReached

GATHERING = 0.2
"""Seconds that the first alert waits for others."""
SEPARATE = 10
"""So many alerts get a letter each; more of them go in one."""
MOST = 1000
"""Alerts that wait; beyond that the oldest is dropped."""
PATIENCE = 3600.0
"""Seconds after which an alert is given up."""
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 300.0
"""Seconds to the next attempt."""


class Letter(NamedTuple):
    """What is sent: the headers that differ, and the text."""

    subject: str
    body: str
    alerts: tuple[Mail, ...]


class Outcome(NamedTuple):
    """What became of a letter."""

    word: str
    """sent; refused: it will never be taken; failed: it may be taken later."""
    text: str
    """What the server said, or why it could not be asked."""


@dataclass(frozen=True, slots=True)
class Alerted:
    """Somebody is to be told."""

    alert: Mail


@dataclass(frozen=True, slots=True)
class Ended:
    """An attempt is over; letters without an outcome have failed, for this reason."""

    outcomes: tuple[Outcome, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Hurried:
    """Another server is configured, or kad ends: what waits leaves now."""


@dataclass(frozen=True, slots=True)
class SendLetters:
    """The answer is Ended."""

    letters: tuple[Letter, ...]


@dataclass(frozen=True, slots=True)
class Settled:
    """This alert needs no more care."""

    alert: Mail


@dataclass(frozen=True, slots=True)
class Note:
    """A line for the log about something good."""

    text: str


Event = Alerted | Ended | Hurried | DeadlineReached
Action = SendLetters | Settled | Note | Report


class MailQueue:
    """All alerts of the daemon."""

    def __init__(self, router_id: str) -> None:
        self.router_id = router_id
        self.waiting: deque[tuple[float, Mail]] = deque()
        """With the moment at which each came, monotonic seconds."""
        self.deadline: float | None = None
        self.sent = 0
        self.lost = 0
        self.last_error = ""
        self._flying: tuple[Letter, ...] = ()
        self._came: dict[int, float] = {}
        self._failures = 0
        self._more_lost = 0

    @property
    def is_sending(self) -> bool:
        return bool(self._flying)

    @property
    def is_troubled(self) -> bool:
        """The last attempt failed."""
        return self._failures > 0

    def handle(self, event: Event, now: float) -> list[Action]:
        """The actions are to be done in their order."""
        match event:
            case Alerted(alert):
                return self._take(alert, now)
            case Ended(outcomes, reason):
                return self._end(outcomes, reason, now)
            case Hurried():
                return [] if self.is_sending else self._send(now)
            case DeadlineReached():
                return self._send(now) if self.deadline is not None and self.deadline <= now else []

    def _take(self, alert: Mail, now: float) -> list[Action]:
        self.waiting.append((now, alert))
        if self.deadline is None and not self.is_sending:
            self.deadline = now + GATHERING
        if len(self.waiting) <= MOST:
            return []
        _, oldest = self.waiting.popleft()
        self._more_lost += 1
        return [Settled(oldest)]

    def _send(self, now: float) -> list[Action]:
        self.deadline = None
        actions: list[Action] = []
        while self.waiting and now - self.waiting[0][0] >= PATIENCE:
            actions.append(Settled(self.waiting.popleft()[1]))
            self._more_lost += 1
        if self._more_lost:
            text = f"{_alerts(self._more_lost)} given up: the server was away for too long ({self.last_error})"
            self.lost, self._more_lost = self.lost + self._more_lost, 0
            actions.append(Report(text))
        if not self.waiting:
            return actions
        self._came = {id(alert): came for came, alert in self.waiting}
        self._flying = tuple(self._letters([alert for _, alert in self.waiting]))
        self.waiting.clear()
        return [*actions, SendLetters(self._flying)]

    def _letters(self, alerts: list[Mail]) -> list[Letter]:
        if len(alerts) <= SEPARATE:
            return [Letter(f"[{self.router_id}] {alert.subject}", _body(alert), (alert,)) for alert in alerts]
        subject = f"[{self.router_id}] {len(alerts)} alerts, the last: {alerts[-1].subject}"
        lines = [f"{_moment(alert.when)} {alert.subject}: {alert.reason}\n" for alert in alerts]
        return [Letter(subject, "".join(lines), tuple(alerts))]

    def _end(self, outcomes: tuple[Outcome, ...], reason: str, now: float) -> list[Action]:
        actions: list[Action] = []
        again: list[Mail] = []
        for index, letter in enumerate(self._flying):
            word, text = outcomes[index] if index < len(outcomes) else Outcome("failed", reason)
            if word == "failed":
                again += letter.alerts
                self.last_error = text
                continue
            actions += [Settled(alert) for alert in letter.alerts]
            if word == "sent":
                self.sent += 1
                actions.append(Note(f"SMTP alert successfully sent: {letter.subject}"))
            else:
                self.lost += len(letter.alerts)
                self.last_error = text
            if text:
                actions.append(Report(f"mail {letter.subject!r}: {text}"))
        self._flying = ()
        self.waiting.extendleft(reversed([(self._came[id(alert)], alert) for alert in again]))
        return actions + self._plan(len(again), now)

    def _plan(self, failed: int, now: float) -> list[Action]:
        """When the next attempt is."""
        if not failed:
            self._failures = 0
            self.deadline = now + GATHERING if self.waiting else None
            return []
        pause = min(FIRST_PAUSE * 2.0**self._failures, LONGEST_PAUSE)
        self._failures += 1
        self.deadline = now + pause
        return [Report(f"{_alerts(failed)} could not be sent: {self.last_error}; again in {pause:g} s")]


def _body(alert: Mail) -> str:
    reason = f"Reason: {alert.reason}\n" if alert.reason else ""
    return f"{alert.body}\n\n{reason}Time: {_moment(alert.when)}\n"


def _alerts(count: int) -> str:
    return "1 mail alert" if count == 1 else f"{count} mail alerts"


def _moment(when: float) -> str:
    return datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")

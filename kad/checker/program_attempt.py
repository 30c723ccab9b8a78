"""One attempt by a program: the runner is sent the order to run it, and its answer decides."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import count

from kad.checker.checker_api import Ended, Outcome
from kad.child.multiplexer import Mux
from kad.model.checker import Check
from kad.model.notification import CheckDue
from kad.shared.messages import Message, Notified, Notify

PATIENCE = 2.0
"""Seconds after its timeout within which the runner has told of it, if any runner knows of it."""


class Courier:
    """Carries orders to the runner and its answers back."""

    def __init__(self, mux: Mux, say: Callable[[Message], None]) -> None:
        self._mux = mux
        self._say = say
        # A later life's orders have higher numbers, so that the runner does not take them for repeats.
        self._numbers = count(time.monotonic_ns() // 1000)
        self._running: dict[str, ProgramAttempt] = {}
        self.generation = 0

    def begin(
        self, check: Check, program: str, timeout: float, judge: Callable[[Notified], Outcome], ended: Ended
    ) -> ProgramAttempt:
        """Order a run."""
        # The runner runs one program of an object at a time: equal programs of unlike checks must not wait.
        fact = CheckDue(check=hash(check) & 0xFFFFFFFF, timeout=timeout)
        order = Notify(program=program, fact=fact, generation=self.generation, sequence=next(self._numbers))
        attempt = ProgramAttempt(self, judge, ended, self._mux.now() + timeout + PATIENCE, order)
        self._running[order.object] = attempt
        self._say(order)
        return attempt

    def receive(self, message: Notified) -> None:
        """The runner's answer, which may be for an attempt that nobody wants any more."""
        attempt = self._running.get(message.object)
        if attempt is not None and attempt.number == message.sequence:
            del self._running[message.object]
            attempt.answer(message)

    def forget(self, attempt: ProgramAttempt) -> None:
        if self._running.get(attempt.object) is attempt:
            del self._running[attempt.object]


class ProgramAttempt:
    """One run of the program."""

    __slots__ = ("_courier", "_ended", "_judge", "deadline", "number", "object")

    def __init__(
        self,
        courier: Courier,
        judge: Callable[[Notified], Outcome],
        ended: Ended,
        deadline: float,
        order: Notify,
    ) -> None:
        self._courier = courier
        self._ended = ended
        self._judge = judge
        self.deadline: float | None = deadline
        self.number, self.object = order.sequence, order.object

    def answer(self, message: Notified) -> None:
        self._end(self._judge(message))

    def expire(self) -> None:
        """A runner that was replaced knows nothing of the order."""
        self._end(Outcome(False, "the process that ran the program was replaced", is_void=True))

    def allow(self, timeout: float) -> None:
        """Another time is another question: the runner has its order."""

    def cancel(self) -> None:
        self.deadline = None
        self._courier.forget(self)

    def _end(self, outcome: Outcome) -> None:
        if self.deadline is not None:
            self.cancel()
            self._ended(outcome)

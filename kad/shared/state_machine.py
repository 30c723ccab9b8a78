"""The shape of every state machine: events in, actions out, one deadline; no I/O, no clock, no log."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Generic, Protocol, TypeVar

import msgspec

E_contra = TypeVar("E_contra", contravariant=True)
A_co = TypeVar("A_co", covariant=True)


class DeadlineReached(msgspec.Struct, frozen=True):
    """The machine's deadline has come: an event of every machine."""


class Timed(Protocol):
    """Whatever waits for a moment of the monotonic clock, in seconds; None waits for nothing."""

    @property
    def deadline(self) -> float | None: ...


class Machine(Timed, Protocol[E_contra, A_co]):
    """A decision: what to do about an event that happens now."""

    def handle(self, event: E_contra, now: float) -> Sequence[A_co]: ...


M = TypeVar("M", bound=Timed)


class Deadlines(Generic[M]):
    """Which machine falls due next; a deadline that moved later costs nothing until its old moment comes."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, M]] = []
        self._armed: dict[int, float] = {}
        self._order = count()

    def watch(self, machine: M) -> None:
        """Look at the machine's deadline again; call after any event that may have moved it earlier."""
        deadline = machine.deadline
        if deadline is None:
            return
        armed = self._armed.get(id(machine))
        if armed is None or deadline < armed:
            self._push(machine, deadline)

    def forget(self, machine: M) -> None:
        """The machine no longer exists."""
        self._armed.pop(id(machine), None)
        self._heap = [entry for entry in self._heap if entry[2] is not machine]
        heapq.heapify(self._heap)

    def next(self) -> float | None:
        """The earliest moment at which due() may have something to say."""
        heap = self._heap
        # A deadline that moved earlier has left its old moment behind, for which nobody has to wake up.
        while heap and self._armed.get(id(heap[0][2])) != heap[0][0]:
            heapq.heappop(heap)
        return heap[0][0] if heap else None

    def due(self, now: float) -> Iterator[M]:
        """Each machine whose deadline has come, earliest first; it must be watched again afterwards."""
        while self._heap and self._heap[0][0] <= now:
            armed, _, machine = heapq.heappop(self._heap)
            if self._armed.get(id(machine)) != armed:
                continue
            del self._armed[id(machine)]
            deadline = machine.deadline
            if deadline is None:
                continue
            if deadline > now:
                self._push(machine, deadline)
            else:
                yield machine

    def _push(self, machine: M, deadline: float) -> None:
        self._armed[id(machine)] = deadline
        heapq.heappush(self._heap, (deadline, next(self._order), machine))

"""Virtual time: what happens when, in seconds, and nothing in between."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count

_Entry = tuple[float, int, Callable[[], None]]


class Timeline:
    """A clock that jumps from one event to the next."""

    def __init__(self) -> None:
        self.now = 0.0
        self._heap: list[_Entry] = []
        self._order = count()

    def at(self, moment: float, happen: Callable[[], None]) -> None:
        """Let it happen then, or now if that moment is gone; equal moments in the order of asking."""
        heapq.heappush(self._heap, (max(moment, self.now), next(self._order), happen))

    def run_until(self, moment: float) -> None:
        """Let happen whatever is due up to and with that moment."""
        heap = self._heap
        while heap and heap[0][0] <= moment:
            self.now, _, happen = heapq.heappop(heap)
            happen()
        self.now = max(self.now, moment)

"""Which complaints are logged: one of a cause in a minute, of a bounded number of causes."""

from __future__ import annotations

from collections.abc import Hashable

INTERVAL = 60.0
"""Seconds between two log lines of one cause."""
MOST_CAUSES = 256
"""Beyond that nothing is logged of a further cause within a minute: made-up causes fill neither log nor memory."""


class ComplaintLimit:
    """Remembers when a complaint of each cause was logged; `left_out` counts those that were not."""

    def __init__(self) -> None:
        self._last: dict[Hashable, float] = {}
        self.left_out = 0

    def is_due(self, cause: Hashable, now: float) -> bool:
        """Whether a complaint of this cause is to be logged now, in monotonic seconds."""
        if now - self._last.get(cause, -INTERVAL) < INTERVAL:
            self.left_out += 1
            return False
        if len(self._last) >= MOST_CAUSES:
            self._last = {known: moment for known, moment in self._last.items() if now - moment < INTERVAL}
            if len(self._last) >= MOST_CAUSES:
                self.left_out += 1
                return False
        self._last[cause] = now
        return True

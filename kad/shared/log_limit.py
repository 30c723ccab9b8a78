"""Which complaints are logged: one of a cause in a minute, of a bounded number of causes."""

from __future__ import annotations

from collections.abc import Hashable

INTERVAL = 60.0
"""Seconds between two log lines of one cause."""
MOST_CAUSES = 256
"""Beyond that nothing is logged of a further cause within a minute: made-up causes fill neither log nor memory."""


class ComplaintLimit:
    """Remembers when a complaint of each cause was logged; `left_out` counts those that were not."""

    __slots__ = ("_full_until", "_last", "_most", "left_out")

    def __init__(self, most: int = MOST_CAUSES) -> None:
        self._last: dict[Hashable, float] = {}
        self._most = most
        self._full_until = 0.0
        """Before this moment no cause that is remembered makes room: a storm of new ones costs no search each."""
        self.left_out = 0

    def __len__(self) -> int:
        """Causes that are remembered."""
        return len(self._last)

    def is_due(self, cause: Hashable, now: float) -> bool:
        """Whether a complaint of this cause is to be logged now, in monotonic seconds."""
        last = self._last.get(cause)
        if last is not None and now - last < INTERVAL:
            self.left_out += 1
            return False
        if last is None and len(self._last) >= self._most and not self._has_made_room(now):
            self.left_out += 1
            return False
        self._last[cause] = now
        return True

    def _has_made_room(self, now: float) -> bool:
        if now < self._full_until:
            return False
        self._last = {known: moment for known, moment in self._last.items() if now - moment < INTERVAL}
        if len(self._last) < self._most:
            return True
        self._full_until = min(self._last.values()) + INTERVAL
        return False

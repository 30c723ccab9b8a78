"""How stubbornly an address that somebody removed is put back; pure."""

from __future__ import annotations

from collections import deque

_WINDOW = 60.0
"""Seconds over which removals are counted."""
_AT_ONCE = 3
_LIMIT = 10
"""More removals than this in the window: somebody means it, or something fights us."""
_FIRST_DELAY = 0.1


class AddressGuard:
    """Counts the removals of one instance's addresses."""

    def __init__(self) -> None:
        self._lost: deque[float] = deque()

    def lost(self, now: float) -> float | None:
        """The moment at which to put it back: now, or later the oftener it was lost; None: give up."""
        while self._lost and self._lost[0] <= now - _WINDOW:
            self._lost.popleft()
        self._lost.append(now)
        count = len(self._lost)
        if count <= _AT_ONCE:
            return now
        if count > _LIMIT:
            return None
        return now + _FIRST_DELAY * 2.0 ** (count - _AT_ONCE - 1)

    def may_try_again_at(self) -> float:
        """After giving up: the moment from which the address is tried once more."""
        return self._lost[-1] + _WINDOW

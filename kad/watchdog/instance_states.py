"""What the vrrp process last said of every instance, and what follows from all of them at any moment; pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from kad.shared.messages import Earlier, RouterState
from kad.shared.shared_page import Page


class Routers:
    """Every answer costs the same, however many instances there are."""

    def __init__(self) -> None:
        self._states: dict[str, RouterState] = {}
        self._counts: Counter[str] = Counter()
        self._held: Counter[float] = Counter()
        """Advertisement intervals of those that hold addresses."""

    def __iter__(self) -> Iterator[RouterState]:
        return iter(self._states.values())

    def take(self, state: RouterState) -> None:
        """An instance is this now, or is gone."""
        before = self._states.pop(state.name, None) if state.deleted else self._states.get(state.name)
        if before is not None:
            self._count(before, -1)
        if not state.deleted:
            self._states[state.name] = state
            self._count(state, 1)

    def clear(self) -> None:
        """There is no instance any more."""
        self._states.clear()
        self._counts.clear()
        self._held.clear()

    def _count(self, state: RouterState, number: int) -> None:
        self._counts[state.state] += number
        if state.holds_addresses:
            self._held[state.advertisement_interval] += number
            if not self._held[state.advertisement_interval]:
                del self._held[state.advertisement_interval]

    def summary(self) -> str:
        """How many are in each state."""
        return ", ".join(f"{count} {name}" for name, count in sorted(self._counts.items(), reverse=True) if count)

    def earlier(self, page: Page) -> tuple[Earlier, ...]:
        """What every router was, for the process that replaces the one that ran it and wrote this page."""
        found = []
        for state in self:
            spoken = page.spoken(state.slot)
            earlier = Earlier(
                state=state,
                spoke_at=spoken.at,
                sent=spoken.sent,
                received=spoken.received,
                sequence=spoken.sequence,
                marks=page.marks(state.slot),
                master_advertisement_interval=spoken.interval,
                entered_at=spoken.entered_at,
            )
            found.append(earlier)
        return tuple(found)

    def deaf_after(self, otherwise: float) -> float:
        """Seconds of silence after which the vrrp process is replaced: before a peer would miss what it holds."""
        return min(max(1.5 * min(self._held), 0.3), 2.0) if self._held else otherwise

"""Who only waits for the silence of its MASTER: when that was last heard is looked at for all of them at once.

The other way, to give each of them its new moment at every advert or when the old one comes, touches memory of
thousands of routers that have nothing to decide.
"""

from __future__ import annotations

import heapq
from math import inf

from kad.vrrp.process.instance import Instance


class Watch:
    """Those that bear the same silence, by slot."""

    __slots__ = ("at", "members", "silence")

    def __init__(self, silence: float) -> None:
        self.silence = silence
        self.members: dict[int, Instance] = {}
        self.at = inf
        """Before this moment nobody is silent for so long."""


class Vigil:
    """Instances whose router falls due when its silence has passed since what is noted in `hearing`, and not before."""

    def __init__(self, hearing: list[float | None]) -> None:
        """hearing: by slot, see Router."""
        self._hearing = hearing
        self._watches: dict[float, Watch] = {}
        self.watch_of: dict[int, Watch] = {}
        """By slot; other files only look whether a slot is in it."""
        self._moments: list[tuple[float, float]] = []
        """A heap of moments, each with the silence of its watch; the others of a watch are void."""

    def suits(self, instance: Instance) -> bool:
        """Whether it waits for a silence since what is noted: another priority counts from the next advert on only."""
        router = instance.router
        return router.obeyed is not None and router.deadline == self._silent_at(instance.slot, router.silence)

    def keep(self, instance: Instance) -> None:
        """This instance suits."""
        silence = instance.router.silence
        watch = self.watch_of[instance.slot] = self._watches.setdefault(silence, Watch(silence))
        watch.members[instance.slot] = instance
        self._look_at(watch, self._silent_at(instance.slot, silence))

    def still_keeps(self, instance: Instance) -> bool:
        """Whether it waits for what it is kept for; one that does not is let go. Call when it decided something."""
        watch = self.watch_of.get(instance.slot)
        if watch is None:
            return False
        if watch.silence == instance.router.silence and self.suits(instance):
            return True
        self.let_go(instance)
        return False

    def let_go(self, instance: Instance) -> None:
        """It is not waited for here."""
        watch = self.watch_of.pop(instance.slot, None)
        if watch is not None:
            del watch.members[instance.slot]
            if not watch.members:
                del self._watches[watch.silence]

    def next(self) -> float | None:
        """A moment before which nobody falls due."""
        while self._moments:
            at, silence = self._moments[0]
            watch = self._watches.get(silence)
            if watch is not None and watch.at == at:
                return at
            heapq.heappop(self._moments)
        return None

    def take(self, until: float) -> tuple[float, list[Instance]] | None:
        """Those of one watch that fall due until then, which are let go, and the first moment of theirs."""
        while (moment := self.next()) is not None and moment <= until:
            watch = self._watches[heapq.heappop(self._moments)[1]]
            watch.at = inf
            earliest = self._earliest(watch)
            if earliest > until:
                self._look_at(watch, earliest)
                continue
            # By the same sum as the earliest one: whoever is that must be among them.
            due = [one for slot, one in watch.members.items() if self._silent_at(slot, watch.silence) <= until]
            for instance in due:
                self.let_go(instance)
            if watch.members:
                self._look_at(watch, self._earliest(watch))
            return earliest, due
        return None

    def _silent_at(self, slot: int, silence: float) -> float:
        """When it has heard nobody for so long; one that is to be told of each advert is looked at at once."""
        return (self._hearing[slot] or -inf) + silence

    def _earliest(self, watch: Watch) -> float:
        hearing = self._hearing
        return min([hearing[slot] or -inf for slot in watch.members]) + watch.silence

    def _look_at(self, watch: Watch, at: float) -> None:
        if at < watch.at:
            watch.at = at
            heapq.heappush(self._moments, (at, watch.silence))

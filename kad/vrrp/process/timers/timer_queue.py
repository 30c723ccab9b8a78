"""Which instance falls due next: moments with rows of instances; a deadline that moved later costs nothing."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from math import inf

from kad.vrrp.phases import Master
from kad.vrrp.process.instance import Instance
from kad.vrrp.process.timers.advert_batches import Choirs
from kad.vrrp.process.timers.master_down_timers import Vigil


class Agenda:
    """A heap of moments; instances that share one share its place, as routers do whose adverts leave together.

    Whoever was waited for in vain, since its MASTER went on to speak, is kept by a Vigil from then on. Whoever sings in
    a choir is waited for only where it has more to do than that.
    """

    def __init__(self, hearing: list[float | None]) -> None:
        """hearing: by slot, see Router."""
        self.vigil = Vigil(hearing)
        self.choirs = Choirs()
        self._moments: list[float] = []
        self._rows: dict[float, list[Instance]] = {}

    def watch(self, instance: Instance) -> None:
        """Look at the instance's deadline again; call after whatever may have moved it earlier."""
        self.watch_all((instance,))

    def watch_all(self, instances: Iterable[Instance]) -> None:
        """The same for many whose deadline has come and moved on."""
        rows = self._rows
        last, row = inf, None
        watch_of, choir_of = self.vigil.watch_of, self.choirs.choir_of
        for instance in instances:
            if instance.slot in watch_of and self.vigil.still_keeps(instance):
                continue
            deadline = instance.router.deadline
            if instance.slot in choir_of and self.choirs.still_sings(instance):
                phase = instance.router.phase
                deadline = phase.others_at if isinstance(phase, Master) else None
            if deadline is not None and deadline < instance.armed:
                instance.armed = deadline
                # Those that left together mostly fall due together again.
                if deadline != last:
                    last, row = deadline, rows.get(deadline)
                if row is None:
                    row = rows[deadline] = []
                    heapq.heappush(self._moments, deadline)
                row.append(instance)

    def forget(self, instance: Instance) -> None:
        """Nobody waits for it any more; its entry is void."""
        instance.armed = inf
        self.vigil.let_go(instance)
        self.choirs.let_go(instance)

    def next(self) -> float | None:
        """A moment before which nobody falls due, which is mostly the one at which somebody does."""
        moments = self._next(), self.vigil.next(), self.choirs.next()
        return min((moment for moment in moments if moment is not None), default=None)

    def _next(self) -> float | None:
        while self._moments:
            moment = self._moments[0]
            row = self._rows[moment]
            last = row[-1]
            last.router.catch_up()
            deadline = last.router.deadline
            if last.armed == moment and deadline is not None and deadline <= moment:
                return moment
            heapq.heappop(self._moments)
            true = self._sort_out(moment, self._rows.pop(moment))
            if true:
                for instance in true:
                    instance.armed = moment
                self._rows[moment] = true
                heapq.heappush(self._moments, moment)
                return moment
        return None

    def take(self, until: float) -> tuple[float, list[Instance]] | None:
        """The earliest row that is due until then, and its moment; each of it must be watched again afterwards.

        Choirs that are due must have sung before.
        """
        while self._moments and self._moments[0] <= until:
            moment = heapq.heappop(self._moments)
            due = self._sort_out(moment, self._rows.pop(moment))
            if due:
                return moment, due
        return self.vigil.take(until)

    def _sort_out(self, moment: float, row: list[Instance]) -> list[Instance]:
        """Those of a row whose deadline has come; the others go to where it is now, and void entries nowhere."""
        due: list[Instance] = []
        early: list[Instance] = []
        for instance in row:
            # An instance may be entered twice for one moment; the first entry stands for both.
            if instance.armed == moment:
                instance.armed = inf
                router = instance.router
                obeys = router.obeyed is not None
                if obeys or router.pulse is not None:
                    router.catch_up()
                deadline = router.deadline
                if deadline is not None and deadline <= moment:
                    due.append(instance)
                elif obeys and self.vigil.suits(instance):
                    self.vigil.keep(instance)
                else:
                    early.append(instance)
        self.watch_all(early)
        return due

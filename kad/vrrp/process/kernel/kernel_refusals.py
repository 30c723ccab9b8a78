"""Adverts that are refused are one event when that begins and one when it ends, however many they are."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from kad.child.multiplexer import Mux
from kad.shared.log import Logger
from kad.shared.messages import Event as Happened
from kad.shared.messages import Message
from kad.vrrp.advert import Examined
from kad.vrrp.events import Event, RefusalsChanged
from kad.vrrp.process.instance import Instance
from kad.vrrp.process.rejected_adverts import explain, rejection_of
from kad.vrrp.refusals import Refusal


class RefusedAdverts:
    """Of all instances of the process."""

    def __init__(
        self,
        mux: Mux,
        say: Callable[[Message], None],
        log: Logger,
        hear: Callable[[Instance, Event], None],
        turn: Callable[[Callable[[], object]], None],
    ) -> None:
        """`hear` hands an event to a router; `turn` runs what the clock begins."""
        self._mux = mux
        self._say = say
        self._log = log
        self._hear = hear
        self._turn = turn
        self._refusing: dict[Instance, None] = {}
        self._is_waiting = False

    def note(self, instance: Instance, source: str, examined: Examined) -> None:
        """A packet of this source, which may be good."""
        rejection, advert, now = rejection_of(examined), examined.advert, self._mux.now()
        if rejection is None:
            if instance in self._refusing:
                self._report_ends(instance, instance.refusals.accepted(source, now))
            return
        text = explain(rejection, instance, advert)
        interval = instance.configuration.advertisement_interval
        if advert is not None:
            interval = max(interval, advert.interval)
        begun = instance.refusals.note(source, rejection, text, interval, now)
        if begun is None:
            return
        self._refusing[instance] = None
        if begun.is_reported:
            self._report(instance, begun, begun.sentence, ended=False)
        self._tell(instance)
        self._wait()

    def keep(self, instances: Iterable[Instance]) -> None:
        """These and no others run."""
        kept = set(instances)
        self._refusing = {instance: None for instance in self._refusing if instance in kept}

    def _wait(self) -> None:
        deadlines = [each.refusals.deadline for each in self._refusing]
        earliest = min((moment for moment in deadlines if moment is not None), default=None)
        if earliest is not None and not self._is_waiting:
            self._is_waiting = True
            self._mux.at(earliest, lambda: self._turn(self._fall_due))

    def _fall_due(self) -> None:
        self._is_waiting = False
        for instance in list(self._refusing):
            self._report_ends(instance, instance.refusals.ended(self._mux.now()))
        self._wait()

    def _report_ends(self, instance: Instance, ended: list[Refusal]) -> None:
        for refusal in ended:
            if refusal.is_reported:
                who = refusal.peer or "further routers"
                text = f"adverts of {who} are no longer refused: {refusal.count} in {refusal.seconds:.1f} s were"
                self._log.info(f"({instance.name}) {text}")
                self._report(instance, refusal, text, ended=True)
        if ended:
            self._tell(instance)
        if instance.refusals.deadline is None:
            self._refusing.pop(instance, None)

    def _report(self, instance: Instance, refusal: Refusal, text: str, *, ended: bool) -> None:
        details = {"peer": refusal.peer, "reason": refusal.reason.value, "ended": ended, "count": refusal.count}
        self._say(Happened(when=time.time(), kind="refused", object=instance.name, text=text, details=details))

    def _tell(self, instance: Instance) -> None:
        peers = tuple(refusal.refused for refusal in instance.refusals.current())
        self._hear(instance, RefusalsChanged(peers))

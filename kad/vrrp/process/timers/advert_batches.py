"""MASTERs that only speak, at the same moments: one step lets all of them speak, and looks at none.

The other way, to give each of them its next moment at every advert, touches memory of thousands of routers that have
nothing to decide.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable

from kad.linux.sockets.sendmmsg import Datagram, Volley
from kad.linux.sockets.vrrp_interface import Outbox
from kad.vrrp.phases import Master, Pulse
from kad.vrrp.process.instance import Instance

_EARLIER = 0.05
"""By this part of its interval an advert may leave early, again and again until those of one interval leave together:
each waking costs both ends as much as many adverts."""
_TOGETHER = 500
"""So many routers are one choir at most, roughly: nothing else is done while it sings."""
_ROUNDED = 1e-6
"""A moment is at a point of the interval also when it misses it by this part of the distance between two points."""


class Choir:
    """Those that have the same pulse."""

    __slots__ = ("_choir_of", "_volleys", "members", "pulse", "slots")

    def __init__(self, pulse: Pulse, choir_of: dict[int, Choir]) -> None:
        self.pulse = pulse
        self._choir_of = choir_of
        self.members: dict[int, Instance] = {}
        """By slot."""
        self.slots: list[int] = []
        """Of those that speak in sing()."""
        self._volleys: list[tuple[Outbox, Volley]] = []

    def rehearse(self) -> list[Instance]:
        """Whoever speaks otherwise now leaves and is returned; the others are laid out for sing()."""
        outboxes: dict[int, tuple[Outbox, list[Datagram]]] = {}
        leaving: list[Instance] = []
        for instance in self.members.values():
            voice, outbox = instance.voice, instance.outbox
            if instance.router.pulse is not self.pulse or voice is None or outbox is None:
                leaving.append(instance)
            else:
                outboxes.setdefault(id(outbox), (outbox, []))[1].extend(voice)
        for instance in leaving:
            self.dismiss(instance)
        self.pulse.disturbed = False
        self._volleys = [(outbox, Volley(datagrams)) for outbox, datagrams in outboxes.values()]
        self.slots = sorted(self.members)
        return leaving

    def sing(self) -> None:
        """The adverts of all leave with the next flush."""
        for outbox, volley in self._volleys:
            outbox.volleys.append(volley)

    def dismiss(self, instance: Instance) -> None:
        """It speaks alone from now on; its next moment is that of the pulse if it has none of its own."""
        del self.members[instance.slot]
        del self._choir_of[instance.slot]
        router = instance.router
        router.catch_up()
        router.leave_pulse()
        self.pulse.disturbed = True


class Choirs:
    """All choirs of the process, by their next moment."""

    def __init__(self) -> None:
        self._choirs: dict[tuple[float, float], Choir] = {}
        self._moments: list[tuple[float, float]] = []
        """A heap of moments with intervals; void where no choir has them."""
        self.choir_of: dict[int, Choir] = {}
        """By slot; other files only look whether a slot is in it."""

    def admit(self, instances: Iterable[Instance]) -> None:
        """They have just spoken; whoever says the same next time need not be asked for it."""
        for instance in instances:
            router, phase = instance.router, instance.router.phase
            if instance.voice is None or not isinstance(phase, Master):
                continue
            self.let_go(instance)
            key = phase.advert_at, instance.configuration.advertisement_interval
            choir = self._choirs.get(key)
            if choir is None:
                choir = Choir(Pulse(*key), self.choir_of)
                self._enter(choir)
            choir.members[instance.slot] = instance
            choir.pulse.disturbed = True
            self.choir_of[instance.slot] = choir
            router.join_pulse(choir.pulse)

    def still_sings(self, instance: Instance) -> bool:
        """Whether it speaks with the others still; one that does not is let go. Call when it decided something."""
        choir = self.choir_of.get(instance.slot)
        if choir is None:
            return False
        if instance.router.pulse is choir.pulse:
            return True
        self.let_go(instance)
        return False

    def let_go(self, instance: Instance) -> None:
        """Nobody speaks for it."""
        choir = self.choir_of.get(instance.slot)
        if choir is not None:
            choir.dismiss(instance)

    def next(self) -> float | None:
        """When one of them speaks."""
        while self._moments and self._moments[0] not in self._choirs:
            heapq.heappop(self._moments)
        return self._moments[0][0] if self._moments else None

    def take(self, until: float) -> Choir | None:
        """The earliest that is due until then; it must go_on() afterwards."""
        moment = self.next()
        if moment is None or moment > until:
            return None
        return self._choirs.pop(heapq.heappop(self._moments))

    def go_on(self, choir: Choir, moment: float, now: float) -> None:
        """It spoke for that moment, and speaks again an interval later or a little before; an empty one does not."""
        if not choir.members:
            return
        interval = choir.pulse.interval
        advert_at = moment + interval
        if advert_at <= now:
            advert_at = now + interval
        elif advert_at > now + interval / 2:
            advert_at = self._meeting(choir, advert_at)
        choir.pulse.advert_at = advert_at
        other = self._choirs.get((advert_at, interval))
        if other is None:
            self._enter(choir)
            return
        for instance in choir.members.values():
            self.choir_of[instance.slot] = other
            instance.router.join_pulse(other.pulse)
        other.members |= choir.members
        other.pulse.disturbed = True

    def _meeting(self, choir: Choir, advert_at: float) -> float:
        """A moment at or somewhat before this one, so that the choirs of one interval come nearer to one another."""
        interval = choir.pulse.interval
        others = sum(len(each.members) for (_, theirs), each in self._choirs.items() if theirs == interval)
        if not others:
            return advert_at
        step = interval / -(-(others + len(choir.members)) // _TOGETHER)
        meeting = (advert_at + step * _ROUNDED) // step * step
        return max(meeting, advert_at - interval * _EARLIER)

    def _enter(self, choir: Choir) -> None:
        key = choir.pulse.advert_at, choir.pulse.interval
        self._choirs[key] = choir
        heapq.heappush(self._moments, key)

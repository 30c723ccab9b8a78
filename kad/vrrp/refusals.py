"""Which adverts an instance refuses now, by peer and reason: when that began, how many came, when it ended; pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kad.model.cause import RefusedPeer
from kad.vrrp.advert import Finding

_MOST = 16
"""Pairs of peer and reason that are kept: forged sources must not fill the memory."""
_OTHERS = ""
"""The peer of what is beyond that, one pair a reason."""
_REMEMBERED = 60.0
"""Seconds after its last advert for which a pair is kept; within them it is reported once."""
_INTERVALS = 3.5
_SHORTEST = 3.0
"""A refusal is over after so many advertisement intervals without another advert, and so many seconds at least."""
_HARMLESS = frozenset({Finding.OTHER_GROUP, Finding.OWNER_IGNORES})
"""Adverts of a multicast group that belongs to another instance, or that the configuration says to ignore."""


@dataclass(slots=True)
class Refusal:
    """Adverts of one peer that are refused for one reason."""

    peer: str
    reason: Finding
    text: str
    """The reason in words."""
    since: float
    last: float
    patience: float
    """Seconds without another advert after which it is over."""
    count: int = 1
    begun: bool = False
    """More than one came, and it is not over; one may be a packet of a moment in which the peer was reconfigured."""
    reported_at: float | None = None
    """When its beginning was last reported."""
    is_reported: bool = False
    """Its present stretch was."""

    @property
    def refused(self) -> RefusedPeer:
        return RefusedPeer(peer=self.peer, reason=self.reason.value, text=self.text)

    @property
    def sentence(self) -> str:
        return str(self.refused)

    @property
    def seconds(self) -> float:
        return self.last - self.since


class Refusals:
    """Of one instance."""

    __slots__ = ("_full_until", "_pairs")

    def __init__(self) -> None:
        self._pairs: dict[tuple[str, Finding], Refusal] = {}
        self._full_until = 0.0
        """Before this moment no pair that is kept makes room: a storm of forged sources costs no search each."""

    def note(self, peer: str, reason: Finding, text: str, interval: float, now: float) -> Refusal | None:
        """An advert was refused; the refusal if it begins with this one. `interval` is that of the adverts, seconds."""
        if reason in _HARMLESS:
            return None
        refusal = self._pair(peer, reason, text, now)
        patience = max(_INTERVALS * interval, _SHORTEST)
        if refusal is None:
            self._pairs[peer, reason] = Refusal(peer, reason, text, now, now, patience)
            return None
        if now - refusal.last >= refusal.patience:
            refusal.since, refusal.count, refusal.begun = now, 0, False
        refusal.last, refusal.patience, refusal.text = now, patience, text
        refusal.count += 1
        if refusal.begun or refusal.count < 2:
            return None
        refusal.begun = True
        refusal.is_reported = refusal.reported_at is None or now - refusal.reported_at >= _REMEMBERED
        if refusal.is_reported:
            refusal.reported_at = now
        return refusal

    def _pair(self, peer: str, reason: Finding, text: str, now: float) -> Refusal | None:
        """The one that it counts for; None: a new one is to be kept."""
        found = self._pairs.get((peer, reason))
        if found is not None or len(self._pairs) < _MOST:
            return found
        if now >= self._full_until:
            for key, old in list(self._pairs.items()):
                if not old.begun and now - old.last >= _REMEMBERED:
                    del self._pairs[key]
            if len(self._pairs) < _MOST:
                return None
            self._full_until = min(old.last for old in self._pairs.values()) + _REMEMBERED
        return self._pairs.setdefault((_OTHERS, reason), Refusal(_OTHERS, reason, text, now, now, _SHORTEST, count=0))

    def accepted(self, peer: str, now: float) -> list[Refusal]:
        """An advert of this peer counts: those of its refusals that end with it."""
        return [self._end(each) for each in self._pairs.values() if each.begun and each.peer == peer]

    def ended(self, now: float) -> list[Refusal]:
        """Those that are over by now, each once."""
        return [self._end(each) for each in self._pairs.values() if each.begun and now >= each.last + each.patience]

    def _end(self, refusal: Refusal) -> Refusal:
        refusal.begun = False
        # The next advert begins another stretch, however soon it comes.
        refusal.patience = 0.0
        return refusal

    def current(self) -> Iterator[Refusal]:
        """Those that have begun and are not over."""
        return (each for each in self._pairs.values() if each.begun)

    @property
    def deadline(self) -> float | None:
        """When the next of them may be over."""
        return min((each.last + each.patience for each in self.current()), default=None)

"""Two MASTERs at once: since when, who the other one is, and when it was last noticed; pure."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

CLAIMS_FOR = 60.0
"""Seconds without another claim after which an address is no longer claimed: announcements are rare."""
_FIRST_PAUSE, _LONGEST_PAUSE = 10.0, 320.0
"""Seconds between two answers to claims (RFC 5227 2.4 c): two hosts that both insist must not fill the LAN."""
_ADVERTS = 3.0
"""Intervals of the slower of both without another advert after which the other router is no longer MASTER."""


@dataclass(slots=True)
class Split:
    """One stretch of time in which another router was MASTER too."""

    other: str
    since: float
    last: float = 0.0
    """Of any sign."""
    claimed_at: float = -inf
    advert_at: float = -inf
    interval: float = 0.0
    """The longest of the other's adverts."""
    signs: int = 0
    adverts: int = 0
    """How many of them were adverts."""
    advertiser: str = ""
    """Who sent the last of those."""

    def note(self, other: str, now: float, interval: float | None) -> None:
        """Another sign: an advert with its interval, or a claim (None)."""
        self.other = other
        self.last = now
        self.signs += 1
        if interval is None:
            self.claimed_at = now
        else:
            self.advert_at, self.advertiser = now, other
            self.interval = max(self.interval, interval)
            self.adverts += 1

    def over_at(self, own_interval: float) -> float:
        """When it is over unless another sign comes."""
        return max(self.claimed_at + CLAIMS_FOR, self.advertises_until(own_interval))

    def advertises_until(self, own_interval: float) -> float:
        """When the sender of the last advert counts as MASTER no longer, unless another advert of it comes."""
        return self.advert_at + _ADVERTS * max(self.interval, own_interval)

    @property
    def seconds(self) -> float:
        return self.last - self.since


@dataclass(slots=True)
class Contest:
    """Another owner (priority 255) speaks: it has 1.1 intervals of the slower of both to yield."""

    since: float
    interval: float
    """That of the other one's adverts."""

    def until(self, own_interval: float) -> float:
        return self.since + 1.1 * max(self.interval, own_interval)

    def is_forgotten(self, own_interval: float, now: float) -> bool:
        """It was silent for three intervals more: it begins anew."""
        longer = max(self.interval, own_interval)
        return now > self.until(own_interval) + 3 * longer


@dataclass(slots=True)
class Defence:
    """When a claimed address is announced again: not before a takeover would be known, and ever more rarely."""

    claimed_at: float | None = None
    """The first claim that was not answered yet."""
    not_before: float = 0.0
    pause: float = _FIRST_PAUSE

    def claimed(self, now: float) -> None:
        """Another host claims an address."""
        if self.claimed_at is None:
            self.claimed_at = now

    def due_at(self, interval: float) -> float:
        """The MASTER that took over says so by an advert as well, at once or an interval later."""
        if self.claimed_at is None:
            return inf
        return max(self.claimed_at + max(0.5, 1.2 * interval), self.not_before)

    def announced(self, now: float) -> None:
        self.claimed_at = None
        self.not_before = now + self.pause
        self.pause = min(2 * self.pause, _LONGEST_PAUSE)

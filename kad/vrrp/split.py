"""Two MASTERs at once: since when, who the other one is, and when it was last noticed; pure."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

CLAIMS_FOR = 60.0
"""Seconds without another claim after which an address is no longer claimed: announcements are rare."""
_FIRST_PAUSE, _LONGEST_PAUSE = 10.0, 320.0
"""Seconds between two answers to claims (RFC 5227 2.4 c): two hosts that both insist must not fill the LAN."""


@dataclass(slots=True)
class Split:
    """One stretch of time in which another router was MASTER too."""

    other: str
    since: float
    last: float
    over_at: float
    """When it is over unless another sign comes."""
    signs: int = 1
    adverts: int = 0
    """How many of them were adverts."""
    advertiser: str = ""
    """Who sent the last of those."""
    advertises_until: float = -inf
    """When that one is no longer MASTER unless another advert of it comes."""

    def advertised(self, by: str, now: float, patience: float) -> None:
        """The sign was an advert."""
        self.adverts += 1
        self.advertiser, self.advertises_until = by, now + patience

    def go_on(self, other: str, now: float, patience: float) -> None:
        """Another sign."""
        self.other = other
        self.last = now
        self.over_at = max(self.over_at, now + patience)
        self.signs += 1

    @property
    def seconds(self) -> float:
        return self.last - self.since


@dataclass(slots=True)
class Defence:
    """When a claimed address is announced again: not before a takeover would be known, and ever more rarely."""

    at: float | None = None
    not_before: float = 0.0
    pause: float = _FIRST_PAUSE

    def claimed(self, now: float, interval: float) -> None:
        """The MASTER that took over says so by an advert as well, at once or an interval later."""
        if self.at is None:
            self.at = max(now + max(0.5, 1.2 * interval), self.not_before)

    def announced(self, now: float) -> None:
        self.at = None
        self.not_before = now + self.pause
        self.pause = min(2 * self.pause, _LONGEST_PAUSE)

"""What a router is in the midst of: the phases of RFC 9568 6.4 with their moments, and what is due at those; pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf

from kad.vrrp.advert import Advertisement
from kad.vrrp.events import Action, Announce, ReportSplit
from kad.vrrp.keywords import Announcing
from kad.vrrp.split import Defence, Split


@dataclass(slots=True)
class Waiting:
    """INIT, FAULT and STOP: nothing falls due."""


@dataclass(slots=True)
class Backup:
    """BACKUP: the MASTER is presumed dead at `master_down_at`."""

    master_down_at: float
    heard_at: float
    """When the timer was last restarted; the age of the silence that makes this router MASTER."""
    expects: str
    """Whose silence it is, for the reason of the transition."""
    preempt_at: float | None = None
    overruled: Advertisement | None = None
    """The last advert of a lower priority that did not restart the timer."""
    wants_master: bool = False
    """Sync group: this member's timer ran out, or it has priority 255, and has heard nobody since."""


@dataclass(slots=True)
class Master:
    """MASTER: adverts at `advert_at`, announcements at the other moments."""

    advert_at: float
    announce_again_at: float | None = None
    refresh_at: float | None = None
    lower_priority_again_at: float | None = None
    elsewhere_at: float | None = None
    others_at: float = inf
    """The earliest of all moments but the advert's."""
    asserted_at: float = -inf
    """When it last announced because of a lower advert."""
    split: Split | None = None
    defence: Defence = field(default_factory=Defence)
    contest_until: float | None = None
    """Another owner has until then to hear that it is not the only one."""
    slept: float = 0.0
    """Seconds for which the process did not run, while it is not known yet who took over; 0 otherwise."""

    def look_ahead(self) -> None:
        """Any of its moments may be another one now."""
        moments = (
            self.announce_again_at,
            self.refresh_at,
            self.lower_priority_again_at,
            self.elsewhere_at,
            self.defence.at,
            self.split.over_at if self.split is not None else None,
        )
        self.others_at = min((moment for moment in moments if moment is not None), default=inf)

    def announce_due(self, announcing: Announcing, now: float) -> list[Action]:
        """What is due beside the advert."""
        actions: list[Action] = []
        if self.announce_again_at is not None and self.announce_again_at <= now:
            self.announce_again_at = None
            actions.append(Announce(announcing.master_repeat))
        if self.lower_priority_again_at is not None and self.lower_priority_again_at <= now:
            self.lower_priority_again_at = None
            actions.append(Announce(announcing.lower_prio_repeat))
        if self.refresh_at is not None and self.refresh_at <= now:
            self.refresh_at = now + announcing.master_refresh if announcing.master_refresh else None
            actions.append(Announce(announcing.master_refresh_repeat))
        if self.elsewhere_at is not None and self.elsewhere_at <= now:
            self.elsewhere_at = now + announcing.elsewhere if announcing.elsewhere else None
            actions.append(Announce(1, elsewhere=True))
        if self.defence.at is not None and self.defence.at <= now:
            self.defence.announced(now)
            actions.append(Announce(1))
        if self.split is not None and self.split.over_at <= now:
            actions += self.end_split("it is silent")
        return actions

    def announce_against(self, announcing: Announcing, now: float) -> list[Action]:
        """Another router of a lower priority said that it is MASTER."""
        if not announcing.lower_prio_repeat:
            return []
        if announcing.lower_prio_delay:
            self.lower_priority_again_at = now + announcing.lower_prio_delay
        if now - self.asserted_at < announcing.lower_prio_pause:
            return []
        self.asserted_at = now
        return [Announce(announcing.lower_prio_repeat)]

    def note_other(self, other: str, now: float, patience: float) -> Split:
        """One sign may be a packet that crossed ours; from the second on it is a split."""
        if self.split is None:
            self.split = Split(other, now, now, now + patience)
        else:
            self.split.go_on(other, now, patience)
        return self.split

    def end_split(self, outcome: str) -> list[Action]:
        """If there was one, it is reported."""
        split, self.split = self.split, None
        return [ReportSplit(split.other, split.seconds, outcome)] if split is not None and split.signs > 1 else []


@dataclass(slots=True)
class Leaving:
    """MASTER that gave up with priority 0 and keeps its addresses until somebody else has them."""

    until: float


@dataclass(slots=True)
class Pulse:
    """The moments at which several MASTERs speak, none of which has anything to decide then."""

    advert_at: float
    interval: float
    disturbed: bool = False
    """One of them speaks otherwise from now on."""

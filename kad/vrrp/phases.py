"""What a router is in the midst of: the phases of RFC 9568 6.4 with their moments, and what is due at those; pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from math import inf

from kad.model.vrrp import Announcing, VrrpInstance
from kad.vrrp.advert import Advertisement
from kad.vrrp.events import Action, Announce, ReportSplit
from kad.vrrp.split_brain import Contest, Defence, Split


def _after(began: float | None, delay: float) -> float:
    """inf: nothing waits, or the keyword is 0, which means never."""
    return began + delay if began is not None and delay else inf


@dataclass(slots=True)
class Waiting:
    """INIT, FAULT and STOP: nothing falls due."""


class Wait(Enum):
    """Which interval of RFC 9568 6.1 a BACKUP waits for; its length follows from the configuration as it is now."""

    NOTHING = "nothing"
    MASTER_DOWN = "Active_Down_Interval"
    SKEW = "Skew_Time"


@dataclass(slots=True)
class Backup:
    """BACKUP: the MASTER is presumed dead at `master_down_at`."""

    master_down_at: float
    heard_at: float
    """When the timer was last restarted; the age of the silence that makes this router MASTER."""
    expects: str = ""
    """The MASTER whose silence it is, by its address; empty: that of any router."""
    owns: bool = False
    """Priority 255: no silence is waited for."""
    wait: Wait = Wait.MASTER_DOWN
    """From `heard_at` to `master_down_at`."""
    lower_since: float | None = None
    """The first of the adverts of a lower priority: preempt_delay counts from there. None: the last was no lower."""
    overruled: Advertisement | None = None
    """The last advert of a lower priority that did not restart the timer."""
    wants_master: bool = False
    """Sync group: this member's timer ran out, or it has priority 255, and has heard nobody since."""


@dataclass(slots=True)
class Master:
    """MASTER: adverts at `advert_at`, announcements as long after these moments as the configuration says.

    Only the beginning of each wait is kept, so that a reload changes every moment that derives from a keyword.
    """

    advert_at: float
    entered_at: float
    announces_again: bool = True
    """garp_master_delay counts from `entered_at`; False: that was done."""
    refreshed_at: float = -inf
    """garp_master_refresh."""
    elsewhere_at: float = -inf
    """garp_extra_if."""
    lower_at: float | None = None
    """garp_lower_prio_delay: the last advert of a lower priority, unless the second announcement has followed it."""
    others_at: float = inf
    """The earliest of all moments but the advert's; look_ahead() computes it."""
    asserted_at: float = -inf
    """When it last announced because of a lower advert."""
    split: Split | None = None
    defence: Defence = field(default_factory=Defence)
    contest: Contest | None = None
    """Another owner has until then to hear that it is not the only one."""
    slept: float = 0.0
    """Seconds for which the process did not run, while it is not known yet who took over; 0 otherwise."""

    def look_ahead(self, configuration: VrrpInstance) -> None:
        """Any of its moments may be another one now."""
        announcing, interval = configuration.announcing, configuration.advertisement_interval
        moments = (
            self._again_at(announcing),
            _after(self.refreshed_at, announcing.master_refresh),
            _after(self.lower_at, announcing.lower_prio_delay),
            _after(self.elsewhere_at, announcing.elsewhere),
            self.defence.due_at(interval),
            self.split.over_at(interval) if self.split is not None else inf,
        )
        self.others_at = min(moments)

    def _again_at(self, announcing: Announcing) -> float:
        return _after(self.entered_at, announcing.master_delay) if self.announces_again else inf

    def announce_due(self, configuration: VrrpInstance, now: float) -> list[Action]:
        """What is due beside the advert."""
        announcing, interval = configuration.announcing, configuration.advertisement_interval
        actions: list[Action] = []
        if self._again_at(announcing) <= now:
            self.announces_again = False
            actions.append(Announce(announcing.master_repeat))
        if _after(self.lower_at, announcing.lower_prio_delay) <= now:
            self.lower_at = None
            actions.append(Announce(announcing.lower_prio_repeat))
        if _after(self.refreshed_at, announcing.master_refresh) <= now:
            self.refreshed_at = now
            actions.append(Announce(announcing.master_refresh_repeat))
        if _after(self.elsewhere_at, announcing.elsewhere) <= now:
            self.elsewhere_at = now
            actions.append(Announce(1, elsewhere=True))
        if self.defence.due_at(interval) <= now:
            self.defence.announced(now)
            actions.append(Announce(1))
        if self.split is not None and self.split.over_at(interval) <= now:
            actions += self.end_split("it is silent")
        return actions

    def reconfigure(self, old: VrrpInstance, new: VrrpInstance, now: float) -> None:
        """What waits goes on from where it began; what nothing waited for begins to."""
        if not old.announcing.master_refresh:
            self.refreshed_at = now
        if not old.announcing.elsewhere:
            self.elsewhere_at = now
        if not old.announcing.master_delay and self.entered_at + new.announcing.master_delay <= now:
            self.announces_again = False
        if not (old.announcing.lower_prio_delay and old.announcing.lower_prio_repeat):
            self.lower_at = None
        # Others know the old interval, and may not be made to wait for longer than that.
        began = self.advert_at - old.advertisement_interval
        self.advert_at = min(self.advert_at, max(now, began + new.advertisement_interval))

    def announce_against(self, announcing: Announcing, now: float) -> list[Action]:
        """Another router of a lower priority said that it is MASTER."""
        if not announcing.lower_prio_repeat:
            return []
        self.lower_at = now
        if now - self.asserted_at < announcing.lower_prio_pause:
            return []
        self.asserted_at = now
        return [Announce(announcing.lower_prio_repeat)]

    def note_other(self, other: str, now: float, interval: float | None = None) -> Split:
        """A sign of another MASTER: an advert with its interval, or (None) its claim of an address.

        One sign may be a packet that crossed ours; from the second on it is a split.
        """
        if self.split is None:
            self.split = Split(other, now)
        self.split.note(other, now, interval)
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

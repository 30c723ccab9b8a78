"""What a programmer could get wrong in the corners of the state machine: each function plants one fault."""

from __future__ import annotations

from kad.model.vrrp import OWNER_PRIORITY
from kad.vrrp.advert import Advertisement
from kad.vrrp.events import Action, SendAdvert
from kad.vrrp.group import Step, SyncGroup
from kad.vrrp.phases import Backup, Master
from kad.vrrp.process import worker as process
from kad.vrrp.router import Router
from tests.simulation.faults import Patch

# preemption


def preempt_delay_ignored(patch: Patch) -> None:
    def spoiled(self: Router, backup: Backup, advert: Advertisement, now: float) -> bool:
        return advert.priority >= self.priority or not self.configuration.preempt

    patch.setattr(Router, "_submits_to", spoiled)


def preempt_delay_begins_at_boot(patch: Patch) -> None:
    original = Router._leave_waiting

    def spoiled(self: Router, reason: str, now: float) -> list[Action]:
        actions = original(self, reason, now)
        if isinstance(self.phase, Backup) and self.configuration.preempt_delay:
            self.phase.lower_since = now
        return actions

    patch.setattr(Router, "_leave_waiting", spoiled)


def preempt_delay_runs_on(patch: Patch) -> None:
    """An advert that is not lower does not end it."""
    original = Router._submits_to

    def spoiled(self: Router, backup: Backup, advert: Advertisement, now: float) -> bool:
        begun = backup.lower_since
        submits = original(self, backup, advert, now)
        backup.lower_since = begun if begun is not None else backup.lower_since
        return submits

    patch.setattr(Router, "_submits_to", spoiled)


def preempting_at_a_new_priority(patch: Patch) -> None:
    """A priority that rises makes a router of nopreempt preempt."""
    original = Router._take_priority

    def spoiled(self: Router, priority: int, reason: str) -> list[Action]:
        risen = priority > self.priority
        actions = original(self, priority, reason)
        if risen and isinstance(self.phase, Backup) and self.master is not None and self.master.priority < priority:
            self.phase.master_down_at = self.phase.heard_at
        return actions

    patch.setattr(Router, "_take_priority", spoiled)


# owners


def owner_yields(patch: Patch) -> None:
    original = Router._hear_as_master

    def spoiled(self: Router, master: Master, advert: Advertisement, now: float) -> list[Action]:
        if self.priority == OWNER_PRIORITY and advert.priority:
            return self._yield_to(advert, now)
        return original(self, master, advert, now)

    patch.setattr(Router, "_hear_as_master", spoiled)


def owners_do_not_contend(patch: Patch) -> None:
    patch.setattr(Router, "_contend", lambda self, master, advert, now: [])


def lowered_for_ever(patch: Patch) -> None:
    patch.setattr(Router, "_be_owner_again", lambda self, reason: [])


def tracking_restores_the_owner(patch: Patch) -> None:
    original = Router._take_priority

    def spoiled(self: Router, priority: int, reason: str) -> list[Action]:
        self.lowered = False
        return original(self, priority, reason)

    patch.setattr(Router, "_take_priority", spoiled)


# words of the instance


def down_timer_adverts_ignored(patch: Patch) -> None:
    def spoiled(self: Router) -> float:
        return 3 * self.master_advertisement_interval + self.skew_time

    patch.setattr(Router, "master_down_interval", property(spoiled))


def timer_expired_backup_ignored(patch: Patch) -> None:
    patch.setattr(Router, "_gives_way_after", lambda self, late: False)


def always_one_last_advert(patch: Patch) -> None:
    original = Router._yield_to

    def spoiled(self: Router, advert: Advertisement, now: float) -> list[Action]:
        return [SendAdvert(self.priority), *original(self, advert, now)]

    patch.setattr(Router, "_yield_to", spoiled)


def lower_prio_no_advert_ignored(patch: Patch) -> None:
    original = Router._assert_against

    def spoiled(self: Router, master: Master, advert: Advertisement, now: float) -> list[Action]:
        said = [each for each in original(self, master, advert, now) if not isinstance(each, SendAdvert)]
        return [SendAdvert(self.priority), *said]

    patch.setattr(Router, "_assert_against", spoiled)


# the start


def delay_after_boot_ignored(patch: Patch) -> None:
    patch.setattr(process, "max", lambda startup, boot: startup, raising=False)


def startup_delay_ignored(patch: Patch) -> None:
    patch.setattr(process, "max", lambda startup, boot: boot, raising=False)


# groups


def group_promotes_one_alone(patch: Patch) -> None:
    original = SyncGroup._promote

    def spoiled(self: SyncGroup, first: Router, now: float) -> list[Step]:
        members, self.members = self.members, [first]
        steps = original(self, first, now)
        self.members = members
        return steps

    patch.setattr(SyncGroup, "_promote", spoiled)


def group_leaves_a_member_behind(patch: Patch) -> None:
    """The last of the others is forgotten when one yields."""
    original = SyncGroup._others
    patch.setattr(SyncGroup, "_others", lambda self, router: original(self, router)[:-1])


def wish_of_the_file_counts(patch: Patch) -> None:
    """A member that is to begin as MASTER need not listen."""
    original = Router._leave_waiting

    def spoiled(self: Router, reason: str, now: float) -> list[Action]:
        actions = original(self, reason, now)
        if isinstance(self.phase, Backup) and self.configuration.state == "MASTER":
            self.phase.wants_master = True
        return actions

    patch.setattr(Router, "_leave_waiting", spoiled)


# healing


def claims_ignored(patch: Patch) -> None:
    patch.setattr(Router, "_take_claim", lambda self, address, by, now: [])


def healing_without_a_pause(patch: Patch) -> None:
    original = Router._announce_against

    def spoiled(self: Router, master: Master, now: float) -> list[Action]:
        master.asserted_at = float("-inf")
        return original(self, master, now)

    patch.setattr(Router, "_announce_against", spoiled)

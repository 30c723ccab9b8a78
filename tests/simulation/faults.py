"""What a programmer could get wrong: each function plants one fault by monkeypatching."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kad.shared.state_machine import Deadlines
from kad.tracking import priority
from kad.vrrp import advert as adverts
from kad.vrrp import router as routers
from kad.vrrp.advert import Advertisement, Finding
from kad.vrrp.events import Action
from kad.vrrp.group import SyncGroup
from kad.vrrp.phases import Backup, Master
from kad.vrrp.router import Router
from kad.watchdog import supervision

Patch = pytest.MonkeyPatch
Plant = Callable[[Patch], None]


def changed(method: str, change: Callable[[list[Action]], list[Action]]) -> Plant:
    """What this method of a router wants done is changed."""

    def plant(patch: Patch) -> None:
        original = getattr(Router, method)
        patch.setattr(Router, method, lambda *arguments: change(original(*arguments)))

    return plant


def missing(method: str, *kinds: type) -> Plant:
    """Actions of these kinds are forgotten."""
    return changed(method, lambda actions: [action for action in actions if not isinstance(action, kinds)])


def out_of_order(method: str, last: type) -> Plant:
    """Actions of this kind come last."""
    return changed(method, lambda actions: sorted(actions, key=lambda action: isinstance(action, last)))


def finding_ignored(finding: Finding) -> Plant:
    return lambda patch: patch.setattr(adverts, "ACCEPTED_FINDINGS", adverts.ACCEPTED_FINDINGS | {finding})


def finding_discards(finding: Finding) -> Plant:
    return lambda patch: patch.setattr(adverts, "ACCEPTED_FINDINGS", adverts.ACCEPTED_FINDINGS - {finding})


# timers


def truncated_skew(patch: Patch) -> None:
    patch.setattr(routers, "skew_time", lambda version, priority, interval: float((256 - priority) // 256))


def skew_in_seconds(patch: Patch) -> None:
    patch.setattr(routers, "skew_time", lambda version, priority, interval: (256 - priority) / 256)


def skew_the_wrong_way(patch: Patch) -> None:
    patch.setattr(routers, "skew_time", lambda version, priority, interval: priority / 256)


def two_intervals(patch: Patch) -> None:
    def spoiled(self: Router) -> float:
        return 2 * self.master_advertisement_interval + self.skew_time

    patch.setattr(Router, "master_down_interval", property(spoiled))


def stale_timer(patch: Patch) -> None:
    """The deadline of the state before is still served."""
    original = Router.handle

    def spoiled(self: Router, event: Any, now: float) -> list[Action]:
        old = self.deadline
        actions = original(self, event, now)
        if old is not None and self.deadline is not None and old > now:
            self.deadline = min(self.deadline, old)
        return actions

    patch.setattr(Router, "handle", spoiled)


def timer_runs_on(patch: Patch) -> None:
    """An advert that is obeyed restarts nothing."""
    original = Router._hear_as_backup

    def spoiled(self: Router, backup: Backup, advert: Advertisement, now: float) -> list[Action]:
        old = backup.master_down_at
        actions = original(self, backup, advert, now)
        backup.master_down_at = old
        return actions

    patch.setattr(Router, "_hear_as_backup", spoiled)
    patch.setattr(Router, "repeat", lambda self, now: False)


def repeat_does_nothing(patch: Patch) -> None:
    patch.setattr(Router, "repeat", lambda self, now: True)


def never_earlier(patch: Patch) -> None:
    original = Deadlines.watch

    def spoiled(self: Deadlines[Any], machine: Any) -> None:
        if id(machine) not in self._armed:
            original(self, machine)

    patch.setattr(Deadlines, "watch", spoiled)


def interval_never_learned(patch: Patch) -> None:
    original = Router.master_down_interval.fget
    assert original is not None

    def spoiled(self: Router) -> float:
        self.master_advertisement_interval = self.configuration.advertisement_interval
        found: float = original(self)
        return found

    patch.setattr(Router, "master_down_interval", property(spoiled))


def interval_never_forgotten(patch: Patch) -> None:
    original = Router._leave_waiting

    def spoiled(self: Router, reason: str, now: float) -> list[Action]:
        learned = self.master_advertisement_interval
        actions = original(self, reason, now)
        self.master_advertisement_interval = learned
        if isinstance(self.phase, Backup):
            self.phase.master_down_at = now + self.master_down_interval
        return actions

    patch.setattr(Router, "_leave_waiting", spoiled)


def owner_waits(patch: Patch) -> None:
    patch.setattr(routers, "OWNER_PRIORITY", 256)


def no_second_announcement(patch: Patch) -> None:
    original = Router._become_master

    def spoiled(self: Router, reason: str, now: float) -> list[Action]:
        actions = original(self, reason, now)
        assert isinstance(self.phase, Master)
        self.phase.announces_again = False
        return actions

    patch.setattr(Router, "_become_master", spoiled)


# election


def equal_priority_ignored(patch: Patch) -> None:
    original = Router._hear_as_master

    def spoiled(self: Router, master: Master, advert: Advertisement, now: float) -> list[Action]:
        return [] if advert.priority == self.priority else original(self, master, advert, now)

    patch.setattr(Router, "_hear_as_master", spoiled)


def equal_priority_preempts(patch: Patch) -> None:
    original = Router._submits_to

    def spoiled(self: Router, backup: Backup, advert: Advertisement, now: float) -> bool:
        return advert.priority != self.priority and original(self, backup, advert, now)

    patch.setattr(Router, "_submits_to", spoiled)


def addresses_as_text(patch: Patch) -> None:
    original = Router._hear

    def spoiled(self: Router, advert: Advertisement, now: float) -> list[Action]:
        ours = ".".join(str(byte) for byte in self.source_number.to_bytes(4, "big"))
        compared = self.source_number + (advert.source > ours) - (advert.source < ours)
        fields = {name: getattr(advert, name) for name in Advertisement.__slots__}
        return original(self, Advertisement(**(fields | {"source_number": compared})), now)

    patch.setattr(Router, "_hear", spoiled)


def nopreempt_ignored(patch: Patch) -> None:
    patch.setattr(Router, "_submits_to", lambda self, backup, advert, now: advert.priority >= self.priority)


def nobody_preempts(patch: Patch) -> None:
    patch.setattr(Router, "_submits_to", lambda self, backup, advert, now: True)


def priority_0_unheard(patch: Patch) -> None:
    original = Router._hear_as_backup

    def spoiled(self: Router, backup: Backup, advert: Advertisement, now: float) -> list[Action]:
        return [] if advert.priority == 0 else original(self, backup, advert, now)

    patch.setattr(Router, "_hear_as_backup", spoiled)


def priority_0_unanswered(patch: Patch) -> None:
    patch.setattr(routers, "GIVING_UP", -1)


def no_doubt(patch: Patch) -> None:
    patch.setattr(Router, "_doubt", lambda self, gap: [])


# groups


def group_keeps_the_others(patch: Patch) -> None:
    patch.setattr(SyncGroup, "_demote_others", lambda self, router, now: [])


def group_keeps_faults_apart(patch: Patch) -> None:
    patch.setattr(SyncGroup, "_share_faults", lambda self, router, now: [])
    patch.setattr(SyncGroup, "_faults_of_others", lambda self, router: frozenset())


def group_does_not_wait(patch: Patch) -> None:
    patch.setattr(SyncGroup, "_all_can_be_master", lambda self: True)


# packets


def any_checksum(patch: Patch) -> None:
    patch.setattr(adverts, "_rule_of_checksum", lambda message, parcel, expected: adverts.Checksum.PSEUDO_HEADER)


def carry_lost(patch: Patch) -> None:
    def spoiled(data: bytes) -> int:
        words = [int.from_bytes(data[at : at + 2].ljust(2, b"\0"), "big") for at in range(0, len(data), 2)]
        return 0xFFFF - sum(words) % 0x10000

    patch.setattr(adverts, "internet_checksum", spoiled)


# priorities and supervision


def not_clamped(patch: Patch) -> None:
    patch.setattr(priority, "_LOWEST", -1000)
    patch.setattr(priority, "_HIGHEST", 1000)


def owner_loses_priority(patch: Patch) -> None:
    patch.setattr(priority, "OWNER_PRIORITY", 1000)


def back_off_stays(patch: Patch) -> None:
    patch.setattr(supervision, "BACK_OFF", (0.0,))


def parent_trusts_itself(patch: Patch) -> None:
    patch.setattr(supervision, "_LATE", 1e9)

"""Corners of the state machine: two owners, a MASTER that was asleep, and groups that announce together."""

from __future__ import annotations

from typing import Any

import pytest

from kad.model.vrrp import Announcing
from kad.shared.state_machine import DeadlineReached
from kad.vrrp.events import (
    Announce,
    ChangePriority,
    Complain,
    HoldAddresses,
    PriorityChanged,
    ReleaseAddresses,
    Resumed,
    SendAdvert,
    State,
    TellLowerPriority,
    Woken,
)
from tests.causes import printed, tracked
from tests.play import At, Due, Play
from tests.rfc.row import hears
from tests.unit.vrrp.samples import advert, backup, entered, master
from tests.unit.vrrp.test_group import MASTER, Group

QUIET = Announcing(master_delay=0.0, master_repeat=1, lower_prio_delay=0.0, lower_prio_repeat=0)
LOWER, HIGHER = "10.77.0.0", "10.77.0.2"
BOTH = Complain("warning", f"{LOWER} has priority 255 too, which only one may have")


def owner(**changes: Any) -> Play:
    """10.77.0.1, MASTER with priority 255 from 0.0 on."""
    return master(priority=255, announcing=QUIET, **changes)


class TestTwoOwners:
    def test_the_lower_address_yields(self) -> None:
        reason = f"advert from {HIGHER} with equal priority 255 and a higher address"
        play = owner() >> At(0.5) >> hears(255, HIGHER)
        assert play << ReleaseAddresses() << entered(State.MASTER, State.BACKUP, reason)

    def contested(self) -> Play:
        """At 1.7 the other one has had more than an interval to yield, and has not."""
        play = owner() >> At(0.5) >> hears(255, LOWER) << SendAdvert(255) << SendAdvert(255) << BOTH
        play = play >> Due(1.0) >> DeadlineReached() << SendAdvert(255)
        play = play >> At(1.5) >> hears(255, LOWER) >> At(1.7) >> hears(255, LOWER)
        play = play << ChangePriority(255, 254, printed(f"{LOWER} insists on priority 255")) << ReleaseAddresses()
        reason = f"advert from {LOWER} priority 255 > 254"
        return play << entered(State.MASTER, State.BACKUP, reason) >> Due(4.7078125)

    def test_the_higher_one_waits_and_then_lowers_itself(self) -> None:
        assert self.contested()

    def test_it_is_owner_again_when_the_other_is_gone(self) -> None:
        play = self.contested() >> DeadlineReached()
        silence = f"no advert from {LOWER} for 3.01 s"
        play = play << ChangePriority(254, 255, printed(silence)) << SendAdvert(255) << HoldAddresses() << Announce(1)
        assert play << entered(State.BACKUP, State.MASTER, silence)

    def test_and_when_the_other_shows_a_lower_priority(self) -> None:
        play = self.contested() >> At(2.7) >> hears(200, LOWER)
        assert play << ChangePriority(254, 255, printed(f"{LOWER} has priority 200")) >> Due(4.7078125)

    def test_what_is_tracked_does_not_undo_it(self) -> None:
        play = self.contested() >> PriorityChanged(255, tracked("script x"))
        assert play >> Due(4.7078125)
        assert play.machine.priority == 254

    def test_a_contest_long_ago_counts_no_more(self) -> None:
        play = owner(advertisement_interval=100.0) >> At(0.5) >> hears(255, LOWER) << ... >> Due(100.0)
        play = play >> DeadlineReached() << ...
        for moment in range(2, 6):
            play = play >> Due(100.0 * moment) >> DeadlineReached() << ...
        assert play >> hears(255, LOWER) << SendAdvert(255) << SendAdvert(255) << BOTH


class TestNopreemptWithWeights:
    """What is tracked moves the priority; a MASTER that is there is left in place all the same."""

    def test_a_priority_that_rises_over_the_master_s_replaces_it_not(self) -> None:
        play = backup(preempt=False) >> At(1.0) >> hears(150) >> Due(4.609375) >> At(1.5)
        play = (
            play
            >> PriorityChanged(200, tracked("script x"))
            << ChangePriority(100, 200, tracked("script x"))
            >> Due(4.609375)
        )
        assert play >> At(2.0) >> hears(150) >> Due(5.21875)

    def test_a_master_whose_priority_falls_yields_to_one_that_preempts(self) -> None:
        play = (
            master(preempt=False)
            >> PriorityChanged(50, tracked("script x"))
            << ChangePriority(100, 50, tracked("script x"))
        )
        play = play << SendAdvert(0) << SendAdvert(50)
        play = play >> hears(60) << ReleaseAddresses()
        assert play << entered(State.MASTER, State.BACKUP, "advert from 10.77.0.2 priority 60 > 50")

    def test_when_it_rises_again_the_new_master_stays(self) -> None:
        play = master(preempt=False) >> PriorityChanged(50, tracked("script x")) << ... >> hears(60) << ...
        play = play >> At(0.5) >> PriorityChanged(100, tracked("script x")) << ...
        assert play >> At(1.0) >> hears(60) >> Due(4.609375)

    def test_silence_counts_with_the_skew_of_the_new_priority(self) -> None:
        play = backup(preempt=False) >> At(1.0) >> hears(150) >> PriorityChanged(228, tracked("script x")) << ...
        play = play >> At(2.0) >> hears(150) >> Due(5.109375) >> DeadlineReached() << SendAdvert(228)
        silence = "no advert from 10.77.0.2 for 3.11 s"
        assert play << HoldAddresses() << Announce(5) << entered(State.BACKUP, State.MASTER, silence)


class TestTimerExpiredBackup:
    @pytest.mark.parametrize(("gap", "yields"), [(2.1, False), (2.60, False), (2.62, True)])
    def test_it_gives_way_to_a_router_of_that_priority(self, gap: float, yields: bool) -> None:
        """2 s and 156/256 s: an advert was due after 1 s, a router of priority 100 waits 3.609 s."""
        play = master(priority=200, announcing=QUIET, timer_expired_backup=100) >> Woken(gap)
        if yields:
            reason = f"did not run for {gap:.2f} s (timer_expired_backup)"
            assert play << ReleaseAddresses() << entered(State.MASTER, State.BACKUP, reason)
        else:
            assert play << Complain("warning", f"this process did not run for {gap:.2f} s")

    def test_others_wait_what_they_hear(self) -> None:
        assert master(announcing=QUIET) >> Woken(100.0) << Complain("warning", "this process did not run for 100.00 s")


def test_the_other_members_announce_with_the_one_that_contradicts() -> None:
    group = Group(a={}, b={"announcing": Announcing(lower_prio_repeat=2)}, c={"announcing": QUIET})
    play = Play(group)
    for name in "abc":
        play = play >> (name, Resumed(State.MASTER, spoke_at=0.0)) << ...
    play = play >> ("a", hears(90)) << ("a", SendAdvert(100)) << ("a", Announce(5))
    play = play << ("a", TellLowerPriority(advert(90))) << ("b", Announce(2))
    assert play
    assert group.states == [MASTER] * 4

"""MASTER (RFC 9568 6.4.3): its adverts and announcements, whom it answers and to whom it yields."""

from __future__ import annotations

from typing import Any

import pytest

from kad.model.vrrp import Announcing
from kad.shared.state_machine import DeadlineReached
from kad.vrrp.events import (
    AddressesRemoved,
    AdvertReceived,
    Announce,
    ChangePriority,
    Complain,
    Demoted,
    HoldAddresses,
    PriorityChanged,
    Promoted,
    Reconfigured,
    ReleaseAddresses,
    SendAdvert,
    State,
    TellLowerPriority,
)
from tests.causes import cause, tracked
from tests.play import At, Due, Late
from tests.unit.vrrp.samples import advert, backup, entered, instance, master


def hears(priority: int, **changes: Any) -> AdvertReceived:
    return AdvertReceived(advert(priority, **changes))


class TestAdverts:
    def test_one_each_interval(self) -> None:
        play = master(advertisement_interval=2.0)
        for moment in (2.0, 4.0, 6.0):
            play = play >> Due(moment) >> DeadlineReached() << SendAdvert(100)
        assert play >> Due(8.0)

    def test_a_late_one_does_not_delay_the_next(self) -> None:
        assert master() >> Late(1.2) >> DeadlineReached() << SendAdvert(100) >> Due(2.0)

    def test_one_that_is_late_by_a_whole_interval_stands_for_two(self) -> None:
        assert master() >> Late(2.0) >> DeadlineReached() << SendAdvert(100) >> Due(3.0)

    def test_those_missed_in_a_sleep_are_not_made_up_for(self) -> None:
        assert master() >> Late(7.5) >> DeadlineReached() << SendAdvert(100) >> Due(8.5)

    def test_a_lower_priority_is_an_invitation_to_whoever_is_better(self) -> None:
        # skew_time of priority 80 is 176/256 s; the advert comes again after half of it.
        assert (
            master()
            >> At(0.25)
            >> PriorityChanged(80, tracked("script a: -20"))
            << ChangePriority(100, 80, tracked("script a: -20"))
            << SendAdvert(0)
            << SendAdvert(80)
            >> Due(0.59375)
            >> DeadlineReached()
            << SendAdvert(80)
            >> Due(1.59375)
        )

    def test_who_is_told_not_to_invite_says_the_new_priority_when_it_is_due(self) -> None:
        play = master(invites_successor=False) >> At(0.25) >> PriorityChanged(90, tracked("script x"))
        assert play << ChangePriority(100, 90, tracked("script x")) >> Due(1.0)

    def test_an_invitation_does_not_delay_the_next_one(self) -> None:
        assert master() >> At(0.75) >> PriorityChanged(80, tracked("a")) << ... >> Due(1.0)

    def test_the_next_one_has_the_higher_priority(self) -> None:
        assert (
            master()
            >> At(0.5)
            >> PriorityChanged(120, tracked("script a: +20"))
            << ChangePriority(100, 120, tracked("script a: +20"))
            >> Due(1.0)
            >> DeadlineReached()
            << SendAdvert(120)
        )

    def test_an_equal_priority_is_no_change(self) -> None:
        assert master() >> PriorityChanged(100, tracked("")) >> Due(1.0)


class TestBeat:
    """The short road of an advert that falls due and changes nothing else."""

    def test_the_next_one_is_an_interval_later(self) -> None:
        machine = master().machine
        assert machine.beat(1.0, 1.0004)
        assert machine.deadline == 2.0

    def test_those_missed_are_not_made_up_for(self) -> None:
        machine = master().machine
        assert machine.beat(1.0, 7.5)
        assert machine.deadline == 8.5
        machine = master().machine
        assert machine.beat(1.0, 2.0)
        assert machine.deadline == 3.0

    def test_an_announcement_that_is_due_needs_a_decision(self) -> None:
        announcing = Announcing(lower_prio_delay=0.5)
        play = master(announcing=announcing) >> At(0.25) >> hears(50) << ...
        assert play
        assert not play.machine.beat(0.75, 0.75)
        assert play >> Due(0.75) >> DeadlineReached() << Announce(5) >> Due(1.0)

    def test_an_announcement_between_adverts_is_not_passed_over(self) -> None:
        play = master(announcing=Announcing(lower_prio_delay=1.5)) >> At(0.25) >> hears(50) << ...
        assert play
        assert play.machine.beat(1.0, 1.0)
        assert play >> Due(1.75) >> DeadlineReached() << Announce(5) >> Due(2.0)

    def test_an_announcement_of_the_same_moment_follows(self) -> None:
        play = master(announcing=Announcing(lower_prio_delay=0.5)) >> At(0.5) >> hears(50) << ...
        assert play
        assert play.machine.beat(1.0, 1.0)
        assert play >> Due(1.0) >> DeadlineReached() << Announce(5) >> Due(2.0)

    def test_a_backup_has_none(self) -> None:
        machine = backup().machine
        assert not machine.beat(3.609375, 3.609375)
        assert machine.deadline == 3.609375


class TestAnnouncing:
    """keepalived's garp_ words: a burst at once, one after garp_master_delay, then refreshes."""

    @staticmethod
    def taken_over(announcing: Announcing) -> Any:
        play = backup(announcing=announcing) >> Due(3.609375) >> DeadlineReached() << SendAdvert(100) << HoldAddresses()
        return (
            play
            << Announce(announcing.master_repeat)
            << entered(State.BACKUP, State.MASTER, "no advert from anyone for 3.61 s")
        )

    def test_the_second_burst(self) -> None:
        play = self.taken_over(Announcing(master_delay=2.5, master_repeat=3))
        play = play >> Due(4.609375) >> DeadlineReached() << SendAdvert(100)
        play = play >> Due(5.609375) >> DeadlineReached() << SendAdvert(100)
        assert play >> Due(6.109375) >> DeadlineReached() << Announce(3) >> Due(6.609375)

    def test_an_advert_comes_before_an_announcement_of_the_same_moment(self) -> None:
        play = self.taken_over(Announcing(master_delay=1.0))
        assert play >> Due(4.609375) >> DeadlineReached() << SendAdvert(100) << Announce(5) >> Due(5.609375)

    def test_no_second_burst_without_a_delay(self) -> None:
        play = self.taken_over(Announcing(master_delay=0.0))
        for number in range(1, 12):
            play = play >> Due(3.609375 + number) >> DeadlineReached() << SendAdvert(100)
        assert play

    def test_refreshes(self) -> None:
        play = self.taken_over(Announcing(master_delay=0.0, master_refresh=1.5, master_refresh_repeat=2))
        play = play >> Due(4.609375) >> DeadlineReached() << SendAdvert(100)
        play = play >> Due(5.109375) >> DeadlineReached() << Announce(2)
        play = play >> Due(5.609375) >> DeadlineReached() << SendAdvert(100)
        assert play >> Due(6.609375) >> DeadlineReached() << SendAdvert(100) << Announce(2) >> Due(7.609375)

    def test_on_other_interfaces(self) -> None:
        play = self.taken_over(Announcing(master_delay=0.0, elsewhere=1.25))
        play = play >> Due(4.609375) >> DeadlineReached() << SendAdvert(100)
        play = play >> Due(4.859375) >> DeadlineReached() << Announce(1, elsewhere=True)
        assert play >> Due(5.609375) >> DeadlineReached() << SendAdvert(100) >> Due(6.109375)

    def test_on_other_interfaces_at_another_distance_after_a_reload(self) -> None:
        play = self.taken_over(Announcing(master_delay=0.0, elsewhere=1.25)) >> At(3.9)
        play = play >> Reconfigured(instance(announcing=Announcing(master_delay=0.0, elsewhere=0.5)))
        play = play >> Due(4.109375) >> DeadlineReached() << Announce(1, elsewhere=True)
        play = play >> Due(4.609375) >> DeadlineReached() << SendAdvert(100) << Announce(1, elsewhere=True)
        play = play >> Reconfigured(instance(announcing=Announcing(master_delay=0.0)))
        assert play >> Due(5.609375)


class TestYielding:
    def test_to_a_higher_priority(self) -> None:
        assert (
            master()
            >> At(0.5)
            >> hears(101)
            << ReleaseAddresses()
            << entered(State.MASTER, State.BACKUP, "advert from 10.77.0.2 priority 101 > 100")
            >> Due(4.109375)
        )

    def test_no_priority_0_is_said(self) -> None:
        play = master() >> hears(101) << ReleaseAddresses()
        assert play << entered(State.MASTER, State.BACKUP, "advert from 10.77.0.2 priority 101 > 100")

    def test_to_an_equal_priority_with_a_higher_address(self) -> None:
        assert (
            master()
            >> hears(100, source="10.77.0.2")
            << ReleaseAddresses()
            << entered(State.MASTER, State.BACKUP, "advert from 10.77.0.2 with equal priority 100 and a higher address")
            >> Due(3.609375)
        )

    @pytest.mark.parametrize("source", ["9.255.255.255", "10.76.255.255", "10.77.0.0"])
    def test_not_to_an_equal_priority_with_a_lower_address(self, source: str) -> None:
        equal = advert(100, source=source)
        assert master() >> AdvertReceived(equal) << SendAdvert(100) << Announce(5) << TellLowerPriority(equal)

    def test_addresses_are_compared_as_numbers(self) -> None:
        """As text, 10.77.0.10 would come before 10.77.0.9."""
        play = master()
        play.machine.source_number = 0x0A4D0009
        assert play >> hears(100, source="10.77.0.10") << ReleaseAddresses() << ...
        assert play.machine.state is State.BACKUP

    def test_its_own_address_from_elsewhere_is_only_reported(self) -> None:
        assert (
            master()
            >> hears(100, source="10.77.0.1")
            << Complain("warning", "Received an advert with our own source address 10.77.0.1", True)
            >> Due(1.0)
        )

    def test_the_interval_of_a_version_3_master_is_learned(self) -> None:
        assert master(version=3) >> At(0.5) >> hears(101, interval=0.1, version=3) << ... >> Due(0.8609375)

    def test_one_last_advert_where_asked(self) -> None:
        assert (
            master(higher_prio_send_advert=True)
            >> hears(200)
            << SendAdvert(100)
            << ReleaseAddresses()
            << entered(State.MASTER, State.BACKUP, "advert from 10.77.0.2 priority 200 > 100")
        )

    def test_without_preemption_to_a_higher_one_all_the_same(self) -> None:
        assert master(preempt=False) >> hears(101) << ReleaseAddresses() << ...

    def test_the_silence_of_the_other_one_is_named(self) -> None:
        assert (
            master()
            >> hears(101)
            << ...
            >> Due(3.609375)
            >> DeadlineReached()
            << SendAdvert(100)
            << HoldAddresses()
            << Announce(5)
            << entered(State.BACKUP, State.MASTER, "no advert from 10.77.0.2 for 3.61 s")
        )

    def test_a_stale_announcement_does_not_survive(self) -> None:
        play = master(announcing=Announcing(lower_prio_delay=0.25)) >> hears(50) << ...
        assert play >> Due(0.25) >> At(0.1) >> hears(101) << ... >> Due(3.709375)


class TestAsserting:
    def test_priority_0_is_answered_and_the_timer_restarted(self) -> None:
        assert master() >> At(0.4) >> hears(0) << SendAdvert(100) >> Due(1.4)

    @pytest.mark.parametrize("priority", [1, 50, 99])
    def test_a_lower_advert_is_answered(self, priority: int) -> None:
        lower = advert(priority)
        assert (
            master()
            >> At(0.4)
            >> AdvertReceived(lower)
            << SendAdvert(100)
            << Announce(5)
            << TellLowerPriority(lower)
            >> Due(1.0)
        )

    def test_it_announces_again_after_the_delay(self) -> None:
        announcing = Announcing(lower_prio_delay=2.5, lower_prio_repeat=3)
        play = master(announcing=announcing) >> At(0.4) >> hears(50) << SendAdvert(100) << Announce(3) << ...
        play = play >> Due(1.0) >> DeadlineReached() << SendAdvert(100) >> Due(2.0) >> DeadlineReached()
        play = play << SendAdvert(100) >> Due(2.9) >> DeadlineReached() << Announce(3)
        assert play >> Due(3.0)

    def test_no_announcement_where_none_is_wanted(self) -> None:
        lower = advert(50)
        assert (
            master(announcing=Announcing(lower_prio_repeat=0))
            >> AdvertReceived(lower)
            << SendAdvert(100)
            << TellLowerPriority(lower)
            >> Due(1.0)
        )

    def test_no_advert_where_none_is_wanted(self) -> None:
        lower = advert(50)
        assert master(lower_prio_no_advert=True) >> AdvertReceived(lower) << Announce(5) << TellLowerPriority(lower)

    def test_an_owner_yields_to_no_lower_priority(self) -> None:
        lower = advert(254, source="10.77.0.200")
        assert (
            master(priority=255) >> AdvertReceived(lower) << SendAdvert(255) << Announce(5) << TellLowerPriority(lower)
        )


class TestOfAGroup:
    def test_demoted(self) -> None:
        assert (
            master()
            >> At(0.5)
            >> Demoted(cause("sync group G: VI_2 is BACKUP"))
            << ReleaseAddresses()
            << entered(State.MASTER, State.BACKUP, "sync group G: VI_2 is BACKUP")
            >> Due(4.109375)
        )

    def test_promoted_it_is_already(self) -> None:
        assert master() >> Promoted(cause("sync group G")) >> Due(1.0)

    def test_demoted_it_is_already(self) -> None:
        assert backup() >> Demoted(cause("sync group G")) >> Due(3.609375)


class TestRemovedAddresses:
    def test_it_becomes_backup_and_master_again_after_the_skew(self) -> None:
        # RFC 3768 6.1: (256 - 100) / 256 s.
        assert (
            master()
            >> At(0.5)
            >> AddressesRemoved(cause("somebody removed 10.77.0.7/32"))
            << SendAdvert(0)
            << ReleaseAddresses()
            << entered(State.MASTER, State.BACKUP, "somebody removed 10.77.0.7/32")
            >> Due(0.5 + 0.609375)
        )

    def test_whoever_speaks_meanwhile_stays_master(self) -> None:
        play = master() >> At(0.5) >> AddressesRemoved(cause("somebody removed it")) << ...
        # 3 s and the skew from then on.
        assert play >> At(0.7) >> hears(200) >> Due(0.7 + 3.609375)

    def test_a_backup_has_nothing_to_lose(self) -> None:
        assert backup() >> AddressesRemoved(cause("somebody removed it"))

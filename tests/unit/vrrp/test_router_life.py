"""Start, faults, what has no result yet, crash, sleep, reload, stop and handover."""

from __future__ import annotations

from typing import Any

import pytest

from kad.model.vrrp import Announcing, VirtualAddress, VirtualDevice
from kad.shared.state_machine import DeadlineReached
from kad.vrrp.events import (
    AdvertReceived,
    Announce,
    CaughtUp,
    ChangePriority,
    Complain,
    FaultsChanged,
    HoldAddresses,
    PriorityChanged,
    Promoted,
    Reconfigured,
    ReleaseAddresses,
    Resumed,
    SendAdvert,
    SourceChanged,
    Started,
    State,
    Stopped,
    TellLowerPriority,
    Woken,
)
from tests.causes import cause, tracked
from tests.play import At, Due, Late, Play
from tests.unit.vrrp.samples import OTHER_VIP, VIP, advert, backup, entered, instance, master, router

DOWN = frozenset({"interface eth0 is down"})
BAD = frozenset({"script a failed"})
UNKNOWN = frozenset({"script a has no result yet"})
NONE: frozenset[str] = frozenset()


def hears(priority: int, **changes: Any) -> AdvertReceived:
    return AdvertReceived(advert(priority, **changes))


class TestStart:
    """Leftovers of an earlier life go first (keepalived: removing VIPs)."""

    @pytest.mark.parametrize("state", ["MASTER", "BACKUP"])
    def test_it_is_backup_first_whatever_the_wish(self, state: str) -> None:
        assert (
            Play(router(state=state), 10.0)
            >> Started()
            << ReleaseAddresses()
            << entered(State.INIT, State.BACKUP, "init")
            >> Due(13.609375)
        )

    def test_the_owner_is_master_at_once(self) -> None:
        assert (
            Play(router(priority=255), 10.0)
            >> Started()
            << ReleaseAddresses()
            << entered(State.INIT, State.BACKUP, "init")
            >> Due(10.0)
            >> DeadlineReached()
            << SendAdvert(255)
            << HoldAddresses()
            << Announce(5)
            << entered(State.BACKUP, State.MASTER, "priority 255 owns the addresses")
            >> Due(11.0)
        )

    def test_with_a_fault(self) -> None:
        assert (
            Play(router())
            >> Started(DOWN)
            << ReleaseAddresses()
            << entered(State.INIT, State.FAULT, "interface eth0 is down")
            >> Due(None)
        )

    def test_what_has_no_result_yet_is_waited_for(self) -> None:
        assert (
            Play(router())
            >> Started(NONE, UNKNOWN)
            << ReleaseAddresses()
            >> Due(None)
            >> At(2.0)
            >> hears(1)
            >> FaultsChanged(NONE, NONE)
            << entered(State.INIT, State.BACKUP, "init")
            >> Due(5.609375)
        )

    def test_the_result_may_be_a_fault(self) -> None:
        assert (
            Play(router())
            >> Started(NONE, UNKNOWN)
            << ReleaseAddresses()
            >> FaultsChanged(BAD)
            << entered(State.INIT, State.FAULT, "script a failed")
        )


class TestFaults:
    def test_a_master_gives_up(self) -> None:
        assert (
            master()
            >> At(0.5)
            >> FaultsChanged(DOWN)
            << SendAdvert(0)
            << ReleaseAddresses()
            << entered(State.MASTER, State.FAULT, "interface eth0 is down")
            >> Due(None)
        )

    def test_a_backup_just_leaves(self) -> None:
        play = backup() >> FaultsChanged(BAD | DOWN)
        assert play << entered(State.BACKUP, State.FAULT, "interface eth0 is down; script a failed") >> Due(None)

    def test_it_returns_when_the_last_fault_goes(self) -> None:
        assert (
            backup()
            >> FaultsChanged(BAD | DOWN)
            << ...
            >> At(1.0)
            >> FaultsChanged(BAD)
            >> Due(None)
            >> At(2.0)
            >> FaultsChanged(NONE)
            << entered(State.FAULT, State.BACKUP, "no longer: script a failed")
            >> Due(5.609375)
        )

    def test_adverts_and_promotions_mean_nothing_to_it(self) -> None:
        assert backup() >> FaultsChanged(DOWN) << ... >> hears(255) >> hears(0) >> Promoted(cause("group")) >> Due(None)

    def test_the_interval_learned_before_is_forgotten(self) -> None:
        """RFC 9568 6.4.1: who starts counts with its own interval."""
        assert (
            backup(version=3)
            >> At(1.0)
            >> hears(150, interval=10.0, version=3)
            >> FaultsChanged(DOWN)
            << ...
            >> FaultsChanged(NONE)
            << ...
            >> Due(4.609375)
        )

    def test_an_owner_returns_as_master_at_once(self) -> None:
        assert (
            master(priority=255)
            >> FaultsChanged(DOWN)
            << ...
            >> At(5.0)
            >> FaultsChanged(NONE)
            << entered(State.FAULT, State.BACKUP, "no longer: interface eth0 is down")
            >> Due(5.0)
        )

    def test_things_without_a_result_throw_nobody_out(self) -> None:
        assert backup() >> FaultsChanged(NONE, UNKNOWN) >> Due(3.609375)

    def test_the_way_back_waits_for_results(self) -> None:
        assert (
            backup()
            >> FaultsChanged(DOWN)
            << ...
            >> FaultsChanged(NONE, UNKNOWN)
            >> Due(None)
            >> FaultsChanged(NONE, NONE)
            << entered(State.FAULT, State.BACKUP, "every check passed")
        )

    def test_the_priority_may_change_meanwhile(self) -> None:
        assert (
            backup()
            >> FaultsChanged(DOWN)
            << ...
            >> PriorityChanged(200, tracked("a"))
            << ChangePriority(100, 200, tracked("a"))
            >> FaultsChanged(NONE)
            << ...
            >> Due(3.21875)
        )


class TestStop:
    def test_a_master_says_priority_0_and_releases(self) -> None:
        assert (
            master()
            >> Stopped()
            << SendAdvert(0)
            << ReleaseAddresses()
            << entered(State.MASTER, State.STOP, "stopped")
            >> Due(None)
        )

    def test_a_backup_says_nothing(self) -> None:
        assert backup() >> Stopped() << entered(State.BACKUP, State.STOP, "stopped") >> Due(None)

    def test_addresses_may_stay(self) -> None:
        assert master() >> Stopped(release=False) << entered(State.MASTER, State.STOP, "stopped") >> Due(None)

    def test_afterwards_nothing_counts(self) -> None:
        assert (
            master()
            >> Stopped()
            << ...
            >> hears(0)
            >> FaultsChanged(DOWN)
            >> FaultsChanged(NONE)
            >> DeadlineReached()
            >> Stopped()
            >> Due(None)
        )


class TestHandover:
    """Make before break: priority 0 first, and the addresses stay until another router speaks."""

    def test_until_somebody_takes_over(self) -> None:
        assert (
            master()
            >> At(0.5)
            >> Stopped(handover_until=10.0)
            << SendAdvert(0)
            >> Due(2.109375)
            >> At(1.2)
            >> hears(50)
            >> Due(1.3)
            >> At(1.25)
            >> hears(50)
            >> Due(1.3)
            >> DeadlineReached()
            << ReleaseAddresses()
            << entered(State.MASTER, State.STOP, "stopped")
            >> Due(None)
        )

    def test_many_addresses_take_longer_to_announce(self) -> None:
        many = tuple(VirtualAddress(address=f"10.77.1.{number}", prefix=32) for number in range(1, 201))
        play = master(virtual_addresses=many, excluded_addresses=(OTHER_VIP,)) >> At(0.5) >> Stopped(handover_until=10)
        # 0.1 s, and half a millisecond for each of the 200 others.
        assert play << SendAdvert(0) >> At(1.2) >> hears(50) >> Due(1.4)

    def test_a_virtual_mac_is_let_go_at_the_advert(self) -> None:
        device = VirtualDevice(name="vrrp.51", base="eth0", mac="00:00:5e:00:01:33")
        assert (
            master(device=device)
            >> At(0.5)
            >> Stopped(handover_until=10.0)
            << SendAdvert(0)
            >> At(1.2)
            >> hears(0)
            >> hears(50)
            << ReleaseAddresses()
            << entered(State.MASTER, State.STOP, "stopped")
            >> Due(None)
        )

    def test_nobody_takes_over(self) -> None:
        assert (
            master()
            >> Stopped(handover_until=10.0)
            << SendAdvert(0)
            >> Due(1.609375)
            >> DeadlineReached()
            << ReleaseAddresses()
            << entered(State.MASTER, State.STOP, "stopped")
        )

    def test_never_beyond_the_given_moment(self) -> None:
        assert master() >> Stopped(handover_until=0.75) << SendAdvert(0) >> Due(0.75)

    def test_another_one_that_gives_up_takes_nothing_over(self) -> None:
        assert master() >> Stopped(handover_until=10.0) << SendAdvert(0) >> hears(0) >> Due(1.609375)

    def test_a_second_stop_ends_it(self) -> None:
        assert (
            master()
            >> Stopped(handover_until=10.0)
            << SendAdvert(0)
            >> Stopped()
            << ReleaseAddresses()
            << entered(State.MASTER, State.STOP, "stopped")
        )

    def test_a_fault_ends_it_for_good(self) -> None:
        assert (
            master()
            >> Stopped(handover_until=10.0)
            << SendAdvert(0)
            >> FaultsChanged(DOWN)
            << ReleaseAddresses()
            << entered(State.MASTER, State.STOP, "stopped")
            >> FaultsChanged(NONE)
            >> Due(None)
        )

    def test_a_backup_has_nothing_to_hand_over(self) -> None:
        assert backup() >> Stopped(handover_until=10.0) << entered(State.BACKUP, State.STOP, "stopped") >> Due(None)


class TestResume:
    """A replaced process goes on where the one before was, as long as nobody missed it."""

    def test_a_master_in_time(self) -> None:
        assert (
            Play(router(), 12.9)
            >> Resumed(State.MASTER, spoke_at=10.0)
            << SendAdvert(100)
            << HoldAddresses()
            >> Due(13.9)
        )

    def test_a_master_too_late(self) -> None:
        assert (
            Play(router(), 13.0)
            >> Resumed(State.MASTER, spoke_at=10.0)
            << ReleaseAddresses()
            << entered(State.MASTER, State.BACKUP, "the process was replaced too late to go on")
            >> Due(16.609375)
        )

    def test_a_master_with_a_fault_meanwhile(self) -> None:
        assert (
            Play(router(), 10.5)
            >> Resumed(State.MASTER, 10.0, DOWN)
            << ReleaseAddresses()
            << entered(State.MASTER, State.FAULT, "interface eth0 is down")
            >> Due(None)
        )

    def test_a_late_master_that_must_wait_for_results_is_master_no_more(self) -> None:
        play = Play(router(), 20.0) >> Resumed(State.MASTER, 10.0, NONE, UNKNOWN) << ReleaseAddresses() << ...
        assert play >> Due(None)
        assert not play.machine.holds_addresses
        assert play >> FaultsChanged(NONE) << ... >> Due(23.609375)
        assert play.machine.state is State.BACKUP

    def test_a_backup(self) -> None:
        assert Play(router(), 12.0) >> Resumed(State.BACKUP, spoke_at=0.0) << ReleaseAddresses() >> Due(15.609375)

    def test_a_master_that_announced_itself_once_does_so_again(self) -> None:
        announcing = Announcing(master_delay=5.0, master_repeat=3)
        owner = router(advertisement_interval=10.0, announcing=announcing)
        play = Play(owner, 12.0) >> Resumed(State.MASTER, spoke_at=10.0, entered_at=10.0) << SendAdvert(100)
        assert play << HoldAddresses() >> Due(15.0) >> DeadlineReached() << Announce(3) >> Due(22.0)
        owner = router(advertisement_interval=10.0, announcing=announcing)
        play = Play(owner, 12.0) >> Resumed(State.MASTER, spoke_at=10.0, entered_at=7.0) << SendAdvert(100)
        assert play << HoldAddresses() >> Due(22.0)

    def test_a_backup_waits_for_one_who_speaks_less_often(self) -> None:
        resumed = Resumed(State.BACKUP, 0.0, master_advertisement_interval=5.0)
        # 3 x 5 s and a skew of 156/256 of 5 s; version 2 learns nothing.
        assert Play(router(version=3), 12.0) >> resumed << ReleaseAddresses() >> Due(30.046875)
        assert Play(router(), 12.0) >> resumed << ReleaseAddresses() >> Due(15.609375)
        sooner = Resumed(State.BACKUP, 0.0, master_advertisement_interval=0.5)
        assert Play(router(version=3), 12.0) >> sooner << ReleaseAddresses() >> Due(15.609375)

    def test_a_backup_with_a_fault_meanwhile(self) -> None:
        play = Play(router(), 12.0) >> Resumed(State.BACKUP, 0.0, DOWN) << ReleaseAddresses()
        assert play << entered(State.BACKUP, State.FAULT, "interface eth0 is down") >> Due(None)

    def test_a_master_refreshes_on(self) -> None:
        play = Play(router(announcing=Announcing(master_refresh=0.25)), 12.0)
        play = play >> Resumed(State.MASTER, spoke_at=11.5) << SendAdvert(100) << HoldAddresses()
        assert play >> Due(12.25) >> DeadlineReached() << Announce(1) >> Due(12.5)

    def test_a_fault_that_still_is(self) -> None:
        assert Play(router(), 12.0) >> Resumed(State.FAULT, 0.0, DOWN) << ReleaseAddresses() >> Due(None)

    def test_a_fault_that_went(self) -> None:
        play = Play(router(), 12.0) >> Resumed(State.FAULT, 0.0) << ReleaseAddresses() << ...
        assert play >> Due(15.609375)
        assert play.machine.state is State.BACKUP


class TestSleep:
    """Who did not run does not disturb whoever took over meanwhile, whatever its priority."""

    GAP = Complain("warning", "this process did not run for 5.00 s")

    def test_a_lower_master_is_left_in_place_for_now(self) -> None:
        assert (
            master()
            >> Late(6.0)
            >> Woken(5.0)
            << self.GAP
            >> hears(50)
            << ReleaseAddresses()
            << entered(State.MASTER, State.BACKUP, "did not run for 5.00 s, and 10.77.0.2 took over")
            >> Due(9.609375)
        )

    def test_nobody_took_over(self) -> None:
        lower = advert(50)
        assert (
            master()
            >> Late(6.0)
            >> Woken(5.0)
            << self.GAP
            >> CaughtUp()
            >> DeadlineReached()
            << SendAdvert(100)
            >> Due(7.0)
            >> AdvertReceived(lower)
            << SendAdvert(100)
            << Announce(5)
            << TellLowerPriority(lower)
        )

    def test_from_when_on_it_may_have_been_replaced(self) -> None:
        """Two of three adverts were missed, and the next one is late."""
        machine = master(advertisement_interval=5.0).machine
        assert not machine.may_be_replaced_after(10.0)
        assert machine.may_be_replaced_after(10.001)
        assert not backup().machine.may_be_replaced_after(99.0)

    def test_a_backup_only_says_so(self) -> None:
        assert backup() >> Woken(5.0) << self.GAP >> CaughtUp() >> Due(3.609375)


class TestReload:
    def test_a_master_goes_on(self) -> None:
        assert master() >> At(0.5) >> Reconfigured(instance(preempt_delay=5.0)) >> Due(1.0)

    def test_a_master_takes_a_shorter_interval_at_once_and_a_longer_one_later(self) -> None:
        assert master() >> At(0.5) >> Reconfigured(instance(advertisement_interval=0.1)) >> Due(0.5)
        assert (
            master()
            >> At(0.5)
            >> Reconfigured(instance(advertisement_interval=10.0))
            >> Due(1.0)
            >> DeadlineReached()
            << SendAdvert(100)
            >> Due(11.0)
        )

    def test_a_master_holds_and_announces_what_changed(self) -> None:
        changed = instance(virtual_addresses=(VIP, OTHER_VIP), announcing=Announcing(master_repeat=2))
        assert master() >> Reconfigured(changed) << HoldAddresses() << Announce(2) >> Due(1.0)
        excluded = instance(excluded_addresses=(OTHER_VIP,))
        assert master() >> Reconfigured(excluded) << HoldAddresses() << Announce(5) >> Due(1.0)

    def test_a_backup_goes_on_counting(self) -> None:
        assert backup() >> At(2.0) >> Reconfigured(instance(preempt=False)) >> Due(3.609375)

    def test_a_backup_counts_with_the_new_interval(self) -> None:
        assert backup() >> At(2.0) >> Reconfigured(instance(advertisement_interval=10.0)) >> Due(30.609375)
        assert backup() >> At(2.0) >> Reconfigured(instance(down_timer_adverts=1)) >> Due(2.0)

    def test_a_backup_of_version_3_keeps_what_it_learned(self) -> None:
        assert (
            backup(version=3)
            >> At(1.0)
            >> hears(150, interval=0.1, version=3)
            >> Reconfigured(instance(version=3, advertisement_interval=10.0))
            >> Due(1.3609375)
        )

    def test_a_backup_of_version_3_that_heard_nobody_counts_with_the_new_interval(self) -> None:
        assert (
            backup(version=3)
            >> At(1.0)
            >> Reconfigured(instance(version=3, advertisement_interval=0.1))
            >> Due(1.0)
            >> DeadlineReached()
            << ...
        )

    def test_a_skew_time_that_runs_is_not_lengthened(self) -> None:
        assert backup() >> At(1.0) >> hears(0) << ... >> Reconfigured(instance(preempt_delay=9.0)) >> Due(1.609375)

    def test_one_in_fault_stays_there(self) -> None:
        assert backup() >> FaultsChanged(DOWN) << ... >> Reconfigured(instance(priority=7)) >> Due(None)

    def test_refreshes_begin_where_they_were_not_wanted_before(self) -> None:
        changed = instance(announcing=Announcing(master_refresh=0.25))
        assert master() >> At(0.5) >> Reconfigured(changed) >> Due(0.75) >> DeadlineReached() << Announce(1) >> Due(1.0)

    def test_the_source_address(self) -> None:
        equal = advert(100)
        assert master() >> SourceChanged(0x0A4D0003) >> AdvertReceived(equal) << SendAdvert(100) << ...

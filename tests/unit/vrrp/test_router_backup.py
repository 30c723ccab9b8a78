"""BACKUP (RFC 9568 6.4.2): what restarts the timer, what does not, and what happens when it runs out."""

from __future__ import annotations

from typing import Any

import pytest

from kad.model.cause import FaultFound, FaultsBegan, FaultsEnded, JournalKey
from kad.model.fault import of_link
from kad.model.vrrp import VirtualDevice
from kad.shared.state_machine import DeadlineReached
from kad.vrrp.events import (
    AdvertReceived,
    Announce,
    ChangeState,
    Complain,
    Demoted,
    FaultsChanged,
    HoldAddresses,
    PriorityChanged,
    RefusalsChanged,
    SendAdvert,
    State,
)
from kad.vrrp.router import Router, skew_time
from tests.causes import cause, refused, tracked
from tests.play import At, Due, Late, Play
from tests.unit.vrrp.samples import advert, backup, entered, master


def hears(priority: int, **changes: Any) -> AdvertReceived:
    return AdvertReceived(advert(priority, **changes))


@pytest.mark.parametrize(
    ("version", "priority", "interval", "seconds"),
    [
        (2, 100, 1.0, 0.609375),
        (2, 100, 10.0, 0.609375),
        (2, 1, 1.0, 0.99609375),
        (2, 254, 1.0, 0.0078125),
        (2, 255, 1.0, 0.00390625),
        (3, 100, 1.0, 0.609375),
        (3, 100, 10.0, 6.09375),
        (3, 100, 0.1, 0.0609375),
        (3, 254, 0.01, 0.000078125),
        (3, 1, 40.95, 40.7900390625),
    ],
)
def test_skew_time(version: int, priority: int, interval: float, seconds: float) -> None:
    assert skew_time(version, priority, interval) == pytest.approx(seconds, abs=1e-12)


@pytest.mark.parametrize(
    ("changes", "seconds"),
    [
        ({}, 3.609375),
        ({"priority": 200}, 3.21875),
        ({"advertisement_interval": 5.0}, 15.609375),
        ({"down_timer_adverts": 5}, 5.609375),
        ({"version": 3}, 3.609375),
        ({"version": 3, "advertisement_interval": 0.1}, 0.3609375),
        ({"version": 3, "advertisement_interval": 0.1, "priority": 254}, 0.30078125),
    ],
)
def test_silence_makes_it_master(changes: dict[str, Any], seconds: float) -> None:
    interval = changes.get("advertisement_interval", 1.0)
    assert (
        backup(**changes)
        >> Due(seconds)
        >> DeadlineReached()
        << SendAdvert(changes.get("priority", 100))
        << HoldAddresses()
        << Announce(5)
        << entered(State.BACKUP, State.MASTER, f"no advert from anyone for {seconds:.2f} s")
        >> Due(seconds + interval)
    )


VMAC = VirtualDevice(name="vrrp.51", base="eth0", mac="00:00:5e:00:01:33")


def test_a_virtual_mac_that_is_handed_over_finds_its_addresses_there() -> None:
    """Switches send packets here, and the other one lets go, as soon as the advert is on the wire."""
    assert (
        backup(device=VMAC)
        >> hears(0)
        << Complain("info", "Backup received priority 0 advertisement from 10.77.0.2")
        >> Due(0.609375)
        >> DeadlineReached()
        << HoldAddresses(first=True)
        << SendAdvert(100)
        << Announce(5)
        << entered(State.BACKUP, State.MASTER, "10.77.0.2 gave up with priority 0")
        >> Due(1.609375)
    )
    assert (
        backup(device=VMAC)
        >> At(3.0)
        >> hears(90)
        >> Due(3.609375)
        >> DeadlineReached()
        << HoldAddresses(first=True)
        << SendAdvert(100)
        << ...
    )


def test_nobody_waits_for_the_addresses_where_nobody_else_has_them() -> None:
    silence = backup(device=VMAC) >> Due(3.609375) >> DeadlineReached()
    assert silence << SendAdvert(100) << HoldAddresses() << ...


def test_the_moment_before_nothing_happens() -> None:
    assert backup() >> At(3.609374) >> DeadlineReached() >> Due(3.609375)


@pytest.mark.parametrize("priority", [100, 101, 254, 255])
def test_an_advert_that_is_not_lower_restarts_the_timer(priority: int) -> None:
    assert backup() >> At(3.0) >> hears(priority) >> Due(6.609375)


@pytest.mark.parametrize("priority", [1, 99])
def test_a_lower_advert_leaves_the_timer_alone(priority: int) -> None:
    assert (
        backup()
        >> At(3.0)
        >> hears(priority)
        >> Due(3.609375)
        >> DeadlineReached()
        << SendAdvert(100)
        << HoldAddresses()
        << Announce(5)
        << entered(State.BACKUP, State.MASTER, f"priority 100 > {priority} of 10.77.0.2")
    )


def test_without_preemption_a_lower_advert_restarts_the_timer() -> None:
    assert backup(preempt=False) >> At(3.0) >> hears(1) >> Due(6.609375)


def test_silence_of_the_master_is_named_by_its_address() -> None:
    assert (
        backup()
        >> At(1.0)
        >> hears(150)
        >> Due(4.609375)
        >> DeadlineReached()
        << SendAdvert(100)
        << HoldAddresses()
        << Announce(5)
        << entered(State.BACKUP, State.MASTER, "no advert from 10.77.0.2 for 3.61 s")
    )


def test_priority_0_leaves_only_the_skew_time() -> None:
    assert (
        backup()
        >> At(1.0)
        >> hears(150)
        >> At(2.0)
        >> hears(0)
        << Complain("info", "Backup received priority 0 advertisement from 10.77.0.2")
        >> Due(2.609375)
        >> DeadlineReached()
        << SendAdvert(100)
        << HoldAddresses()
        << Announce(5)
        << entered(State.BACKUP, State.MASTER, "10.77.0.2 gave up with priority 0")
    )


def test_priority_0_and_then_a_higher_advert() -> None:
    assert (
        backup()
        >> At(2.0)
        >> hears(0)
        << Complain("info", "Backup received priority 0 advertisement from 10.77.0.2")
        >> At(2.1)
        >> hears(150, source="10.77.0.3")
        >> Due(5.709375)
    )


def test_after_the_skew_time_another_silence_is_a_whole_one() -> None:
    play = (
        backup() >> At(2.0) >> hears(0) << Complain("info", "Backup received priority 0 advertisement from 10.77.0.2")
    )
    assert play >> At(2.5) >> hears(150) >> Due(6.109375)


class TestLearnedInterval:
    """Version 3: the master's interval counts, not ours (RFC 9568 6.4.2)."""

    def test_it_is_taken_from_an_accepted_advert(self) -> None:
        assert backup(version=3) >> At(1.0) >> hears(150, interval=0.1, version=3) >> Due(1.3609375)

    def test_it_grows_too(self) -> None:
        assert backup(version=3) >> At(1.0) >> hears(150, interval=40.95, version=3) >> Due(148.80390625)

    def test_not_from_a_lower_advert(self) -> None:
        play = backup(version=3) >> At(1.0) >> hears(99, interval=0.1, version=3) >> Due(3.609375)
        assert play.machine.master_advertisement_interval == 1.0

    def test_not_from_priority_0(self) -> None:
        assert (
            backup(version=3)
            >> At(1.0)
            >> hears(0, interval=0.1, version=3)
            << Complain("info", "Backup received priority 0 advertisement from 10.77.0.2")
            >> Due(1.609375)
        )

    def test_priority_0_of_a_learned_master_leaves_the_skew_of_its_interval(self) -> None:
        assert (
            backup(version=3)
            >> At(1.0)
            >> hears(150, interval=0.1, version=3)
            >> At(1.1)
            >> hears(0, interval=0.1, version=3)
            << Complain("info", "Backup received priority 0 advertisement from 10.77.0.2")
            >> Due(1.1609375)
        )

    def test_as_master_its_own_counts_again(self) -> None:
        play = (
            backup(version=3)
            >> At(1.0)
            >> hears(150, interval=0.1, version=3)
            >> Due(1.3609375)
            >> DeadlineReached()
            << SendAdvert(100)
            << HoldAddresses()
            << Announce(5)
            << entered(State.BACKUP, State.MASTER, "no advert from 10.77.0.2 for 0.36 s")
            >> Due(2.3609375)
        )
        assert play
        assert play.machine.master_advertisement_interval == 1.0

    def test_version_2_learns_nothing(self) -> None:
        assert backup() >> At(1.0) >> hears(150, interval=7.0) >> Due(4.609375)


class TestPreemptDelay:
    """keepalived's preempt_delay: counted from the first lower advert, ended by one that is not lower."""

    def test_until_it_is_over_a_lower_advert_restarts_the_timer(self) -> None:
        assert (
            backup(preempt_delay=2.0)
            >> At(1.0)
            >> hears(50)
            >> Due(4.609375)
            >> At(2.0)
            >> hears(50)
            >> Due(5.609375)
            >> At(2.999)
            >> hears(50)
            >> Due(6.608375)
            >> At(3.0)
            >> hears(50)
            >> Due(6.608375)
            >> DeadlineReached()
            << SendAdvert(100)
            << HoldAddresses()
            << Announce(5)
            << entered(State.BACKUP, State.MASTER, "priority 100 > 50 of 10.77.0.2")
        )

    def test_an_advert_that_is_not_lower_ends_it(self) -> None:
        assert (
            backup(preempt_delay=2.0)
            >> At(1.0)
            >> hears(50)
            >> At(2.0)
            >> hears(100, source="10.77.0.3")
            >> At(3.5)
            >> hears(50)
            >> Due(7.109375)
            >> At(5.4)
            >> hears(50)
            >> Due(9.009375)
            >> At(5.5)
            >> hears(50)
            >> Due(9.009375)
        )

    def test_priority_0_ends_it(self) -> None:
        assert (
            backup(preempt_delay=2.0)
            >> At(1.0)
            >> hears(50)
            >> At(2.0)
            >> hears(0)
            << ...
            >> At(2.5)
            >> hears(50)
            >> At(4.0)
            >> hears(50)
            >> Due(7.609375)
        )

    def test_silence_does_not_wait_for_it(self) -> None:
        assert (
            backup(preempt_delay=100.0)
            >> At(1.0)
            >> hears(50)
            >> Due(4.609375)
            >> DeadlineReached()
            << SendAdvert(100)
            << HoldAddresses()
            << Announce(5)
            << entered(State.BACKUP, State.MASTER, "no advert from 10.77.0.2 for 3.61 s")
        )

    def test_a_boot_does_not_start_it(self) -> None:
        assert (
            backup(preempt_delay=100.0)
            >> Due(3.609375)
            >> DeadlineReached()
            << SendAdvert(100)
            << HoldAddresses()
            << Announce(5)
            << entered(State.BACKUP, State.MASTER, "no advert from anyone for 3.61 s")
        )

    def test_nopreempt_makes_it_meaningless(self) -> None:
        assert backup(preempt=False, preempt_delay=1.0) >> At(1.0) >> hears(50) >> At(4.0) >> hears(50) >> Due(7.609375)


def test_a_raised_priority_overrules_the_master_that_was_obeyed() -> None:
    play = backup() >> At(1.0) >> hears(150) >> At(1.5) >> PriorityChanged(160, tracked("script a: +60")) << ...
    assert play >> At(2.0) >> hears(150) >> Due(4.609375)


def test_who_was_overruled_is_forgotten_when_a_better_one_speaks() -> None:
    assert (
        backup()
        >> At(1.0)
        >> hears(50, source="10.77.0.9")
        >> At(2.0)
        >> hears(150)
        >> Due(5.609375)
        >> DeadlineReached()
        << SendAdvert(100)
        << HoldAddresses()
        << Announce(5)
        << entered(State.BACKUP, State.MASTER, "no advert from 10.77.0.2 for 3.61 s")
    )


def test_a_late_process_still_decides_once() -> None:
    assert (
        backup()
        >> Late(10.0)
        >> DeadlineReached()
        << SendAdvert(100)
        << HoldAddresses()
        << Announce(5)
        << entered(State.BACKUP, State.MASTER, "no advert from anyone for 10.00 s")
        >> Due(11.0)
    )


class TestRepeat:
    """The short road of an advert that came byte for byte before does what the long one does."""

    @staticmethod
    def obeying(priority: int, **changes: Any) -> Router:
        play = backup(**changes) >> At(1.0) >> hears(priority, version=changes.get("version", 2)) << ...
        assert play
        machine: Router = play.machine
        return machine

    def test_it_restarts_the_timer(self) -> None:
        machine = self.obeying(150)
        assert machine.repeat(2.0)
        assert machine.deadline == 5.609375
        assert (
            Play(machine, 5.609375)
            >> Due(5.609375)
            >> DeadlineReached()
            << SendAdvert(100)
            << HoldAddresses()
            << (Announce(5))
            << entered(State.BACKUP, State.MASTER, "no advert from 10.77.0.2 for 3.61 s")
        )

    def test_it_forgets_who_was_overruled_meanwhile(self) -> None:
        machine = self.obeying(150)
        machine.handle(hears(50, source="10.77.0.9"), 1.5)
        assert machine.repeat(2.0)
        assert (
            Play(machine, 5.609375)
            >> DeadlineReached()
            << SendAdvert(100)
            << HoldAddresses()
            << Announce(5)
            << (entered(State.BACKUP, State.MASTER, "no advert from 10.77.0.2 for 3.61 s"))
        )

    def test_of_an_equal_priority_too(self) -> None:
        machine = self.obeying(100)
        assert machine.repeat(2.0)
        assert machine.deadline == 5.609375

    def test_a_group_member_wants_no_longer(self) -> None:
        machine = self.obeying(150)
        machine.grouped = True
        machine.handle(DeadlineReached(), 4.609375)
        assert machine.wants_master
        assert machine.repeat(5.0)
        assert not machine.wants_master

    def test_after_yielding_to_it(self) -> None:
        play = master() >> At(0.5) >> hears(150) << ...
        assert play
        assert play.machine.repeat(1.5)
        assert play >> Due(5.109375)

    def test_not_of_a_master_before_we_were_it(self) -> None:
        play = backup() >> At(1.0) >> hears(150) >> Due(4.609375) >> DeadlineReached() << ...
        assert play >> Demoted(cause("sync group G: VI_2 is BACKUP")) << ...
        assert not play.machine.repeat(5.0)

    def test_not_when_our_priority_is_higher_now(self) -> None:
        machine = self.obeying(150)
        machine.handle(PriorityChanged(151, tracked("")), 1.5)
        assert not machine.repeat(2.0)
        assert machine.deadline == 4.609375

    def test_not_while_preemption_is_delayed(self) -> None:
        machine = self.obeying(50, preempt_delay=2.0)
        assert not machine.repeat(2.0)
        assert machine.deadline == 4.609375

    def test_not_after_priority_0(self) -> None:
        machine = self.obeying(0)
        assert not machine.repeat(1.1)
        assert machine.deadline == 1.609375

    def test_not_before_anything_was_heard(self) -> None:
        play = backup()
        assert play
        assert not play.machine.repeat(1.0)

    def test_without_preemption_a_lower_master_is_obeyed(self) -> None:
        machine = self.obeying(50, preempt=False)
        assert machine.repeat(2.0)
        assert machine.deadline == 5.609375

    def test_not_as_master(self) -> None:
        play = backup() >> Due(3.609375) >> DeadlineReached() << ...
        assert not play.machine.repeat(4.0)


def test_a_master_whose_adverts_are_refused_is_not_called_silent() -> None:
    said = "adverts of 10.77.0.2 are refused: authentication differs"
    takeover = (SendAdvert(100), HoldAddresses(), Announce(5))
    play = backup() >> RefusalsChanged(refused(said)) >> Due(3.609375) >> DeadlineReached()
    for action in (*takeover, entered(State.BACKUP, State.MASTER, f"{said}; none that counts came for 3.61 s")):
        play << action
    assert play
    play = (
        backup()
        >> RefusalsChanged(refused(said))
        >> At(1.0)
        >> RefusalsChanged(())
        >> Due(3.609375)
        >> DeadlineReached()
    )
    for action in (*takeover, entered(State.BACKUP, State.MASTER, "no advert from anyone for 3.61 s")):
        play << action
    assert play


def test_a_fault_leads_to_its_cause_and_so_does_its_end() -> None:
    down = of_link("eth0", "interface eth0 is down")
    faults = (FaultFound("interface eth0 is down", JournalKey("link", "interface/eth0")), FaultFound("something"))
    assert (
        backup()
        >> FaultsChanged(frozenset({down, "something"}))
        << ChangeState(State.BACKUP, State.FAULT, FaultsBegan(faults=faults))
        >> FaultsChanged(frozenset())
        << ChangeState(State.FAULT, State.BACKUP, FaultsEnded(faults=faults))
    )

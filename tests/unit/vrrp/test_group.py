"""A sync group: its members are MASTER together, and every change of one is followed in the same call."""

from __future__ import annotations

from collections import Counter
from ipaddress import ip_address
from typing import Any

import pytest

from kad.shared.state_machine import DeadlineReached
from kad.vrrp.events import (
    Action,
    AddressesRemoved,
    AdvertReceived,
    Announce,
    ChangeGroupState,
    Complain,
    Event,
    FaultsChanged,
    HoldAddresses,
    ReleaseAddresses,
    Resumed,
    SendAdvert,
    Started,
    State,
    Stopped,
)
from kad.vrrp.group import SyncGroup
from kad.vrrp.router import Router
from tests.causes import cause, printed
from tests.play import At, Due, Play
from tests.unit.vrrp.samples import advert, entered, instance

DOWN = frozenset({"interface eth0 is down"})
NONE: frozenset[str] = frozenset()
INIT, BACKUP, MASTER, FAULT, STOP = State.INIT, State.BACKUP, State.MASTER, State.FAULT, State.STOP
TOGETHER = "sync group G: every member can be MASTER"


class Group:
    """A group as one machine: events and actions carry the name of the member."""

    def __init__(self, **members: dict[str, Any]) -> None:
        routers = [Router(instance(name=name, **changes), grouped=True) for name, changes in members.items()]
        for router in routers:
            router.source_number = int(ip_address("10.77.0.1"))
        self.group = SyncGroup("G", routers)
        self.members = {router.name: router for router in routers}

    @property
    def deadline(self) -> float | None:
        moments = [router.deadline for router in self.members.values() if router.deadline is not None]
        return min(moments, default=None)

    def handle(self, event: tuple[str, Any], now: float) -> list[tuple[str, Any]]:
        name, said = event
        return [(router.name, action) for router, action in self.group.handle(self.members[name], said, now)]

    @property
    def states(self) -> list[State]:
        return [self.group.state, *(router.state for router in self.members.values())]


def hears(priority: int, **changes: Any) -> AdvertReceived:
    return AdvertReceived(advert(priority, **changes))


def started(**members: dict[str, Any]) -> Play:
    """At 0.0, every member BACKUP."""
    play = Play(Group(**members))
    for name in members:
        play = play >> (name, Started()) << ...
    return play


def mastering() -> Play:
    """At 3.609375, both members MASTER."""
    play = started(A={}, B={}) >> Due(3.609375) >> ("A", DeadlineReached()) >> ("B", DeadlineReached()) << ...
    assert play.machine.states == [MASTER, MASTER, MASTER]
    return play


def test_the_start() -> None:
    assert (
        Play(Group(A={}, B={}))
        >> ("A", Started())
        << ("A", ReleaseAddresses())
        << ("A", entered(INIT, BACKUP, "init"))
        >> ("B", Started())
        << ("B", ReleaseAddresses())
        << ("B", entered(INIT, BACKUP, "init"))
        << ("B", ChangeGroupState("G", INIT, BACKUP, printed("B is BACKUP")))
    )


def test_one_whose_timer_ran_out_waits_for_the_others() -> None:
    assert (
        started(A={"priority": 200}, B={"priority": 100})
        >> Due(3.21875)
        >> ("A", DeadlineReached())
        >> Due(3.609375)
        >> ("B", DeadlineReached())
        << ("B", SendAdvert(100))
        << ("B", HoldAddresses())
        << ("B", Announce(5))
        << ("B", entered(BACKUP, MASTER, TOGETHER))
        << ("A", SendAdvert(200))
        << ("A", HoldAddresses())
        << ("A", Announce(5))
        << ("A", entered(BACKUP, MASTER, TOGETHER))
        << ("B", ChangeGroupState("G", BACKUP, MASTER, printed("B is MASTER")))
        >> Due(4.609375)
    )


def test_one_that_obeys_another_router_keeps_all_back() -> None:
    play = started(A={}, B={}) >> At(3.0) >> ("B", hears(150)) >> Due(3.609375) >> ("A", DeadlineReached())
    play = play >> Due(6.609375) >> ("B", DeadlineReached())
    assert play << ("B", SendAdvert(100)) << ...
    assert play.machine.states == [MASTER, MASTER, MASTER]


def test_one_that_hears_a_master_again_wants_no_longer() -> None:
    play = started(A={}, B={}) >> At(3.0) >> ("B", hears(150)) >> Due(3.609375) >> ("A", DeadlineReached())
    play = play >> At(4.0) >> ("A", hears(150)) >> Due(6.609375) >> ("B", DeadlineReached())
    assert play >> Due(7.609375) >> ("A", DeadlineReached()) << ("A", SendAdvert(100)) << ...
    assert play.machine.states == [MASTER, MASTER, MASTER]


def test_each_listens_for_its_own_time_whatever_state_is_wished() -> None:
    play = started(A={"state": "MASTER"}, B={"state": "MASTER", "priority": 200}) >> Due(3.21875)
    # The MASTER of A's LAN may speak until then.
    play = play >> ("B", DeadlineReached()) >> Due(3.609375)
    assert play.machine.states == [BACKUP, BACKUP, BACKUP]
    assert play >> ("A", DeadlineReached()) << ("A", SendAdvert(100)) << ...
    assert play.machine.states == [MASTER, MASTER, MASTER]


def test_owners_are_master_at_once() -> None:
    play = started(A={"priority": 255}, B={"priority": 255}) >> Due(0.0)
    assert play >> ("A", DeadlineReached()) << ("A", SendAdvert(255)) << ...
    assert play.machine.states == [MASTER, MASTER, MASTER]


def test_one_that_yields_takes_the_others_along() -> None:
    assert (
        mastering()
        >> At(4.0)
        >> ("A", hears(150))
        << ("A", ReleaseAddresses())
        << ("A", entered(MASTER, BACKUP, "advert from 10.77.0.2 priority 150 > 100"))
        << ("B", ReleaseAddresses())
        << ("B", entered(MASTER, BACKUP, "sync group G: A is BACKUP"))
        << ("A", ChangeGroupState("G", MASTER, BACKUP, printed("A is BACKUP")))
        >> Due(7.609375)
    )


def test_who_was_demoted_does_not_want_back_at_once() -> None:
    play = started(A={}, B={"priority": 200}) >> Due(3.21875) >> ("B", DeadlineReached())
    play = play >> Due(3.609375) >> ("A", DeadlineReached()) << ... >> At(4.0) >> ("A", hears(150)) << ...
    assert play >> Due(7.21875) >> ("B", DeadlineReached()) >> Due(7.609375)
    assert play.machine.states == [BACKUP, BACKUP, BACKUP]


def test_a_fault_of_one_is_a_fault_of_all() -> None:
    shared = "sync group G: A is in FAULT"
    assert (
        mastering()
        >> ("A", FaultsChanged(DOWN))
        << ("A", SendAdvert(0))
        << ("A", ReleaseAddresses())
        << ("A", entered(MASTER, FAULT, "interface eth0 is down"))
        << ("B", SendAdvert(0))
        << ("B", ReleaseAddresses())
        << ("B", entered(MASTER, FAULT, shared))
        << ("A", ChangeGroupState("G", MASTER, FAULT, printed("A is FAULT")))
        >> Due(None)
        >> At(9.0)
        >> ("A", FaultsChanged(NONE))
        << ("A", entered(FAULT, BACKUP, "no longer: interface eth0 is down"))
        << ("B", entered(FAULT, BACKUP, f"no longer: {shared}"))
        << ("A", ChangeGroupState("G", FAULT, BACKUP, printed("A is BACKUP")))
        >> Due(12.609375)
    )


def test_faults_of_two_end_with_the_second() -> None:
    play = mastering() >> ("A", FaultsChanged(DOWN)) << ... >> ("B", FaultsChanged(DOWN)) >> ("A", FaultsChanged(NONE))
    assert play.machine.states == [FAULT, FAULT, FAULT]
    assert play >> ("B", FaultsChanged(NONE)) << ...
    assert play.machine.states == [BACKUP, BACKUP, BACKUP]


def test_a_fault_at_the_start() -> None:
    play = Play(Group(A={}, B={})) >> ("A", Started(DOWN)) << ... >> ("B", Started())
    play = play << ("B", ReleaseAddresses()) << ("B", entered(INIT, FAULT, "sync group G: A is in FAULT"))
    assert play << ("B", ChangeGroupState("G", INIT, FAULT, printed("B is FAULT")))


def test_a_fault_of_the_second_at_the_start_reaches_the_first() -> None:
    play = Play(Group(A={}, B={})) >> ("A", Started()) << ... >> ("B", Started(DOWN)) << ...
    assert play.machine.states == [FAULT, FAULT, FAULT]


def test_one_that_waits_for_results_keeps_all_back() -> None:
    unknown = frozenset({"script a has no result yet"})
    play = Play(Group(A={}, B={})) >> ("A", Started()) << ... >> ("B", Started(NONE, unknown)) << ...
    play = play >> Due(3.609375) >> ("A", DeadlineReached()) >> At(4.0) >> ("B", FaultsChanged(NONE, NONE)) << ...
    assert play.machine.states == [BACKUP, BACKUP, BACKUP]
    assert play >> Due(7.21875) >> ("A", DeadlineReached()) >> Due(7.609375) >> ("B", DeadlineReached()) << ...
    assert play.machine.states == [MASTER, MASTER, MASTER]


def test_stopping() -> None:
    assert (
        mastering()
        >> ("A", Stopped())
        << ("A", SendAdvert(0))
        << ("A", ReleaseAddresses())
        << ("A", entered(MASTER, STOP, "stopped"))
        >> ("B", Stopped())
        << ("B", SendAdvert(0))
        << ("B", ReleaseAddresses())
        << ("B", entered(MASTER, STOP, "stopped"))
        << ("B", ChangeGroupState("G", MASTER, STOP, printed("B is STOP")))
    )


def test_a_group_of_one_works() -> None:
    play = started(A={}) >> Due(3.609375) >> ("A", DeadlineReached()) << ("A", SendAdvert(100)) << ...
    assert play
    assert play.machine.states == [MASTER, MASTER]


def test_one_that_is_removed_keeps_nobody_in_fault() -> None:
    play = mastering() >> ("A", FaultsChanged(DOWN)) << ... >> ("A", Stopped()) << ...
    play.machine.group.remove(play.machine.members["A"])
    assert play.machine.group.members == [play.machine.members["B"]]
    assert play >> At(5.0) >> ("B", FaultsChanged(NONE)) << ...
    assert play.machine.members["B"].state is BACKUP


def test_a_reload_adopts_members_as_they_are() -> None:
    old = mastering().machine
    old.handle(("A", FaultsChanged(DOWN)), 5.0)
    group = SyncGroup("H", old.members.values())
    group.adopt(old.members["A"], DOWN)
    group.adopt(old.members["B"], NONE)
    assert group.settle(5.0) == []
    assert group.state is FAULT
    steps = group.handle(old.members["A"], FaultsChanged(NONE), 6.0)
    assert [(router.name, router.state) for router, _ in steps] == [("A", BACKUP), ("B", BACKUP), ("A", BACKUP)]


def test_a_reload_adopts_faults_too() -> None:
    old = mastering().machine
    old.handle(("A", FaultsChanged(DOWN)), 5.0)
    group = SyncGroup("H", old.members.values())
    group.adopt(old.members["A"], DOWN)
    group.adopt(old.members["B"], NONE)
    assert group.settle(5.0) == []
    assert group.handle(old.members["B"], FaultsChanged(NONE), 6.0) == []
    assert old.members["B"].state is FAULT


def test_a_reload_adopts_nothing_of_one_that_is_new() -> None:
    new = Group(A={}, B={})
    new.group.adopt(new.members["A"], DOWN)
    assert new.group.state is INIT
    assert Play(new) >> ("B", Started()) << ("B", ReleaseAddresses()) << ("B", entered(INIT, BACKUP, "init"))


def test_a_reload_that_joins_a_master_and_a_backup_makes_both_backup() -> None:
    alone = {name: Play(Router(instance(name=name))) for name in "AB"}
    alone["A"] >> Resumed(MASTER, spoke_at=0.0) << ...
    alone["B"] >> Started() << ...
    joined = Group(A={}, B={})
    joined.members = {name: play.machine for name, play in alone.items()}
    joined.group = SyncGroup("G", joined.members.values())
    for router in joined.members.values():
        router.grouped = True
        joined.group.adopt(router, NONE)
    steps = [(router.name, action) for router, action in joined.group.settle(1.0)]
    reason = "sync group G: B is BACKUP"
    assert steps == [
        ("A", ReleaseAddresses()),
        ("A", entered(MASTER, BACKUP, reason)),
        ("B", ChangeGroupState("G", INIT, BACKUP, printed("B is BACKUP"))),
    ]
    assert joined.states == [BACKUP, BACKUP, BACKUP]


def test_a_member_that_joins_late_and_obeys_another_master_takes_the_others_along() -> None:
    play = Play(Group(A={}, B={})) >> ("A", Resumed(MASTER, spoke_at=0.0)) << ... >> ("B", Started()) << ...
    assert play.machine.states == [INIT, MASTER, BACKUP]
    assert play >> ("B", hears(50)) >> ("B", hears(0)) << ...
    assert play.machine.states == [INIT, MASTER, BACKUP]
    play = play >> ("B", hears(150)) << ("A", ReleaseAddresses())
    assert play << ("A", entered(MASTER, BACKUP, "sync group G: B is BACKUP")) << ...
    assert play.machine.states == [BACKUP, BACKUP, BACKUP]


def foreseen(*pending: str) -> Play:
    made = Group(A={}, B={})
    made.group.foresee({"A": NONE, "B": NONE}, pending)
    return Play(made)


def test_at_the_start_the_group_is_told_first_as_keepalived_does() -> None:
    play = foreseen() >> ("A", Started()) << ("A", ChangeGroupState("G", INIT, BACKUP, printed("init")))
    play = play << ("A", ReleaseAddresses()) << ("A", entered(INIT, BACKUP, "init"))
    assert play >> ("B", Started()) << ("B", ReleaseAddresses()) << ("B", entered(INIT, BACKUP, "init"))


def test_but_not_while_a_member_waits_for_a_result() -> None:
    play = foreseen("B") >> ("A", Started()) << ("A", ReleaseAddresses())
    assert play << ("A", entered(INIT, BACKUP, "init"))


def test_one_that_waits_for_results_shares_faults() -> None:
    unknown = frozenset({"script a has no result yet"})
    play = Play(Group(A={}, B={})) >> ("A", Started(NONE, unknown)) << ... >> ("B", Started(DOWN)) << ...
    assert play.machine.states == [FAULT, FAULT, FAULT]


def test_priority_0_to_one_member() -> None:
    play = started(A={}, B={}) >> At(1.0) >> ("A", hears(150)) >> ("B", hears(150)) >> At(2.0) >> ("A", hears(0))
    play = play << ("A", Complain("info", "Backup received priority 0 advertisement from 10.77.0.2"))
    assert play >> Due(2.609375) >> ("A", DeadlineReached()) >> Due(4.609375) >> ("B", DeadlineReached()) << ...
    assert play.machine.states == [MASTER, MASTER, MASTER]


def test_a_group_that_is_robbed_of_an_address_is_back_after_the_skew_time_of_its_members() -> None:
    play = started(A={}, B={}) >> Due(3.609375) >> ("A", DeadlineReached()) >> ("B", DeadlineReached()) << ...
    assert play.machine.states == [MASTER, MASTER, MASTER]
    play = play >> At(4.0) >> ("A", AddressesRemoved(cause("somebody removed it")))
    play = play << ("A", SendAdvert(0)) << ("A", ReleaseAddresses())
    play = play << ("A", entered(MASTER, BACKUP, "somebody removed it"))
    play = play << ("B", SendAdvert(0)) << ("B", ReleaseAddresses())
    play = play << ("B", entered(MASTER, BACKUP, "sync group G: A is BACKUP")) << ...
    # (256 - 100) / 256 s
    assert play >> Due(4.609375) >> ("A", DeadlineReached()) >> ("B", DeadlineReached()) << ...
    assert play.machine.states == [MASTER, MASTER, MASTER]


class TestResume:
    """After a crash of the process nothing is said again that was said before."""

    def test_all_go_on_as_master(self) -> None:
        assert (
            Play(Group(A={}, B={}), 11.0)
            >> ("A", Resumed(MASTER, spoke_at=10.0))
            << ("A", SendAdvert(100))
            << ("A", HoldAddresses())
            >> ("B", Resumed(MASTER, spoke_at=10.5))
            << ("B", SendAdvert(100))
            << ("B", HoldAddresses())
            >> Due(12.0)
        )

    def test_the_state_of_the_group_is_known_again(self) -> None:
        play = Play(Group(A={}, B={})) >> ("A", Resumed(MASTER, 0.0)) << ... >> ("B", Resumed(MASTER, 0.0)) << ...
        play = play >> ("A", hears(150)) << ("A", ReleaseAddresses()) << ...
        assert play.machine.states == [BACKUP, BACKUP, BACKUP]

    def test_one_that_comes_back_too_late_takes_the_others_along(self) -> None:
        late = "the process was replaced too late to go on"
        assert (
            Play(Group(A={}, B={}), 11.0)
            >> ("A", Resumed(MASTER, spoke_at=10.0))
            << ("A", SendAdvert(100))
            << ("A", HoldAddresses())
            >> ("B", Resumed(MASTER, spoke_at=2.0))
            << ("B", ReleaseAddresses())
            << ("B", entered(MASTER, BACKUP, late))
            << ("A", ReleaseAddresses())
            << ("A", entered(MASTER, BACKUP, "sync group G: B is BACKUP"))
            << ("B", ChangeGroupState("G", MASTER, BACKUP, printed("B is BACKUP")))
        )

    def test_nor_does_one_go_on_beside_one_that_came_too_late(self) -> None:
        play = (
            Play(Group(A={}, B={}), 11.0) >> ("A", Resumed(MASTER, 2.0)) << ... >> ("B", Resumed(MASTER, 10.0)) << ...
        )
        assert play.machine.states == [BACKUP, BACKUP, BACKUP]

    def test_a_fault_that_came_meanwhile_is_shared(self) -> None:
        play = Play(Group(A={}, B={}), 11.0) >> ("A", Resumed(MASTER, 10.0)) << ...
        play = play >> ("B", Resumed(MASTER, 10.0, DOWN)) << ("B", ReleaseAddresses()) << ...
        assert play.machine.states == [FAULT, FAULT, FAULT]
        assert play >> ("B", FaultsChanged(NONE)) << ...
        assert play.machine.states == [BACKUP, BACKUP, BACKUP]

    def test_one_master_among_backups_is_none(self) -> None:
        play = Play(Group(A={}, B={}), 11.0) >> ("A", Resumed(MASTER, 10.5)) << ... >> ("B", Resumed(BACKUP, 0.0))
        play = play << ("B", ReleaseAddresses()) << ("A", ReleaseAddresses())
        play = play << ("A", entered(MASTER, BACKUP, "sync group G: B is BACKUP"))
        assert play << ("B", ChangeGroupState("G", INIT, BACKUP, printed("B is BACKUP")))

    def test_a_fault_of_one_stays_a_fault_of_all_without_a_word(self) -> None:
        play = Play(Group(A={}, B={}), 11.0) >> ("A", Resumed(FAULT, 0.0)) << ("A", ReleaseAddresses())
        assert play >> ("B", Resumed(FAULT, 0.0, DOWN)) << ("B", ReleaseAddresses())
        assert play.machine.states == [FAULT, FAULT, FAULT]

    def test_backups_stay_backups_without_a_word(self) -> None:
        play = Play(Group(A={}, B={}), 11.0) >> ("A", Resumed(BACKUP, 0.0)) << ("A", ReleaseAddresses())
        assert play >> ("B", Resumed(BACKUP, 0.0)) << ("B", ReleaseAddresses())
        assert play.machine.states == [BACKUP, BACKUP, BACKUP]


class TestManyMembers:
    """What happens to each member at the same moment costs the others nothing: no quadratic work."""

    MEMBERS = 200

    @pytest.fixture
    def calls(self, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
        """How often any member was asked anything, by kind of event; `ready` counts looks at who can be MASTER."""
        counted: Counter[str] = Counter()
        handle, wants_master = Router.handle, Router.wants_master.fget
        assert wants_master is not None

        def counting(self: Router, event: Event, now: float) -> list[Action]:
            counted[type(event).__name__] += 1
            return handle(self, event, now)

        def looked(self: Router) -> bool:
            counted["ready"] += 1
            return wants_master(self)

        monkeypatch.setattr(Router, "handle", counting)
        monkeypatch.setattr(Router, "wants_master", property(looked))
        return counted

    def group(self) -> SyncGroup:
        made = SyncGroup("G", [Router(instance(name=f"VI_{number}"), grouped=True) for number in range(self.MEMBERS)])
        for member in made.members:
            made.handle(member, Started(), 0.0)
        return made

    def master(self) -> SyncGroup:
        made = self.group()
        for member in made.members:
            made.handle(member, DeadlineReached(), 3.609375)
        assert made.state is MASTER
        return made

    def test_adverts_of_their_master(self, calls: Counter[str]) -> None:
        group = self.group()
        for member in group.members:
            group.handle(member, AdvertReceived(advert(150)), 1.0)
        assert calls == {"Started": 200, "AdvertReceived": 200}

    def test_the_death_of_their_master(self, calls: Counter[str]) -> None:
        self.master()
        assert calls.pop("ready") < 5 * 200
        assert calls == {"Started": 200, "DeadlineReached": 200, "Promoted": 200}

    def test_a_higher_group(self, calls: Counter[str]) -> None:
        group = self.master()
        calls.clear()
        for member in group.members:
            group.handle(member, AdvertReceived(advert(150)), 5.0)
        assert calls == {"AdvertReceived": 200, "Demoted": 199}
        assert group.state is BACKUP

    def test_a_lower_group(self, calls: Counter[str]) -> None:
        group = self.master()
        calls.clear()
        for moment in (5.0, 5.5, 6.0):
            for member in group.members:
                group.handle(member, AdvertReceived(advert(50)), moment)
        # Once an interval.
        assert calls == {"AdvertReceived": 600, "GroupAsserted": 2 * 199}

    def test_faults_of_all_that_come_and_go_in_one_order(self, calls: Counter[str]) -> None:
        group = self.group()
        calls.clear()
        for member in group.members:
            group.handle(member, FaultsChanged(DOWN), 1.0)
        assert group.state is FAULT
        assert calls["FaultsChanged"] < 3 * 200
        calls.clear()
        for member in group.members:
            group.handle(member, FaultsChanged(NONE), 2.0)
        assert group.state is BACKUP
        assert calls["FaultsChanged"] < 5 * 200

    def test_a_new_life(self, calls: Counter[str]) -> None:
        group = SyncGroup("G", [Router(instance(name=f"VI_{number}"), grouped=True) for number in range(200)])
        for member in group.members:
            group.handle(member, Resumed(BACKUP, spoke_at=0.0), 1.0)
        assert group.state is BACKUP
        assert calls == {"Resumed": 200}

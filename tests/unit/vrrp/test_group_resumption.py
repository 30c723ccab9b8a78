"""A sync group whose process died: the members go on together, and the group is told of nothing that it knew."""

from __future__ import annotations

from kad.vrrp.events import ChangeGroupState, ChangeState, ReleaseAddresses, Resumed, SendAdvert, State
from tests.causes import printed
from tests.unit.vrrp.test_group import DOWN, NONE, Group

MASTER, BACKUP, FAULT = State.MASTER, State.BACKUP, State.FAULT


def group() -> Group:
    return Group(one={}, two={})


def groups_said(steps: list[tuple[str, object]]) -> list[object]:
    return [action for _, action in steps if isinstance(action, ChangeGroupState)]


def test_masters_in_time_stay_masters_and_the_group_says_nothing() -> None:
    resumed = group()
    steps = [step for name in ("one", "two") for step in resumed.handle((name, Resumed(MASTER, 99.9)), 100.0)]
    assert resumed.states == [MASTER, MASTER, MASTER]
    assert [name for name, action in steps if isinstance(action, SendAdvert)] == ["one", "two"]
    assert groups_said(steps) == []


def test_backups_stay_backups_and_the_group_says_nothing() -> None:
    resumed = group()
    steps = [step for name in ("one", "two") for step in resumed.handle((name, Resumed(BACKUP, 0.0)), 100.0)]
    assert resumed.states == [BACKUP, BACKUP, BACKUP]
    assert groups_said(steps) == []


def test_masters_that_come_too_late_take_the_group_with_them() -> None:
    resumed = group()
    steps = [step for name in ("one", "two") for step in resumed.handle((name, Resumed(MASTER, 90.0)), 100.0)]
    assert resumed.states == [BACKUP, BACKUP, BACKUP]
    assert groups_said(steps) == [ChangeGroupState("G", MASTER, BACKUP, printed("two is BACKUP"))]


def test_one_that_comes_too_late_takes_the_other_with_it() -> None:
    for first, second in (("one", "two"), ("two", "one")):
        resumed = group()
        resumed.handle((first, Resumed(MASTER, 99.9)), 100.0)
        steps = resumed.handle((second, Resumed(MASTER, 90.0)), 100.0)
        assert resumed.states == [BACKUP, BACKUP, BACKUP]
        assert (first, ReleaseAddresses()) in steps
        resumed = group()
        resumed.handle((first, Resumed(MASTER, 90.0)), 100.0)
        resumed.handle((second, Resumed(MASTER, 99.9)), 100.0)
        assert resumed.states == [BACKUP, BACKUP, BACKUP]


def test_a_fault_of_one_is_a_fault_of_both_as_it_was() -> None:
    for first, second in (("one", "two"), ("two", "one")):
        resumed = group()
        steps = resumed.handle((first, Resumed(FAULT, 0.0, DOWN if first == "one" else NONE)), 100.0)
        steps += resumed.handle((second, Resumed(FAULT, 0.0, DOWN if second == "one" else NONE)), 100.0)
        assert resumed.states == [FAULT, FAULT, FAULT]
        assert [action for _, action in steps if isinstance(action, ChangeState | ChangeGroupState)] == []
        assert resumed.members["one"].faults == DOWN
        assert resumed.members["two"].faults == {"sync group G: one is in FAULT"}


def test_a_fault_that_went_meanwhile_is_left_by_both() -> None:
    resumed = group()
    steps = resumed.handle(("one", Resumed(FAULT, 0.0)), 100.0)
    steps += resumed.handle(("two", Resumed(FAULT, 0.0)), 100.0)
    assert resumed.states == [BACKUP, BACKUP, BACKUP]
    assert groups_said(steps) == [ChangeGroupState("G", FAULT, BACKUP, printed("two is BACKUP"))]


def test_a_fault_that_came_meanwhile_takes_the_master_beside_it_down() -> None:
    resumed = group()
    resumed.handle(("one", Resumed(MASTER, 99.9)), 100.0)
    steps = resumed.handle(("two", Resumed(MASTER, 99.9, DOWN)), 100.0)
    assert resumed.states == [FAULT, FAULT, FAULT]
    assert ("one", SendAdvert(0)) in steps
    assert groups_said(steps) == [ChangeGroupState("G", MASTER, FAULT, printed("two is FAULT"))]

"""What tracked things make of a priority: keepalived's arithmetic."""

from __future__ import annotations

import pytest

from kad.model.tracking import TrackItem
from kad.tracking.priority import Value, Verdict, judge


def verdict(base: int, *tracked: tuple[str, int, bool, int | None]) -> Verdict:
    """Kind, weight, reverse and present value of each tracked thing; they are named a, b, c …"""
    names = "abcdef"[: len(tracked)]
    items = [
        TrackItem(kind=kind, name=name, weight=weight, reverse=reverse)
        for name, (kind, weight, reverse, _) in zip(names, tracked, strict=True)
    ]
    values = {name: each[3] for name, each in zip(names, tracked, strict=True)}
    return judge(base, items, lambda kind, name: Value(values[name], f"{kind} {name} is {values[name]}"))


GOOD, FAILING, UNKNOWN = 1, 0, None


@pytest.mark.parametrize("kind", ["interface", "script", "process", "bfd"])
@pytest.mark.parametrize(
    ("weight", "reverse", "value", "priority"),
    [
        (20, False, GOOD, 120),
        (1, False, GOOD, 101),
        (1, True, GOOD, 99),
        (-1, False, FAILING, 99),
        (20, False, FAILING, 100),
        (-20, False, GOOD, 100),
        (-20, False, FAILING, 80),
        (20, True, GOOD, 80),
        (20, True, FAILING, 100),
        (-20, True, GOOD, 100),
        (-20, True, FAILING, 120),
        (20, False, UNKNOWN, 100),
        (-20, False, UNKNOWN, 100),
    ],
)
def test_weights(kind: str, weight: int, reverse: bool, value: int | None, priority: int) -> None:
    found = verdict(100, (kind, weight, reverse, value))
    assert (found.priority, found.faults, found.pending) == (priority, frozenset(), frozenset())


@pytest.mark.parametrize("kind", ["interface", "script", "process", "bfd"])
@pytest.mark.parametrize(
    ("reverse", "value", "fault"), [(False, FAILING, True), (False, GOOD, False), (True, FAILING, False)]
)
def test_weight_0_makes_a_fault(kind: str, reverse: bool, value: int, fault: bool) -> None:
    found = verdict(100, (kind, 0, reverse, value))
    assert found.faults == ({f"{kind} a is {value}"} if fault else frozenset())
    assert found.priority == 100


def test_weight_0_and_reverse_makes_a_fault_of_what_is_good() -> None:
    assert verdict(100, ("script", 0, True, GOOD)).faults == {"script a is 1"}


def test_weight_0_without_a_result_is_waited_for() -> None:
    found = verdict(100, ("script", 0, False, UNKNOWN), ("script", 5, False, UNKNOWN))
    assert found.pending == {"script a has no result yet"}
    assert found.faults == frozenset()


@pytest.mark.parametrize(
    ("base", "weights", "priority"),
    [
        (200, [(100, GOOD)], 254),
        (254, [(1, GOOD)], 254),
        (50, [(-100, FAILING)], 1),
        (1, [(-1, FAILING)], 1),
        (100, [(253, GOOD), (-253, FAILING)], 100),
        (100, [(10, GOOD), (20, GOOD), (-5, FAILING), (-7, GOOD)], 125),
        (200, [(100, GOOD), (-60, FAILING)], 240),
    ],
)
def test_contributions_are_summed_and_then_clamped(base: int, weights: list[tuple[int, int]], priority: int) -> None:
    assert verdict(base, *[("script", weight, False, value) for weight, value in weights]).priority == priority


def test_the_priority_of_an_owner_never_changes() -> None:
    assert verdict(255, ("script", -200, False, FAILING)).priority == 255
    assert verdict(255, ("script", 0, False, FAILING)).faults == {"script a is 0"}


@pytest.mark.parametrize(
    ("weight", "reverse", "number", "priority", "fault"),
    [
        (1, False, 10, 110, False),
        (1, False, -10, 90, False),
        (2, False, 10, 120, False),
        (-2, False, 10, 80, False),
        (1, True, 10, 90, False),
        (1, False, 0, 100, False),
        (1, False, 253, 254, False),
        (1, False, 100000, 254, False),
        (1, False, -253, 1, False),
        (1, False, -254, 1, True),
        (1, False, -300, 1, True),
        (-1, False, 254, 1, True),
        (2, False, -127, 1, True),
        (0, False, 0, 100, False),
        (0, False, 1, 100, True),
        (0, False, -1, 100, True),
        (0, True, 0, 100, True),
        (0, True, 1, 100, False),
    ],
)
def test_the_number_of_a_file(weight: int, reverse: bool, number: int, priority: int, fault: bool) -> None:
    found = verdict(100, ("file", weight, reverse, number))
    assert found.priority == priority
    assert bool(found.faults) is fault


def test_a_number_above_253_counts_as_253() -> None:
    assert verdict(1, ("file", 1, False, 1000), ("script", -100, False, FAILING)).priority == 154


def test_each_contribution_is_told() -> None:
    found = verdict(100, ("script", 20, False, GOOD), ("script", -5, False, GOOD), ("file", -1, False, 3))
    assert tuple(map(str, found.contributions)) == ("+20: script a is 1", "-3: file c is 3")


def test_nothing_is_tracked() -> None:
    assert verdict(77) == Verdict(77, frozenset(), frozenset(), ())

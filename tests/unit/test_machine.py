"""Which machine falls due next."""

from __future__ import annotations

from kad.shared.state_machine import Deadlines


class Waiter:
    def __init__(self, deadline: float | None) -> None:
        self.deadline = deadline


def watching(*waiters: Waiter) -> Deadlines[Waiter]:
    deadlines: Deadlines[Waiter] = Deadlines()
    for waiter in waiters:
        deadlines.watch(waiter)
    return deadlines


def test_earliest_first() -> None:
    late, early, never = Waiter(2.0), Waiter(1.0), Waiter(None)
    deadlines = watching(late, early, never)
    assert deadlines.next() == 1.0
    assert list(deadlines.due(0.999)) == []
    assert list(deadlines.due(5.0)) == [early, late]
    assert deadlines.next() is None


def test_equal_moments_in_the_order_of_watching() -> None:
    first, second = Waiter(1.0), Waiter(1.0)
    assert list(watching(first, second).due(1.0)) == [first, second]


def test_nothing_is_watched() -> None:
    assert watching(Waiter(None)).next() is None


def test_a_moment_that_moved_later_is_found_when_the_old_one_comes() -> None:
    waiter = Waiter(1.0)
    deadlines = watching(waiter)
    waiter.deadline = 3.0
    deadlines.watch(waiter)
    assert deadlines.next() == 1.0
    assert list(deadlines.due(1.0)) == []
    assert deadlines.next() == 3.0
    assert list(deadlines.due(3.0)) == [waiter]


def test_a_moment_that_moved_earlier_counts_when_watched_again() -> None:
    waiter = Waiter(3.0)
    deadlines = watching(waiter)
    waiter.deadline = 1.0
    deadlines.watch(waiter)
    assert deadlines.next() == 1.0
    assert list(deadlines.due(1.0)) == [waiter]
    assert list(deadlines.due(9.0)) == []


def test_nobody_wakes_up_for_a_moment_that_was_left_behind() -> None:
    waiter = Waiter(3.0)
    deadlines = watching(waiter)
    waiter.deadline = 1.0
    deadlines.watch(waiter)
    assert list(deadlines.due(1.0)) == [waiter]
    waiter.deadline = 7.0
    deadlines.watch(waiter)
    assert deadlines.next() == 7.0


def test_it_falls_due_once_for_each_time_it_is_watched() -> None:
    waiter = Waiter(1.0)
    deadlines = watching(waiter, waiter)
    assert list(deadlines.due(2.0)) == [waiter]
    assert list(deadlines.due(2.0)) == []
    deadlines.watch(waiter)
    assert list(deadlines.due(2.0)) == [waiter]


def test_back_and_forth_it_still_falls_due_once() -> None:
    waiter = Waiter(3.0)
    deadlines = watching(waiter)
    for moment in (1.0, 3.0, 2.0, 5.0, 3.0):
        waiter.deadline = moment
        deadlines.watch(waiter)
    assert list(deadlines.due(2.5)) == []
    assert list(deadlines.due(3.0)) == [waiter]
    assert list(deadlines.due(9.0)) == []


def test_one_that_waits_no_longer_does_not_fall_due() -> None:
    waiter = Waiter(1.0)
    deadlines = watching(waiter)
    waiter.deadline = None
    assert list(deadlines.due(1.0)) == []
    assert deadlines.next() is None


def test_a_forgotten_one_does_not_fall_due() -> None:
    gone, kept = Waiter(1.0), Waiter(2.0)
    deadlines = watching(gone, kept)
    deadlines.forget(gone)
    assert deadlines.next() == 2.0
    assert list(deadlines.due(5.0)) == [kept]
    deadlines.forget(gone)

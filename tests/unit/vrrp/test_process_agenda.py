"""Which instance falls due next, whatever became of its deadline since it was entered."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from kad.vrrp.process.instance import Instance
from kad.vrrp.process.timers.timer_queue import Agenda
from tests.unit.vrrp.samples import instance


def made(deadline: float | None) -> Any:
    """An instance that waits for that moment."""
    found: Any = Instance(instance(), 0.0)
    found.router = SimpleNamespace(deadline=deadline, obeyed=None, pulse=None, catch_up=lambda: None)
    return found


def entered(*instances: Any) -> Agenda:
    agenda = Agenda([])
    for each in instances:
        agenda.watch(each)
    return agenda


def test_rows_come_in_the_order_of_their_moments() -> None:
    early, late, with_late, never = made(1.0), made(2.0), made(2.0), made(None)
    agenda = entered(late, never, early, with_late)
    assert agenda.next() == 1.0
    assert agenda.take(2.0) == (1.0, [early])
    assert agenda.take(1.9) is None
    assert agenda.take(2.0) == (2.0, [late, with_late])
    assert agenda.next() is None
    assert agenda.take(99.0) is None


def test_a_deadline_that_moved_later_is_found_there() -> None:
    one, other = made(1.0), made(1.0)
    agenda = entered(one, other)
    one.router.deadline = 3.0
    assert agenda.next() == 1.0
    other.router.deadline = 2.0
    assert agenda.next() == 2.0
    assert agenda.take(5.0) == (2.0, [other])
    assert agenda.take(5.0) == (3.0, [one])


def test_a_deadline_that_moved_earlier_must_be_watched_and_comes_once() -> None:
    one = made(5.0)
    agenda = entered(one)
    one.router.deadline = 3.0
    agenda.watch(one)
    assert agenda.next() == 3.0
    assert agenda.take(9.0) == (3.0, [one])
    # The entry for 5.0 is still there, and the deadline goes back to that very moment.
    one.router.deadline = 5.0
    agenda.watch(one)
    assert agenda.take(9.0) == (5.0, [one])
    assert agenda.take(9.0) is None


def test_a_row_that_is_partly_true_keeps_what_is_true() -> None:
    one, other = made(1.0), made(1.0)
    agenda = entered(one, other)
    other.router.deadline = 9.0
    assert agenda.next() == 1.0
    assert agenda.take(1.0) == (1.0, [one])
    assert agenda.next() == 9.0


def test_a_deadline_that_vanished_and_an_instance_that_is_forgotten() -> None:
    one, other = made(1.0), made(2.0)
    agenda = entered(one, other)
    one.router.deadline = None
    agenda.forget(other)
    assert agenda.next() is None
    one.router.deadline = 4.0
    agenda.watch(one)
    assert agenda.next() == 4.0

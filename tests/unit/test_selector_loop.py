"""What is ready in one turn is served, but for what an earlier call of the same turn has closed; then the deadlines."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest

from kad.watchdog.selector_loop import SelectorLoop


@pytest.fixture
def pipes() -> Iterator[list[tuple[int, int]]]:
    """Two pipes with a byte in each."""
    made = [os.pipe(), os.pipe()]
    for _, writer in made:
        os.write(writer, b"x")
    yield made
    for number in {number for pipe in made for number in pipe}:
        os.close(number)


def test_what_an_earlier_call_of_the_turn_unwatched_is_not_called(pipes: list[tuple[int, int]]) -> None:
    poll = SelectorLoop(print)
    called: list[int] = []
    readers = [reader for reader, _ in pipes]

    def serve(this: int, other: int) -> None:
        called.append(this)
        poll.unwatch(other)

    poll.watch(readers[0], lambda: serve(*readers))
    poll.watch(readers[1], lambda: serve(*reversed(readers)))
    calls = poll.ready(1.0)
    assert len(calls) == 2
    for call in calls:
        call()
    assert len(called) == 1
    poll.close()


def test_a_number_that_another_file_has_by_now_is_not_served_for_the_earlier_one(pipes: list[tuple[int, int]]) -> None:
    poll = SelectorLoop(print)
    called: list[str] = []
    readers = [reader for reader, _ in pipes]

    def replace(other: int) -> None:
        called.append("first")
        poll.unwatch(other)
        poll.watch(other, lambda: called.append("another file"))

    poll.watch(readers[0], lambda: replace(readers[1]))
    poll.watch(readers[1], lambda: replace(readers[0]))
    for call in poll.ready(1.0):
        call()
    assert called == ["first"]
    poll.close()


class Part:
    """Something with a deadline."""

    def __init__(self, name: str, served: list[str], deadline: float | None) -> None:
        self.name = name
        self.served = served
        self.deadline = deadline

    def fall_due(self, now: float) -> None:
        if self.deadline is not None and self.deadline <= now:
            self.served.append(self.name)
            self.deadline = None


def test_a_turn_waits_for_the_earliest_deadline_and_serves_in_the_order_in_which_parts_were_added() -> None:
    loop, now = SelectorLoop(print), time.monotonic()
    served: list[str] = []
    for name, deadline in (("a", now + 0.02), ("b", None), ("c", now + 0.01), ("d", now + 9999.0)):
        loop.add(Part(name, served, deadline))
    while len(served) < 2:
        loop.turn()
    assert 0.02 <= time.monotonic() - now < 10.0
    assert served == ["c", "a"]
    # However far the next one is.
    assert loop.wait() == 3600.0
    loop.close()


def test_without_any_deadline_it_waits_for_a_descriptor_alone() -> None:
    loop = SelectorLoop(print)
    loop.add(Part("a", [], None))
    assert loop.wait() is None
    loop.close()


def test_deadlines_that_have_come_together_are_served_in_order() -> None:
    loop, now = SelectorLoop(print), time.monotonic()
    served: list[str] = []
    for name in ("a", "b"):
        loop.add(Part(name, served, now))
    assert loop.wait() == 0.0
    loop.fall_due()
    assert served == ["a", "b"]
    loop.close()


def test_a_sleep_that_was_longer_than_asked_for_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    late: list[float] = []
    loop = SelectorLoop(late.append)
    clock = iter([100.0, 100.0, 102.0, 102.0])
    monkeypatch.setattr("kad.watchdog.selector_loop.time.monotonic", lambda: next(clock))
    loop.add(Part("a", [], 100.0))
    loop.turn()
    monkeypatch.undo()
    assert late == [2.0]
    loop.close()

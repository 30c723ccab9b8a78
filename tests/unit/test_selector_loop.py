"""What is ready in one turn is served, but for what an earlier call of the same turn has closed."""

from __future__ import annotations

import os
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

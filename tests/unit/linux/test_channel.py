"""A channel never blocks: what does not go now waits, and of a state only the latest."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from kad.linux.sockets.channel import Channel, pair
from kad.shared.framing import Frame


@pytest.fixture
def ends() -> Iterator[tuple[Channel, Channel]]:
    ours, theirs = (Channel(end) for end in pair())
    yield ours, theirs
    ours.close()
    theirs.close()


def drained(ours: Channel, theirs: Channel) -> list[Frame]:
    """All that arrives."""
    received: list[Frame] = []
    while ours.has_backlog:
        ours.flush()
        received += theirs.receive()
    return received


def test_of_a_state_only_the_latest_waits_and_everything_else_keeps_its_order(ends: tuple[Channel, Channel]) -> None:
    ours, theirs = ends
    large = Frame(1, "", bytes(4_000_000))
    ours.send(large)
    ours.send(Frame(20, "a", b"first"), state=True)
    ours.send(Frame(20, "b", b"other"), state=True)
    ours.send(Frame(23, "a", b"order"))
    ours.send(Frame(20, "a", b"second"), state=True)
    ours.send(Frame(23, "a", b"order"))
    assert drained(ours, theirs) == [
        large,
        Frame(20, "b", b"other"),
        Frame(23, "a", b"order"),
        Frame(20, "a", b"second"),
        Frame(23, "a", b"order"),
    ]


def test_a_state_that_is_on_its_way_is_sent_to_its_end(ends: tuple[Channel, Channel]) -> None:
    ours, theirs = ends
    large = Frame(20, "a", bytes(4_000_000))
    ours.send(large, state=True)
    ours.send(Frame(20, "a", b"second"), state=True)
    assert drained(ours, theirs) == [large, Frame(20, "a", b"second")]
    ours.send(Frame(20, "a", b"third"), state=True)
    assert list(theirs.receive()) == [Frame(20, "a", b"third")]


def test_many_objects_that_wait_cost_the_same_each(ends: tuple[Channel, Channel]) -> None:
    ours, theirs = ends
    ours.send(Frame(1, "", bytes(4_000_000)))
    began = time.process_time()
    for turn in (b"first", b"second"):
        for number in range(20_000):
            ours.send(Frame(30, str(number), turn), state=True)
    assert time.process_time() - began < 4.0
    received = drained(ours, theirs)
    assert len(received) == 20_001
    assert received[-1] == Frame(30, "19999", b"second")

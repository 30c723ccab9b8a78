"""Frames survive any cutting, deadlines any moving about, and a priority any tracking."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from kad.model.tracking import TrackItem
from kad.shared.framing import Assembler, BadFrame, Frame
from kad.shared.state_machine import Deadlines
from kad.tracking.priority import Value, judge

FRAMES = st.builds(Frame, st.integers(0, 65535), st.text(max_size=20), st.binary(max_size=60))


@settings(max_examples=200, deadline=None)
@given(st.lists(FRAMES, max_size=8), st.data())
def test_frames_cut_anywhere_are_the_same_frames(frames: list[Frame], data: st.DataObject) -> None:
    stream = b"".join(frame.encode() for frame in frames)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=10).map(sorted))
    assembler = Assembler()
    pieces = [stream[start:end] for start, end in pairwise([0, *cuts, len(stream)])]
    assert [frame for piece in pieces for frame in assembler.feed(piece)] == frames


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=6))
def test_rubbish_is_frames_or_a_bad_frame(pieces: list[bytes]) -> None:
    assembler, total = Assembler(), 0
    try:
        for piece in pieces:
            for frame in assembler.feed(piece):
                total += 8 + len(frame.body)
    except BadFrame:
        return
    assert total <= sum(map(len, pieces))


class Waiter:
    deadline: float | None = None


MOVES = st.lists(
    st.tuples(
        st.sampled_from((0.0, 0.5, 1.0)),
        st.lists(st.tuples(st.integers(0, 3), st.none() | st.sampled_from((0.5, 1.0, 2.0, 5.0))), max_size=4),
    ),
    max_size=20,
)


@settings(max_examples=300, deadline=None)
@given(MOVES)
def test_exactly_what_is_due_falls_due(moves: list[tuple[float, list[tuple[int, float | None]]]]) -> None:
    """Against the plain way: look at all of them each time."""
    waiters = [Waiter() for _ in range(4)]
    deadlines: Deadlines[Waiter] = Deadlines()
    now = 0.0
    for pause, changes in moves:
        for number, patience in changes:
            waiters[number].deadline = None if patience is None else now + patience
            deadlines.watch(waiters[number])
        earliest = min((each.deadline for each in waiters if each.deadline is not None), default=None)
        known = deadlines.next()
        assert earliest is None or (known is not None and known <= earliest)
        now += pause
        wanted = {id(each) for each in waiters if each.deadline is not None and each.deadline <= now}
        due = list(deadlines.due(now))
        assert {id(each) for each in due} == wanted
        assert len(due) == len(wanted)
        for each in due:
            each.deadline = None


ITEMS = st.lists(
    st.tuples(
        st.sampled_from(("interface", "script", "process", "file")),
        st.integers(-254, 254),
        st.booleans(),
        st.none() | st.sampled_from((0, 1, 1)) | st.integers(-1000, 1000),
    ),
    max_size=6,
)


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 255), ITEMS, st.randoms(use_true_random=False))
def test_a_priority_stays_in_its_bounds_whatever_the_order(
    base: int, tracked: list[tuple[str, int, bool, int | None]], random: object
) -> None:
    items = [
        TrackItem(kind=kind, name=str(number), weight=weight, reverse=reverse)
        for number, (kind, weight, reverse, _) in enumerate(tracked)
    ]

    def lookup(kind: str, name: str) -> Value:
        number = tracked[int(name)][3]
        return Value(number if kind == "file" or number is None else int(number > 0), f"{kind} {name}")

    verdict = judge(base, items, lookup)
    assert verdict.priority == 255 if base == 255 else 1 <= verdict.priority <= 254
    shuffled = list(items)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    again = judge(base, shuffled, lookup)
    assert (again.priority, again.faults, again.pending) == (verdict.priority, verdict.faults, verdict.pending)
    if all(number is None for *_, number in tracked):
        assert verdict.priority == base

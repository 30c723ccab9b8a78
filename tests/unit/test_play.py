"""A play that goes otherwise than written fails, and says where."""

from __future__ import annotations

import pytest

from tests.play import At, Due, Late, Play


class Echo:
    """Wants done whatever it is told, twice when it is late."""

    deadline: float | None = 1.5

    def handle(self, event: str, now: float) -> list[str]:
        return [event] if now <= 1.5 else [event, event]


def test_a_play_as_written_is_true() -> None:
    assert Play(Echo()) >> At(1.0) >> "a" << "a" >> Due(1.5) >> "b" << "b" >> Late(2.0) >> "c" << "c" << "c"


@pytest.mark.parametrize(
    ("play", "said"),
    [
        (lambda: bool(Play(Echo()) >> "a"), "this is wanted too: \\['a'\\]"),
        (lambda: Play(Echo()) >> "a" >> "b", "after a this is wanted too"),
        (lambda: Play(Echo()) >> "a" << "b", "wanted   a\n  expected b"),
        (lambda: Play(Echo()) >> "a" << "a" << "a", "nothing more is wanted, not a"),
        (lambda: Play(Echo()) >> At(2.0), "something falls due at 1.5, before 2.0"),
        (lambda: Play(Echo()) >> Due(1.4), "the deadline is 1.5, not 1.4"),
        (lambda: Play(Echo()) >> Due(None), "the deadline is 1.5, not None"),
    ],
)
def test_a_play_that_goes_otherwise_fails(play: object, said: str) -> None:
    assert callable(play)
    with pytest.raises(AssertionError, match=said):
        play()

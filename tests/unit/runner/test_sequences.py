"""A message is recognised as a repeat by its number, and what is remembered for that is bounded."""

from __future__ import annotations

from kad.runner.sequences import Sequences


def test_a_number_that_does_not_grow_is_a_repeat() -> None:
    sequences = Sequences()
    assert [sequences.advance("a", number) for number in (7, 7, 6, 8)] == [True, False, False, True]
    assert sequences.advance("b", 7)


def test_objects_without_end_are_bounded() -> None:
    sequences = Sequences()
    for number in range(70_000):
        sequences.advance(f"object {number}", 1)
    assert len(sequences) == 65_536
    assert not sequences.advance("object 69999", 1)
    assert sequences.advance("object 0", 1)

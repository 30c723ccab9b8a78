"""The short form of what `make soak` does for five minutes."""

from __future__ import annotations

import pytest

from tests.lab.addresses import AddressEvent
from tests.lab.deaths import Span, deaths, spans
from tests.lab.lab import Lab, Node

pytestmark = pytest.mark.lab


def test_some_random_deaths(pair: tuple[Lab, Node, Node]) -> None:
    lab, a, b = pair
    happened = deaths(lab, a, b, times=6, pause=0.5, seed=20)
    assert sum(times for what, times in happened.items() if what.startswith("SIG")) >= 4


def test_gaps_and_overlaps_are_seen() -> None:
    events = [
        AddressEvent(10.0, "a", False, "x"),
        AddressEvent(11.5, "b", True, "x"),
        AddressEvent(20.0, "a", True, "x"),
        AddressEvent(20.25, "b", False, "x"),
        AddressEvent(30.0, "a", False, "y"),
    ]
    assert spans(events, {"x": {"a"}, "y": {"a"}}, 32.0) == [
        Span("x", 0, 10.0, 1.5),
        Span("x", 2, 20.0, 0.25),
        Span("y", 0, 30.0, 2.0),
    ]

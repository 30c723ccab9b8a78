"""Random frames, descriptors, pages, deaths and requests in random orders: the parent serves on."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings

from tests.unit.watchdog.fuzz import STEPS, play


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=STEPS)
def test_nothing_that_is_said_to_a_parent_ends_it(steps: list[tuple[Any, ...]]) -> None:
    play(steps)

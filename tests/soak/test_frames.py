"""An hour of random frames, descriptors, pages, deaths and requests: the parent serves on."""

from __future__ import annotations

import os
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from tests.unit.watchdog.fuzz import STEPS, play

pytestmark = pytest.mark.soak

SECONDS = float(os.environ.get("KAD_FUZZ_SECONDS", "3600"))


@pytest.mark.timeout(2 * SECONDS + 600)
def test_nothing_that_is_said_to_a_parent_for_an_hour_ends_it() -> None:
    end = time.monotonic() + SECONDS

    @settings(max_examples=500, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(steps=STEPS)
    def plays(steps: list[tuple[Any, ...]]) -> None:
        play(steps)

    while time.monotonic() < end:
        plays()

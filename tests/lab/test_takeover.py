"""Takeover after a silent death, measured beside keepalived in the same run."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.lab.lab import Lab
from tests.lab.takeover import measure

pytestmark = [pytest.mark.lab, pytest.mark.timing]


def test_takeover_comes_when_the_protocol_says(lab: Lab) -> None:
    # They wait nearly all the time, so they wait together; `make soak` and `make bench` measure one after the other.
    with ThreadPoolExecutor() as together:
        waiting = [
            (
                together.submit(measure, "keepalived", advert_int, times, version=version),
                together.submit(measure, "kad", advert_int, times, version=version),
            )
            for version, advert_int, times in ((3, 0.1, 7), (2, 1, 3))
        ]
    for theirs, ours in ((theirs.result(), ours.result()) for theirs, ours in waiting):
        # Never early: the advert that would have come in time must not be beaten.
        assert min(ours.seconds) > -0.002, ours
        # The bound of 5 ms is held by `make soak`, on a quiet machine; here others may be at work.
        assert ours.median < 0.005 + 0.010, (ours, theirs)
        assert ours.median < theirs.median + 0.015, (ours, theirs)

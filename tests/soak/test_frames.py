"""An hour of random frames, descriptors, pages, deaths and requests to a running daemon, by each of its children."""

from __future__ import annotations

import os

import pytest

from tests.lab.daemon_fuzz import fuzz
from tests.lab.lab import Lab

pytestmark = [pytest.mark.lab, pytest.mark.soak]

SECONDS = float(os.environ.get("KAD_FUZZ_SECONDS", "3600"))
CHILDREN = ("checker", "vrrp", "ipvs", "runner", "bfd")


@pytest.mark.timeout(2 * SECONDS + 600)
@pytest.mark.parametrize("name", CHILDREN)
def test_nothing_that_is_said_to_a_daemon_for_an_hour_harms_it(lab: Lab, name: str) -> None:
    figures = fuzz(lab, name, seconds=SECONDS / len(CHILDREN))
    print(f"{name}: {figures}")
    assert figures.sequences > SECONDS / 100

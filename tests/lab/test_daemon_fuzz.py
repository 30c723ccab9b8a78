"""A few random sequences of frames, descriptors, pages, deaths and requests leave a running daemon unharmed."""

from __future__ import annotations

import pytest

from tests.lab.daemon_fuzz import fuzz
from tests.lab.lab import Lab

pytestmark = [pytest.mark.lab, pytest.mark.more]


@pytest.mark.parametrize("name", ["checker", "vrrp"])
def test_a_hostile_child_and_hostile_clients_do_a_daemon_no_harm(lab: Lab, name: str) -> None:
    figures = fuzz(lab, name, seconds=15, most=30)
    assert figures.sequences > 5

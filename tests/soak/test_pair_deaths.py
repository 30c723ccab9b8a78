"""Two hundred times the vrrp process and the parent die together."""

from __future__ import annotations

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.pair_deaths import pair_deaths

pytestmark = [pytest.mark.lab, pytest.mark.soak]


def test_vrrp_and_parent_die_together_two_hundred_times(pair: tuple[Lab, Node, Node]) -> None:
    lab, a, b = pair
    pair_deaths(lab, a, b, times=200, seed=2)

"""Two hundred times two processes of the MASTER die together, of every pair of its processes."""

from __future__ import annotations

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.pair_deaths import ALL_PAIRS, pair_deaths

pytestmark = [pytest.mark.lab, pytest.mark.soak]


def test_two_processes_die_together_two_hundred_times(pair: tuple[Lab, Node, Node]) -> None:
    lab, a, b = pair
    seen = pair_deaths(lab, a, b, times=200, seed=2, pairs=ALL_PAIRS, longest=1.0)
    for (first, second), what in seen.items():
        print(f"{first}, then {second}: {what}")
    assert sum(each.pairs for each in seen.values()) == 200

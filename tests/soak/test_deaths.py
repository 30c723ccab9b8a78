"""200 random SIGKILL and SIGSTOP of random children over five minutes: nothing is lost for longer than a takeover."""

from __future__ import annotations

import pytest

from tests.lab.deaths import deaths
from tests.lab.lab import Lab, Node

pytestmark = [pytest.mark.lab, pytest.mark.soak]


@pytest.mark.parametrize("seed", [1, 2])
def test_five_minutes_of_random_deaths(pair: tuple[Lab, Node, Node], seed: int) -> None:
    lab, a, b = pair
    happened = deaths(lab, a, b, times=200, pause=1.5, seed=seed)
    for what, times in sorted(happened.items()):
        print(f"{what}: {times}")
    assert sum(times for what, times in happened.items() if what.startswith("SIG")) > 150

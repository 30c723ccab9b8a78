"""100,000 random and mutated packets on protocol 112: no crash, no transition, everything counted."""

from __future__ import annotations

import pytest

from tests.lab.flood import flood
from tests.lab.lab import Lab, Node

pytestmark = [pytest.mark.lab, pytest.mark.soak]


@pytest.mark.parametrize(("version", "advert_int", "seed"), [(2, 1, 1), (3, 0.1, 2)])
def test_a_hundred_thousand_wrong_packets_move_nothing(
    pair: tuple[Lab, Node, Node], version: int, advert_int: float, seed: int
) -> None:
    lab, a, b = pair
    flood(lab, a, b, version=version, advert_int=advert_int, count=100_000, seed=seed)

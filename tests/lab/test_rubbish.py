"""Any bytes on protocol 112: no crash, no transition, everything counted."""

from __future__ import annotations

import pytest

from tests.lab.flood import flood
from tests.lab.lab import Lab, Node

pytestmark = pytest.mark.lab

Pair = tuple[Lab, Node, Node]


@pytest.mark.parametrize(("version", "advert_int"), [(2, 1), (3, 0.1)])
def test_five_thousand_wrong_packets_move_nothing(pair: Pair, version: int, advert_int: float) -> None:
    lab, a, b = pair
    flood(lab, a, b, version=version, advert_int=advert_int, count=5_000, seed=112)

"""200 instances at 10 adverts a second each between two kads: nobody takes over from a MASTER that lives."""

from __future__ import annotations

import pytest

from tests.lab.crowd import crowd
from tests.lab.lab import Lab, Node

pytestmark = [pytest.mark.lab, pytest.mark.timing]


def test_two_hundred_instances_for_ten_seconds(pair: tuple[Lab, Node, Node]) -> None:
    lab, a, b = pair
    crowd(lab, a, b, instances=200, election=20, seconds=10)

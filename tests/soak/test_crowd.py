"""200 instances at 10 adverts a second: no transition for a minute after the first minute of election."""

from __future__ import annotations

import pytest

from tests.lab.crowd import crowd
from tests.lab.lab import Lab, Node

pytestmark = [pytest.mark.lab, pytest.mark.soak]


def test_two_hundred_instances_for_a_minute(pair: tuple[Lab, Node, Node]) -> None:
    lab, a, b = pair
    crowd(lab, a, b, instances=200, election=60, seconds=60)

"""A sync group of 4,000 members between two kads."""

from __future__ import annotations

import pytest

from tests.lab.lab import Lab
from tests.lab.large_group import show

pytestmark = [pytest.mark.lab, pytest.mark.soak]


def test_four_thousand_members() -> None:
    with Lab(observed=False) as lab:
        show(lab, members=4000, seconds=240)

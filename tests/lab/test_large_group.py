"""A sync group of 1,000 members between two kads: no process is taken for deaf, and all members move together."""

from __future__ import annotations

import pytest

from tests.lab.lab import Lab
from tests.lab.large_group import show

pytestmark = [pytest.mark.lab, pytest.mark.timing, pytest.mark.more]


def test_a_thousand_members() -> None:
    with Lab(observed=False) as lab:
        show(lab, members=1000, seconds=60)

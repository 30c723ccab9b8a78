"""Many checks wait for an answer at once, and none is judged before it comes."""

from __future__ import annotations

import pytest

from tests.lab.lab import Lab
from tests.lab.late_answers import late_answers

pytestmark = pytest.mark.lab


def test_two_thousand_checks_wait_at_once() -> None:
    with Lab(observed=False) as lab:
        assert late_answers(lab, 2000) < 100e6

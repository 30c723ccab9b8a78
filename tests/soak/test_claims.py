"""A claim that goes on and on is answered ever more rarely, in the seconds that RFC 5227 leaves room for."""

from __future__ import annotations

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.test_announcing import vip
from tests.lab.test_healing import ANSWERS, CLAIMED, VIP6, Dispute, soon

pytestmark = [pytest.mark.lab, pytest.mark.soak]


def test_four_answers_in_a_minute(pair: tuple[Lab, Node, Node]) -> None:
    dispute = Dispute(pair)
    dispute.insist(seconds=ANSWERS[-1] + 2, bursts=1)
    for address in (vip(CLAIMED), VIP6):
        assert dispute.announced(address) == [soon(at) for at in ANSWERS]

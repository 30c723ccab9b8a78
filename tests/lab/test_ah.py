"""AH authentication beside keepalived: each believes the other, and no number is used twice, not even by a new life."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.lab.daemons import Kad
from tests.lab.lab import Lab, Node
from tests.lab.texts import PAIRS, router

pytestmark = pytest.mark.lab

VIP = "10.77.0.100"
Pair = tuple[Lab, Node, Node]


def ah(priority: int, state: str = "BACKUP") -> str:
    """Version 2, whose shortest interval is a second."""
    locked = "authentication {\n auth_type AH\n auth_pass secret77\n }"
    return router(version=2, advert_int=1, priority=priority, state=state, more=locked)


def numbers(lab: Lab, node: str, since: float) -> list[int]:
    """Of the authentication headers (RFC 2402 2), each behind an IPv4 header without options."""
    return [int.from_bytes(seen.packet[28:32], "big") for seen in lab.wire.adverts(node=node, since=since)]


@pytest.mark.parametrize(("first", "second"), PAIRS[1:3])
def test_an_ah_pair(pair: Pair, first: str, second: str) -> None:
    lab, a, b = pair
    owner = lab.start(first, a, ah(255, "MASTER"))
    other = lab.start(second, b, ah(100))
    lab.wait_holder(VIP, a, seconds=5)
    other.wait_log("Entering BACKUP STATE")
    lab.wire.wait_advert(node="a", seconds=3, count=2)
    lab.cut(a)
    lab.wait_holder(VIP, a, b, seconds=6)
    begin = time.time()
    lab.heal(a)
    lab.wait_holder(VIP, a, seconds=4)
    if isinstance(owner, Kad):
        os.kill(owner.child("vrrp"), signal.SIGKILL)
    lab.stays(VIP, a, 3.8)
    heard = numbers(lab, "b", 0.0)[-1]
    later = numbers(lab, "a", begin)
    assert later[-1] > heard
    assert sorted(set(later)) == later

"""BFD_CHECK: a server follows the session with its neighbour."""

from __future__ import annotations

import pytest

from kad.checker.checks.bfd import BfdCheck
from kad.shared.messages import Observation
from tests.unit.checker.room import Stage


def told(value: int | None) -> Observation:
    return Observation(kind="bfd", name="peer", value=value, since=1.0, reason=f"the session says {value}")


@pytest.mark.parametrize("alpha", [False, True])
def test_the_server_is_what_the_session_is(stage: Stage, alpha: bool) -> None:
    stage.check(BfdCheck(name="peer", alpha=alpha))
    assert (stage.health().healthy, stage.health().known) == (not alpha, False)
    stage.room.receive(told(None))
    assert (stage.health().healthy, stage.health().known) == (not alpha, False)
    stage.room.receive(told(1))
    assert (stage.health().healthy, stage.health().known) == (True, True)
    stage.room.receive(told(0))
    assert (stage.health().healthy, stage.health().reason) == (False, "BFD_CHECK peer: the session says 0")

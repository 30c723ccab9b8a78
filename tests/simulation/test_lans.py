"""Routers on virtual LANs: stories with literal ends, a day without an event, and hundreds of random ordeals."""

from __future__ import annotations

from collections.abc import Callable
from time import process_time

import pytest

from tests.simulation import authenticated, scenarios
from tests.simulation.ordeal import Ordeal
from tests.simulation.scenarios import BACKUP, MASTER, World
from tests.unit.vrrp.samples import instance

ORDEALS = 240


@pytest.mark.parametrize("scenario", [*scenarios.ALL, *authenticated.ALL], ids=lambda scenario: scenario.__name__)
def test_scenario(scenario: Callable[[], None]) -> None:
    scenario()


@pytest.mark.parametrize("seed", range(ORDEALS))
def test_ordeal(seed: int) -> None:
    """2 to 8 hosts with delay, loss, deafness, cuts, crashes, faults, sleep, stops and reloads; then peace."""
    ordeal = Ordeal(seed)
    ordeal.suffer()
    ordeal.recover()
    assert ordeal.judge() == []


def test_the_same_seed_is_the_same_ordeal() -> None:
    stories = []
    for _ in range(2):
        ordeal = Ordeal(5)
        ordeal.suffer()
        stories.append(ordeal.lan.chronicle)
    assert stories[0].transitions == stories[1].transitions
    assert stories[0].sent == stories[1].sent
    assert len(stories[0].transitions) > 20


def test_a_day_of_three_routers() -> None:
    """86,400 s without an event after the election, in under 10 s of this machine's."""
    routers = [instance(priority=100 + number) for number in range(3)]
    began = process_time()
    world = World(*routers, rates=(0.999, 1.0, 1.001)).boot().until(86400.0)
    spent = process_time() - began
    assert world.states() == [BACKUP, BACKUP, MASTER]
    world.is_quiet(5.0)
    assert world.sent(3, 3600.0, 82800.0) == pytest.approx(79200 * 1.001, abs=1)
    world.is_sound(5.0)
    assert spent < 10.0

"""Reload after reload with 200 instances: no address moves and no advert is late by more than a tenth."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.lab.crowd import address
from tests.lab.lab import Lab, Node
from tests.lab.texts import global_defs, instance

pytestmark = [pytest.mark.lab, pytest.mark.soak]

INSTANCES = 200
INTERVAL = 0.5


def test_sixty_reloads_delay_no_advert(pair: tuple[Lab, Node, Node]) -> None:
    lab, a, _ = pair
    text = global_defs() + "".join(
        instance(
            f"VI_{number}",
            vrid=number,
            advert_int=INTERVAL,
            addresses=(address(number) + "/32",),
            more="garp_master_repeat 1",
        )
        for number in range(1, INSTANCES + 1)
    )
    daemon = lab.start_kad(a, text)
    wanted = {address(number) for number in range(1, INSTANCES + 1)}
    lab.hub.until(lambda: wanted <= a.watch.held(), 30, "all are MASTER")
    begin = lab.wire.wait_advert(node="a", vrid=INSTANCES, seconds=2, count=3).time
    for number in range(60):
        moment = daemon.reload(text.replace("priority 100", f"priority {100 + number % 2}", 1 + number % 3))
        daemon.wait_log("Reload complete", 10, since=moment)
    lab.wire.wait_advert(node="a", vrid=INSTANCES, seconds=2, count=2)
    times: dict[int, list[float]] = {}
    for advert in lab.wire.adverts(node="a", since=begin):
        times.setdefault(advert.vrid, []).append(advert.time)
    gaps = {vrid: max(later - earlier for earlier, later in pairwise(seen)) for vrid, seen in times.items()}
    assert len(gaps) == INSTANCES
    assert max(gaps.values()) < INTERVAL * 1.1, sorted(gaps.items(), key=lambda each: -each[1])[:5]
    assert not [event for event in a.watch.events if event.time > begin]

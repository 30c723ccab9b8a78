"""The show of many instances, short in `make test` and long in `make soak`."""

from __future__ import annotations

import time
from collections import Counter

from tests.lab.lab import Lab, Node
from tests.lab.texts import global_defs, instance


def crowd(lab: Lab, a: Node, b: Node, *, instances: int, election: float, seconds: float) -> None:
    """So many instances at 10 adverts a second between two kads: after the election nothing moves for so long."""
    texts = ["", ""]
    for number in range(1, instances + 1):
        for which, priority in enumerate((150, 100)):
            texts[which] += instance(
                f"VI_{number}",
                vrid=number,
                priority=priority,
                addresses=(address(number) + "/32",),
                more="garp_master_repeat 1",
            )
    first = lab.start_kad(a, global_defs() + texts[0])
    lab.hub.until(lambda: address(instances) in a.watch.held(), election, "the last instance is MASTER")
    second = lab.start_kad(b, global_defs() + texts[1])
    second.wait_log(rf"\(VI_{instances}\) Entering BACKUP STATE", election)
    wanted = {address(number) for number in range(1, instances + 1)}
    lab.hub.until(lambda: wanted <= a.watch.held() and not wanted & b.watch.held(), election, "all are on one node")
    begin = time.time()
    lab.hub.never(lambda: moved(lab, begin, wanted), seconds, "an address moves")
    assert wanted <= a.watch.held()
    assert not wanted & b.watch.held()
    for daemon in (first, second):
        assert not daemon.logged("Entering (MASTER|BACKUP|FAULT)", since=begin)
    sent = Counter(advert.vrid for advert in lab.wire.adverts(node="a", since=begin))
    assert len(sent) == instances
    assert min(sent.values()) > 10 * seconds * 0.9 - 2
    assert not lab.wire.adverts(node="b", since=begin)


def address(number: int) -> str:
    return f"10.77.{100 + number // 250}.{number % 250 + 1}"


def moved(lab: Lab, since: float, wanted: set[str]) -> list[object]:
    """The address events since then, newest first, as far as they are new."""
    found: list[object] = []
    for node in lab.nodes.values():
        for event in reversed(node.watch.events):
            if event.time < since:
                break
            if event.address in wanted:
                found.append(event)
    return found

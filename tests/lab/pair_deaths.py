"""Two processes of one daemon die within moments of each other, short in `make test` and long in `make soak`."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass

from tests.lab.addresses import AddressEvent
from tests.lab.daemons import Kad
from tests.lab.deaths import BALANCED, spans
from tests.lab.lab import Lab, Node
from tests.lab.texts import router

VIP = "10.77.0.100"
INTERVAL = 0.4
TAKEOVER = 3 * INTERVAL + INTERVAL
PAIRS = (("parent", "vrrp"), ("vrrp", "parent"))
STOPPED = ("stopped parent", "vrrp")
ALL_PAIRS = (
    *3 * PAIRS,
    *itertools.product(("runner", "ipvs", "checker"), ("parent", "vrrp")),
    *itertools.product(("parent", "vrrp"), ("runner", "ipvs", "checker")),
    STOPPED,
)
"""In order of death; parent and vrrp stand here more than once because most can go wrong between these two."""


@dataclass
class Seen:
    """What became of the address in all deaths of one pair; seconds."""

    pairs: int = 0
    longest_with_two: float = 0.0
    longest_with_none: float = 0.0

    def __str__(self) -> str:
        two, none = 1000 * self.longest_with_two, 1000 * self.longest_with_none
        return f"{self.pairs} times, two holders for {two:.0f} ms at most, none for {none:.0f} ms"


def pair_deaths(
    lab: Lab,
    a: Node,
    b: Node,
    *,
    times: int,
    seed: int,
    pairs: Sequence[tuple[str, str]] = PAIRS,
    longest: float = 0.05,
) -> dict[tuple[str, str], Seen]:
    """Two processes of the MASTER die, at most `longest` seconds apart, so many times.

    Raises AssertionError where the address has two holders for longer than a takeover, or an orphaned one.
    """
    chance = random.Random(seed)
    seen = {pair: Seen() for pair in pairs}
    text = router(priority=150, advert_int=INTERVAL) + BALANCED
    lab.start_kad(b, router(priority=100, advert_int=INTERVAL))
    lab.wait_holder(VIP, b, seconds=8)
    for number in range(times):
        pair = list(seen)[number] if number < len(seen) else chance.choice(pairs)
        # Most of them together, some so far apart that a replacement of the first has begun.
        distance = chance.uniform(0.0, longest if chance.random() < 0.3 else 0.05)
        daemon = lab.start_kad(a, text)
        lab.wait_holder(VIP, a, seconds=8)
        daemon.wait_log("Startup complete")
        daemon.wait_log("Entering MASTER STATE")
        moment = time.time()
        _die(lab, daemon, pair, distance)
        if "parent" in pair:
            lab.wait_holder(VIP, b, seconds=TAKEOVER + 1)
            lab.hub.until(lambda: a.processes() == {}, 12, lambda: f"a process is left: {a.processes()}")
            lab.wait_holder(VIP, b, seconds=1)
        elif pair == STOPPED:
            lab.wait_holder(VIP, b, seconds=TAKEOVER + 1)
            daemon.send(signal.SIGCONT)
            lab.wait_holder(VIP, a, seconds=8)
        else:
            _wait_replaced(lab, daemon)
            lab.wait_holder(VIP, a, seconds=8)
        _note(lab, seen[pair], f"{pair}, {distance:.3f} s apart", moment)
        if daemon.exit_status is None:
            assert daemon.stop() == 0
            lab.wait_holder(VIP, b, seconds=8)
    return seen


def _die(lab: Lab, daemon: Kad, pair: tuple[str, str], distance: float) -> None:
    pids = {name: daemon.child(name) for name in pair if "parent" not in name}
    for name in pair:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pids.get(name, daemon.pid), signal.SIGSTOP if name == STOPPED[0] else signal.SIGKILL)
        if name == pair[0]:
            lab.hub.never(lambda: None, distance, "nothing")


def _wait_replaced(lab: Lab, daemon: Kad) -> None:
    lab.hub.until(lambda: len(daemon.family()) == 5, 5, "both are replaced")


def _note(lab: Lab, seen: Seen, what: str, moment: float) -> None:
    events = [event for event in lab_events(lab) if event.time >= moment]
    found = [span for span in spans(events, {VIP: {"a"}}, time.time()) if span.address == VIP]
    twice = [span.seconds for span in found if span.holders > 1]
    # Both have it while the last advert of the dead one is still valid, and no longer than a takeover takes.
    assert all(seconds < TAKEOVER for seconds in twice), (what, found)
    seen.pairs += 1
    seen.longest_with_two = max(seen.longest_with_two, *twice, 0.0)
    seen.longest_with_none = max(seen.longest_with_none, *(span.seconds for span in found if span.holders == 0), 0.0)


def lab_events(lab: Lab) -> list[AddressEvent]:
    return sorted((event for node in lab.nodes.values() for event in node.watch.events), key=lambda each: each.time)

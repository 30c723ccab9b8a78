"""Two processes of one daemon die within 50 ms of each other, short in `make test` and long in `make soak`."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time

from tests.lab.addresses import AddressEvent
from tests.lab.deaths import spans
from tests.lab.lab import Lab, Node
from tests.lab.texts import router

VIP = "10.77.0.100"
INTERVAL = 0.4
TAKEOVER = 3 * INTERVAL + INTERVAL
PAIRS = (("parent", "vrrp"), ("vrrp", "parent"))


def pair_deaths(lab: Lab, a: Node, b: Node, *, times: int, seed: int) -> None:
    """The MASTER's parent and vrrp process die together, so many times; its peer has the address alone each time."""
    chance = random.Random(seed)
    lab.start_kad(b, router(priority=100, advert_int=INTERVAL))
    lab.wait_holder(VIP, b, seconds=8)
    for _ in range(times):
        daemon = lab.start_kad(a, router(priority=150, advert_int=INTERVAL))
        lab.wait_holder(VIP, a, seconds=8)
        daemon.wait_log("Entering MASTER STATE")
        first, second = chance.choice(PAIRS)
        pids = {"parent": daemon.pid, "vrrp": daemon.child("vrrp")}
        moment = time.time()
        os.kill(pids[first], signal.SIGKILL)
        lab.hub.never(lambda: None, chance.uniform(0.0, 0.05), "nothing")
        with contextlib.suppress(ProcessLookupError):
            os.kill(pids[second], signal.SIGKILL)
        lab.wait_holder(VIP, b, seconds=TAKEOVER + 1)
        lab.hub.until(lambda: a.processes() == {}, 12, lambda: f"a process is left: {a.processes()}")
        lab.wait_holder(VIP, b, seconds=1)
        events = [event for event in lab_events(lab) if event.time >= moment]
        twice = [span for span in spans(events, {VIP: {"a"}}, time.time()) if span.holders > 1]
        # Both have it while the last advert of the dead one is still believed, and no longer than a takeover takes.
        assert all(span.seconds < TAKEOVER for span in twice), (first, twice)


def lab_events(lab: Lab) -> list[AddressEvent]:
    return sorted((event for node in lab.nodes.values() for event in node.watch.events), key=lambda each: each.time)

"""How long the BACKUP takes after the silent death of its MASTER, beyond what the protocol asks for."""

from __future__ import annotations

import time
from statistics import median
from typing import NamedTuple

from tests.lab.lab import Lab
from tests.lab.texts import router

VIP = "10.77.0.100"


class Excess(NamedTuple):
    """Seconds beyond 3 · advert_int + skew, one a takeover."""

    program: str
    advert_int: float
    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return median(self.seconds)


def measure(program: str, advert_int: float, times: int, *, version: int = 3) -> Excess:
    """A keepalived of priority 150 dies so often; the program of priority 100 takes over each time."""
    interval = 3 * advert_int + (256 - 100) * (1 if version == 2 else advert_int) / 256
    found: list[float] = []
    with Lab() as lab:
        a, b = lab.node("a", {"eth0": "10.77.0.1/24"}), lab.node("b", {"eth0": "10.77.0.2/24"})
        lab.start_keepalived(a, router(priority=150, advert_int=advert_int, version=version))
        lab.wait_holder(VIP, a, seconds=10)
        lab.start(program, b, router(priority=100, advert_int=advert_int, version=version))
        lab.daemons[-1].wait_log("Entering BACKUP STATE")
        while len(found) < times:
            # At least two adverts were heard, so that the interval is learned.
            last = lab.wire.wait_advert(node="a", seconds=3 * advert_int + 2, count=2)
            lab.cut(a)
            # An advert while the switch was told may have passed or not: then this death counts for nothing.
            clear = time.time() < last.time + advert_int * 0.9
            taken = lab.wire.wait_advert(node="b", seconds=interval + 5, since=last.time)
            if clear:
                found.append(taken.time - last.time - interval)
            lab.heal(a)
            lab.wait_holder(VIP, a, seconds=interval + 5)
    return Excess(program, advert_int, tuple(found))

"""From the start of the command to the first advert on the wire, at priority 255."""

from __future__ import annotations

from statistics import median

from tests.lab.lab import Lab
from tests.lab.texts import router


def measure(program: str, times: int) -> float:
    """Seconds, the median."""
    found = []
    for _ in range(times):
        with Lab() as lab:
            node = lab.node("a", {"eth0": "10.77.0.1/24"})
            daemon = lab.start(program, node, router(priority=255, state="MASTER", advert_int=1))
            found.append(lab.wire.wait_advert(node="a", seconds=20, since=0).time - daemon.started)
    return median(found)

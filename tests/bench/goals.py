"""What many instances and many addresses cost in time: pace, punctuality, a transition and a crash of all at once."""

from __future__ import annotations

import itertools
import os
import signal
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import quantiles

from tests.bench.load import address, pause, sent_packets, text
from tests.lab.daemons import Daemon
from tests.lab.lab import Lab, Node
from tests.lab.texts import global_defs, instance
from tests.lab.wire import Advert

_PER_LAN = 250
_PATIENCE = 120


@contextmanager
def mastering(program: str, instances: int, advert_int: float, heard: int) -> Iterator[tuple[Lab, Node, Daemon]]:
    """A lone MASTER of so many instances; the wire tells of the first `heard` LANs."""
    with Lab(observed=False) as lab:
        node = lab.node("a", {})
        for lan in range(-(-instances // _PER_LAN)):
            lab.add_interface(node, f"eth{lan}", f"10.{lan + 1}.0.1/16", lan=f"lan{lan}")
            if lan < heard:
                lab.wire.listen(node.ports[f"eth{lan}"].name, "a")
        daemon = lab.start(program, node, text(instances, 100, advert_int))
        wanted = {address(number) for number in range(instances)}
        lab.hub.until(lambda: wanted <= node.watch.held(), _PATIENCE, "all are MASTER")
        # The second gratuitous ARPs are over after garp_master_delay 1.
        pause(lab, 3)
        yield lab, node, daemon


def pace(program: str, instances: int, advert_int: float, seconds: float) -> float:
    """Percent of the adverts that were due which went; none may be lost, and no router may change its state."""
    with mastering(program, instances, advert_int, heard=0) as (lab, node, daemon):
        begin, packets, lines = time.monotonic(), sent_packets(node), len(daemon.lines)
        pause(lab, seconds)
        went, took = sent_packets(node) - packets, time.monotonic() - begin
        changed = [line.text for line in daemon.lines[lines:] if "Entering" in line.text]
        assert not changed, changed[:3]
        return 100 * went / (instances * took / advert_int)


def punctuality(program: str, instances: int, advert_int: float, seconds: float) -> float:
    """Milliseconds by which 99 of 100 distances between two adverts of a router at most miss its interval."""
    with mastering(program, instances, advert_int, heard=1) as (lab, _, _):
        begin = time.time()
        pause(lab, seconds)
        missed = []
        for adverts in by_router(lab.wire.adverts(since=begin)).values():
            moments = [advert.time for advert in adverts]
            missed += [abs(later - sooner - advert_int) for sooner, later in itertools.pairwise(moments)]
        return quantiles(missed, n=100)[98] * 1000


def return_of_the_link(program: str, instances: int, advert_int: float) -> float:
    """Intervals that the longest silence of a router lasts once it is MASTER again after the link was away."""
    lans = -(-instances // _PER_LAN)
    with mastering(program, instances, advert_int, heard=lans) as (lab, node, _):
        lab.link_down(node)
        wanted = {address(number) for number in range(instances)}
        lab.hub.until(lambda: not wanted & node.watch.held(), _PATIENCE, "all are in FAULT")
        begin = time.time()
        lab.heal(node)
        lab.hub.until(lambda: wanted <= node.watch.held(), _PATIENCE, "all are MASTER again")
        pause(lab, 2)
        longest = 0.0
        routers = by_router(lab.wire.adverts(since=begin))
        assert len(routers) == instances
        for adverts in routers.values():
            moments = [advert.time for advert in adverts]
            longest = max([longest, *(b - a for a, b in itertools.pairwise(moments))])
        return longest / advert_int


def replacement(program: str, instances: int, advert_int: float) -> float:
    """Milliseconds from SIGKILL of the VRRP process until the last router has spoken again."""
    lans = -(-instances // _PER_LAN)
    with mastering(program, instances, advert_int, heard=lans) as (lab, _, daemon):
        begin = time.time()
        os.kill(vrrp_process(daemon), signal.SIGKILL)
        lab.hub.until(lambda: len(by_router(lab.wire.adverts(since=begin))) == instances, _PATIENCE, "all speak again")
        first = [adverts[0].time for adverts in by_router(lab.wire.adverts(since=begin)).values()]
        return (max(first) - begin) * 1000


def vrrp_process(daemon: Daemon) -> int:
    for pid, name in daemon.family().items():
        with open(f"/proc/{pid}/cmdline", "rb") as line:
            title = line.read()
        if name == "keepalived_vrrp" or b"kad: vrrp" in title:
            return pid
    # keepalived's children bear the name of the parent; the only one is that of VRRP.
    return max(daemon.family())


def by_router(adverts: list[Advert]) -> dict[tuple[str, int], list[Advert]]:
    """By source, which tells the LAN, and virtual router identifier."""
    found: dict[tuple[str, int], list[Advert]] = defaultdict(list)
    for advert in adverts:
        found[advert.source, advert.vrid].append(advert)
    return found


def addresses(program: str, count: int) -> tuple[float, float]:
    """Milliseconds from the first advert to the last address, and to the first announcement of the last one."""
    held = tuple(f"10.77.{100 + number // 250}.{number % 250 + 1}/32" for number in range(count))
    with Lab() as lab:
        node = lab.node("a", {"eth0": "10.77.0.1/16"})
        lab.start(program, node, global_defs() + instance(addresses=held, more="garp_master_repeat 1"))
        wanted = {each.removesuffix("/32") for each in held}
        lab.hub.until(lambda: wanted <= node.watch.held(), _PATIENCE, "all addresses are there")
        lab.hub.until(
            lambda: wanted <= {seen.address for seen in lab.wire.announcements(node="a")},
            _PATIENCE,
            "all are announced",
        )
        decided = lab.wire.adverts(node="a")[0].time
        first: dict[str, float] = {}
        for seen in lab.wire.announcements(node="a"):
            first.setdefault(seen.address, seen.time)
        came = max(event.time for event in node.watch.events if event.address in wanted and event.added)
        return (came - decided) * 1000, (max(first[each] for each in wanted) - decided) * 1000

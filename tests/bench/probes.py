"""A hundred scripts that only ask whether a process lives, and five hundred that run: what they cost and delay."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import NamedTuple

from tests.bench.load import pause
from tests.lab.daemons import Daemon
from tests.lab.lab import Lab, Node
from tests.lab.texts import global_defs, instance

ADDRESS = "10.77.0.100"
ADVERT_INT = 0.1
_TICKS = os.sysconf("SC_CLK_TCK")
_CROWD = "for number in $(seq {others}); do sleep 1000 & done; exec /run/served 1000"


class Delay(NamedTuple):
    """Seconds between two adverts beyond advert_int."""

    median: float
    p99: float
    longest: float


def cost(program: str, *, scripts: int = 100, processes: int = 500, seconds: float = 20) -> float:
    """Percent of one core, programs that were started included."""
    with Lab(observed=False) as lab:
        node = lab.node("a", {"eth0": "10.77.0.1/24"})
        with crowd(node, processes):
            daemon = lab.start(program, node, text("/usr/bin/killall -0 served", scripts))
            lab.hub.until(lambda: ADDRESS in node.watch.held(), 30, "it is MASTER")
            pause(lab, 3)
            before, begin = ticks(daemon), time.monotonic()
            pause(lab, seconds)
            return (ticks(daemon) - before) / _TICKS / (time.monotonic() - begin) * 100


def delay(program: str, scripts: int, *, seconds: float = 20) -> Delay:
    """Of adverts while that many programs run each second."""
    with Lab() as lab:
        node = lab.node("a", {"eth0": "10.77.0.1/24"})
        lab.start(program, node, text("/bin/true", scripts))
        lab.wait_holder(ADDRESS, node, seconds=60)
        pause(lab, 3)
        begin = time.time()
        pause(lab, seconds)
        times = [advert.time for advert in lab.wire.adverts(node="a", since=begin)]
        late = sorted(later - earlier - ADVERT_INT for earlier, later in itertools.pairwise(times))
        return Delay(median(late), late[int(len(late) * 0.99)], late[-1])


def discovery(program: str, rounds: int) -> float:
    """Seconds from the death of a process to the log line that its check has failed; the median."""
    found = []
    with Lab() as lab:
        node = lab.node("a", {"eth0": "10.77.0.1/24"})
        with crowd(node, 50) as served:
            daemon = lab.start(program, node, text("/usr/bin/killall -0 served", 1, immediate=program == "kad"))
            lab.wait_holder(ADDRESS, node, seconds=30)
            for _ in range(rounds):
                moment = time.time()
                served.kill()
                served.wait()  # killall finds zombies too
                found.append(daemon.wait_log(r"VRRP_Script\(S0\) failed", 10, moment).time - moment)
                served = node.start(["/run/served", "1000"])
                daemon.wait_log(r"VRRP_Script\(S0\) succeeded", 10, moment)
                pause(lab, 0.3)
            served.kill()
            served.wait()
    return median(found)


@contextmanager
def crowd(node: Node, processes: int) -> Iterator[subprocess.Popen[bytes]]:
    """So many processes, of which one is called served: that one."""
    shutil.copy("/bin/sleep", node.files / "run" / "served")
    leader = node.start(["/bin/sh", "-c", _CROWD.format(others=processes - 1)])
    try:
        until = time.monotonic() + 30
        while sum(name in ("sleep", "served") for name in node.processes().values()) < processes:
            assert time.monotonic() < until, "the crowd is not there"
            time.sleep(0.05)
        yield leader
    finally:
        leader.kill()
        leader.wait()


def text(command: str, scripts: int, *, immediate: bool = False) -> str:
    more = "immediate" if immediate else ""
    blocks = "".join(
        f'vrrp_script S{number} {{\n script "{command}"\n interval 1\n weight 1\n {more}\n}}\n'
        for number in range(scripts)
    )
    tracked = "\n".join(f"S{number}" for number in range(scripts))
    tracks = f"track_script {{\n{tracked}\n}}" if scripts else ""
    return global_defs() + blocks + instance(priority=100, advert_int=ADVERT_INT, more=tracks)


def ticks(daemon: Daemon) -> int:
    """CPU time of the family and of all children that have ended."""
    total = 0
    for pid in daemon.family():
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:  # a program that ended meanwhile: its parent has its time
            continue
        total += sum(map(int, fields[11:15]))
    return total

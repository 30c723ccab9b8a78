"""Reversed weights, and weights of 0, of all that an instance or a group tracks: the same under kad and keepalived."""

from __future__ import annotations

import contextlib
import functools
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.texts import global_defs, instance

pytestmark = pytest.mark.lab

KINDS = {
    "keepalived": ("interface", "script", "file", "bfd"),
    # In a network namespace the kernel tells keepalived of no process.
    "kad": ("interface", "script", "file", "bfd", "process"),
}
NAMES = {"interface": "eth1", "script": "lamp", "file": "number", "bfd": "peer", "process": "lab-worker"}
"""What is tracked."""
DEFINITIONS = """
vrrp_script lamp {
    script "/usr/bin/test -e /etc/keepalived/lamp"
    interval 1
    weight 10 reverse
    user root
}
track_file number {
    file /etc/keepalived/number
    weight 10 reverse
}
bfd_instance peer {
    neighbor_ip NEIGHBOUR
    min_rx 50
    min_tx 50
    weight 10 reverse
}
"""
PROCESS = """
vrrp_track_process lab-worker {
    process lab-worker
    weight 10 reverse
}
"""
FAULT = 0
"""Instead of a priority: without address, and silent since its farewell."""


class Row(NamedTuple):
    """What follows the name of the thing, and what becomes of priority 100."""

    words: str
    good: int
    failing: int


LINKS = (
    Row("weight 10 reverse", 90, 100),
    Row("weight -10 reverse", 100, 110),
    Row("weight 0 reverse", FAULT, 100),
)
CONDITIONS = (
    *LINKS,
    # The definition is reversed, and what leaves that open is too.
    Row("", 90, 100),
    Row("weight 20", 80, 100),
    Row("weight 0", FAULT, 100),
    Row("weight 10 noreverse", 110, 100),
)
NUMBERS = (
    # The file holds 0, and 3 when it fails.
    Row("weight 10 reverse", 100, 70),
    Row("weight -10 reverse", 100, 130),
    Row("weight 0 reverse", FAULT, 100),
    Row("", 100, 70),
    Row("weight 20", 100, 40),
    Row("weight 0", FAULT, 100),
    Row("weight 10 noreverse", 100, 130),
)
SINGLE = {"interface": LINKS, "script": CONDITIONS, "file": NUMBERS, "bfd": CONDITIONS, "process": CONDITIONS}
GROUPS = {
    "interface": (*LINKS, Row("weight 0", 100, FAULT)),
    "file": (NUMBERS[0], NUMBERS[2], Row("weight 0 noreverse", 100, FAULT)),
} | dict.fromkeys(("script", "bfd", "process"), (CONDITIONS[0], CONDITIONS[2], Row("weight 0 noreverse", 100, FAULT)))


class Router(NamedTuple):
    """One instance of a row."""

    vrid: int
    kind: str
    row: Row
    group: bool

    @property
    def vip(self) -> str:
        return f"10.77.1.{self.vrid}"


def routers(kinds: Iterable[str]) -> Iterator[Router]:
    """An instance for each single row, two for each row of a group."""
    vrid = 0
    for kind in kinds:
        for group, rows in ((False, SINGLE[kind]), (True, GROUPS[kind])):
            for row in rows:
                for _ in range(1 + group):
                    vrid += 1
                    yield Router(vrid, kind, row, group)


def text(kinds: tuple[str, ...], neighbour: str) -> str:
    found = [global_defs("vrrp_garp_master_repeat 1"), DEFINITIONS.replace("NEIGHBOUR", neighbour)]
    found += [PROCESS] if "process" in kinds else []
    members: dict[str, list[str]] = {}
    for router in routers(kinds):
        tracks = f"track_{router.kind} {{\n {NAMES[router.kind]} {router.row.words}\n }}"
        if router.group:
            members.setdefault(tracks, []).append(f"VI_{router.vrid}")
        more = "" if router.group else tracks
        found.append(
            instance(f"VI_{router.vrid}", vrid=router.vrid, advert_int=0.3, addresses=(router.vip,), more=more)
        )
    found += [
        f"vrrp_sync_group G{number} {{\n group {{\n {' '.join(names)}\n }}\n {tracks}\n}}\n"
        for number, (tracks, names) in enumerate(members.items())
    ]
    return "".join(found)


class World:
    """Two nodes, and what is tracked on them: it is all good, or it all fails."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._workers: list[subprocess.Popen[bytes]] = []
        for number, name in enumerate(KINDS, start=1):
            node = lab.node(name, {})
            lab.add_interface(node, "eth0", "10.77.0.1/24", lan=name)
            lab.add_interface(node, "eth1", "10.78.0.1/24", lan=name)
            lab.add_interface(node, "eth2", f"10.79.0.{number}/24", lan="between")
            node.run("cp", "/usr/bin/sleep", "/etc/keepalived/lab-worker")
        self.is_good()

    def is_good(self) -> None:
        for node in self._lab.nodes.values():
            self._lab.heal(node)
            node.write("lamp", "")
            node.write("number", "0\n")
            self._workers.append(node.start(["/etc/keepalived/lab-worker", "60"]))

    def fails(self) -> None:
        for node in self._lab.nodes.values():
            self._lab.link_down(node, "eth1")
            self._lab.cut(node, "eth2")
            (node.files / "etc/lamp").unlink()
            node.write("number", "3\n")
        self.close()

    def close(self) -> None:
        while self._workers:
            worker = self._workers.pop()
            worker.kill()
            worker.wait()

    def agrees(self, column: str) -> None:
        """Each router of both nodes comes to be what that column of its row says."""
        begin = time.time()
        for name, kinds in KINDS.items():
            wanted = {router: getattr(router.row, column) for router in routers(kinds)}
            self._agrees(functools.partial(self._differing, self._lab.nodes[name], wanted, begin))

    def _agrees(self, differing: Callable[[], dict[Router, str]]) -> None:
        self._lab.hub.until(lambda: not differing(), 8, lambda: str(differing()))

    def _differing(self, node: Node, wanted: dict[Router, int], since: float) -> dict[Router, str]:
        """What each holds or said last, where that is something else."""
        held = node.watch.held()
        told = {router: "held" for router, priority in wanted.items() if (router.vip in held) is not bool(priority)}
        if not told:
            last = {advert.vrid: advert.priority for advert in self._lab.wire.adverts(node=node.name, since=since)}
            said = {router: last.get(router.vrid, FAULT) for router in wanted}
            told = {router: f"{priority}" for router, priority in said.items() if priority != wanted[router]}
        return told


def test_what_is_reversed_is_so_under_both(lab: Lab) -> None:
    with contextlib.closing(World(lab)) as world:
        for name, neighbour in (("keepalived", "10.79.0.2"), ("kad", "10.79.0.1")):
            lab.start(name, lab.nodes[name], text(KINDS[name], neighbour))
        world.agrees("good")
        world.fails()
        world.agrees("failing")
        world.is_good()
        world.agrees("good")

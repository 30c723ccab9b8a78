"""kad and keepalived, each on its node, with the same virtual servers and the same farm: their tables are the same."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from tests.lab.daemons import Kad, Keepalived
from tests.lab.lab import Lab, Node
from tests.vm import tables
from tests.vm.farm import NUMBERS, Farm, allow_ipv6
from tests.vm.services import KINDS, Kind, checks, services, text
from tests.vm.tables import Table

pytestmark = [pytest.mark.lab, pytest.mark.vm]

FOREIGN = "TCP 203.0.113.9:99"


@dataclass
class Life:
    """One life of both daemons beside one another, and what their tables were in each of its phases."""

    lab: Lab
    farm: Farm
    theirs: Node
    ours: Node
    keepalived: Keepalived
    kad: Kad
    found: dict[str, tuple[Table, Table]] = field(default_factory=dict)
    """By phase: keepalived's table and kad's."""
    timeouts: dict[str, tuple[str, str]] = field(default_factory=dict)
    """By phase: what ipvsadm says of them for keepalived and for kad."""
    daemons: dict[str, str] = field(default_factory=dict)
    """By phase: what ipvsadm says of the sync daemons of kad."""
    foreign: dict[str, bool] = field(default_factory=dict)
    """By phase: whether a service that somebody else made on kad's node is there."""
    _patience: float = 120

    def record(self, phase: str, expected: Callable[[Table], bool]) -> None:
        """The tables as soon as keepalived's is as expected, and kad's equal to it; what they are when it never is."""
        deadline = time.monotonic() + self._patience
        while True:
            theirs, ours = tables.read(self.theirs), tables.read(self.ours)
            self.foreign[phase] = ours.pop(FOREIGN, None) is not None
            if theirs == ours and expected(theirs):
                break
            if time.monotonic() > deadline:
                self._patience = 5
                print(f"{phase}: the tables differ, and the log of kad is\n{self.kad.log}")
                break
            time.sleep(0.3)
        self.found[phase] = theirs, ours
        self.timeouts[phase] = _listed(self.theirs, "--timeout"), _listed(self.ours, "--timeout")
        self.daemons[phase] = _listed(self.ours, "--daemon")

    def turn(self, phase: str, up: tuple[int, ...], changes: int) -> None:
        """These real servers listen, and keepalived has noticed so many changes of each virtual server."""
        mark = len(self.keepalived.lines)
        self.farm.listen(up)
        self.await_changes(mark, changes)
        self.record(phase, lambda table: True)

    def await_changes(self, mark: int, changes: int) -> None:
        def noticed() -> bool:
            lines = [line.text for line in self.keepalived.lines[mark:]]
            return sum("success." in line or "failed after" in line for line in lines) >= changes * checks()

        self.lab.hub.until(noticed, 30, lambda: f"keepalived notices {changes} changes\n{self.keepalived.log}")


def _listed(node: Node, what: str) -> str:
    return node.run("ipvsadm", "-L", what).stdout


@pytest.fixture(scope="module")
def life() -> Iterator[Life]:
    wanted = [*(f"ip_vs_{name}" for name in tables.MODULES.split()), "ip_vs_pe_sip"]
    subprocess.run(["modprobe", "-a", *wanted], check=True)
    with Lab(observed=False) as lab:
        farm = Farm(lab)
        theirs, ours = (lab.node(name, {"eth0": f"10.77.0.{at}/24"}) for at, name in ((2, "theirs"), (3, "ours")))
        for at, node in ((2, theirs), (3, ours)):
            allow_ipv6(node, f"fd00:77::{at}/64")
        life = Life(lab, farm, theirs, ours, lab.start_keepalived(theirs, text()), lab.start_kad(ours, text()))
        live(life)
        farm.close()
        yield life


def live(life: Life) -> None:
    life.await_changes(0, 3)
    life.record("start", lambda table: True)
    life.turn("1 is down", (2, 3), 1)
    life.turn("2 is down", (1, 3), 2)
    life.turn("3 is down", (1, 2), 2)
    life.turn("all are down", (), 2)
    life.turn("all are up", NUMBERS, 3)
    life.ours.run("ipvsadm", "-A", "-t", FOREIGN.split()[1], "-s", "rr")
    for daemon in (life.keepalived, life.kad):
        daemon.reload(text(reloaded=True))
    third = ("10.77.0.13:", "[fd00:77::13]:")
    life.record("reloaded", lambda table: not any(address in str(table) for address in third))
    for daemon in (life.keepalived, life.kad):
        daemon.stop(30)
    life.record("stopped", lambda table: not table)


@pytest.mark.parametrize("kind", [pytest.param(kind, id=kind.name) for kind in KINDS])
def test_the_table_of_kad_is_that_of_keepalived(life: Life, kind: Kind) -> None:
    for service in services(kind):
        for phase, (theirs, ours) in life.found.items():
            assert str(ours.get(service)) == str(theirs.get(service)), f"{service} when {phase}"
        seen = {phase: theirs.get(service) for phase, (theirs, _) in life.found.items()}
        assert seen["start"] is not None
        assert seen["stopped"] is None
        if kind.checked:
            assert len({seen[phase] for phase in ("start", "1 is down", "2 is down", "3 is down")}) > 1


def test_there_is_no_service_but_those(life: Life) -> None:
    named = {service for kind in KINDS for service in services(kind)}
    leaving = {service for kind in KINDS if kind.leaves for service in services(kind)}
    ends = {"reloaded": named - leaving, "stopped": set()}
    for phase, (_, ours) in life.found.items():
        assert set(ours) == ends.get(phase, named), phase


def test_timeouts_are_those_of_keepalived(life: Life) -> None:
    assert [ours for _, ours in life.timeouts.values()] == [theirs for theirs, _ in life.timeouts.values()]
    assert life.timeouts["start"][1] == "Timeout (tcp tcpfin udp): 1000 50 77\n"
    # The kernel's own.
    assert life.timeouts["stopped"][1] == "Timeout (tcp tcpfin udp): 900 120 300\n"


def test_sync_daemons_begin_and_end_with_their_word(life: Life) -> None:
    how = "(mcast=eth0, syncid=7, maxlen=1200, group=224.0.0.99, port=9000, ttl=3)"
    assert life.daemons["start"] == ""
    assert life.daemons["reloaded"] == f"master sync daemon {how}\nbackup sync daemon {how}\n"
    assert life.daemons["stopped"] == ""


def test_what_somebody_else_made_is_left_alone(life: Life) -> None:
    assert [phase for phase, there in life.foreign.items() if there] == ["reloaded", "stopped"]

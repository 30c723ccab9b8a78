"""Many virtual servers of four real servers each: started, reloaded, asked, healed, and nobody is deaf meanwhile."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.lab.daemons import Kad
from tests.lab.lab import Lab
from tests.vm.netlink_monitor import NetlinkMonitor

pytestmark = [pytest.mark.lab, pytest.mark.vm(guest="directors")]

REALS = (1, 2, 3, 4)
PATIENCE = 120
"""Seconds, for ten thousand virtual servers under emulation."""


def text(count: int) -> str:
    return "".join(
        f"virtual_server {address(number)} 80 {{\nlb_algo rr\nlb_kind DR\nprotocol TCP\n"
        + "".join(f"real_server 192.168.{real}.{number % 250 + 1} 80 {{\n}}\n" for real in REALS)
        + "}\n"
        for number in range(count)
    )


def address(number: int) -> str:
    return f"10.100.{number >> 8}.{number & 255}"


@dataclass
class Crowd:
    lab: Lab
    kad: Kad
    monitor: NetlinkMonitor
    count: int

    def listed(self) -> tuple[int, int]:
        """Services and destinations in the kernel's table."""
        lines = self.kad.node.run("cat", "/proc/net/ip_vs", seconds=PATIENCE).stdout.splitlines()[3:]
        destinations = sum("->" in line for line in lines)
        return len(lines) - destinations, destinations

    def saved(self, number: int) -> list[str]:
        done = self.kad.node.ask("ipvsadm", "-L", "-n", "-t", f"{address(number)}:80")
        return [" ".join(line.split()[:4]) for line in done.stdout.splitlines() if "->" in line][1:]

    def ask(self, *words: str) -> str:
        command = (sys.executable, "-m", "kad", *words, "--runtime-dir", self.kad.runtime_dir)
        done = self.kad.node.ask(*command, seconds=PATIENCE)
        assert done.returncode == 0, f"{words}: {done.returncode} {done.stderr}"
        return done.stdout

    def reload(self, wanted: str) -> list[str]:
        """The commands by which the table is changed for it."""
        self.monitor.changes()
        moment = self.kad.reload(wanted)
        self.kad.wait_log("Reload (complete|refused)", PATIENCE, since=moment)
        self.kad.wait_log("virtual servers: ", 5, since=moment)
        self.lab.hub.until(lambda: self.settled() or None, 10, "the table is programmed")
        return self.monitor.changes()

    def settled(self) -> bool:
        dumped = json.loads(self.ask("--dump", "ipvs"))
        return not dumped["services_waiting"]


@pytest.fixture(scope="module", params=[200, pytest.param(10000, marks=[pytest.mark.soak, pytest.mark.timeout(1500)])])
def crowd(request: pytest.FixtureRequest) -> Iterator[Crowd]:
    count: int = request.param
    subprocess.run(["modprobe", "-a", "ip_vs", "ip_vs_rr"], check=True)
    with Lab(observed=False) as lab:
        node = lab.node("director", {"eth0": "10.77.0.2/24"})
        monitor = NetlinkMonitor(lab.hub, node)
        kad = lab.start_kad(node, text(count))
        kad.wait_log("Startup complete", PATIENCE)
        crowd = Crowd(lab, kad, monitor, count)
        yield crowd
        monitor.close()


def test_all_of_them_are_in_the_table(crowd: Crowd) -> None:
    # What nobody checks is nothing to tell of, forty thousand times.
    assert not crowd.kad.logged("it has no checks")
    wanted = (crowd.count, crowd.count * len(REALS))
    crowd.lab.hub.until(lambda: crowd.listed() == wanted or None, PATIENCE, lambda: f"{wanted}, not {crowd.listed()}")
    assert crowd.saved(7) == [f"-> 192.168.{real}.8:80 Route 1" for real in REALS]


def test_it_answers(crowd: Crowd) -> None:
    dumped = json.loads(crowd.ask("--dump", "ipvs"))
    assert len(dumped["virtual_servers"]) == crowd.count
    lines = crowd.ask("--status").splitlines()
    assert lines[7] == f"virtual_server {address(7)} 80: quorum up, 4 of 4 real servers serve"
    assert len(lines) == crowd.count
    whole = json.loads(crowd.ask("--dump"))
    assert len(whole["ipvs"]["virtual_servers"]) == crowd.count
    assert "checker" in whole


def test_a_reload_sends_the_commands_of_what_changed_alone(crowd: Crowd) -> None:
    before = text(crowd.count)
    changed = before.replace("192.168.3.8 80 {\n}", "192.168.3.8 80 {\nweight 9\n}", 1)
    assert crowd.reload(changed) == ["SET_DEST"]
    assert crowd.saved(7)[2] == "-> 192.168.3.8:80 Route 9"
    assert crowd.reload(before.replace("real_server 192.168.3.8 80 {\n}\n", "", 1)) == ["DEL_DEST"]


def test_what_somebody_changes_is_put_right_and_nobody_was_deaf(crowd: Crowd) -> None:
    for number in (5, 6):
        crowd.kad.node.run("ipvsadm", "-D", "-t", f"{address(number)}:80")
    # Whoever is to change what is gone looks at everything again soon.
    crowd.reload(text(crowd.count).replace("192.168.2.6 80 {\n}", "192.168.2.6 80 {\nweight 7\n}", 1))
    assert crowd.saved(5)[1] == "-> 192.168.2.6:80 Route 7"
    crowd.lab.hub.until(lambda: len(crowd.saved(6)) == len(REALS) or None, PATIENCE, "it is put right")
    crowd.kad.wait_log("somebody else changed it", 5)
    assert not crowd.kad.logged("killing|does not answer")
    assert len(crowd.kad.logged("Starting the ipvs process")) == 1

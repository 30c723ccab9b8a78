"""Quorum, alpha, omega, ha_suspend, drain, lvs_flush and lvs_timeouts over two lives of kad, beside keepalived."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import pytest

from tests.lab.daemons import Daemon, Kad
from tests.lab.lab import Lab, Node
from tests.vm.farm import Farm

pytestmark = [pytest.mark.lab, pytest.mark.vm(guest="directors")]

FOREIGN = "203.0.113.9:99"
BEFORE = "800 100 200"
"""Seconds of tcp, tcpfin and udp before any daemon ran; the kernel's own are 900 120 300."""
QUORUM, PLAIN, HOME, RANGE, MARK, DRAINED = (
    "192.0.2.1:80",
    "192.0.2.2:80",
    "192.0.2.3:80",
    "192.0.2.12:80",
    "7",
    "192.0.2.4:81",
)
ALL = {11: 1, 12: 2, 13: 3}
SORRY = {19: 1}


def _service(head: str, words: str = "", programs: str = "", port: int = 80) -> str:
    """Three real servers of the weights 1, 2 and 3."""
    reals = "".join(
        f"""
    real_server 10.77.0.1{number} {port} {{
        weight {number}
        {f'notify_up "/etc/keepalived/tell {programs} {number} up"' if programs else ""}
        {f'notify_down "/etc/keepalived/tell {programs} {number} down"' if programs else ""}
        TCP_CHECK {{
            connect_port {Farm.PORT}
            connect_timeout 2
            retry 0
        }}
    }}"""
        for number in (1, 2, 3)
    )
    told = (
        f"""
    quorum_up "/etc/keepalived/tell {programs} quorum up"
    quorum_down "/etc/keepalived/tell {programs} quorum down"
"""
        if programs
        else ""
    )
    return f"""
virtual_server {head} {{
    delay_loop 1
    warmup 0
    lb_algo rr
    lb_kind NAT
    {words}
    {told}
    {reals}
}}
"""


def text(globals: str, *, reloaded: bool = False) -> str:
    """All services; a reload gives one of them another scheduler."""
    defaults = f"global_defs {{\nscript_user root\nenable_script_security\n{globals}\n}}\n"
    group = "virtual_server_group range {\n192.0.2.10-14 80\n}\n"
    sorry = "protocol TCP\nalpha\nomega\nquorum 4\nhysteresis 1\nsorry_server 10.77.0.19 99"
    services = (
        _service("192.0.2.1 80", sorry, "omega"),
        _service("192.0.2.2 80", "protocol TCP\nquorum 6", "plain"),
        _service("192.0.2.3 80", "protocol TCP\nha_suspend"),
        _service("group range", "protocol TCP\nha_suspend"),
        _service("fwmark 7", "ha_suspend"),
        _service("192.0.2.4 81", "protocol TCP", port=81).replace(" rr", " wlc" if reloaded else " rr"),
    )
    return defaults + group + "".join(services)


class Step(NamedTuple):
    """What is done, and what is there afterwards: weights by real server, and words that programs were told."""

    listening: tuple[int, ...]
    quorum: dict[int, int]
    plain: dict[int, int]
    told: list[str]
    home: dict[int, int] = ALL
    """What ha_suspend leaves of a service whose address comes and goes."""
    address: str = ""
    """`add` or `del`: what becomes of the addresses on the directors, first of all."""
    theirs: tuple[str, ...] = ()
    """What keepalived 2.2.7 says besides: that a quorum is reached which never was lost."""


def _down(name: str, *what: str) -> list[str]:
    return [f"{name} {one} down" for one in what]


def _up(name: str, *what: str) -> list[str]:
    return [f"{name} {one} up" for one in what]


STEPS = {
    "all are down at the start": Step(
        (),
        SORRY,
        {},
        [*_down("omega", "quorum", "1", "2", "3"), *_down("plain", "quorum", "1", "2", "3")],
        theirs=("plain quorum up",),
    ),
    "5 is a gain": Step(
        (2, 3), {12: 2, 13: 3}, {12: 2, 13: 3}, [*_up("omega", "2", "3", "quorum"), *_up("plain", "2", "3")]
    ),
    "3 is no loss": Step((3,), {13: 3}, {13: 3}, [*_down("omega", "2"), *_down("plain", "2")]),
    "all are up": Step((1, 2, 3), ALL, ALL, [*_up("omega", "1", "2"), *_up("plain", "1", "2", "quorum")]),
    "2 is a loss": Step(
        (2,), SORRY, {12: 2}, [*_down("omega", "1", "3", "quorum"), *_down("plain", "1", "3", "quorum")]
    ),
    "all are down, and the address has come": Step(
        (), SORRY, {}, [*_down("omega", "2"), *_down("plain", "2")], {}, "add"
    ),
    "4 is no gain, and the address has gone": Step(
        (1, 3), SORRY, {11: 1, 13: 3}, [*_up("omega", "1", "3"), *_up("plain", "1", "3")], {}, "del"
    ),
    "all return": Step((1, 2, 3), ALL, ALL, [*_up("omega", "2", "quorum"), *_up("plain", "2", "quorum")], ALL, "add"),
}
"""In whatever order the checks of a step end, it leads there. Quorum 4 and hysteresis 1: from 5 on, until under 3."""


@dataclass
class Site:
    lab: Lab
    farm: Farm
    theirs: Node
    ours: Node
    daemons: list[Daemon] = field(default_factory=list)
    """keepalived and kad."""

    @property
    def kad(self) -> Kad:
        assert isinstance(self.daemons[1], Kad)
        return self.daemons[1]

    @property
    def nodes(self) -> tuple[Node, Node]:
        return self.theirs, self.ours

    def start(self, written: str) -> None:
        self.daemons = [self.lab.start_keepalived(self.theirs, written), self.lab.start_kad(self.ours, written)]
        for daemon in self.daemons:
            daemon.wait_log("Startup complete", 20)

    def table(self, node: Node) -> dict[str, dict[int, int]]:
        """Weights by the last number of each destination, by service."""
        found: dict[str, dict[int, int]] = {}
        for line in node.run("ipvsadm", "-S", "-n").stdout.splitlines():
            words = line.split()
            weights = found.setdefault(words[2], {})
            if words[0] == "-a":
                weights[int(words[4].rpartition(":")[0].rpartition(".")[2])] = int(words[-1])
        return found

    def told(self, node: Node) -> list[str]:
        """What programs have said since wait_told."""
        return sorted((node.files / "etc" / "told").read_text().splitlines())

    def wait_told(self, node: Node, wanted: list[str]) -> None:
        """Exactly this has been said, in any order."""
        try:
            self.lab.hub.until(
                lambda: self.told(node) == sorted(wanted),
                2,
                lambda: f"{node.name}: {sorted(wanted)}, not {self.told(node)}",
            )
        finally:
            node.write("told", "")

    def timeouts(self, node: Node) -> str:
        return node.run("ipvsadm", "-L", "--timeout").stdout.partition("): ")[2].strip()

    def foreign(self, *nodes: Node) -> None:
        """Somebody else makes a service."""
        for node in nodes:
            node.run("ipvsadm", "-A", "-t", FOREIGN, "-s", "rr")

    def wait(self, node: Node, services: dict[str, dict[int, int]]) -> None:
        """These services are as they are here."""

        def same() -> bool:
            table = self.table(node)
            return all(table.get(name) == weights for name, weights in services.items())

        self.lab.hub.until(same, 2, lambda: f"{node.name}: {services}, not {self.table(node)}")


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    subprocess.run(["modprobe", "-a", "ip_vs", "ip_vs_rr", "ip_vs_wlc"], check=True)
    with Lab(observed=False) as lab:
        farm = Farm(lab)
        farm.listen(())
        theirs, ours = (lab.node(name, {"eth0": f"10.77.0.{at}/24"}) for at, name in ((2, "theirs"), (3, "ours")))
        site = Site(lab, farm, theirs, ours)
        for node in site.nodes:
            node.write("told", "")
            node.write("tell", '#!/bin/sh\necho "$*" >>/etc/keepalived/told\n', 0o755)
            node.run("ipvsadm", "--set", *BEFORE.split())
        site.foreign(theirs, ours)
        site.start(text("lvs_timeouts tcp 1000 tcpfin 50 udp 77\nlvs_flush"))
        yield site
        farm.close()


@pytest.mark.parametrize("name", STEPS)
def test_quorum_and_programs_and_suspended_checks(site: Site, name: str) -> None:
    step = STEPS[name]
    if step.address:
        for node, last in ((site.theirs, 3), (site.ours, 3), (site.ours, 12)):
            node.run("ip", "addr", step.address, f"192.0.2.{last}/32", "dev", "lo")
    site.farm.listen(step.listening)
    alive = {number: weight for number, weight in ALL.items() if number - 10 in step.listening}
    wanted = {QUORUM: step.quorum, PLAIN: step.plain, HOME: step.home}
    site.wait(site.theirs, wanted)
    # keepalived never checks a group or a mark that suspends; kad looks for each address of a range, a mark has none.
    site.wait(site.ours, {**wanted, RANGE: step.home, MARK: alive})
    site.wait_told(site.theirs, [*step.told, *step.theirs])
    site.wait_told(site.ours, step.told)


def test_the_start_alone_flushed_the_table(site: Site) -> None:
    assert all(FOREIGN not in site.table(node) for node in site.nodes)
    site.foreign(site.ours)
    begun = len(site.kad.lines)
    os.kill(site.kad.child("ipvs"), signal.SIGKILL)

    def serves() -> bool:
        return any("virtual servers: 6" in line.text for line in site.kad.lines[begun:])

    site.lab.hub.until(serves, 5, lambda: f"another ipvs process\n{site.kad.log}")
    assert FOREIGN in site.table(site.ours)
    assert [site.timeouts(node) for node in site.nodes] == ["1000 50 77"] * 2


def test_a_drain_outlives_a_reload(site: Site) -> None:
    site.ours.run("ip", "addr", "add", "192.0.2.4/32", "dev", "lo")
    connections = []
    for _ in ALL:
        opened = site.ours.socket(socket.AF_INET, socket.SOCK_STREAM)
        opened.settimeout(5)
        # Not from the address of the service: the farm would not find its way back.
        opened.bind(("10.77.0.3", 0))
        opened.connect(("192.0.2.4", 81))
        connections.append(opened)
    words = ("192.0.2.4 81", "10.77.0.12 81")
    assert site.kad.ask("--drain", *words).returncode == 0
    site.wait(site.ours, {DRAINED: {**ALL, 12: 0}})
    site.kad.reload(text("lvs_timeouts tcp 1000 tcpfin 50 udp 77\nlvs_flush", reloaded=True))

    def scheduler() -> bool:
        return f"-A -t {DRAINED} -s wlc" in site.ours.run("ipvsadm", "-S", "-n").stdout

    site.lab.hub.until(scheduler, 10, "the reload is done")
    assert site.table(site.ours)[DRAINED] == {**ALL, 12: 0}
    assert FOREIGN in site.table(site.ours)
    for connection in connections:
        connection.close()
    site.wait(site.ours, {DRAINED: {11: 1, 13: 3}})
    assert site.kad.ask("--undrain", *words).returncode == 0
    site.wait(site.ours, {DRAINED: ALL})


def test_a_daemon_that_was_killed_whole_gives_back_the_timeouts_that_were_before_it(site: Site) -> None:
    for daemon in site.daemons:
        daemon.kill()
    table = site.table(site.ours)
    site.start(text("lvs_timeouts tcp 1000 tcpfin 50 udp 99\nlvs_flush_on_stop VS"))
    site.wait(site.theirs, {QUORUM: ALL, PLAIN: ALL})
    site.wait(site.ours, table)
    assert [site.timeouts(node) for node in site.nodes] == ["1000 50 99"] * 2
    # What is alpha has begun anew: it is up once its checks say so.
    told = [*_down("omega", "quorum"), *_up("omega", "quorum", "1", "2", "3")]
    site.wait_told(site.theirs, [*told, "plain quorum up"])
    site.wait_told(site.ours, told)
    for daemon in site.daemons:
        assert daemon.stop(30) == 0
    # omega alone says farewell; keepalived does not speak of servers that go with their service.
    site.wait_told(site.theirs, _down("omega", "quorum"))
    site.wait_told(site.ours, _down("omega", "quorum", "1", "2", "3"))
    assert site.table(site.ours) == {FOREIGN: {}}
    # keepalived takes for the kernel's what its own earlier life had set.
    assert site.timeouts(site.theirs) == "1000 50 77"
    assert site.timeouts(site.ours) == BEFORE

"""How many checks the checker process can make, and what one costs beside keepalived on a kernel with ip_vs."""

from __future__ import annotations

import json
import os
import shlex
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from tests.bench.cost import process_seconds
from tests.bench.load import pause
from tests.lab.backends import Backends, addresses, configuration, connections
from tests.lab.daemons import Daemon, Kad
from tests.lab.lab import Lab
from tests.lab.late_answers import late_answers
from tests.lab.namespaces import PROJECT
from tests.vm.guest import Guest
from tests.vm.kernel import kernel

CHECKS = {"TCP_CHECK": "TCP_CHECK {\n}", "HTTP_GET": "HTTP_GET {\nurl {\npath /\n}\n}"}
PROGRAMS = ("keepalived", "kad")
_MANY = 2000
_RATE = 100
_FILE = "costs"


class Speed(NamedTuple):
    """Of kad's checker process when there is more to do than it can."""

    rate: float
    """Checks a second."""
    core: float
    """Share of a core that it had."""


def speed(check: str, *, seconds: float = 5) -> Speed:
    """The checker has one core to itself, the servers have the other; without IPVS the checks are made all the same."""
    with Lab(observed=False) as lab:
        backends = Backends(lab, processor=1)
        client = backends.client("client")
        text = configuration(dict.fromkeys(addresses(_MANY), CHECKS[check]), "delay_loop 0.01\nwarmup 0")
        kad = lab.start_kad(client, text)
        lab.hub.until(lambda: connections(client) > 2 * _MANY, 60, lambda: f"checks are made\n{kad.log}")
        checker = kad.child("checker")
        os.sched_setaffinity(checker, {0})
        pause(lab, 1)
        begin, made, spent = time.monotonic(), connections(client), process_seconds(checker)
        pause(lab, seconds)
        took, made, spent = time.monotonic() - begin, connections(client) - made, process_seconds(checker) - spent
        assert not kad.logged("is failed"), kad.log
        return Speed(made / took, spent / took)


def waiting(count: int) -> float:
    """Megabytes that the checker has when so many checks wait at once; raises AssertionError for a false verdict."""
    with Lab(observed=False) as lab:
        return late_answers(lab, count) / 1e6


class Cost(NamedTuple):
    """CPU milliseconds a check."""

    checker: float
    """Of the process that checks."""
    family: float
    """Of all processes of the daemon."""


def costs(rounds: int) -> list[dict[str, dict[str, Cost]]]:
    """By check and program, in each round, as measured in a guest that has ip_vs."""
    with tempfile.TemporaryDirectory(prefix="kad-vm-") as name:
        folder = Path(name)
        words = shlex.join([sys.executable, "-m", "tests.bench.checks", str(rounds), f"/run/report/{_FILE}"])
        path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        guest = Guest(kernel(), f"export HOME=/root PATH={path}\ncd {shlex.quote(str(PROJECT))}\n{words}\n", folder)
        try:
            while guest.alive:
                time.sleep(0.5)
            found = folder / _FILE
            assert found.exists(), f"the guest measured nothing; its console:\n{guest.console[-5000:]}"
            return [
                {check: {program: Cost(*cost) for program, cost in each.items()} for check, each in one.items()}
                for one in json.loads(found.read_text())
            ]
        finally:
            guest.close()


def cost(program: str, check: str, *, seconds: float = 8) -> Cost:
    """Of a hundred checks a second."""
    with Lab(observed=False) as lab:
        client = Backends(lab).client("client")
        text = configuration(dict.fromkeys(addresses(_RATE), CHECKS[check]), "delay_loop 1\nwarmup 1")
        daemon = lab.start(program, client, text)
        lab.hub.until(lambda: connections(client) > 3 * _RATE, 60, lambda: f"checks are made\n{daemon.log}")
        made, spent = connections(client), seconds_of(daemon)
        pause(lab, seconds)
        made = connections(client) - made
        each = {pid: now - spent.get(pid, 0.0) for pid, now in seconds_of(daemon).items()}
        return Cost(each[checker(daemon)] / made * 1000, sum(each.values()) / made * 1000)


def seconds_of(daemon: Daemon) -> dict[int, float]:
    """CPU seconds so far by process."""
    return {pid: process_seconds(pid) for pid in daemon.family()}


def checker(daemon: Daemon) -> int:
    """keepalived's children bear the name of the parent; the only one is that of the checks."""
    return daemon.child("checker") if isinstance(daemon, Kad) else max(daemon.family())


if __name__ == "__main__":
    measured = [
        {check: {program: cost(program, check) for program in PROGRAMS} for check in CHECKS}
        for _ in range(int(sys.argv[1]))
    ]
    Path(sys.argv[2]).write_text(json.dumps(measured))

"""MISC_CHECK from outside: probes that kad answers itself, programs that hang or are missing, a runner that dies."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.lab.daemons import Kad
from tests.lab.executions import Executions
from tests.lab.lab import Lab, Node
from tests.lab.texts import global_defs

pytestmark = pytest.mark.lab

Pair = tuple[Lab, Node, Node]


def checked(*programs: tuple[str, str], delay_loop: float = 0.2) -> str:
    """One server for each program, with more words of its check."""
    servers = "".join(
        f'real_server 192.0.2.{number} 80 {{\n MISC_CHECK {{\n misc_path "{program}"\n {more}\n }}\n}}\n'
        for number, (program, more) in enumerate(programs, start=20)
    )
    words = f"delay_loop {delay_loop}\n warmup 0\n lb_algo rr\n lb_kind NAT\n protocol TCP\n"
    return global_defs() + f"virtual_server 192.0.2.9 80 {{\n{words}{servers}}}\n"


def started(lab: Lab, node: Node, text: str) -> Kad:
    daemon = lab.start_kad(node, text)
    daemon.wait_log("real servers are checked")
    return daemon


def verdicts(daemon: Kad) -> list[tuple[bool, str]]:
    servers: list[dict[str, Any]] = daemon.dump("checker")["servers"]
    return [(server["healthy"], server["reason"]) for server in servers if server["known"]]


@pytest.fixture
def executions(lab: Lab) -> Iterator[Executions]:
    made = Executions(lab.hub)
    yield made
    made.close()


def test_a_probe_is_answered_without_a_program(pair: Pair, executions: Executions) -> None:
    lab, a, _ = pair
    shutil.copy("/bin/sleep", a.files / "run" / "served")
    process = a.start(["/run/served", "1000"])
    probe = "killall -0 served && exit 0 || exit 1"
    daemon = started(lab, a, checked((probe, "")))
    lab.hub.until(lambda: [good for good, _ in verdicts(daemon)] == [True], 5, "the server is healthy")
    process.kill()
    process.wait()
    daemon.wait_log(r"Misc check by \[killall -0 served .*\] failed.*no process served", seconds=3)
    runner = daemon.child("runner")
    assert (executions.of(runner), executions.forks_of(runner)) == (0, 0)


def test_each_way_not_to_succeed(pair: Pair) -> None:
    lab, a, _ = pair
    a.write("hang.sh", "#!/bin/sh\ntrap '' TERM\nwhile :; do sleep 1; done\n", 0o755)
    a.write("count.sh", "#!/bin/sh\necho run >>/run/runs\necho no disk; exit 3\n", 0o755)
    daemon = started(
        lab,
        a,
        checked(
            ("/etc/keepalived/hang.sh", "misc_timeout 1"),
            ("/etc/keepalived/count.sh", ""),
            ("/no/such/program", ""),
        ),
    )
    begin = time.time()
    expected = [
        (False, "MISC_CHECK /etc/keepalived/hang.sh: the program timed out after 1 s"),
        (False, "MISC_CHECK /etc/keepalived/count.sh: exited with status 3: no disk"),
        (
            False,
            "MISC_CHECK /no/such/program: the program could not be run: starting /no/such/program: "
            "No such file or directory",
        ),
    ]
    lab.hub.until(lambda: verdicts(daemon) == expected, 6, lambda: f"each with its reason: {verdicts(daemon)}")
    # The one that hangs ignores TERM: its time was over long before it was dead.
    failed = daemon.wait_log(r"Misc check by \[/etc/keepalived/hang.sh\] failed")
    assert failed.time - begin < 1 + 1 + 1


def test_a_runner_that_dies_fails_no_server(pair: Pair) -> None:
    lab, a, _ = pair
    a.write("slow.sh", "#!/bin/sh\necho run >>/run/runs\nsleep 0.5\n", 0o755)
    daemon = started(lab, a, checked(("/etc/keepalived/slow.sh", "misc_timeout 1")))
    lab.hub.until(lambda: [good for good, _ in verdicts(daemon)] == [True], 5, "the server is healthy")
    runs = lambda: len(a.read_run("runs").splitlines())  # noqa: E731
    before = runs()
    lab.hub.until(lambda: runs() > before, 3, "a run has begun")
    os.kill(daemon.child("runner"), signal.SIGKILL)
    daemon.wait_log("a check cannot be made: the process that ran the program was replaced", seconds=9)
    before = runs()
    lab.hub.until(lambda: runs() > before, 3, "it is run again")
    assert not daemon.logged("Misc check by .* failed")
    assert [good for good, _ in verdicts(daemon)] == [True]

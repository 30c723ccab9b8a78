"""vrrp_track_process: real processes in a node with a process table of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest

from tests.lab.daemons import Kad
from tests.lab.lab import Lab, Node
from tests.lab.texts import global_defs, instance

pytestmark = pytest.mark.lab

VIP = "10.77.0.100"
Pair = tuple[Lab, Node, Node]
Starter = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start(pair: Pair) -> Iterator[Starter]:
    """Starts /run/served in node a."""
    _, a, _ = pair
    shutil.copy("/bin/sleep", a.files / "run" / "served")
    started = []

    def begin(*words: str) -> subprocess.Popen[bytes]:
        process = a.start(["/run/served", *(words or ("1000",))])
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.wait()


def is_replaced(daemon: Kad, old: int) -> bool:
    try:
        return daemon.child("runner") != old
    except LookupError:
        return False


def tracking(process: str = "served", *, more: str = "", priority: int = 100) -> str:
    block = f"vrrp_track_process counted {{\n process {process}\n {more}\n}}\n"
    return global_defs() + block + instance(priority=priority, more="track_process {\n counted\n }")


def test_without_the_process_it_is_a_fault(pair: Pair, start: Starter) -> None:
    lab, a, _ = pair
    daemon = lab.start_kad(a, tracking())
    daemon.wait_log(r"\(VI_1\) Entering FAULT STATE.*0 of process served run, 1 or more wanted")
    served = start()
    lab.wait_holder(VIP, a, seconds=5)
    moment = time.time()
    served.kill()
    lab.wait_holder(VIP, seconds=2)
    line = daemon.wait_log(r"Entering FAULT STATE.*served", since=moment)
    # Milliseconds on a quiet machine; far less than the second after which everything is looked at anyway.
    assert line.time - moment < 0.3
    assert "(pid " in line.text


def test_the_weight_counts_while_the_quorum_is_there(pair: Pair, start: Starter) -> None:
    lab, a, _ = pair
    lab.start_kad(a, tracking(more="weight 30\n quorum 2\n quorum_max 3"))
    lab.wire.wait_advert(node="a", priority=100, seconds=5)
    running = [start(), start()]
    lab.wire.wait_advert(node="a", priority=130, seconds=3)
    running += [start(), start()]
    lab.wire.wait_advert(node="a", priority=100, seconds=3)
    running.pop().kill()
    lab.wire.wait_advert(node="a", priority=130, seconds=2)


def test_a_restart_within_the_delay_moves_nothing(pair: Pair, start: Starter) -> None:
    lab, a, _ = pair
    served = start()
    lab.start_kad(a, tracking(more="weight 30\n terminate_delay 2.5"))
    lab.wire.wait_advert(node="a", priority=130, seconds=5)
    moment = time.time()
    served.kill()
    again = start()
    lab.hub.never(
        lambda: [advert for advert in lab.wire.adverts(node="a", since=moment) if advert.priority != 130], 3, "130"
    )
    again.kill()
    lab.wire.wait_advert(node="a", priority=100, seconds=4)


@pytest.mark.parametrize(
    ("process", "more", "good", "other"),
    [
        ("/run/served", "full_command", ("1000",), None),
        ("/run/served 1000", "", ("1000",), ("1001",)),
        ("/run/served 1000", "param_match partial", ("1000", "0.5"), ("1001",)),
        ("/run/served 1000", "param_match initial", ("10000",), ("2000",)),
    ],
)
def test_the_command_line_is_compared(
    pair: Pair, start: Starter, process: str, more: str, good: tuple[str, ...], other: tuple[str, ...] | None
) -> None:
    lab, a, _ = pair
    daemon = lab.start_kad(a, tracking(process, more=f"weight 30\n {more}"))
    lab.wire.wait_advert(node="a", priority=100, seconds=5)
    if other is not None:
        start(*other)
        lab.hub.never(lambda: daemon.logged("Quorum gained"), 1.5, "another command")
    start(*good)
    lab.wire.wait_advert(node="a", priority=130, seconds=3)


def test_nginx_is_counted_with_its_workers_and_over_a_reload(pair: Pair) -> None:
    lab, a, _ = pair
    a.write("nginx.conf", "worker_processes 2; pid /run/nginx.pid; error_log /run/error.log; events {}\n")
    lab.start_kad(a, tracking("nginx", more="weight 30\n quorum 3\n terminate_delay 1.5"))
    lab.wire.wait_advert(node="a", priority=100, seconds=5)
    a.run("nginx", "-c", "/etc/keepalived/nginx.conf")
    lab.wire.wait_advert(node="a", priority=130, seconds=3)
    moment = time.time()
    a.run("nginx", "-c", "/etc/keepalived/nginx.conf", "-s", "reload")
    lab.hub.never(
        lambda: [advert for advert in lab.wire.adverts(node="a", since=moment) if advert.priority != 130], 3, "130"
    )
    a.run("nginx", "-c", "/etc/keepalived/nginx.conf", "-s", "stop")
    lab.wire.wait_advert(node="a", priority=100, seconds=4)


def test_a_reload_and_a_new_runner_leave_the_verdict_alone(pair: Pair, start: Starter) -> None:
    lab, a, _ = pair
    start()
    daemon = lab.start_kad(a, tracking(more="weight 30"))
    lab.wire.wait_advert(node="a", priority=130, seconds=5)
    moment = daemon.reload(tracking(more="weight 30\n delay 1"))
    daemon.wait_log("[Rr]eload", since=moment)
    old = daemon.child("runner")
    os.kill(old, signal.SIGKILL)
    lab.hub.until(lambda: is_replaced(daemon, old), 2, "another runner")
    lab.hub.never(
        lambda: [advert for advert in lab.wire.adverts(node="a", since=moment) if advert.priority != 130], 2, "130"
    )


def test_what_is_wrong_with_a_block_is_said(pair: Pair) -> None:
    _, a, _ = pair
    text = tracking("/run/served", more="quorum 3\n quorum_max 2").replace(
        "track_process {", "track_process {\n nope\n"
    )
    a.write("kad.conf", text)
    done = a.kad("-t", "-f", "/etc/keepalived/kad.conf")
    assert done.returncode == 5
    assert "quorum_max 2 is less than quorum 3; quorum_max is ignored" in done.stderr
    assert (
        "/run/served is a path, which is never the short name of a process; the whole command is compared"
        in done.stderr
    )
    assert "there is no vrrp_track_process nope" in done.stderr

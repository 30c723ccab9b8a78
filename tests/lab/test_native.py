"""The course's HA nginx with its two probes: each death and each file moves the address, and no program is started."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.executions import Executions
from tests.lab.lab import Lab, Node
from tests.lab.texts import global_defs, instance

pytestmark = pytest.mark.lab

COURSE = Path(__file__).parent / "configurations" / "course" / "ha-nginx.conf"
ADDRESS = "10.1.0.93"
VIP = "10.77.0.100"
Pair = tuple[Lab, Node, Node]
NGINX = """
worker_processes 1;
pid /run/nginx.pid;
error_log /run/nginx-error.log;
events {}
http { access_log off; server { listen 80; return 200 "here\\n"; } }
"""
PROMISE = 0.05
"""Seconds beyond what the configuration asks for."""
SLACK = 0.6
"""Seconds that a machine with other work may add."""


@pytest.fixture
def nodes(lab: Lab) -> tuple[Node, Node]:
    made = []
    for number in (1, 2):
        node = lab.node(f"node{number}", {"eno16777736": f"10.1.0.{number}/16", "eno33554960": f"10.2.0.{number}/16"})
        node.write("notify.sh", '#!/bin/sh\necho "$@" >>/run/notified\n', 0o755)
        start_nginx(node)
        made.append(node)
    return made[0], made[1]


@pytest.fixture
def executions(lab: Lab) -> Iterator[Executions]:
    made = Executions(lab.hub)
    yield made
    made.close()


def start_nginx(node: Node) -> None:
    node.write("nginx.conf", NGINX)
    node.run("nginx", "-c", "/etc/keepalived/nginx.conf")


def kill_nginx(node: Node) -> float:
    """At once, with all its workers; the moment."""
    found = [pid for pid, name in node.processes().items() if name == "nginx"]
    assert found
    moment = time.time()
    for pid in sorted(found):
        os.kill(pid, signal.SIGKILL)
    return moment


def notified(node: Node) -> list[str]:
    try:
        return node.read_run("notified").splitlines()
    except FileNotFoundError:
        return []


def backup_of(text: str) -> str:
    return text.replace("state MASTER", "state BACKUP").replace("priority 100", "priority 98")


def test_the_course_without_a_single_program(lab: Lab, nodes: tuple[Node, Node], executions: Executions) -> None:
    one, two = nodes
    first = lab.start_kad(one, COURSE.read_text())
    lab.wait_holder(ADDRESS, one, seconds=8)
    second = lab.start_kad(two, backup_of(COURSE.read_text()))
    second.wait_log("Entering BACKUP STATE")
    said = {script["name"]: script["native"] for script in first.dump("runner")["scripts"]}
    assert said == {
        "chk_down": "OK unless file /etc/keepalived/down exists",
        "chk_nginx": "OK if a process nginx runs",
    }
    runners = (first.child("runner"), second.child("runner"))

    def ran() -> tuple[int, int]:
        return executions.of(runners[0]), executions.of(runners[1])

    lab.hub.until(lambda: ran() == (2, 1), 5, lambda: f"as many programs as notifications: {ran()}")

    died = kill_nginx(one)
    line = first.wait_log("Changing effective priority from 100 to 95", since=died)
    # fall 2, interval 1: the second question without nginx comes at most two seconds after its end.
    assert 0.9 < line.time - died < 2 * 1 + PROMISE + SLACK
    assert "no process nginx since " in line.text
    lab.wait_holder(ADDRESS, two, seconds=6)

    begun = time.time()
    start_nginx(one)
    line = first.wait_log("Changing effective priority from 95 to 100", since=begun)
    assert line.time - begun < 1 + PROMISE + SLACK
    lab.wait_holder(ADDRESS, one, seconds=6)

    begun = time.time()
    (one.files / "etc" / "down").touch()
    line = first.wait_log("Changing effective priority from 100 to 95", since=begun)
    assert line.time - begun < 1 + PROMISE + SLACK
    assert "there is a /etc/keepalived/down" in line.text
    lab.wait_holder(ADDRESS, two, seconds=6)
    (one.files / "etc" / "down").unlink()
    lab.wait_holder(ADDRESS, one, seconds=6)

    # Nothing but the notifications was run, by either node.
    lab.hub.until(lambda: ran() == (6, 5), 5, lambda: f"as many programs as notifications: {ran()}")
    once = ["backup", "master"]
    lab.hub.until(lambda: notified(one) == 3 * once, 3, lambda: f"each change once, in order: {notified(one)}")
    lab.hub.until(
        lambda: notified(two) == [*(2 * once), "backup"], 3, lambda: f"each change once, in order: {notified(two)}"
    )
    assert [script["runs"] for script in first.dump("runner")["scripts"]] == [0, 0]


def watching(more: str = "", script: str = "killall -0 nginx && exit 0 || exit 1", priority: int = 150) -> str:
    block = f'vrrp_script chk {{\n script "{script}"\n interval 1\n fall 3\n {more}\n}}\n'
    return (
        global_defs()
        + block
        + instance(priority=priority, version=2, advert_int=1, state="MASTER", more="track_script {\n chk\n }")
    )


@pytest.mark.parametrize("script", ["killall -0 nginx", "kill -0 $(cat /run/nginx.pid)", "pgrep -x nginx || exit 1"])
def test_immediate_moves_the_address_within_the_skew(pair: Pair, executions: Executions, script: str) -> None:
    lab, a, b = pair
    for node in (a, b):
        start_nginx(node)
    first = lab.start_kad(a, watching("immediate", script))
    second = lab.start_kad(b, watching("immediate", script, priority=200 - 90))
    lab.wait_holder(VIP, a, seconds=8)
    second.wait_log("Entering BACKUP STATE")
    runner = first.child("runner")
    died = kill_nginx(a)
    lab.wait_holder(VIP, b, seconds=4)
    came = min(event.time for event in lab.moves(VIP, died) if event.node == "b" and event.added)
    skew = (256 - 110) / 256
    assert skew - 0.01 < came - died < skew + PROMISE + SLACK
    assert executions.forks_of(runner) == 0
    start_nginx(a)
    lab.wait_holder(VIP, a, seconds=8)


@pytest.mark.timing
def test_the_course_moves_the_address_in_time(lab: Lab, nodes: tuple[Node, Node], executions: Executions) -> None:
    one, two = nodes
    first = lab.start_kad(one, COURSE.read_text())
    lab.wait_holder(ADDRESS, one, seconds=8)
    second = lab.start_kad(two, backup_of(COURSE.read_text()))
    second.wait_log("Entering BACKUP STATE")
    lab.hub.until(lambda: notified(two) == ["backup"], 3, "it is notified")
    programs = executions.of(first.child("runner"))
    died = kill_nginx(one)
    lab.wait_holder(ADDRESS, two, seconds=6)
    came = min(event.time for event in lab.moves(ADDRESS, died) if event.node == "node2" and event.added)
    # fall 2, interval 1; then the other router, of priority 98, waits for its skew time.
    assert 1 + 158 / 256 - 0.01 < came - died < 2 * 1 + 158 / 256 + PROMISE
    lab.hub.until(lambda: executions.of(first.child("runner")) == programs + 1, 3, "it is notified")


@pytest.mark.timing
@pytest.mark.parametrize(("more", "longest"), [("fall 2", 2 * 1.0), ("fall 2\n immediate", 0.0)])
def test_a_fault_moves_the_address_in_time(pair: Pair, more: str, longest: float) -> None:
    lab, a, b = pair
    for node in (a, b):
        start_nginx(node)
    lab.start_kad(a, watching(more).replace("fall 3", ""))
    second = lab.start_kad(b, watching(more, priority=110).replace("fall 3", ""))
    lab.wait_holder(VIP, a, seconds=8)
    second.wait_log("Entering BACKUP STATE")
    died = kill_nginx(a)
    lab.wait_holder(VIP, b, seconds=6)
    moves = lab.moves(VIP, died)
    gone = min(event.time for event in moves if event.node == "a" and not event.added)
    came = min(event.time for event in moves if event.node == "b" and event.added)
    assert gone - died < longest + PROMISE
    assert came - died < longest + (256 - 110) / 256 + PROMISE


def test_native_no_runs_the_program(pair: Pair, executions: Executions) -> None:
    lab, a, _ = pair
    start_nginx(a)
    daemon = lab.start_kad(a, watching("native no"))
    lab.wait_holder(VIP, a, seconds=8)
    runner = daemon.child("runner")
    before = executions.of(runner)
    lab.hub.until(lambda: executions.of(runner) >= before + 2, 5, "two runs")
    assert daemon.dump("runner")["scripts"][0]["native"] is None
    kill_nginx(a)
    daemon.wait_log("Entering FAULT STATE", seconds=8)


@pytest.mark.parametrize("user", ["script_user root", "script_user nobody"])
def test_whose_nginx_it_is_does_not_matter(pair: Pair, user: str) -> None:
    """keepalived, run as its script user, is told by killall that there is none."""
    lab, a, _ = pair
    start_nginx(a)
    daemon = lab.start_kad(a, watching().replace("script_user root", user))
    lab.wait_holder(VIP, a, seconds=8)
    kill_nginx(a)
    daemon.wait_log("Entering FAULT STATE.*no process nginx since", seconds=8)
    start_nginx(a)
    lab.wait_holder(VIP, a, seconds=8)


@pytest.mark.parametrize(
    ("script", "complaint", "reason", "status"),
    [
        ("/no/such/check.sh", "/no/such/check.sh is not found on this host", "No such file or directory", 5),
        ("nosuchcheck", "nosuchcheck is not found on this host", "No such file or directory", 5),
        # It is there, and no script security is asked for: keepalived too ends with 6.
        ("/etc/keepalived/plain", "/etc/keepalived/plain cannot be executed by root", "Permission denied", 6),
    ],
)
def test_a_check_that_cannot_run_has_failed(pair: Pair, script: str, complaint: str, reason: str, status: int) -> None:
    """keepalived 2.2.5 and later disable it, and the host becomes MASTER unchecked."""
    lab, a, _ = pair
    a.write("plain", "#!/bin/sh\nexit 0\n", 0o644)
    a.write("kad.conf", watching(script=script))
    done = a.kad("-t", "-f", "/etc/keepalived/kad.conf")
    assert done.returncode == status
    assert f"error: {complaint}; its check fails until it can be run" in done.stderr
    daemon = lab.start_kad(a, watching(script=script))
    line = daemon.wait_log("Entering FAULT STATE")
    assert reason in line.text
    lab.hub.never(lambda: lab.holders(VIP), 4.5, "the address goes nowhere")
    assert reason in daemon.dump("runner")["scripts"][0]["reason"]


def test_a_check_whose_program_comes_later_recovers(pair: Pair) -> None:
    lab, a, _ = pair
    daemon = lab.start_kad(a, watching(script="/etc/keepalived/check.sh"))
    daemon.wait_log("Entering FAULT STATE")
    a.write("check.sh", "#!/bin/sh\nexit 0\n", 0o755)
    lab.wait_holder(VIP, a, seconds=8)


def test_what_security_forbids_has_failed(pair: Pair) -> None:
    lab, a, _ = pair
    path = a.write("check.sh", "#!/bin/sh\nexit 0\n", 0o757)
    text = watching(script="/etc/keepalived/check.sh").replace(
        "script_user root", "script_user root\nenable_script_security"
    )
    a.write("kad.conf", text)
    done = a.kad("-t", "-f", "/etc/keepalived/kad.conf")
    assert "users other than root can change" in done.stderr
    assert "everybody may write: chmod o-w" in done.stderr
    daemon = lab.start_kad(a, text)
    daemon.wait_log("Entering FAULT STATE.*enable_script_security forbids to run it")
    assert daemon.dump("runner")["scripts"][0]["runs"] == 0
    path.chmod(0o755)
    daemon.reload()
    lab.wait_holder(VIP, a, seconds=8)


def test_what_a_failing_program_prints_is_kept_and_logged(pair: Pair) -> None:
    lab, a, _ = pair
    a.write("check.sh", "#!/bin/sh\necho backend 3 is down; echo give up >&2; exit 7\n", 0o755)
    daemon = lab.start_kad(a, watching(script="/etc/keepalived/check.sh"))
    daemon.wait_log(r"VRRP_Script\(chk\) failed \(exited with status 7\)")
    daemon.wait_log(r"VRRP_Script\(chk\) printed: backend 3 is down \| give up")
    (script,) = daemon.dump("runner")["scripts"]
    assert script["output"] == "backend 3 is down\ngive up\n"
    assert script["reason"] == "exited with status 7"

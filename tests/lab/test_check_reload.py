"""`kad --check-reload FILE` tells what a reload would change, and changes nothing."""

from __future__ import annotations

import time
from subprocess import CompletedProcess

import pytest

from tests.lab.daemons import Kad
from tests.lab.lab import Lab, Node
from tests.lab.texts import global_defs, instance, router

pytestmark = pytest.mark.lab

VIP = "10.77.0.100"
Pair = tuple[Lab, Node, Node]


def check(daemon: Kad, text: str) -> CompletedProcess[str]:
    path = daemon.configuration.with_name("other.conf")
    path.write_text(text)
    return daemon.ask("--check-reload", f"/etc/keepalived/{path.name}")


def test_each_change_is_one_line_and_nothing_happens(pair: Pair) -> None:
    lab, a, _ = pair
    watched = 'vrrp_script {name} {{\n script "/bin/true"\n interval {interval}\n weight 3\n}}\n'
    tracking = "track_script {\n one\n}"
    running = (
        global_defs()
        + watched.format(name="one", interval=1)
        + instance(more=tracking)
        + instance("leaves", vrid=52, addresses=("10.77.0.102/24",))
    )
    daemon = lab.start_kad(a, running)
    lab.wait_holder(VIP, a, seconds=5)
    begin = time.time()

    same = check(daemon, running)
    assert (same.stdout, same.returncode) == ("nothing would change\n", 0)

    wanted = (
        global_defs()
        + watched.format(name="one", interval=2)
        + instance(priority=120, addresses=(f"{VIP}/24", "10.77.0.101/24"), more=tracking)
        + instance("comes", vrid=53, addresses=("10.77.0.103/24",))
    )
    told = check(daemon, wanted)
    assert told.returncode == 0
    lines = told.stdout.splitlines()
    assert "vrrp_instance leaves: removed" in lines
    assert "vrrp_instance comes: added" in lines
    assert "vrrp_instance VI_1: priority 100 -> 120" in lines
    assert any(line.startswith("vrrp_instance VI_1: virtual_addresses ") and "10.77.0.101" in line for line in lines)
    assert any(line.startswith("vrrp_script one: interval 1") for line in lines)
    assert len(lines) == 6, lines

    assert daemon.dump()["generation"] == 1
    assert lab.moves(VIP, begin) == []
    assert not daemon.logged("Reload", since=begin)
    lab.stays(VIP, a, 0.3)
    # It told the truth.
    moment = daemon.reload(wanted)
    daemon.wait_log("Reload complete", since=moment)
    assert check(daemon, wanted).stdout == "nothing would change\n"


def test_passwords_are_not_told(pair: Pair) -> None:
    lab, a, _ = pair
    secret = "authentication {{\n auth_type PASS\n auth_pass {}\n}}"
    daemon = lab.start_kad(a, router(version=2, advert_int=1, more=secret.format("oldword")))
    daemon.wait_log("Startup complete")
    told = check(daemon, router(version=2, advert_int=1, more=secret.format("newword")))
    assert told.stdout == "vrrp_instance VI_1: authentication changed\n"
    assert "word" not in told.stdout + told.stderr


def test_processes_that_would_come_and_go(pair: Pair) -> None:
    lab, a, _ = pair
    words = "lb_algo rr\n lb_kind NAT\n protocol TCP"
    balanced = f"virtual_server {VIP} 80 {{\n {words}\n real_server 10.77.0.50 80 {{\n }}\n}}\n"
    daemon = lab.start_kad(a, router())
    daemon.wait_log("Startup complete")
    lines = check(daemon, balanced).stdout.splitlines()
    assert {line for line in lines if line.startswith("the ")} == {
        "the vrrp process would be stopped",
        "the runner process would be stopped",
        "the ipvs process would be started",
        "the checker process would be started",
    }
    assert "vrrp_instance VI_1: removed" in lines


@pytest.mark.parametrize(
    "broken",
    ["vrrp_instance VI_1 {\n", "", router(priority=120).replace("priority 120", "prioriti 120")],
    ids=["brace", "empty", "unknown keyword"],
)
def test_a_file_that_would_be_refused(pair: Pair, broken: str) -> None:
    lab, a, _ = pair
    daemon = lab.start_kad(a, router())
    daemon.wait_log("Startup complete")
    told = check(daemon, broken)
    assert told.returncode == 2
    assert told.stdout.startswith("the reload would be refused:\n    ")
    assert "other.conf" in told.stderr
    begin = daemon.reload(broken)
    daemon.wait_log("Reload refused", since=begin)


def test_without_a_daemon_it_says_so(pair: Pair) -> None:
    _, a, _ = pair
    a.write("kad.conf", router())
    told = a.kad("--check-reload", "/etc/keepalived/kad.conf", "--runtime-dir", "/run/kad")
    assert told.returncode == 1
    assert "no kad is running here" in told.stderr

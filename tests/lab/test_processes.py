"""The family of kad seen from outside: titles, signals, files, deaths and the orderly end."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.lab.daemons import Kad
from tests.lab.lab import Lab, Node
from tests.lab.texts import global_defs, instance, router

pytestmark = pytest.mark.lab

VIP = "10.77.0.100"
Pair = tuple[Lab, Node, Node]
SCRIPTED = (
    global_defs()
    + 'vrrp_script fine {\n script "/bin/true"\n interval 60\n}\n'
    + instance(more="track_script {\n fine\n }")
)


@pytest.fixture
def daemon(pair: Pair) -> Kad:
    """A kad that is MASTER on node a and tracks a script."""
    lab, a, _ = pair
    started = lab.start_kad(a, SCRIPTED)
    lab.wait_holder(VIP, a, seconds=6)
    started.wait_log("Entering MASTER STATE")
    return started


def cmdline(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0 ").decode()


def test_each_process_says_its_name(daemon: Kad) -> None:
    family = daemon.family()
    assert sorted(family.values()) == ["kad", "kad: runner", "kad: vrrp"]
    assert {name: cmdline(pid).split()[0].rstrip(":") for pid, name in family.items()} == dict.fromkeys(
        family.values(), "kad"
    )
    for name in ("vrrp", "runner"):
        assert cmdline(daemon.child(name)) == f"kad: {name}"
    threads = {pid: len(os.listdir(f"/proc/{pid}/task")) for pid in family}
    assert set(threads.values()) == {1}


def numbers_inside(pids: Iterable[int]) -> set[int]:
    """The process numbers in the node, of those that have not ended."""
    found = set()
    for pid in pids:
        with suppress(FileNotFoundError, ProcessLookupError):
            found.add(int(Path(f"/proc/{pid}/status").read_text().split("NSpid:")[1].split()[1]))
    return found


def test_the_dump_names_every_process_and_instance(pair: Pair, daemon: Kad) -> None:
    lab, _, _ = pair
    lab.wire.wait_advert(node="a", seconds=1, count=3)
    told = daemon.dump()
    assert isinstance(told["version"], str)
    assert told["generation"] == 1
    assert {name: each["restarts"] for name, each in told["processes"].items() if name != "watchdog"} == {
        "vrrp": 0,
        "runner": 0,
    }
    for name, each in told["processes"].items():
        assert 0 < each["uptime"] < 30
        assert each["memory"]
        assert name in {"watchdog", "vrrp", "runner"}
    [router] = told["vrrp"]["instances"]
    assert (router["name"], router["state"], router["effective_priority"]) == ("VI_1", "MASTER", 100)
    assert abs(router["since"] - time.time()) < 30
    assert router["reason"]
    assert router["statistics"]["advert_sent"] >= 3
    assert [(each["address"], each["held"]) for each in router["virtual_addresses"]] == [(VIP, True)]
    assert router["timers"]["skew_time"] == pytest.approx((256 - 100) * 0.1 / 256, abs=1e-4)
    assert [each["name"] for each in daemon.dump("vrrp")["instances"]] == ["VI_1"]
    # In the node's own process numbers, as everything in the node counts them. A script may run.
    numbers = {each["pid"] for each in told["processes"].values()}
    lab.hub.until(lambda: numbers_inside(daemon.family()) == numbers, 2, "these are all processes")


def test_status_is_problems_then_a_line_for_each_instance_and_an_exit_status(pair: Pair, daemon: Kad) -> None:
    lab, _, _ = pair
    done = daemon.ask("--status")
    assert done.returncode == 0
    [line] = done.stdout.splitlines()
    assert line.startswith("VI_1: MASTER since ")
    assert VIP in line
    lab.link_down(lab.nodes["a"])
    daemon.wait_log("Entering FAULT STATE")
    done = daemon.ask("--status")
    assert done.returncode == 2
    problem, line = done.stdout.splitlines()
    assert problem.startswith("CRITICAL: VI_1: in FAULT: interface eth0 is down, since ")
    assert line.startswith("VI_1: FAULT since ")
    daemon.stop()
    assert daemon.ask("--status").returncode not in (0, 1, 2)


def test_term_stops_all_in_order_and_leaves_nothing(pair: Pair, daemon: Kad) -> None:
    lab, a, _ = pair
    assert daemon.dump()["processes"]["watchdog"]["pid"] == int(a.read_run("kad/kad.pid"))
    begin = time.time()
    assert daemon.stop(seconds=4) == 0
    lab.wire.wait_advert(node="a", priority=0, seconds=1, since=begin)
    assert a.processes() == {}
    assert lab.holders(VIP) == set()
    assert [path.name for path in (a.files / "run" / "kad").iterdir()] == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_whole_group_stops_in_order_too(pair: Pair, daemon: Kad, number: int) -> None:
    lab, a, _ = pair
    begin = time.time()
    for pid in daemon.family():
        os.kill(pid, number)
    assert daemon.wait_exit(5) == 0
    lab.wire.wait_advert(node="a", priority=0, seconds=1, since=begin)
    assert a.processes() == {}
    assert lab.holders(VIP) == set()


def test_children_ignore_signals_from_outside(pair: Pair, daemon: Kad) -> None:
    lab, a, _ = pair
    family = daemon.family()
    for pid in family:
        if pid != daemon.pid:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
                os.kill(pid, number)
    lab.stays(VIP, a, 0.5)
    assert daemon.family() == family


@pytest.mark.parametrize(
    ("number", "file"),
    [
        (signal.SIGUSR1, "keepalived.data"),
        (signal.SIGUSR2, "keepalived.stats"),
        (36, "keepalived.json"),
        (63, "keepalived.stats"),
    ],
)
def test_the_signals_of_exporters_write_files_in_the_runtime_directory(
    pair: Pair, daemon: Kad, number: int, file: str
) -> None:
    lab, a, _ = pair
    before = set(Path("/tmp").glob("k*.*"))
    daemon.send(number)
    path = a.files / "run" / "kad" / file
    lab.hub.until(path.exists, 3, f"{file} is written")
    text = path.read_text()
    assert "VI_1" in text
    if file.endswith("json"):
        [entry] = json.loads(text)
        assert (entry["data"]["iname"], entry["data"]["state"]) == ("VI_1", 2)
        assert entry["stats"]["become_master"] == 1
    assert path.stat().st_mode & 0o777 == 0o600
    assert set(Path("/tmp").glob("k*.*")) == before
    lab.stays(VIP, a, 0.3)
    assert daemon.exit_status is None


@pytest.mark.parametrize(
    ("name", "number"),
    [("STOP", 15), ("RELOAD", 1), ("DATA", 10), ("STATS", 12), ("STATS_CLEAR", 63), ("JSON", 36)],
)
def test_signum_prints_keepalived_s_numbers(pair: Pair, name: str, number: int) -> None:
    _, a, _ = pair
    assert a.kad(f"--signum={name}").stdout == f"{number}\n"
    assert a.run("keepalived", f"--signum={name}").stdout == f"{number}\n"


def test_a_killed_vrrp_child_is_replaced_at_once(pair: Pair, daemon: Kad) -> None:
    lab, a, _ = pair
    for restarts in (1, 2):
        # Deaths soon after the start are another matter: they make the next start wait.
        lab.stays(VIP, a, 1.3)
        old = daemon.child("vrrp")
        begin = time.monotonic()
        os.kill(old, signal.SIGKILL)

        def replacement(gone: int = old) -> float:
            try:
                return time.monotonic() if daemon.child("vrrp") != gone else 0.0
            except LookupError:
                return 0.0

        # 100 ms on a quiet machine; this is only not to be fooled by a wait of a second.
        assert lab.hub.until(replacement, 2, "another vrrp child") - begin < 0.6
        lab.hub.until(lambda: VIP in lab.nodes["a"].watch.held(), 6, "the address is held again")
        assert daemon.dump()["processes"]["vrrp"]["restarts"] == restarts
    assert daemon.exit_status is None


def test_a_killed_runner_is_replaced_and_moves_nothing(pair: Pair, daemon: Kad) -> None:
    lab, a, _ = pair
    begin = time.time()
    old = daemon.child("runner")
    os.kill(old, signal.SIGKILL)
    # One look at the family: between two a process can come or go.
    another = {"kad: runner"}
    lab.hub.until(lambda: another & {name for pid, name in daemon.family().items() if pid != old}, 2, "another one")
    lab.stays(VIP, a, 2)
    assert lab.moves(VIP, begin) == []
    assert not daemon.logged("Entering", since=begin)


def test_a_killed_parent_takes_everything_with_it(pair: Pair, daemon: Kad) -> None:
    lab, a, _ = pair
    begin = time.time()
    os.kill(daemon.pid, signal.SIGKILL)
    daemon.wait_exit()
    lab.wire.wait_advert(node="a", priority=0, seconds=2, since=begin)
    lab.wait_holder(VIP, seconds=2)
    lab.hub.until(lambda: a.processes() == {}, 3, lambda: f"no process is left: {a.processes()}")
    # What it left behind does not stop the next one.
    lab.start_kad(a, SCRIPTED)
    lab.wait_holder(VIP, a, seconds=6)


def test_a_second_start_is_refused_with_the_pid_of_the_first(pair: Pair, daemon: Kad) -> None:
    lab, a, _ = pair
    pid = int(a.read_run("kad/kad.pid"))
    second = lab.start_kad(a, SCRIPTED, name="second.conf")
    assert second.wait_exit() != 0
    assert str(pid) in second.log
    lab.stays(VIP, a, 0.5)
    assert int(a.read_run("kad/kad.pid")) == pid


def test_two_daemons_with_their_own_runtime_directories(pair: Pair, daemon: Kad) -> None:
    lab, a, _ = pair
    text = router(vrid=52, addresses=("10.77.0.102/24",))
    second = lab.start_kad(a, text, name="second.conf", runtime_dir="/run/second")
    lab.wait_holder("10.77.0.102", a, seconds=6)
    assert [each["name"] for each in second.dump("vrrp")["instances"]] == ["VI_1"]
    assert second.dump("vrrp")["instances"][0]["virtual_router_id"] == 52
    assert daemon.dump("vrrp")["instances"][0]["virtual_router_id"] == 51
    assert second.stop() == 0
    lab.stays(VIP, a, 0.5)


def test_without_n_the_command_returns_when_the_daemon_is_ready(pair: Pair) -> None:
    lab, a, _ = pair
    a.write("kad.conf", router(priority=255, state="MASTER"))
    done = a.kad("-f", "/etc/keepalived/kad.conf", "--runtime-dir", "/run/kad")
    assert done.returncode == 0, done.stderr
    pid = int(a.read_run("kad/kad.pid"))
    lab.wait_holder(VIP, a, seconds=2)
    refused = a.kad("-f", "/etc/keepalived/kad.conf", "--runtime-dir", "/run/kad")
    assert refused.returncode != 0
    assert str(pid) in refused.stderr
    a.run("kill", str(pid))
    lab.hub.until(lambda: a.processes() == {}, 5, lambda: f"no process is left: {a.processes()}")
    assert lab.holders(VIP) == set()


def test_without_n_a_bad_file_is_told_to_the_one_who_starts(pair: Pair) -> None:
    lab, a, _ = pair
    a.write("kad.conf", "vrrp_instance VI_1 {\n")
    done = a.kad("-f", "/etc/keepalived/kad.conf", "--runtime-dir", "/run/kad")
    assert done.returncode != 0
    assert "/etc/keepalived/kad.conf:1" in done.stderr
    lab.hub.until(lambda: a.processes() == {}, 3, "no process is left")

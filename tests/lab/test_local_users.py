"""What local users and a broken runtime directory can do to a start: a line of the log, and nothing else."""

from __future__ import annotations

import fcntl
import os
import signal

import msgspec
import pytest

from tests.lab.lab import Lab, Node
from tests.lab.texts import router

pytestmark = pytest.mark.lab

VIP = "10.77.0.100"
Pair = tuple[Lab, Node, Node]


def test_a_lock_on_what_all_can_read_holds_no_start_up(pair: Pair) -> None:
    lab, a, _ = pair
    daemon = lab.start_kad(a, router())
    lab.wait_holder(VIP, a, seconds=8)
    with (a.files / "run/kad/kad.pid").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        modes = {path.name: path.stat().st_mode & 0o777 for path in (a.files / "run/kad").iterdir()}
        assert modes[".kad.pid.lock"] == 0o600
        second = a.kad("-n", "-l", "-f", "/etc/keepalived/keepalived.conf", "--runtime-dir", "/run/kad")
        assert (second.returncode, "already running" in second.stderr) == (1, True)
        assert daemon.stop() == 0
        again = lab.start_kad(a, router())
        lab.wait_holder(VIP, a, seconds=8)
        assert again.stop() == 0


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("vrrp.left", b"\xc1"),
        ("vrrp.left", b"\x91" * 100_000),
        ("vrrp.left", None),
        ("vrrp.left", b"folder"),
        ("ipvs.left", b"\x91" * 100_000),
        ("ipvs.left", None),
        ("ipvs.memory", b"\xc1"),
    ],
    ids=["no msgpack", "nested", "FIFO", "folder", "table nested", "table FIFO", "memory"],
)
def test_what_an_earlier_daemon_left_may_be_damaged(pair: Pair, name: str, content: bytes | None) -> None:
    lab, a, _ = pair
    folder = a.files / "run/kad"
    folder.mkdir(mode=0o755, exist_ok=True)
    if name == "ipvs.memory":
        # It is looked at together with the table alone.
        (folder / "ipvs.left").write_bytes(msgspec.msgpack.encode({}))
    match content:
        case None:
            os.mkfifo(folder / name)
        case b"folder":
            (folder / name).mkdir()
        case _:
            (folder / name).write_bytes(content)
    daemon = lab.start_kad(a, router())
    lab.wait_holder(VIP, a, seconds=8)
    daemon.wait_log("Startup complete")
    daemon.wait_log("cannot be understood|is not known")
    assert not daemon.logged("Traceback")
    assert not daemon.logged("process died|process exited")
    assert daemon.stop() == 0


@pytest.mark.parametrize("name", ["kad.pid", ".kad.pid.lock"])
def test_a_fifo_in_place_of_the_pid_file_is_refused_with_a_message(pair: Pair, name: str) -> None:
    _, a, _ = pair
    folder = a.files / "run/kad"
    folder.mkdir(mode=0o755, exist_ok=True)
    os.mkfifo(folder / name)
    a.write("keepalived.conf", router())
    told = a.kad("-n", "-l", "-f", "/etc/keepalived/keepalived.conf", "--runtime-dir", "/run/kad")
    assert told.returncode == 1
    assert told.stderr.startswith(f"kad: pid file /run/kad/{name}: it is no regular file of this user")
    assert "Traceback" not in told.stderr


def test_a_full_runtime_directory_costs_files_and_no_address(pair: Pair) -> None:
    lab, a, _ = pair
    (a.files / "run/kad").mkdir(mode=0o755, exist_ok=True)
    a.run("mount", "-t", "tmpfs", "-o", "size=4k,nr_inodes=6,mode=755", "none", "/run/kad")
    daemon = lab.start_kad(a, router())
    lab.wait_holder(VIP, a, seconds=8)
    daemon.wait_log("No space left on device")
    os.kill(daemon.child("vrrp"), signal.SIGKILL)
    lab.stays(VIP, a, 1.0)
    assert not daemon.logged("Traceback")
    assert daemon.stop() == 0


def test_a_runtime_directory_that_cannot_be_written_is_said_at_the_start(pair: Pair) -> None:
    _, a, _ = pair
    folder = a.files / "run/kad"
    folder.mkdir(mode=0o755, exist_ok=True)
    a.run("mount", "-t", "tmpfs", "-o", "ro,mode=755", "none", "/run/kad")
    a.write("keepalived.conf", router())
    told = a.kad("-n", "-l", "-f", "/etc/keepalived/keepalived.conf", "--runtime-dir", "/run/kad")
    assert told.returncode == 1
    assert "Read-only file system" in told.stderr
    assert "Traceback" not in told.stderr


def test_a_runtime_directory_that_becomes_read_only_ends_in_order(pair: Pair) -> None:
    lab, a, _ = pair
    daemon = lab.start_kad(a, router())
    lab.wait_holder(VIP, a, seconds=8)
    daemon.wait_log("Startup complete")
    a.run("mount", "-t", "tmpfs", "-o", "ro,mode=755", "none", "/run/kad")
    begin = daemon.reload()
    daemon.wait_log("Reload complete", since=begin)
    assert daemon.stop() == 0
    assert not daemon.logged("Traceback")

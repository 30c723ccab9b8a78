"""Where daemons live nowadays: after a hard death, as process 1, on a read-only root, without a log daemon or root."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.namespaces import PROJECT
from tests.lab.test_crash import RECORD, kill, recorded, replaced, settle, told
from tests.lab.texts import global_defs, instance, router
from tests.lab.wrapped import start_wrapped

pytestmark = pytest.mark.lab

VIP = "10.77.0.100"
Pair = tuple[Lab, Node, Node]


# after SIGKILL of everything


def test_what_a_hard_death_leaves_stops_no_new_start(pair: Pair) -> None:
    lab, a, _ = pair
    daemon = lab.start_kad(a, router())
    lab.wait_holder(VIP, a, seconds=5)
    daemon.kill()
    folder = a.files / "run" / "kad"
    assert {path.name for path in folder.iterdir()} == {
        "control",
        ".kad.pid.lock",
        "kad.pid",
        "vrrp.pid",
        "runner.pid",
        "vrrp.left",
    }
    assert lab.holders(VIP) == {"a"}
    # Its number may belong to somebody else by now.
    (folder / "kad.pid").write_text("1\n")
    again = lab.start_kad(a, router())
    again.wait_log("Entering MASTER STATE")
    lab.stays(VIP, a, 0.5)
    assert again.dump()["generation"] == 1
    twin = lab.start_kad(a, router(), name="twin.conf")
    assert twin.wait_exit() != 0
    assert f"already running with pid {a.read_run('kad/kad.pid').strip()}" in twin.log
    lab.stays(VIP, a, 0.3)


@pytest.mark.parametrize("rubbish", [b"", b"\0" * 100, b"not a number\n", b"-1\n", b"99999999999999999999\n"])
def test_a_pid_file_with_anything_in_it_stops_no_start(pair: Pair, rubbish: bytes) -> None:
    lab, a, _ = pair
    folder = a.files / "run" / "kad"
    folder.mkdir()
    (folder / "kad.pid").write_bytes(rubbish)
    (folder / "control").write_bytes(rubbish)
    (folder / "vrrp.pid").write_bytes(rubbish)
    daemon = lab.start_kad(a, router())
    lab.wait_holder(VIP, a, seconds=5)
    assert len(a.read_run("kad/kad.pid").split()) == 1
    assert daemon.dump()["generation"] == 1


def test_an_address_that_a_hard_death_left_is_not_on_two_nodes(pair: Pair) -> None:
    lab, a, b = pair
    first = lab.start_kad(a, router(priority=150))
    lab.wait_holder(VIP, a, seconds=5)
    lab.start_kad(b, router(priority=200, more="preempt_delay 100"))
    settle(lab, first, a)
    first.kill()
    lab.hub.until(lambda: lab.holders(VIP) == {"a", "b"}, 3, "b takes over what a left behind")
    again = lab.start_kad(a, router(priority=150))
    lab.wait_holder(VIP, b, seconds=3)
    again.wait_log("Entering BACKUP STATE")
    lab.stays(VIP, b, 1)


def test_an_address_that_is_configured_no_longer_goes(pair: Pair) -> None:
    lab, a, _ = pair
    daemon = lab.start_kad(a, router(addresses=(f"{VIP}/24", "10.77.0.101/24")))
    lab.wait_holder("10.77.0.101", a, seconds=5)
    other = lab.start_kad(
        a, router(vrid=52, addresses=("10.77.0.150/24",)), name="other.conf", runtime_dir="/run/other"
    )
    lab.wait_holder("10.77.0.150", a, seconds=5)
    daemon.kill()
    a.run("ip", "addr", "add", "10.77.0.200/24", "dev", "eth0")
    begin = time.time()
    again = lab.start_kad(a, router())
    lab.wait_holder("10.77.0.101", seconds=5)
    lab.wait_holder(VIP, a, seconds=5)
    again.wait_log("an earlier life did not end in order")
    # What the operator or another daemon put there stays.
    assert {"10.77.0.1", "10.77.0.150", "10.77.0.200"} <= a.watch.held()
    assert lab.moves("10.77.0.150", begin) == []
    assert not other.logged("somebody removed", since=begin)
    # An end in order leaves nothing to be cleared.
    assert again.stop() == 0
    lab.start_kad(a, router()).wait_log("Startup complete")
    assert not lab.daemons[-1].logged("earlier life")


# process 1


def descendants(pid: int) -> dict[int, str]:
    """In whatever process namespace: pid and title."""
    found: dict[int, str] = {}
    with contextlib.suppress(OSError):
        for child in map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()):
            with contextlib.suppress(OSError):
                found[child] = Path(f"/proc/{child}/comm").read_text().strip()
            found |= descendants(child)
    return found


def titled(pid: int, title: str) -> int:
    """Raises LookupError."""
    for child, name in descendants(pid).items():
        if name == title:
            return child
    raise LookupError(f"no {title} among {descendants(pid)}")


def test_as_process_one_it_runs_reloads_replaces_and_stops(pair: Pair) -> None:
    lab, a, _ = pair
    a.write("record.sh", RECORD, 0o755)
    # A process that a script leaves behind becomes a child of process 1, which must bury it.
    a.write("orphan.sh", "#!/bin/sh\n(sleep 0.1 &) &\nexit 0\n", 0o755)
    watched = 'vrrp_script orphans {\n script "/etc/keepalived/orphan.sh"\n interval 1\n weight 2\n}\n'
    more = 'notify "/etc/keepalived/record.sh instance"\ntrack_script {\n orphans\n}'
    prefix = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")
    daemon = start_wrapped(lab, a, global_defs() + watched + instance(more=more), prefix=prefix)
    settle(lab, daemon, a)
    assert a.read_run("kad/kad.pid") == "1\n"
    first = titled(daemon.pid, "kad")
    daemon.rewrite(global_defs() + watched + instance(priority=120, more=more))
    os.kill(first, signal.SIGHUP)
    lab.wire.wait_advert(node="a", priority=122, seconds=5)
    old = titled(first, "kad: vrrp")
    moment = time.time()
    os.kill(old, signal.SIGKILL)
    lab.stays(VIP, a, 3)
    assert titled(first, "kad: vrrp") != old
    assert lab.moves(VIP, moment) == []
    assert list(descendants(first).values()).count("sleep") <= 1, descendants(first)
    os.kill(first, signal.SIGTERM)
    daemon.wait_exit(8)
    assert lab.holders(VIP) == set()
    assert recorded(a, "instance")[-1] == "INSTANCE VI_1 STOP 122"


# a bare host


def test_on_a_read_only_root_only_the_runtime_directory_is_written(pair: Pair) -> None:
    lab, a, _ = pair
    script = (
        "mount -t tmpfs none /run/kad && mount -t tmpfs none /dev/shm && mount -o remount,ro,bind /run"
        " && for place in /tmp /etc /var /root; do mount --rbind $place $place; mount -o remount,ro,bind $place; done"
        " && mount -o remount,ro,bind / && for place in /tmp/x /run/x /x; do touch $place 2>/dev/null && exit 77; done"
        ' ; exec "$@"'
    )
    (a.files / "run" / "kad").mkdir()
    daemon = start_wrapped(lab, a, router(), prefix=("unshare", "--mount", "sh", "-c", script, "sh"))
    settle(lab, daemon, a)
    reached = f"/proc/{daemon.pid}/root/run/kad"
    lab.hub.until(lambda: {"control", "kad.pid"} <= set(os.listdir(reached)), 2, "its files are there")
    moment = daemon.reload(router(priority=130))
    lab.wire.wait_advert(node="a", priority=130, seconds=5, since=moment)
    daemon.send(signal.SIGUSR1)
    lab.hub.until(lambda: "kad.data" in os.listdir(reached), 3, "the dump is written")
    old, moment = kill(daemon, "vrrp")
    replaced(lab, daemon, "vrrp", old)
    lab.stays(VIP, a, 0.5)
    assert lab.moves(VIP, moment) == []
    assert daemon.stop() == 0


def test_without_a_log_daemon_nothing_is_lost_but_its_lines(pair: Pair) -> None:
    lab, a, _ = pair
    a.run("mount", "-t", "tmpfs", "none", "/dev")
    daemon = None
    try:
        for name, minor in (("null", 3), ("zero", 5), ("urandom", 9)):
            a.run("mknod", "-m", "666", f"/dev/{name}", "c", "1", str(minor))
        daemon = lab.start_kad(a, router())
        settle(lab, daemon, a)
        assert daemon.dump()["processes"]["watchdog"]["log_lines_dropped"] > 0
        assert daemon.stop() == 0
    finally:
        a.run("umount", "/dev")


def test_without_any_standard_stream(pair: Pair) -> None:
    lab, a, _ = pair
    script = 'exec 0<&- 1>&- 2>&-; exec "$@"'
    daemon = start_wrapped(lab, a, router(), prefix=("sh", "-c", script, "sh"))
    lab.wait_holder(VIP, a, seconds=8)
    for pid in daemon.family():
        assert {os.readlink(f"/proc/{pid}/fd/{stream}") for stream in (0, 1, 2)} == {"/dev/null"}
    old, moment = kill(daemon, "vrrp")
    replaced(lab, daemon, "vrrp", old)
    lab.stays(VIP, a, 0.5)
    assert lab.moves(VIP, moment) == []
    assert daemon.dump()["generation"] == 1
    assert daemon.stop() == 0


AMBIENT = (
    "setpriv",
    "--reuid=4321",
    "--regid=4321",
    "--clear-groups",
    "--inh-caps=-all,+net_admin,+net_raw",
    "--ambient-caps=-all,+net_admin,+net_raw",
    "--bounding-set=-all,+net_admin,+net_raw",
)


def test_without_root_two_capabilities_are_enough(pair: Pair) -> None:
    lab, a, b = pair
    a.write("record.sh", RECORD, 0o755)
    folder = a.files / "run" / "mine"
    folder.mkdir()
    os.chown(folder, 4321, 4321)
    text = global_defs().replace("script_user root", "script_user 4321 4321").replace("script_user 4321 4321\n", "\n")
    watched = 'vrrp_script fine {\n script "/bin/true"\n interval 1\n weight 3\n}\n'
    more = 'notify "/etc/keepalived/record.sh mine/instance"\ntrack_script {\n fine\n}'
    open_the_way(a)
    daemon = start_wrapped(
        lab, a, text + watched + instance(priority=150, more=more), prefix=AMBIENT, runtime_dir="/run/mine/kad"
    )
    other = lab.start_kad(b, router(priority=100))
    settle(lab, daemon, a)
    lab.wire.wait_advert(node="a", priority=153, seconds=3)
    for pid, name in daemon.family().items():
        status = Path(f"/proc/{pid}/status").read_text()
        assert "Uid:\t4321\t4321\t4321\t4321" in status, name
    assert int(effective(daemon.child("vrrp")), 16) == (1 << 12 | 1 << 13)
    lab.hub.until(lambda: recorded(a, "mine/instance")[-1:] == ["INSTANCE VI_1 MASTER 153"], 3, "MASTER is told")
    old, moment = kill(daemon, "vrrp")
    replaced(lab, daemon, "vrrp", old)
    lab.stays(VIP, a, 0.5)
    assert lab.moves(VIP, moment) == []
    moment = daemon.reload(text + watched + instance(priority=160, more=more))
    lab.wire.wait_advert(node="a", priority=163, seconds=3, since=moment)
    # Its own user may act on it.
    assert told(daemon)["state"] == "MASTER"
    assert daemon.stop() == 0
    lab.wait_holder(VIP, b, seconds=2)
    assert other.exit_status is None


def effective(pid: int) -> str:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(line.split()[1] for line in lines if line.startswith("CapEff"))


def open_the_way(node: Node) -> None:
    """The interpreter and the project may lie where other users may not look: inside the node they may."""
    for place in (Path(os.path.realpath(sys.executable)), Path(sys.executable), PROJECT):
        for closed in reversed(place.parents):
            if not closed.stat().st_mode & 0o001:
                inner = closed / place.relative_to(closed).parts[0]
                script = (
                    f"mount --bind {inner} /mnt && mount -t tmpfs -o mode=755 none {closed}"
                    f" && mkdir -p {inner} && mount --move /mnt {inner}"
                )
                node.run("sh", "-c", script)
                break


def test_without_the_capabilities_it_says_what_it_lacks(pair: Pair) -> None:
    lab, a, _ = pair
    folder = a.files / "run" / "mine"
    folder.mkdir()
    os.chown(folder, 4321, 4321)
    begin = time.time()
    daemon = start_wrapped(
        lab,
        a,
        router(),
        prefix=("setpriv", "--reuid=4321", "--regid=4321", "--clear-groups"),
        runtime_dir="/run/mine/kad",
    )
    assert daemon.wait_exit(8) == 4
    assert daemon.logged("Operation not permitted", since=begin)


def test_a_host_without_descriptors_left_is_waited_for(pair: Pair) -> None:
    lab, a, _ = pair
    daemon = lab.start_kad(a, router(advert_int=0.3))
    settle(lab, daemon, a)
    limit = len(os.listdir(f"/proc/{daemon.pid}/fd"))
    normal = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (limit - 3, normal[1]))
    old, moment = kill(daemon, "vrrp")
    daemon.wait_log("cannot start the vrrp process: Too many open files", since=moment)
    daemon.wait_log("cannot start the process that lets go of addresses", since=moment)
    daemon.reload()
    daemon.wait_log("cannot start the analyzer", since=moment)
    daemon.wait_log("Reload refused", since=moment)
    assert daemon.exit_status is None
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, normal)
    replaced(lab, daemon, "vrrp", old, seconds=6)
    # Until then the address may be the one that nobody let go.
    daemon.wait_log("Entering MASTER STATE", since=moment)
    lab.wait_holder(VIP, a, seconds=5)
    daemon.reload(router(priority=120))
    lab.wire.wait_advert(node="a", priority=120, seconds=5)
    lab.stays(VIP, a, 0.5)

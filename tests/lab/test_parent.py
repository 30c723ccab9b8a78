"""What comes at the wrong moment, or in no form at all, costs nothing: the parent serves on, and its children too."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import signal
import socket
import struct
import time
from pathlib import Path

import pytest

from tests.lab.daemons import Kad
from tests.lab.lab import Lab, Node
from tests.lab.namespaces import PROJECT
from tests.lab.test_crash import kill, recorded, replaced, settle, told
from tests.lab.texts import global_defs, instance, router
from tests.lab.wrapped import start_wrapped

pytestmark = pytest.mark.lab

VIP = "10.77.0.100"
Pair = tuple[Lab, Node, Node]
SERVED = (
    "virtual_server 10.77.0.200 80 {\n lb_algo rr\n lb_kind NAT\n protocol TCP\n real_server 10.77.0.50 80 {\n }\n}\n"
)


def test_what_a_reload_takes_away_and_the_next_one_brings_back_is_there(pair: Pair) -> None:
    lab, a, _ = pair
    # Alone it keeps its addresses for as long as a peer could need: the process is still leaving at the second reload.
    text = global_defs() + instance(advert_int=1) + SERVED
    daemon = lab.start_kad(a, text)
    settle(lab, daemon, a)
    old = daemon.child("vrrp")
    begin = daemon.reload(SERVED)
    daemon.wait_log("Reload complete", since=begin)
    assert daemon.child("vrrp") == old
    begin = daemon.reload(text)
    daemon.wait_log("Reload complete", since=begin, seconds=3)
    assert daemon.child("vrrp") != old
    lab.wait_holder(VIP, a, seconds=5)
    lab.stays(VIP, a, 0.5)
    assert told(daemon)["transitions"] == 2
    assert daemon.logged(r"Entering BACKUP STATE \(init\)", since=begin)
    assert not daemon.logged("died|refused|too late")


def test_a_reload_that_meets_a_newborn_child(pair: Pair) -> None:
    lab, a, _ = pair
    daemon = lab.start_kad(a, router(priority=100, advert_int=1))
    settle(lab, daemon, a)
    for priority in range(110, 150, 10):
        begin = daemon.reload(router(priority=priority, advert_int=1))
        daemon.wait_log("Reloading", since=begin)
        # It finds the analyzer's answer and the death of the child in one turn.
        daemon.send(signal.SIGSTOP)
        lab.hub.never(lambda: None, 0.5, "nothing")
        old, moment = kill(daemon, "vrrp")
        lab.hub.never(lambda: None, 0.05, "nothing")
        daemon.send(signal.SIGCONT)
        replaced(lab, daemon, "vrrp", old)
        lab.hub.until(lambda since=begin: daemon.logged("Reload (complete|refused)", since=since), 5, "an outcome")
        new = daemon.child("vrrp")
        lab.stays(VIP, a, 1.2)
        assert daemon.child("vrrp") == new
        assert lab.moves(VIP, moment) == []
        assert len(daemon.logged("vrrp process died|vrrp process exited", since=begin)) == 1


def test_who_is_not_to_replace_children_may_still_send_them_away(pair: Pair) -> None:
    lab, a, _ = pair
    daemon = lab.start_kad(a, router() + SERVED, "--dont-respawn")
    settle(lab, daemon, a)
    begin = daemon.reload(router())
    daemon.wait_log("Reload complete", since=begin)
    lab.hub.until(lambda: sorted(daemon.family().values()) == ["kad", "kad: runner", "kad: vrrp"], 3, "two leave")
    old = daemon.child("vrrp")
    begin = daemon.reload(global_defs("vrrp_rt_priority 10") + instance())
    replaced(lab, daemon, "vrrp", old)
    lab.stays(VIP, a, 0.5)
    assert lab.moves(VIP, begin) == []
    assert daemon.exit_status is None
    # As ever, one that dies ends it.
    kill(daemon, "runner")
    assert daemon.wait_exit(5) == 70


def test_a_hup_while_the_startup_script_runs_is_one_reload_afterwards(pair: Pair) -> None:
    lab, a, _ = pair
    a.write("slow.sh", "#!/bin/sh\necho begun >>/run/startup\nsleep 0.6\n", 0o755)
    words = global_defs('startup_script "/etc/keepalived/slow.sh"')
    daemon = lab.start_kad(a, words + instance(priority=100))
    daemon.wait_log("Running /etc/keepalived/slow.sh")
    daemon.reload(words + instance(priority=120))
    lab.wire.wait_advert(node="a", priority=120, seconds=5)
    daemon.wait_log("Reload complete")
    assert recorded(a, "startup") == ["begun"]
    begun = [line.time for line in daemon.logged("Reloading")]
    assert len(begun) == 1
    assert begun[0] >= daemon.logged("Startup complete")[0].time
    assert daemon.dump()["generation"] == 2


@pytest.mark.parametrize("path", ["/run/kad", "/run/kad/kad.pid/none"])
def test_a_reload_file_that_cannot_be_made_costs_a_line(pair: Pair, path: str) -> None:
    lab, a, _ = pair
    daemon = lab.start_kad(a, global_defs(f"reload_file {path}") + instance())
    lab.wait_holder(VIP, a, seconds=5)
    begin = daemon.reload()
    daemon.wait_log(f"{path}: ", since=begin)
    daemon.wait_log("Reload complete", since=begin)
    lab.stays(VIP, a, 0.3)
    assert lab.moves(VIP, begin) == []


def test_pid_files_that_cannot_be_removed_cost_nothing(pair: Pair) -> None:
    lab, a, _ = pair
    script = 'mkdir /run/pids && mount -t tmpfs none /run/pids && exec "$@"'
    words = ("-r", "/run/pids/vrrp.pid")
    daemon = start_wrapped(lab, a, router(), *words, prefix=("unshare", "--mount", "sh", "-c", script, "sh"))
    settle(lab, daemon, a)
    a.run("nsenter", "--mount", "--target", str(inner(daemon)), "mount", "-o", "remount,ro", "/run/pids")
    old, moment = kill(daemon, "vrrp")
    replaced(lab, daemon, "vrrp", old)
    lab.stays(VIP, a, 0.5)
    assert lab.moves(VIP, moment) == []
    assert daemon.stop() == 0


def inner(daemon: Kad) -> int:
    """Its pid as its node knows it."""
    lines = Path(f"/proc/{daemon.pid}/status").read_text().splitlines()
    return int(next(line.split()[-1] for line in lines if line.startswith("NSpid")))


def test_a_process_that_is_wanted_no_longer_and_does_not_leave_keeps_no_address(pair: Pair) -> None:
    lab, a, _ = pair
    daemon = lab.start_kad(a, "child_wait_time 1\n" + router(advert_int=1) + SERVED)
    settle(lab, daemon, a)
    daemon.reload("child_wait_time 1\n" + SERVED)
    daemon.wait_log("Reload complete")
    os.kill(daemon.child("vrrp"), signal.SIGSTOP)
    daemon.wait_log("killing the vrrp process .*: it did not leave in time", seconds=3)
    lab.wait_holder(VIP, seconds=4)
    lab.hub.until(
        lambda: sorted(daemon.family().values()) == ["kad", "kad: checker", "kad: ipvs"], 2, "the others stay"
    )


# a child that says what it will

_PIDFD_GETFD = 438


def channel_of(lab: Lab, daemon: Kad, name: str) -> socket.socket:
    """The end of the channel that this child has."""
    pid = daemon.child(name)
    numbers = [int(each.name) for each in Path(f"/proc/{pid}/fd").iterdir() if os.readlink(each).startswith("socket:[")]
    pidfd = os.pidfd_open(pid)
    try:
        for number in numbers:
            copy = ctypes.CDLL(None, use_errno=True).syscall(_PIDFD_GETFD, pidfd, number, 0)
            assert copy >= 0, os.strerror(ctypes.get_errno())
            found = socket.socket(fileno=copy)
            maker = struct.unpack("3i", found.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
            # Its loop has a pair of its own.
            if found.family == socket.AF_UNIX and maker == daemon.pid:
                return found
            found.close()
    finally:
        os.close(pidfd)
    raise LookupError(f"no channel among {numbers}")


@pytest.mark.parametrize("rubbish", [b"\xff" * 64, b"\0\0\0\4\0\0\0\0none"], ids=["no frame", "no message"])
def test_a_child_that_speaks_rubbish_is_replaced_and_hurts_nobody_else(pair: Pair, rubbish: bytes) -> None:
    lab, a, _ = pair
    daemon = lab.start_kad(a, router())
    settle(lab, daemon, a)
    family = daemon.family()
    moment = time.time()
    with channel_of(lab, daemon, "vrrp") as channel:
        channel.send(rubbish)
    daemon.wait_log("killing the vrrp process .*: it breaks the protocol", since=moment)
    replaced(lab, daemon, "vrrp", next(pid for pid, name in family.items() if name == "kad: vrrp"))
    lab.stays(VIP, a, 0.5)
    assert lab.moves(VIP, moment) == []
    assert daemon.exit_status is None
    assert daemon.dump()["generation"] == 1


# a configuration that a child cannot live with


_CRASHES = """
import gc
real = gc.freeze

def freeze():
    real()
    try:
        with open("/proc/self/cmdline", "rb") as title:
            if not title.read().startswith(b"kad: vrrp"):
                return
        open("/run/crash").close()
    except OSError:
        return
    import os
    os._exit(70)

gc.freeze = freeze
"""


def test_a_reload_leads_out_of_a_configuration_in_which_a_child_cannot_live(pair: Pair) -> None:
    lab, a, _ = pair
    a.write("sitecustomize.py", _CRASHES)
    daemon = start_wrapped(lab, a, router(), variables={"PYTHONPATH": f"/etc/keepalived:{PROJECT}"})
    settle(lab, daemon, a)
    crash = a.files / "run" / "crash"
    crash.touch()
    begin = daemon.reload(router(priority=120))
    daemon.wait_log("vrrp process is started again in 2 s", since=begin)
    # Asked for in the middle of it, or while it waits: it is begun at once.
    again = daemon.reload(router(priority=130))
    begun = daemon.wait_log("Reloading", since=again)
    assert begun.time - again < 1
    crash.unlink()
    lab.wire.wait_advert(node="a", priority=130, seconds=2, since=again)
    lab.hub.until(lambda: daemon.logged("Reload complete", since=again), 2, "it is complete")
    lab.wait_holder(VIP, a, seconds=2)


# an upgrade under a running daemon


def test_files_of_another_kad_under_a_running_one(pair: Pair) -> None:
    lab, a, _ = pair
    installed = a.files / "run" / "lib" / "kad"
    shutil.copytree(PROJECT / "kad", installed, ignore=shutil.ignore_patterns("__pycache__"))
    watched = 'vrrp_script watched {\n script "/bin/true"\n interval 1\n weight 3\n native no\n}\n'
    tracking = "track_script {\n watched\n}"

    def text(priority: int) -> str:
        return global_defs() + watched + instance(priority=priority, advert_int=0.5, more=tracking)

    daemon = start_wrapped(lab, a, text(100), variables={"PYTHONPATH": "/run/lib"})
    settle(lab, daemon, a)
    begin = daemon.reload(text(110))
    daemon.wait_log("Reload complete", since=begin)
    shutil.rmtree(installed)
    installed.mkdir()
    for path in (PROJECT / "kad").rglob("*.py"):
        new = installed / path.relative_to(PROJECT / "kad")
        new.parent.mkdir(parents=True, exist_ok=True)
        # Nothing of it may be read by who runs already.
        new.write_text('VERSION = "9.8.7"\nraise ImportError("of another kad")\n')
    begin = daemon.reload(text(120))
    refused = daemon.wait_log("Reload refused", since=begin)
    said = r"kad v9\.8\.7 was installed over kad v\S+, which still runs: restart the daemon"
    assert daemon.logged(said, since=begin) == [refused]
    assert daemon.dump()["last_reload"]["outcome"] == "refused"
    checked = daemon.ask("--check-reload", "/etc/keepalived/keepalived.conf")
    assert re.search(f"the reload would be refused: {said}", checked.stdout), checked
    # It can still replace its children, serve, and end in order.
    for name in ("vrrp", "runner", "vrrp"):
        old, moment = kill(daemon, name)
        replaced(lab, daemon, name, old)
        lab.stays(VIP, a, 1.1)
        assert lab.moves(VIP, moment) == []
    assert {advert.priority for advert in lab.wire.adverts(node="a", since=begin)} == {113}
    assert not daemon.logged("ImportError|another kad")
    assert daemon.stop() == 0
    assert lab.holders(VIP) == set()


_ERRS = """
import signal

def err(number, frame):
    raise RuntimeError("built in")

signal.signal(signal.SIGRTMIN + 7, err)
"""


def test_a_parent_that_errs_says_so_in_the_log_and_holds_nothing(pair: Pair) -> None:
    lab, a, _ = pair
    a.write("sitecustomize.py", _ERRS)
    daemon = start_wrapped(lab, a, router(), "-g/run/log", variables={"PYTHONPATH": f"/etc/keepalived:{PROJECT}"})
    settle(lab, daemon, a)
    moment = time.time()
    daemon.send(34 + 7)
    lab.wire.wait_advert(node="a", priority=0, seconds=1, since=moment)
    assert daemon.wait_exit(3) != 0
    lab.hub.until(lambda: a.processes() == {}, 3, lambda: f"no process is left: {a.processes()}")
    assert lab.holders(VIP) == set()
    assert "RuntimeError: built in" in a.read_run("log")

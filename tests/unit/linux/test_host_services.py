"""Timers, titles, systemd, settings of interfaces: what an ordinary user may try."""

from __future__ import annotations

import errno
import os
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kad.linux.files import systemd
from kad.linux.files.sysctl import interface_setting, set_interface_setting
from kad.linux.process import scheduling
from kad.linux.process.process import pidfd_open, pidfd_signal
from kad.linux.process.timerfd import Timer
from kad.linux.refused import Refused, refusing


def readable(timer: Timer, seconds: float) -> bool:
    return bool(select.select([timer], [], [], seconds)[0])


def test_a_refusal_says_what_and_why() -> None:
    assert str(Refused("adding 10.0.0.1", errno.EEXIST)) == "adding 10.0.0.1: File exists"
    with pytest.raises(Refused) as refused, refusing("opening"):
        os.open("/nonexistent", os.O_RDONLY)
    assert (refused.value.what, refused.value.errno) == ("opening", errno.ENOENT)


def test_a_timer_comes_at_its_moment_not_before() -> None:
    timer = Timer()
    assert not readable(timer, 0)
    at = time.monotonic() + 0.05
    timer.arm(at)
    assert not timer.clear()
    assert readable(timer, 10)
    assert time.monotonic() >= at
    assert timer.clear()
    assert not timer.clear()
    timer.close()


def test_a_moment_that_has_passed_comes_at_once_and_none_never() -> None:
    timer = Timer()
    for passed in (time.monotonic() - 1, 0.0, -5.0):
        timer.arm(passed)
        assert readable(timer, 10)
    timer.arm(None)
    assert not readable(timer, 0)
    timer.arm(time.monotonic() + 1000)
    assert not readable(timer, 0)
    timer.close()


def test_title_and_name_of_a_process() -> None:
    text = """
import sys
from kad.linux.process.process import set_title
set_title("kad: vrrp with a long title", *sys.argv[1:])
print(open("/proc/self/comm").read().strip(), open("/proc/self/cmdline").read().strip(chr(0)), sep="|")
"""

    def shown(*words: str) -> str:
        command = [sys.executable, "-c", text, *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout

    assert shown() == "kad: vrrp with|kad: vrrp with a long title\n"
    assert shown("kad-vrrp") == "kad-vrrp|kad: vrrp with a long title\n"


def test_a_descriptor_of_a_process_tells_its_end_and_takes_signals() -> None:
    child = subprocess.Popen(["sleep", "1000"])
    pidfd = pidfd_open(child.pid)
    assert not select.select([pidfd], [], [], 0)[0]
    pidfd_signal(pidfd, signal.SIGTERM)
    assert select.select([pidfd], [], [], 10)[0]
    assert child.wait() == -signal.SIGTERM
    with pytest.raises(Refused) as refused:
        pidfd_signal(pidfd, signal.SIGTERM)
    assert refused.value.errno == errno.ESRCH
    os.close(pidfd)
    with pytest.raises(Refused):
        pidfd_open(child.pid)


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_hears_states(tmp_path: Path, abstract: bool) -> None:
    name = f"@kad-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("\0" + name[1:] if abstract else name)
        assert systemd.notify("READY=1\nSTATUS=MASTER of 3", {"NOTIFY_SOCKET": name})
        assert listener.recv(100) == b"READY=1\nSTATUS=MASTER of 3"


def test_nobody_listens() -> None:
    assert not systemd.notify("READY=1", {})
    with pytest.raises(Refused):
        systemd.notify("READY=1", {"NOTIFY_SOCKET": "/nonexistent/socket"})


@pytest.mark.parametrize(
    ("environment", "interval"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "2500000"}, 2.5),
        ({"WATCHDOG_USEC": "2500000", "WATCHDOG_PID": str(os.getpid())}, 2.5),
        ({"WATCHDOG_USEC": "2500000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_interval_of_systemds_watchdog(environment: dict[str, str], interval: float | None) -> None:
    assert systemd.watchdog_interval(environment) == interval


def test_a_setting_of_an_interface_is_read() -> None:
    assert interface_setting(4, "lo", "forwarding") in ("0", "1")
    with pytest.raises(Refused) as refused:
        interface_setting(4, "no-such-if", "forwarding")
    assert refused.value.errno == errno.ENOENT


@pytest.mark.parametrize(
    ("interface", "name"), [("../../kernel", "x"), ("..", "x"), ("lo", "a/b"), ("", "x"), ("lo", ".")]
)
def test_names_that_lead_elsewhere_are_not_settings(interface: str, name: str) -> None:
    with pytest.raises(Refused, match="names no interface or setting"):
        interface_setting(4, interface, name)
    with pytest.raises(Refused, match="names no interface or setting"):
        set_interface_setting(4, interface, name, "1")


def test_affinity_and_niceness_in_a_process_of_their_own() -> None:
    text = """
import os
from kad.linux.process import scheduling as realtime
cpu = min(os.sched_getaffinity(0))
realtime.set_affinity([cpu])
realtime.set_nice(7)
print(os.sched_getaffinity(0) == {cpu}, os.getpriority(os.PRIO_PROCESS, 0))
"""
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == "True 7\n"


def test_processors_that_do_not_exist_are_refused() -> None:
    with pytest.raises(Refused, match="processor affinity"):
        scheduling.set_affinity([1000])

"""Programs: how they start, what they find, how they end; as whoever runs the tests."""

from __future__ import annotations

import errno
import gc
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kad.linux.process.spawn import Spawned, identity, kill_group, reap, spawn
from kad.linux.refused import Refused
from kad.model.program_end import Exited, Killed, ProcessEnd

PATH = {"PATH": "/usr/bin:/bin"}


def finish(spawned: Spawned) -> tuple[ProcessEnd | None, str]:
    """Await the end: status and output."""
    output = b""
    if spawned.output_fd is not None:
        os.set_blocking(spawned.output_fd, True)
        while piece := os.read(spawned.output_fd, 65536):
            output += piece
        os.close(spawned.output_fd)
    assert select.select([spawned.pidfd], [], [], 10)[0]
    status = reap(spawned.pidfd)
    os.close(spawned.pidfd)
    return status, output.decode()


def shell(text: str, **settings: str) -> tuple[ProcessEnd | None, str]:
    return finish(spawn(["/bin/sh", "-c", text], PATH | settings, output=True))


def test_status_and_output_of_a_program() -> None:
    assert shell("echo out; echo err >&2; exit 3") == (Exited(3), "out\nerr\n")


def test_a_signal_is_no_status() -> None:
    assert shell("exit 143") == (Exited(143), "")
    assert shell("kill -TERM $$") == (Killed(15), "")


def test_words_reach_the_program_as_they_are() -> None:
    words = ["printf", "%s|", "a b", "&&", "$HOME", "*", ""]
    assert finish(spawn(words, PATH, output=True)) == (Exited(0), "a b|&&|$HOME|*||")


def test_the_environment_is_the_given_one_without_what_could_hijack_a_program() -> None:
    printed = finish(
        spawn(["env"], PATH | {"A": "1", "IFS": "x", "LD_PRELOAD": "", "LD_LIBRARY_PATH": "/"}, output=True)
    )
    assert sorted(printed[1].splitlines()) == ["A=1", "PATH=/usr/bin:/bin"]


def test_it_leads_a_group_of_its_own_and_reads_nothing() -> None:
    assert shell('read x; echo "$? $x"; [ "$(ps -o pgid= -p $$ | tr -d " ")" = $$ ] && echo leader') == (
        Exited(0),
        "1 \nleader\n",
    )


def test_output_that_nobody_wants_goes_nowhere() -> None:
    spawned = spawn(["/bin/sh", "-c", "readlink /proc/$$/fd/1 > $OUT"], PATH | {"OUT": "/dev/null"})
    assert spawned.output_fd is None
    assert finish(spawned) == (Exited(0), "")


def test_output_can_be_read_without_waiting() -> None:
    spawned = spawn(["sleep", "100"], PATH, output=True)
    assert spawned.output_fd is not None
    with pytest.raises(BlockingIOError):
        os.read(spawned.output_fd, 1)
    assert reap(spawned.pidfd) is None
    assert kill_group(spawned.pid, signal.SIGKILL)
    assert finish(spawned) == (Killed(9), "")


def test_signals_that_we_ignore_or_block_are_default_in_the_program() -> None:
    """In a process of its own, since pytest must keep its signals."""
    text = """
import os, signal, sys
from kad.linux.process.spawn import spawn
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE, signal.SIGUSR1):
    signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
spawned = spawn(["grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"], {"PATH": "/usr/bin:/bin"}, output=True)
os.set_blocking(spawned.output_fd, True)
sys.stdout.write(os.read(spawned.output_fd, 4096).decode())
"""
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=30, check=True)
    masks = dict(line.split() for line in done.stdout.splitlines())
    assert masks["SigBlk:"] == "0000000000000000"
    # Signals 32 and 33 belong to the C library: whoever started the tests may have left them ignored.
    assert int(masks["SigIgn:"], 16) & ~0x180000000 == 0


def test_descriptors_of_ours_do_not_reach_the_program(tmp_path: Path) -> None:
    with open(tmp_path / "secret", "w"):
        status, printed = shell("ls -l /proc/$$/fd")
    assert status == Exited(0)
    assert "secret" not in printed


def test_killing_a_group_reaches_what_the_program_started() -> None:
    spawned = spawn(["/bin/sh", "-c", "sleep 1000 & echo $!; wait"], PATH, output=True)
    assert spawned.output_fd is not None
    os.set_blocking(spawned.output_fd, True)
    grandchild = int(os.read(spawned.output_fd, 100))
    pidfd = os.pidfd_open(grandchild)
    assert kill_group(spawned.pid, signal.SIGTERM)
    assert select.select([pidfd], [], [], 10)[0]
    os.close(pidfd)
    assert finish(spawned)[0] == Killed(15)
    deadline = time.monotonic() + 10  # the orphan's new parent may take a moment to reap it
    while kill_group(spawned.pid, signal.SIGKILL):
        assert time.monotonic() < deadline


@pytest.mark.parametrize(
    ("argv", "reason"),
    [(["/nonexistent/program"], errno.ENOENT), (["/etc/passwd"], errno.EACCES), (["true", "a\0b"], errno.EINVAL)],
)
def test_what_cannot_be_started_is_refused_and_leaks_nothing(argv: list[str], reason: int) -> None:
    # What other tests left for the collector may be closed at any moment.
    gc.collect()
    before = os.listdir("/proc/self/fd")
    with pytest.raises(Refused) as refused:
        spawn(argv, PATH, output=True)
    assert refused.value.errno == reason
    assert f"starting {argv[0]}" in str(refused.value)
    assert os.listdir("/proc/self/fd") == before


def test_an_unknown_user_is_refused() -> None:
    with pytest.raises(Refused):
        spawn(["true"], PATH, user="no-such-user-here")
    with pytest.raises(Refused):
        spawn(["true"], PATH, group="no-such-group-here")


def test_identities() -> None:
    assert identity("root", None) == ("root", 0, 0)
    assert identity("0", "12345") == ("root", 0, 12345)
    assert identity("54321", None) == ("54321", 54321, 54321)
    assert identity(None, None)[1:] == (os.geteuid(), os.getegid())


def test_reaping_what_was_reaped_is_refused() -> None:
    spawned = spawn(["true"], PATH)
    assert select.select([spawned.pidfd], [], [], 10)[0]
    assert reap(spawned.pidfd) == Exited(0)
    with pytest.raises(Refused):
        reap(spawned.pidfd)
    os.close(spawned.pidfd)

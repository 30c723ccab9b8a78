"""`make demo` as a stranger runs it: shows the takeover, exits by itself, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import ctypes
import os
import pty
import re
import select
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.lab.namespaces import PROJECT, missing, process_stat

pytestmark = pytest.mark.lab

PR_SET_CHILD_SUBREAPER = 36
DEMO = ("-m", "kad.tools.demo")
SHOWN = (
    "node1: Entering MASTER STATE",
    "node1 has the higher priority and answers for 192.0.2.100",
    "the cable of node1 is cut",
    "node2: Entering MASTER STATE",
    "node2 answers; the client was without an answer for",
    "the cable of node1 is back",
    "node2: Entering BACKUP STATE",
    "node1 answers again, and node2 stands by",
    "done: outage",
)
# setpriv itself still starts what only root may reach; env no longer does.
NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "env")


@pytest.fixture(autouse=True)
def subreaper() -> Iterator[None]:
    """Whoever loses its parent during the test becomes ours, and so cannot hide."""
    if lacking := missing():
        pytest.skip(f"the lab needs {', '.join(lacking)}")
    prctl = ctypes.CDLL(None).prctl
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    yield
    prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def anyones_python() -> str:
    """An interpreter that an ordinary user may run, and that takes the modules of ours."""
    for candidate in (sys.executable, "/usr/bin/python3"):
        version = "import ctypes, sys; print(f'{sys.version_info[0]}.{sys.version_info[1]}')"
        asked = subprocess.run(
            [*NOBODY, candidate, "-c", version], capture_output=True, text=True, check=False, cwd="/"
        )
        if asked.returncode == 0 and asked.stdout.strip() == sysconfig.get_python_version():
            return candidate
    pytest.skip(f"the demo as an ordinary user needs a Python {sysconfig.get_python_version()} that nobody may run")


def environment() -> dict[str, str]:
    modules = f"{PROJECT}:{sysconfig.get_paths()['purelib']}:{sysconfig.get_paths()['platlib']}"
    return os.environ | {"PYTHONPATH": modules, "PYTHONDONTWRITEBYTECODE": "1", "TERM": "xterm"}


def descendants() -> list[str]:
    """Names of the living processes below this one; orphans come here too, for this process is their subreaper."""
    processes = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                processes[int(entry.name)] = process_stat(int(entry.name))
    found: set[int] = {os.getpid()}
    grown = True
    while grown:
        more = {pid for pid, (_, _, parent) in processes.items() if parent in found} - found
        grown = bool(more)
        found |= more
    return [processes[pid][0] for pid in found - {os.getpid()} if processes[pid][1] != "Z"]


def run(words: Sequence[str], seconds: float = 40) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """The demo's outcome, and what is left of it."""
    done = subprocess.run(
        words, capture_output=True, text=True, check=False, timeout=seconds, env=environment(), cwd="/"
    )
    return done, descendants()


def assert_shown(text: str) -> None:
    place = 0
    for phrase in SHOWN:
        place = text.find(phrase, place)
        assert place >= 0, f"{phrase!r} is missing, or not in its place:\n{text}"


def test_root_sees_the_takeover_and_its_measure_in_plain_lines() -> None:
    done, left = run([sys.executable, *DEMO])
    assert done.returncode == 0, done.stderr
    assert_shown(done.stdout)
    outage = re.search(r"without an answer for (\d+\.\d+) s", done.stdout)
    assert outage is not None
    # The standby waits 3.61 s from the last advert heard, and adverts come every second.
    assert 2.4 < float(outage[1]) < 4.5
    assert "\x1b" not in done.stdout
    assert left == []


def test_an_ordinary_user_needs_neither_root_nor_any_program() -> None:
    python = anyones_python()
    done, left = run([*NOBODY, "PATH=/nowhere", python, *DEMO])
    assert done.returncode == 0, done.stderr
    assert_shown(done.stdout)
    assert left == []


def test_a_terminal_gets_a_picture() -> None:
    pytest.importorskip("rich")
    terminal, other_end = pty.openpty()
    with subprocess.Popen(
        [sys.executable, *DEMO],
        stdin=other_end,
        stdout=other_end,
        stderr=other_end,
        env=environment(),
        cwd="/",
        start_new_session=True,
    ) as demo:
        os.close(other_end)
        shown, end = b"", time.monotonic() + 40
        while time.monotonic() < end:
            if not select.select([terminal], [], [], 1.0)[0]:
                continue
            try:
                shown += os.read(terminal, 65536)
            except OSError:  # the terminal has no user any more
                break
        os.close(terminal)
    assert demo.returncode == 0
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode(errors="replace"))
    assert "kad: two hosts, one address (192.0.2.100)" in text
    assert "█" in text
    assert_shown(text[text.rfind("what happened") :])
    assert descendants() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_nothing(number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, *DEMO],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        cwd="/",
    ) as demo:
        assert demo.stdout is not None
        while "node2: Entering BACKUP" not in demo.stdout.readline():
            assert demo.poll() is None
        assert len(descendants()) > 3
        demo.send_signal(number)
        _, complaint = demo.communicate(timeout=15)
    assert demo.returncode == 130
    assert complaint == "kad demo: interrupted; all is taken down\n"
    assert descendants() == []


def test_a_kernel_that_forbids_user_namespaces_is_told_in_one_sentence() -> None:
    # In a changed root directory the kernel refuses a user namespace to everyone.
    python = anyones_python()
    inside = f"mount --rbind / /mnt && exec chroot /mnt {' '.join(NOBODY)} {python} {' '.join(DEMO)}"
    done, left = run(["unshare", "--mount", "sh", "-c", inside])
    assert done.returncode == 1
    assert done.stdout == ""
    assert re.fullmatch(
        r"kad demo: this kernel gives an ordinary user no network namespaces \(.+\); try: sudo make demo\n", done.stderr
    )
    assert left == []


def test_root_is_told_that_there_are_no_network_namespaces() -> None:
    limited = "echo 0 > /proc/sys/user/max_net_namespaces && exec " + " ".join([sys.executable, *DEMO])
    done, left = run(["unshare", "--user", "--map-root-user", "sh", "-c", limited])
    assert done.returncode == 1
    assert done.stderr.startswith("kad demo: this kernel gives no network namespaces, not even to root (")
    assert left == []

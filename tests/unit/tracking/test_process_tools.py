"""Probes beside the tools that they stand for: the same processes, the same commands, the same answers."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kad.config.native_commands import recognise
from kad.linux.process.proc_table import all_pids, look
from kad.model.tracking import Pattern, Process, ProcessesRun

SLEEP = "/bin/sleep"
LONG = "kadtool-with-a-long-name"
TAG = "".join(chr(ord("a") + os.getpid() // 26**place % 26) for place in range(3))
"""Stands for `kad` in every name: other tests may run at the same moment, and tools see all processes."""


def tagged(text: str) -> str:
    return text.replace("kad", TAG)


def there_is(pattern: Pattern) -> bool:
    processes: list[Process] = [found for pid in all_pids() if (found := look(pid)) is not None]
    return any(pattern.may_mean(process.name) and pattern.means(process) for process in processes)


def kad_says(command: str) -> bool:
    probe = recognise(command)
    assert probe is not None, f"{command} was not recognised"
    assert isinstance(probe.asks, ProcessesRun)
    found = [there_is(pattern) for pattern in probe.asks.patterns]
    return (all(found) if probe.asks.each else any(found)) == probe.good_if


def tool_says(command: str) -> bool:
    if shutil.which(command.split()[0]) is None:
        pytest.skip(f"there is no {command.split()[0]} here")
    return subprocess.run(["/bin/sh", "-c", command], capture_output=True, check=False).returncode == 0


class Stage:
    """Starts processes of any name, and ends them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[subprocess.Popen[bytes]] = []

    def program(self, name: str) -> Path:
        """A copy of sleep under that name."""
        path = self.folder / tagged(name)
        shutil.copy(SLEEP, path)
        return path

    def start(self, path: Path | str, *words: str, argv0: str | None = None) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [tagged(argv0 or str(path)), *words], executable=str(path), stdout=subprocess.DEVNULL
        )
        self.started.append(process)
        self.await_exec(process.pid)
        return process

    def titled(self, name: str, title: str) -> None:
        """A process that calls itself so: comm, and what stands in its arguments."""
        code = f"import setproctitle, time; setproctitle.setproctitle({tagged(title)!r})\n"
        code += f"setproctitle.setthreadtitle({tagged(name)!r}); print(flush=True); time.sleep(60)"
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
        self.started.append(process)
        assert process.stdout is not None
        process.stdout.readline()

    @staticmethod
    def await_exec(pid: int) -> None:
        # The kernel changes exe first and the arguments last.
        own, words = os.readlink("/proc/self/exe"), Path("/proc/self/cmdline").read_bytes()
        process, until = Path(f"/proc/{pid}"), time.monotonic() + 5
        while os.readlink(process / "exe") == own or (process / "cmdline").read_bytes() in (b"", words):
            assert time.monotonic() < until
            os.sched_yield()

    def close(self) -> None:
        for process in self.started:
            with process:
                process.kill()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    yield stage
    stage.close()


def same(command: str) -> bool:
    """What both say; fails when they differ."""
    mine = kad_says(command)
    assert mine == tool_says(command), f"{command}: kad says {mine}"
    return mine


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("killall -0 kadtool", True),
        ("killall -0 kadtoo", False),
        ("killall -0 kadtool2", False),
        ("killall -s 0 kadtool", True),
        ("killall -q -0 kadtool", True),
        ("killall -0 KADTOOL", False),
        ("killall -0 kadtool kadother", False),
        ("killall -0 {folder}/kadtool", True),
        ("killall -0 {folder}/../{name}/kadtool", True),
        ("killall -0 {folder}/link", True),
        ("killall -0 {folder}/missing", False),
        ("killall -0 {folder}", False),
        ("pidof kadtool", True),
        ("pidof -s kadtool", True),
        ("pidof kadtoo", False),
        ("pidof kadtool kadother", True),
        ("pidof kadother kadmore", False),
        ("pidof {folder}/kadtool", True),
        ("pidof {folder}/link", True),
        ("pidof /elsewhere/kadtool", False),
        ("pidof elsewhere/kadtool", False),
        ("pidof -x kadtool", True),
        ("pgrep kadtool", True),
        ("pgrep kadto", True),
        ("pgrep -x kadto", False),
        ("pgrep -x kadtool", True),
        ("pgrep --exact kadtool", True),
        ("pgrep '^kadto'", True),
        ("pgrep 'kadtool$'", True),
        ("pgrep 'kadtoo$'", False),
        ("pgrep -x 'kad(tool|other)'", True),
        ("pgrep -x 'kado*tool'", True),
        ("pgrep -x 'kad.o+l'", True),
        ("pgrep 'kadmore|kadtool'", True),
        ("pgrep kadtool-with", False),
    ],
)
def test_a_plain_process(stage: Stage, command: str, answer: bool) -> None:
    program = stage.program("kadtool")
    (stage.folder / "link").symlink_to(program)
    stage.start(program, "60")
    assert same(tagged(command).format(folder=stage.folder, name=stage.folder.name)) is answer


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        (f"killall -0 {LONG}", True),
        ("killall -0 kadtool-with-a-other-end", False),
        ("killall -0 kadtool-with-a-", False),
        ("killall -0 kadtool-with-a", False),
        (f"pidof {LONG}", True),
        ("pidof kadtool-with-a-", False),
        ("pgrep kadtool-with-a-", True),
        ("pgrep -x kadtool-with-a-", True),
        ("pgrep -x kadtool-with-a-l", False),
        (f"pgrep {LONG}", False),
    ],
)
def test_a_name_longer_than_the_kernel_keeps(stage: Stage, command: str, answer: bool) -> None:
    stage.start(stage.program(LONG), "60")
    assert same(tagged(command)) is answer


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("killall -0 kadscript", True),
        ("pidof kadscript", False),
        ("pidof -x kadscript", True),
        ("pidof -x {folder}/kadscript", True),
        ("pidof -x /elsewhere/kadscript", False),
        ("pgrep -x kadscript", True),
        ("killall -0 {folder}/kadscript", False),
    ],
)
def test_a_script(stage: Stage, command: str, answer: bool) -> None:
    script = stage.folder / tagged("kadscript")
    script.write_text("#!/bin/sh\nread line\n")
    script.chmod(0o755)
    process = subprocess.Popen([str(script)], stdin=subprocess.PIPE)
    stage.started.append(process)
    stage.await_exec(process.pid)
    assert same(tagged(command).format(folder=stage.folder)) is answer


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("killall -0 kadworker", True),
        ("killall -0 kadtitle:", False),
        ("pidof kadworker", True),
        ("pidof kadtitle:", False),
        ("pgrep -x kadworker", True),
        ("pgrep kadtitle", False),
    ],
)
def test_a_process_with_a_title_of_its_own(stage: Stage, command: str, answer: bool) -> None:
    stage.titled("kadworker", "kadtitle: worker process")
    assert same(tagged(command)) is answer


@pytest.mark.parametrize(
    ("argv0", "command", "answer"),
    [
        ("kadshown", "pidof kadshown", True),
        ("kadshown", "pidof kadtool", False),
        ("/opt/kadshown", "pidof kadshown", True),
        ("/opt/kadshown", "pidof /opt/kadshown", False),
        ("/opt/kadshown", "killall -0 kadshown", False),
        ("/opt/kadshown", "killall -0 kadtool", True),
        ("-kadtool", "pidof kadtool", False),
        ("kad shown", "pidof kadtool", True),
    ],
)
def test_what_a_process_was_called_with(stage: Stage, argv0: str, command: str, answer: bool) -> None:
    stage.start(stage.program("kadtool"), "60", argv0=argv0)
    assert same(tagged(command)) is answer


@pytest.mark.parametrize("name", ["kad tool", "kad)(tool", "kad tool with a long name", "kad[x]", "kadé", "kad++"])
@pytest.mark.parametrize("tool", ["killall -0", "pidof", "pidof -x"])
def test_a_name_of_odd_characters(stage: Stage, name: str, tool: str) -> None:
    program = stage.program(name)
    stage.start(program, "60")
    assert same(f"{tool} {shlex.quote(tagged(name))}")
    same(f"{tool} {shlex.quote(str(program))}")
    assert not same(f"{tool} {shlex.quote(tagged(name)[:-1])}")


@pytest.mark.parametrize(
    ("first_line", "command", "answer"),
    [
        ("#!/usr/bin/env sh", "killall -0 kadscript", False),
        ("#!/usr/bin/env sh", "pidof -x kadscript", False),
        ("#!/usr/bin/env sh", "pgrep -x kadscript", False),
        ("#!/bin/sh -e", "killall -0 kadscript", True),
        ("#!/bin/sh -e", "pidof -x kadscript", True),
        ("#!/bin/sh -e", "pgrep -x kadscript", True),
    ],
)
def test_a_script_by_its_first_line(stage: Stage, first_line: str, command: str, answer: bool) -> None:
    script = stage.folder / tagged("kadscript")
    script.write_text(f"{first_line}\nread line\n")
    script.chmod(0o755)
    process = subprocess.Popen([str(script)], stdin=subprocess.PIPE)
    stage.started.append(process)
    # env runs another program in its place.
    until = time.monotonic() + 5
    while os.readlink(f"/proc/{process.pid}/exe") != os.path.realpath("/bin/sh"):
        assert time.monotonic() < until
        os.sched_yield()
    assert same(tagged(command)) is answer


@pytest.mark.parametrize("command", ["killall -0 kthreadd", "pidof kthreadd", "pgrep -x kthreadd", "pgrep '^kthr'"])
def test_a_thread_of_the_kernel(command: str) -> None:
    same(command)


@pytest.mark.parametrize("replaced", [False, True])
@pytest.mark.parametrize(("tool", "answer"), [("killall -0", False), ("pidof", True)])
def test_a_program_whose_file_is_gone(stage: Stage, tool: str, answer: bool, replaced: bool) -> None:
    program = stage.program("kadtool")
    stage.start(program, "60")
    program.unlink()
    if replaced:
        stage.program("kadtool")
    assert same(f"{tool} {program}") is answer


def test_a_zombie_is_dead_whatever_killall_says(stage: Stage) -> None:
    program = stage.program("kadzombie")
    process = stage.start(program, "60")
    assert kad_says(tagged("killall -0 kadzombie"))
    os.kill(process.pid, signal.SIGKILL)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert not kad_says(tagged("killall -0 kadzombie"))
    assert not kad_says(tagged("pgrep kadzombie"))
    assert tool_says(tagged("killall -0 kadzombie"))


def test_whose_process_it_is_does_not_matter(stage: Stage) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can ask as somebody else")
    stage.start(stage.program("kadtool"), "60")
    command = ["setpriv", "--reuid=65534", "--clear-groups", "killall", "-0", tagged("kadtool")]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 1
    assert kad_says(tagged("killall -0 kadtool"))

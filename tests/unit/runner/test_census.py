"""The table of processes on the real host: births, deaths, renamings, with the kernel's events and without."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kad.child.multiplexer import Mux
from kad.linux.netlink.process_events import ProcessEvents
from kad.linux.process import proc_table
from kad.linux.refused import Refused
from kad.model.program_end import Killed
from kad.model.tracking import KillallName, Pattern, PidofName, ProcessWords
from kad.runner.process import process_monitor as room
from kad.runner.process.process_monitor import Census, Watch
from tests.unit.runner.test_runner_room import Lines

NAME = f"kadc{os.getpid():x}"
OTHER = f"kado{os.getpid():x}"


def refuse(*_: object) -> ProcessEvents:
    raise Refused("the kernel's process events", errno.ECONNREFUSED)


class Bench:
    """A census on a loop, and copies of sleep that it can see."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mux = Mux()
        self.log = Lines()
        self.census = Census(self.mux, self.log)
        self.changes: list[tuple[float, int]] = []
        self.started: list[subprocess.Popen[bytes]] = []

    def watch(self, pattern: Pattern) -> Watch:
        def changed() -> None:
            self.changes.append((time.monotonic(), len(watch.pids)))

        watch = self.census.watch(pattern, changed)
        return watch

    def ready(self, *, events: bool) -> None:
        """Whatever the kernel had to say about the beginning is said."""
        if events:
            self.run(lambda: self.census.knows_births)
        self.census.scan()

    def run(self, condition: Callable[[], bool], seconds: float = 5.0) -> None:
        async def wait() -> None:
            async with asyncio.timeout(seconds):
                while not condition():
                    await asyncio.sleep(0.0005)

        self.mux.loop.run_until_complete(wait())

    def start(self, name: str = NAME, *words: str) -> subprocess.Popen[bytes]:
        path = self.folder / name
        if not path.exists():
            shutil.copy("/bin/sleep", path)
        process = subprocess.Popen([str(path), *(words or ("60",))])
        self.started.append(process)
        until = time.monotonic() + 5
        while os.readlink(f"/proc/{process.pid}/exe") != str(path) and time.monotonic() < until:
            os.sched_yield()
        return process

    def end(self, process: subprocess.Popen[bytes]) -> float:
        moment = time.monotonic()
        process.kill()
        return moment

    @contextmanager
    def noticing(self, process: subprocess.Popen[bytes]) -> Iterator[list[float]]:
        """When this loop itself is informed of the death: a machine that is busy delays both."""
        moments: list[float] = []
        descriptor = os.pidfd_open(process.pid)

        def ended() -> None:
            self.mux.loop.remove_reader(descriptor)
            moments.append(time.monotonic())

        self.mux.loop.add_reader(descriptor, ended)
        try:
            yield moments
        finally:
            self.mux.loop.remove_reader(descriptor)
            os.close(descriptor)

    def close(self) -> None:
        for process in self.started:
            process.kill()
            process.wait()
        self.census.close()
        self.mux.loop.close()


@pytest.fixture(params=["events", "looking"])
def events(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    if request.param == "looking":
        monkeypatch.setattr(ProcessEvents, "open", refuse)
        return False
    try:
        ProcessEvents.open().close()
    except Refused as refused:
        pytest.skip(str(refused))
    return True


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.close()


def test_who_is_there_at_the_beginning_is_found(bench: Bench, events: bool) -> None:
    process = bench.start()
    watch = bench.watch(KillallName(name=NAME))
    assert bench.census.look_again(watch)
    assert watch.pids == {process.pid}


def test_a_death_is_known_within_milliseconds(bench: Bench, events: bool) -> None:
    watch = bench.watch(KillallName(name=NAME))
    process = bench.start()
    bench.ready(events=events)
    assert watch.pids == {process.pid}
    delays = []
    for _ in range(7):
        bench.changes.clear()
        with bench.noticing(process) as noticed:
            bench.end(process)
            bench.run(lambda: not watch.pids and bool(noticed))
        delays.append(bench.changes[-1][0] - noticed[0])
        assert watch.death is not None
        assert watch.death.pid == process.pid
        if events:
            bench.run(lambda: watch.death is not None and watch.death.ending == Killed(9))
        assert abs(watch.death.at - time.time()) < 1
        process.wait()
        process = bench.start()
        bench.run(lambda: bench.census.look_again(watch))
    # 5 ms is the promise, beyond what the machine needed to inform this loop at all.
    assert sorted(delays)[3] < 0.005, delays


def test_a_zombie_is_dead(bench: Bench, events: bool) -> None:
    watch = bench.watch(KillallName(name=NAME))
    process = bench.start()
    bench.ready(events=events)
    bench.end(process)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    time.sleep(0.03)  # what was seen a moment ago holds
    assert not bench.census.look_again(watch)


def test_a_birth_is_heard_of_or_found(bench: Bench, events: bool) -> None:
    watch = bench.watch(KillallName(name=NAME))
    bench.ready(events=events)
    scans = bench.census.scans
    process = bench.start()
    if events:
        bench.run(lambda: watch.pids == {process.pid})
        assert bench.census.scans == scans
    else:
        time.sleep(0.03)
        assert bench.census.look_again(watch)
        assert watch.pids == {process.pid}


def test_what_a_short_lived_parent_left_behind_is_found(bench: Bench, events: bool) -> None:
    """A daemon that forks and lets its parent end, as most do when they start; read only after all of that."""
    code = f"import os, time; os.fork() and os._exit({os.getpid() % 256}); time.sleep(60)"
    words = ProcessWords(name=sys.executable, full_command=True, arguments=("-c", code), param_match="exact")
    watch = bench.watch(words)
    bench.ready(events=events)
    scans = bench.census.scans
    subprocess.run([sys.executable, "-c", code], check=False)
    if events:
        bench.run(lambda: len(watch.pids) == 1)
        assert bench.census.scans == scans
    else:
        time.sleep(0.03)
        assert bench.census.look_again(watch)
    (survivor,) = watch.pids
    os.kill(survivor, signal.SIGKILL)
    bench.run(lambda: not watch.pids)


def test_a_gap_that_was_filled_between_two_looks_is_not_told(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ProcessEvents, "open", refuse)
    watch = bench.watch(KillallName(name=NAME))
    first = bench.start()
    bench.ready(events=False)
    second = bench.start()
    bench.changes.clear()
    bench.end(first)
    bench.run(lambda: watch.pids == {second.pid})
    assert all(number > 0 for _, number in bench.changes)


def test_a_process_that_is_renamed_counts_under_its_new_name(bench: Bench, events: bool) -> None:
    old, new = bench.watch(KillallName(name=NAME)), bench.watch(KillallName(name=OTHER))
    code = f"import setproctitle, sys; setproctitle.setthreadtitle({NAME!r}); print(flush=True); sys.stdin.readline()\n"
    code += f"setproctitle.setthreadtitle({OTHER!r}); print(flush=True); sys.stdin.readline()"
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    bench.started.append(process)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdout.readline()
    bench.ready(events=events)
    assert bench.census.look_again(old)
    process.stdin.write(b"\n")
    process.stdin.flush()
    process.stdout.readline()
    if events:
        bench.run(lambda: new.pids == {process.pid})
    else:
        time.sleep(0.03)
        assert bench.census.look_again(new)
    assert not old.pids
    assert old.death is None, "it did not end"
    process.stdin.close()
    process.stdout.close()


def test_a_process_that_runs_another_program_is_another_one(bench: Bench, events: bool) -> None:
    old, new = bench.watch(KillallName(name=NAME)), bench.watch(PidofName(name=OTHER))
    for name in (NAME, OTHER):
        shutil.copy("/bin/sleep", bench.folder / name)
    shutil.copy("/bin/sh", bench.folder / NAME)
    process = subprocess.Popen(
        [str(bench.folder / NAME), "-c", f"read line; exec {bench.folder / OTHER} 60"], stdin=subprocess.PIPE
    )
    bench.started.append(process)
    bench.ready(events=events)
    bench.run(lambda: bench.census.look_again(old))
    assert process.stdin is not None
    process.stdin.write(b"\n")
    process.stdin.close()
    bench.run(lambda: bench.census.look_again(new))
    assert new.pids == {process.pid}
    bench.run(lambda: not bench.census.look_again(old))


@pytest.fixture
def hidden(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """Processes whose arguments are not there yet, as between the two steps of an exec."""
    found: set[int] = set()
    real = proc_table._read
    monkeypatch.setattr(
        proc_table, "_read", lambda pid, name: b"" if name == "cmdline" and pid in found else real(pid, name)
    )
    return found


@pytest.mark.parametrize("means", [False, True])
def test_nothing_is_concluded_in_the_middle_of_an_exec(
    bench: Bench, hidden: set[int], monkeypatch: pytest.MonkeyPatch, means: bool
) -> None:
    """The kernel changes the name first and the arguments last."""
    monkeypatch.setattr(ProcessEvents, "open", refuse)
    long = f"kad-of-a-long-name-{os.getpid()}"
    watch = bench.watch(KillallName(name=long if means else long[:15] + "-and-another-end"))
    bench.ready(events=False)
    process = bench.start(long)
    hidden.add(process.pid)
    time.sleep(0.03)
    assert not bench.census.look_again(watch)
    hidden.clear()
    bench.run(lambda: bool(watch.pids) is means)
    time.sleep(0.03)
    assert bench.census.look_again(watch) is means


def test_who_is_known_stays_so_while_it_runs_another_program(bench: Bench, hidden: set[int], events: bool) -> None:
    watch = bench.watch(PidofName(name=NAME))
    process = bench.start()
    bench.ready(events=events)
    bench.run(lambda: bench.census.look_again(watch))
    hidden.add(process.pid)
    time.sleep(0.03)
    assert bench.census.look_again(watch)
    assert watch.pids == {process.pid}


def test_what_has_no_arguments_for_good_counts_by_its_name(
    bench: Bench, hidden: set[int], events: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "_EXEC", 0.02)
    process = bench.start()
    hidden.add(process.pid)
    watch = bench.watch(PidofName(name=NAME))
    bench.ready(events=events)
    bench.run(lambda: watch.pids == {process.pid})


def test_lost_events_make_it_look_at_everything(bench: Bench, events: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not events:
        return
    watch = bench.watch(KillallName(name=NAME))
    bench.ready(events=True)
    monkeypatch.setattr(room, "_FRESH", 0.0)
    bench.census.configure(receive_buffer=2304)  # the least that the kernel grants
    bench.run(lambda: bench.census.knows_births)
    for _ in range(300):
        subprocess.run(["/bin/true"], check=True)
        if bench.census.overruns:
            break
    process = bench.start()
    bench.run(lambda: bench.census.overruns > 0 and watch.pids == {process.pid})
    assert "process events were lost: looking at all processes again" in bench.log.lines


def test_many_processes_are_counted_and_each_end_is_noticed(
    bench: Bench, events: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than get a descriptor of their own."""
    monkeypatch.setattr(room, "_MOST_PIDFDS", 4)
    watch = bench.watch(KillallName(name=NAME))
    processes = [bench.start() for _ in range(10)]
    bench.ready(events=events)
    assert watch.pids == {process.pid for process in processes}
    for process in processes[:9]:
        bench.end(process)
        process.wait()
    if not events:
        time.sleep(0.03)
        bench.census.scan()
    bench.run(lambda: watch.pids == {processes[9].pid})


def test_nothing_is_open_when_nobody_asks(bench: Bench, events: bool) -> None:
    # What other tests left for the collector may be closed at any moment.
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    bench.start()
    watch = bench.watch(KillallName(name=NAME))
    again = bench.watch(KillallName(name=NAME))
    assert again is watch
    bench.census.look_again(watch)
    assert len(os.listdir("/proc/self/fd")) > before
    for listener in list(watch.listeners):
        bench.census.unwatch(watch, listener)
    assert len(os.listdir("/proc/self/fd")) == before
    assert bench.census.snapshot()["births"] == "nobody asks"

"""Tracked processes and files in the runner's room: what is told, when, and what a reload or a crash leaves alone."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kad.linux.files import inotify
from kad.linux.refused import Refused
from kad.model.runner import RunnerSlice
from kad.model.tracking import ProcessWords, TrackedFile, TrackedProcess
from kad.runner.process import file_monitor
from kad.shared.messages import Observation
from tests.unit.runner.test_runner_room import Bench

NAME = f"kadt{os.getpid():x}"


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.mux.loop.run_until_complete(bench.room.stop(release=True, handover=0.0))
    bench.mux.loop.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    path = tmp_path / NAME
    shutil.copy("/bin/sleep", path)
    started = []

    def begin() -> subprocess.Popen[bytes]:
        process = subprocess.Popen([str(path), "60"])
        started.append(process)
        while os.readlink(f"/proc/{process.pid}/exe") != str(path):
            os.sched_yield()
        return process

    yield begin
    for process in started:
        process.kill()
        process.wait()


def processes(**more: Any) -> RunnerSlice:
    return RunnerSlice(processes=(TrackedProcess(name="P", pattern=ProcessWords(name=NAME), **more),))


def file(path: Path, **more: Any) -> RunnerSlice:
    return RunnerSlice(files=(TrackedFile(name="F", path=str(path), **more),))


def told(bench: Bench) -> list[tuple[str, str, int | None]]:
    return [(said.kind, said.name, said.value) for said in bench.heard(Observation)]


# processes


def test_a_quorum_is_gained_and_lost(bench: Bench, start: Callable[[], subprocess.Popen[bytes]]) -> None:
    bench.commit(processes(quorum=2))
    assert told(bench) == [("process", "P", 0)]
    start()
    second = start()
    bench.run(lambda: bench.values() == [0, 1])
    assert bench.heard(Observation)[-1].reason == f"2 of process {NAME} run, 2 or more wanted"
    begin = time.time()
    second.kill()
    bench.run(lambda: bench.values() == [0, 1, 0])
    lost = bench.heard(Observation)[-1]
    assert lost.reason.startswith(f"1 of process {NAME} runs, 2 or more wanted, since ")
    assert f"pid {second.pid} was killed by signal" in lost.reason
    assert begin <= lost.since <= time.time()
    quorums = [line for line in bench.log.lines if "tracked process P" in line]
    assert [line.split(":")[0] for line in quorums] == [
        "Quorum lost for tracked process P",
        "Quorum gained for tracked process P",
        "Quorum lost for tracked process P",
    ]


def test_a_restart_within_the_delay_is_not_heard(bench: Bench, start: Callable[[], subprocess.Popen[bytes]]) -> None:
    first = start()
    bench.commit(processes(terminate_delay=1.0))
    assert bench.values() == [1]
    first.kill()
    snapshot: Any = None

    def number() -> object:
        nonlocal snapshot
        (snapshot,) = bench.room.snapshot(False)["processes"]  # type: ignore[misc]
        return snapshot["number"]

    bench.run(lambda: number() == 0)
    start()
    bench.run(lambda: number() == 1)
    assert (snapshot["value"], snapshot["quorum"], snapshot["process"]) == (1, 1, NAME)
    assert bench.values() == [1]


def test_too_many_are_as_bad_as_too_few(bench: Bench, start: Callable[[], subprocess.Popen[bytes]]) -> None:
    bench.commit(processes(quorum=1, quorum_max=1))
    start()
    bench.run(lambda: bench.values() == [0, 1])
    extra = start()
    bench.run(lambda: bench.values() == [0, 1, 0])
    extra.kill()
    bench.run(lambda: bench.values() == [0, 1, 0, 1])


def test_a_reload_that_changes_nothing_says_nothing(bench: Bench, start: Callable[[], subprocess.Popen[bytes]]) -> None:
    start()
    bench.commit(processes())
    bench.commit(processes())
    assert bench.values() == [1]
    bench.commit(processes(quorum=2))
    assert bench.values() == [1, 0]
    other = TrackedProcess(name="P", pattern=ProcessWords(name=f"{NAME}x"), quorum=0)
    bench.commit(RunnerSlice(processes=(other,)))
    assert bench.values() == [1, 0, 1]
    bench.commit(RunnerSlice())
    assert bench.heard(Observation)[-1].deleted


def test_a_life_goes_on_with_what_the_last_one_said(bench: Bench, start: Callable[[], subprocess.Popen[bytes]]) -> None:
    start()
    earlier = Observation(kind="process", name="P", value=1, since=1000.0, reason="as it was")
    bench.room.receive(earlier)
    bench.commit(processes(terminate_delay=9.0))
    assert bench.heard(Observation) == [earlier]


# files


def test_a_file_that_comes_changes_and_goes(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "value"
    bench.commit(file(path))
    assert told(bench) == [("file", "F", 0)]
    path.write_text("5\n")
    bench.run(lambda: bench.values() == [0, 5])
    assert bench.heard(Observation)[-1].reason == f"{path} says 5"
    path.write_text("nothing\n")
    bench.run(lambda: bench.values() == [0, 5, 0])
    path.write_text("-300 x\n")
    bench.run(lambda: bench.values() == [0, 5, 0, -300])
    path.unlink()
    bench.run(lambda: bench.values() == [0, 5, 0, -300, 0])
    assert bench.heard(Observation)[-1].reason == f"there is no {path}: 0"


def test_a_file_that_another_one_is_renamed_over(bench: Bench, tmp_path: Path) -> None:
    path, new = tmp_path / "value", tmp_path / "new"
    path.write_text("1")
    bench.commit(file(path))
    new.write_text("2")
    new.rename(path)
    bench.run(lambda: bench.values() == [1, 2])
    path.rename(new)
    bench.run(lambda: bench.values() == [1, 2, 0])


def test_links_are_followed_wherever_they_change(bench: Bench, tmp_path: Path) -> None:
    """As configuration maps do it: value -> ..data/value, ..data -> a folder of its own."""
    for number in (1, 2):
        (tmp_path / f"v{number}").mkdir()
        (tmp_path / f"v{number}" / "value").write_text(str(number))
    (tmp_path / "..data").symlink_to("v1")
    (tmp_path / "value").symlink_to("..data/value")
    bench.commit(file(tmp_path / "value"))
    (tmp_path / "next").symlink_to("v2")
    (tmp_path / "next").rename(tmp_path / "..data")
    bench.run(lambda: bench.values() == [1, 2])
    (tmp_path / "v2" / "value").write_text("3")
    bench.run(lambda: bench.values() == [1, 2, 3])


def test_a_folder_that_is_made_later_and_goes_again(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_monitor, "_LOOK_EVERY", 0.05)
    folder = tmp_path / "a" / "b"
    bench.commit(file(folder / "value"))
    assert plain(bench)["changes_seen_by"] == "looking each second"
    folder.mkdir(parents=True)
    (folder / "value").write_text("4")
    bench.run(lambda: bench.values() == [0, 4])
    assert plain(bench)["changes_seen_by"] == "events"
    shutil.rmtree(tmp_path / "a")
    bench.run(lambda: bench.values() == [0, 4, 0])
    folder.mkdir(parents=True)
    (folder / "value").write_text("6")
    bench.run(lambda: bench.values() == [0, 4, 0, 6])
    folder.rename(tmp_path / "elsewhere")
    bench.run(lambda: bench.values() == [0, 4, 0, 6, 0])


def test_without_any_watch_it_is_looked_at(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise Refused("watching files", errno.EMFILE)

    monkeypatch.setattr(file_monitor, "_LOOK_EVERY", 0.05)
    monkeypatch.setattr(inotify.FolderWatches, "__init__", refuse)
    bench.commit(file(tmp_path / "value"))
    (tmp_path / "value").write_text("8")
    bench.run(lambda: bench.values() == [0, 8])
    assert bench.log.lines.count("Files are looked at each second: watching files: Too many open files") == 1


def test_a_number_that_does_not_fit_changes_nothing(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "value"
    path.write_text("7")
    bench.commit(file(path))
    path.write_text("99999999999")
    bench.run(lambda: any("beyond 32 bits" in line for line in bench.log.lines))
    assert bench.values() == [7]


@pytest.mark.parametrize(
    ("before", "more", "after"),
    [
        (None, {}, None),
        (None, {"initial": 0}, "0\n"),
        (None, {"initial": -5}, "-5\n"),
        ("3", {"initial": 9}, "3"),
        ("3 and more", {"initial": 9, "overwrite": True}, "9\n"),
    ],
)
def test_a_file_is_made_at_the_start(
    bench: Bench, tmp_path: Path, before: str | None, more: dict[str, Any], after: str | None
) -> None:
    path = tmp_path / "value"
    if before is not None:
        path.write_text(before)
    bench.commit(file(path, **more))
    assert (path.read_text() if path.exists() else None) == after


def test_a_file_is_not_made_by_a_reload_nor_by_a_second_life(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "value"
    bench.room.receive(Observation(kind="file", name="F", value=4, since=1.0, reason=""))
    bench.commit(file(path, initial=9))
    assert not path.exists()
    bench.commit(RunnerSlice())
    bench.commit(file(path, initial=9))
    assert not path.exists()


def test_a_link_or_a_device_is_never_written(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "link").symlink_to(tmp_path / "victim")
    os.mkfifo(tmp_path / "fifo")
    reader = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    wanted = [TrackedFile(name=name, path=str(tmp_path / name), initial=1, overwrite=True) for name in ("link", "fifo")]
    bench.commit(RunnerSlice(files=tuple(wanted)))
    assert (tmp_path / "victim").read_text() == "precious"
    assert stat.S_ISFIFO((tmp_path / "fifo").stat().st_mode)
    assert len([line for line in bench.log.lines if "not written" in line or "cannot be written" in line]) == 2
    os.close(reader)


def plain(bench: Bench) -> Any:
    (found,) = bench.room.snapshot(False)["files"]  # type: ignore[misc]
    return found

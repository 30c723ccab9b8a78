"""FIFOs: what a slow reader gets, and when the program that reads is started again."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kad.child.multiplexer import Mux
from kad.model.notification import InstanceLine, Line, VirtualServerLine
from kad.model.program_end import Exited, Killed
from kad.model.runner import Fifo, Program
from kad.runner.fifo_queue import Backlog, Closed, ProgramEnded, Reader, SignalProgram, StartProgram, Wanted
from kad.runner.process.deadline_timer import Schedule
from kad.runner.process.fifo_writers import Fifos
from kad.runner.process.program_runner import Programs
from kad.runner.script_check import Report, Signal
from kad.shared.log import Destination, Logger
from kad.shared.messages import FifoKept, FifoLine, FifoOpened, Message
from kad.shared.state_machine import DeadlineReached

READ = Program(id="fifo:/f/script", text="read.sh", argv=("/bin/read.sh",))
OTHER = Program(id="fifo:/f/script", text="other.sh", argv=("/bin/other.sh",))


def line(name: str, word: str, sequence: int = 0) -> FifoLine:
    return FifoLine(line=InstanceLine(name=name, word=word, priority=100), sequence=sequence)


def written(*lines: str) -> list[str]:
    """NAME WORD, as a FIFO has it."""
    return [f'INSTANCE "{name}" {word} 100\n' for name, _, word in (each.partition(" ") for each in lines)]


def drained(backlog: Backlog) -> list[str]:
    lines = []
    while head := backlog.head:
        lines.append(head.decode())
        backlog.written(len(head))
    return lines


def test_lines_leave_in_the_order_in_which_they_came() -> None:
    backlog = Backlog()
    for word in ("BACKUP", "MASTER", "FAULT"):
        backlog.add(line("VI_1", word))
    assert drained(backlog) == [
        'INSTANCE "VI_1" BACKUP 100\n',
        'INSTANCE "VI_1" MASTER 100\n',
        'INSTANCE "VI_1" FAULT 100\n',
    ]


def test_beyond_the_limit_the_oldest_superseded_line_goes_and_the_latest_of_each_subject_stays() -> None:
    backlog = Backlog(limit=3)
    for subject, word in (("one", "a"), ("two", "b"), ("two", "c"), ("three", "d"), ("two", "e")):
        backlog.add(line(subject, word))
    assert drained(backlog) == written("one a", "three d", "two e")
    assert backlog.dropped == 2


def test_where_nothing_is_superseded_nothing_goes() -> None:
    backlog = Backlog(limit=2)
    for subject in ("one", "two", "three"):
        backlog.add(line(subject, "a"))
    backlog.add(line("two", "b"))
    assert drained(backlog) == written("one a", "three a", "two b")
    assert backlog.dropped == 1


def test_a_line_that_is_half_written_is_not_dropped() -> None:
    backlog = Backlog(limit=2)
    backlog.add(line("one", "a"))
    backlog.written(len('INSTANCE "one"'))
    for word in ("b", "c", "d"):
        backlog.add(line("one", word))
    assert drained(backlog) == [" a 100\n", *written("one d")]
    assert backlog.dropped == 2
    backlog.add(line("one", "e"))
    backlog.written(len('INSTANCE "one"'))
    for subject in ("one", "two"):
        backlog.add(line(subject, "f"))
    assert drained(backlog) == [" e 100\n", *written("one f", "two f")]


def test_a_name_with_a_newline_makes_no_second_line() -> None:
    backlog = Backlog()
    backlog.add(line("one\ntwo", "a"))
    assert drained(backlog) == ['INSTANCE "one two" a 100\n']


def test_a_program_that_dies_is_started_again_with_growing_pauses() -> None:
    reader = Reader()
    assert reader.handle(Wanted(READ), 0.0) == [StartProgram(READ)]
    now = 0.0
    pauses = []
    for _ in range(9):
        now += 0.25
        [report] = reader.handle(ProgramEnded(Exited(1), "no such thing\n"), now)
        assert isinstance(report, Report)
        assert reader.deadline is not None
        pauses.append(reader.deadline - now)
        now = reader.deadline
        assert reader.handle(DeadlineReached(), now) == [StartProgram(READ)]
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    said = "FIFO script read.sh ended (exited with status 1) after 0.2 s: no such thing; again in 60 s"
    assert report == Report(said)


def test_one_that_has_worked_is_started_again_at_once() -> None:
    reader = Reader()
    reader.handle(Wanted(READ), 0.0)
    reader.handle(ProgramEnded(Exited(1), ""), 0.5)
    reader.handle(DeadlineReached(), 1.5)
    assert reader.handle(ProgramEnded(Exited(0), ""), 11.5) == [
        Report("FIFO script read.sh ended (exited with status 0) after 10.0 s; again now")
    ]
    assert reader.deadline == 11.5


def test_another_program_is_started_when_the_first_has_ended() -> None:
    reader = Reader()
    reader.handle(Wanted(READ), 0.0)
    assert reader.handle(Wanted(READ), 1.0) == []
    assert reader.handle(Wanted(OTHER), 2.0) == [SignalProgram(Signal.TERM)]
    assert reader.handle(DeadlineReached(), 4.0) == [SignalProgram(Signal.KILL)]
    assert reader.handle(ProgramEnded(Killed(9), ""), 4.1) == [StartProgram(OTHER)]


def test_when_the_fifo_is_closed_the_program_may_end_by_itself_before_it_is_told() -> None:
    reader = Reader()
    reader.handle(Wanted(READ), 0.0)
    assert reader.handle(Closed(), 1.0) == []
    assert reader.deadline == 1.5
    assert reader.handle(DeadlineReached(), 1.5) == [SignalProgram(Signal.TERM)]
    assert reader.handle(ProgramEnded(Killed(15), ""), 1.6) == []
    assert reader.finished


class Lines(Logger):
    """A log that is kept."""

    def __init__(self) -> None:
        super().__init__("test", Destination(syslog=False))
        self.lines: list[str] = []

    def write(self, level: object, text: str) -> None:
        self.lines.append(text)


class Bench:
    """FIFOs on a real loop."""

    def __init__(self) -> None:
        self.mux = Mux()
        self.said: list[Message] = []
        self.log = Lines()
        schedule = Schedule(self.mux)
        self.fifos = Fifos(self.mux, self.said.append, self.log, Programs(self.mux, self.log), schedule)
        self._number = 0

    def tell(self, text: str) -> None:
        """NAME WORD PRIORITY, or the name of a virtual server that is up."""
        self._number += 1
        match text.split():
            case name, word, priority:
                told: Line = InstanceLine(name=name, word=word, priority=int(priority))
            case [name]:
                told = VirtualServerLine(virtual_server=name, up=True)
        self.fifos.write(FifoLine(line=told, sequence=self._number))

    def run(self, condition: Callable[[], object], seconds: float = 10.0) -> None:
        async def wait() -> None:
            async with asyncio.timeout(seconds):
                while not condition():
                    await asyncio.sleep(0.005)

        self.mux.loop.run_until_complete(wait())


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.mux.loop.run_until_complete(bench.fifos.stop())
    bench.mux.loop.close()


def configured(path: Path, sources: tuple[str, ...] = ("vrrp",), **more: object) -> Fifo:
    return Fifo(path=str(path), sources=sources, **more)  # type: ignore[arg-type]


def read(path: Path) -> list[str]:
    """What waits in the FIFO now."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        return os.read(descriptor, 1 << 20).decode().splitlines()
    finally:
        os.close(descriptor)


def test_lines_wait_for_a_reader_and_the_fifo_is_gone_at_the_end(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "f"
    bench.fifos.configure([configured(path, mode=0o640)])
    assert stat.S_ISFIFO(path.stat().st_mode)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    bench.tell("VI_1 MASTER 100")
    assert read(path) == ['INSTANCE "VI_1" MASTER 100']
    bench.mux.loop.run_until_complete(bench.fifos.stop())
    assert not path.exists()
    gone = FifoOpened(path=str(path), deleted=True)
    assert bench.said == [FifoOpened(path=str(path), made=True), gone, gone]


def test_a_reload_keeps_the_fifo_and_what_nobody_has_read_yet(bench: Bench, tmp_path: Path) -> None:
    path, other = tmp_path / "f", tmp_path / "g"
    bench.fifos.configure([configured(path), configured(other)])
    inode = path.stat().st_ino
    bench.tell("VI_1 MASTER 100")
    bench.fifos.configure([configured(path, mode=0o660)])
    assert (path.stat().st_ino, stat.S_IMODE(path.stat().st_mode)) == (inode, 0o660)
    assert not other.exists()
    assert read(path) == ['INSTANCE "VI_1" MASTER 100']


def test_each_source_goes_to_its_fifos(bench: Bench, tmp_path: Path) -> None:
    both, vrrp = tmp_path / "both", tmp_path / "vrrp"
    bench.fifos.configure([configured(both, ("vrrp", "lvs")), configured(vrrp)])
    bench.tell("VI_1 MASTER 100")
    bench.tell("[10.0.0.1]:tcp:80")
    assert read(vrrp) == ['INSTANCE "VI_1" MASTER 100']
    assert read(both) == ['INSTANCE "VI_1" MASTER 100', "VS [10.0.0.1]:tcp:80 UP"]


def test_a_line_that_comes_again_after_a_crash_is_written_once(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "f"
    bench.fifos.configure([configured(path)])
    for number in (7, 7, 8):
        bench.fifos.write(FifoLine(line=InstanceLine(name="a", word="MASTER", priority=number), sequence=number))
    assert read(path) == ['INSTANCE "a" MASTER 7', 'INSTANCE "a" MASTER 8']


def test_a_full_pipe_costs_lines_but_the_last_state_of_each_object_arrives(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "f"
    bench.fifos.configure([configured(path)])
    bench.tell("rare MASTER 1")
    for number in range(10_000):
        bench.tell(f"often BACKUP {number}")
    assert bench.log.lines == [f"FIFO {path} is not read: lines are dropped, but the latest of each object"]
    lines: list[str] = []
    begun = b""

    def all_read() -> bool:
        nonlocal begun
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            *whole, begun = (begun + os.read(descriptor, 1 << 20)).split(b"\n")
        except BlockingIOError:
            whole = []
        finally:
            os.close(descriptor)
        lines.extend(line.decode() for line in whole)
        return bool(lines) and lines[-1] == 'INSTANCE "often" BACKUP 9999'

    bench.run(all_read)
    assert lines[0] == 'INSTANCE "rare" MASTER 1'
    numbers = [int(line.split()[-1]) for line in lines[1:]]
    assert numbers == sorted(numbers)
    dropped = 10_001 - len(lines)
    assert dropped > 5_000
    bench.run(lambda: len(bench.log.lines) == 2)
    assert bench.log.lines[1] == f"FIFO {path} is read again: {dropped} lines were dropped"
    assert bench.fifos.snapshot()[0]["dropped"] == dropped


def test_what_waits_for_room_is_kept_for_the_next_life_and_written_once(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "f"
    bench.fifos.configure([configured(path)])
    held = os.open(path, os.O_RDWR | os.O_NONBLOCK)  # as the parent does
    for number in range(4000):
        bench.tell(f"VI_1 BACKUP {number}")
    bench.tell("VI_2 FAULT 1")
    kept: dict[str, FifoKept] = {}
    for said in bench.said:
        if isinstance(said, FifoKept):
            kept.pop(said.key, None)
            if not said.deleted:
                kept[said.key] = said
    assert len(kept) == bench.fifos.snapshot()[0]["waiting"] == 1000

    heir = Bench()
    for each in [FifoOpened(path=str(path), made=True), *kept.values()]:
        heir.fifos.remember(each)
    heir.fifos.configure([configured(path)])
    # What an order that comes again says is known.
    heir.fifos.write(list(kept.values())[-1].line)
    assert heir.fifos.snapshot()[0]["waiting"] == 1000
    lines: list[str] = []

    def all_read() -> bool:
        lines.extend(read(path))
        return bool(lines) and lines[-1] == 'INSTANCE "VI_2" FAULT 1'

    heir.run(all_read)
    numbers = [int(line.split()[-1]) for line in lines[:-1]]
    assert numbers == sorted(set(numbers))
    assert numbers[-999:] == list(range(3001, 4000))
    assert sorted(said.key for said in heir.said if isinstance(said, FifoKept) and said.deleted) == sorted(kept)
    os.close(held)
    heir.mux.loop.run_until_complete(heir.fifos.stop())
    heir.mux.loop.close()


def test_what_was_kept_for_a_fifo_that_is_gone_is_forgotten(bench: Bench, tmp_path: Path) -> None:
    kept = FifoKept(path=str(tmp_path / "f"), line=line("one", "a", 7))
    bench.fifos.remember(kept)
    bench.fifos.configure([])
    assert bench.said == [FifoKept(path=kept.path, line=kept.line, deleted=True)]


def test_another_file_of_that_name_is_left_alone_and_said_once(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("mine")
    bench.fifos.configure([configured(path)])
    bench.tell("VI_1 MASTER 100")
    bench.tell("VI_1 BACKUP 100")
    assert path.read_text() == "mine"
    assert len(bench.log.lines) == 1
    assert f"{path} is no FIFO" in bench.log.lines[0]
    path.unlink()
    bench.tell("VI_1 MASTER 100")
    assert read(path) == [f'INSTANCE "VI_1" {word} 100' for word in ("MASTER", "BACKUP", "MASTER")]


def test_a_fifo_that_was_there_before_stays(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "f"
    os.mkfifo(path, 0o622)
    path.chmod(0o622)
    bench.fifos.configure([configured(path)])
    bench.mux.loop.run_until_complete(bench.fifos.stop())
    assert stat.S_IMODE(path.stat().st_mode) == 0o622


def test_one_that_an_earlier_life_made_goes(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "f"
    os.mkfifo(path)
    bench.fifos.remember(FifoOpened(path=str(path), made=True))
    bench.fifos.configure([configured(path)])
    bench.mux.loop.run_until_complete(bench.fifos.stop())
    assert not path.exists()


def test_a_fifo_that_somebody_removed_is_made_again(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "f"
    bench.fifos.configure([configured(path)])
    path.unlink()
    bench.tell("VI_1 MASTER 100")
    assert read(path) == ['INSTANCE "VI_1" MASTER 100']
    assert bench.log.lines == [f"FIFO {path} was removed by somebody: making it again"]


def test_the_program_gets_the_path_last_and_the_last_lines_before_its_end(bench: Bench, tmp_path: Path) -> None:
    path, out = tmp_path / "f", tmp_path / "out"
    text = f'echo "$@" >{out}; while read -r line; do echo "$line" >>{out}; done <"$3"; echo end >>{out}'
    program = Program(id="s", text="reader", argv=("/bin/sh", "-c", text, "reader", "a", "b"))
    bench.fifos.configure([configured(path, script=program)])
    bench.run(lambda: out.exists() and "a b" in out.read_text())
    bench.tell("VI_1 MASTER 100")
    bench.run(lambda: "MASTER" in out.read_text())
    bench.tell("VI_1 STOP 100")
    bench.mux.loop.run_until_complete(bench.fifos.stop())
    assert out.read_text().splitlines() == [
        f"a b {path}",
        'INSTANCE "VI_1" MASTER 100',
        'INSTANCE "VI_1" STOP 100',
        "end",
    ]


def test_a_program_that_does_not_leave_is_ended(bench: Bench, tmp_path: Path) -> None:
    path, out = tmp_path / "f", tmp_path / "out"
    text = f"trap '' TERM; echo here >{out}; while :; do sleep 0.05; done"
    program = Program(id="s", text="stubborn", argv=("/bin/sh", "-c", text, "stubborn"))
    bench.fifos.configure([configured(path, script=program)])
    bench.run(out.exists)
    pid = bench.fifos.snapshot()[0]["script_pid"]
    assert isinstance(pid, int)
    bench.mux.loop.run_until_complete(bench.fifos.stop())
    bench.run(lambda: not Path(f"/proc/{pid}").exists())


def test_lines_about_objects_without_end_are_bounded() -> None:
    backlog = Backlog()
    dropped = [backlog.add(line(f"object {number}", "a")) for number in range(20_000)]
    assert len(backlog) == 16_384
    assert backlog.dropped == 20_000 - 16_384
    assert [each.line.name for each in dropped if each is not None][:2] == ["object 0", "object 1"]  # type: ignore[union-attr]
    assert drained(backlog)[-1] == 'INSTANCE "object 19999" a 100\n'

"""Scripts that only ask: no program is started, fall and rise count as ever, and a death may count at once."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kad.config.native_commands import recognise
from kad.model.notification import CheckDue, CheckSubject
from kad.model.program_end import Exited
from kad.model.runner import Program, VrrpScript
from kad.runner.process import program_runner
from kad.runner.script_check import Answered, AskProbe, Observe, Reconfigured, Report, ScriptCheck, Started
from kad.shared.messages import Notified, Notify, Observation
from kad.shared.state_machine import DeadlineReached
from tests.play import At, Due, Play
from tests.unit.runner.test_runner_room import Bench

NAME = f"kadp{os.getpid():x}"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("a program was started")

    monkeypatch.setattr(program_runner, "spawn", never)
    bench = Bench()
    yield bench
    bench.mux.loop.run_until_complete(bench.room.stop(release=True, handover=0.0))
    bench.mux.loop.close()


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    path = tmp_path / NAME
    shutil.copy("/bin/sleep", path)
    process = subprocess.Popen([str(path), "60"])
    while os.readlink(f"/proc/{process.pid}/exe") != str(path):
        os.sched_yield()
    yield process
    process.kill()
    process.wait()


def asking(command: str, interval: float = 0.1, fall: int = 1, rise: int = 1, *, immediate: bool = False) -> VrrpScript:
    probe = recognise(command)
    assert probe is not None
    program = Program(id="script:chk", text=command, argv=("/bin/false",), probe=probe)
    return VrrpScript(name="chk", program=program, interval=interval, fall=fall, rise=rise, immediate=immediate)


def reasons(bench: Bench) -> list[tuple[int | None, str]]:
    return [(said.value, said.reason) for said in bench.heard(Observation)]


def test_a_process_that_lives_and_dies(bench: Bench, sleeper: subprocess.Popen[bytes]) -> None:
    bench.configure(asking(f"killall -0 {NAME}"))
    assert reasons(bench) == [(None, "not run yet"), (1, f"process {NAME} runs (pid {sleeper.pid})")]
    sleeper.kill()
    bench.run(lambda: bench.values() == [None, 1, 0])
    value, reason = reasons(bench)[-1]
    assert value == 0
    assert reason.startswith(f"no process {NAME} since ")
    assert f"(pid {sleeper.pid} was killed by signal" in reason
    assert f"VRRP_Script(chk) failed (exited with status 1): {reason}" in bench.log.lines


def test_a_process_that_comes_later(bench: Bench, tmp_path: Path) -> None:
    bench.configure(asking(f"pidof {NAME}", interval=0.05))
    assert bench.values() == [None, 0]
    path = tmp_path / NAME
    shutil.copy("/bin/sleep", path)
    with subprocess.Popen([str(path), "60"]) as process:
        bench.run(lambda: bench.values() == [None, 0, 1])
        process.kill()


def test_fall_counts_intervals_unless_a_death_counts_at_once(bench: Bench, sleeper: subprocess.Popen[bytes]) -> None:
    bench.configure(asking(f"killall -0 {NAME}", interval=0.2, fall=3))
    begin = time.monotonic()
    sleeper.kill()
    bench.run(lambda: bench.values() == [None, 1, 0])
    assert time.monotonic() - begin >= 0.4


def test_immediate(bench: Bench, sleeper: subprocess.Popen[bytes]) -> None:
    bench.configure(asking(f"killall -0 {NAME}", interval=60.0, fall=5, immediate=True))
    bench.run(lambda: bool(bench.values()))
    begin = time.monotonic()
    sleeper.kill()
    bench.run(lambda: bench.values() == [None, 1, 0])
    assert time.monotonic() - begin < 1.0


def test_immediate_for_the_process_of_a_file(bench: Bench, sleeper: subprocess.Popen[bytes], tmp_path: Path) -> None:
    (tmp_path / "pid").write_text(f"{sleeper.pid}\n")
    bench.configure(asking(f"kill -0 $(cat {tmp_path}/pid)", interval=60.0, immediate=True))
    sleeper.kill()
    bench.run(lambda: bench.values() == [None, 1, 0])
    assert reasons(bench)[-1][1] == f"process {sleeper.pid} of {tmp_path}/pid is gone"


def test_immediate_for_a_file(bench: Bench, tmp_path: Path) -> None:
    down = tmp_path / "down"
    bench.configure(asking(f"[ -f {down} ] && exit 1 || exit 0", interval=60.0, immediate=True))
    down.touch()
    bench.run(lambda: bench.values() == [None, 1, 0])
    assert reasons(bench)[-1][1] == f"there is a {down}"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "{0}: No such file or directory"),
        ("", "{0} holds no process number"),
        ("nginx", "{0} holds no process number"),
        ("1 2", "{0} holds no process number"),
        ("0", "{0} holds no process number"),
        ("-1", "{0} holds no process number"),
        ("99999999999999999999", "{0} holds no process number"),
        ("4194303", "process 4194303 of {0} is gone"),
    ],
)
def test_a_file_that_names_no_living_process(bench: Bench, tmp_path: Path, content: str | None, reason: str) -> None:
    path = tmp_path / "pid"
    if content is not None:
        path.write_text(content)
    bench.configure(asking(f"kill -0 $(cat {path})"))
    assert reasons(bench)[-1] == (0, reason.format(path))


def test_a_pid_file_that_nobody_finishes_writing_does_not_block(bench: Bench, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pid")
    bench.configure(asking(f"kill -0 $(cat {tmp_path}/pid)"))
    assert bench.values() == [None, 0]


@pytest.mark.parametrize(
    ("flag", "kind", "good"),
    [("-f", "file", 1), ("-f", "dir", 0), ("-d", "dir", 1), ("-d", "file", 0), ("-e", "dir", 1), ("-e", "nothing", 0)],
)
def test_what_a_path_is(bench: Bench, tmp_path: Path, flag: str, kind: str, good: int) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "dir").mkdir()
    bench.configure(asking(f"test {flag} {tmp_path}/{kind}"))
    assert bench.values() == [None, good]


def test_all_names_must_run_for_killall_and_one_for_pidof(bench: Bench, sleeper: subprocess.Popen[bytes]) -> None:
    bench.configure(asking(f"killall -0 {NAME} {NAME}x"))
    assert reasons(bench)[-1] == (0, f"no process {NAME}x")
    bench.configure(asking(f"pidof {NAME} {NAME}x"))
    assert reasons(bench)[-1] == (1, f"process {NAME} runs (pid {sleeper.pid})")


def test_a_question_that_changes_is_asked_at_once(bench: Bench, sleeper: subprocess.Popen[bytes]) -> None:
    bench.configure(asking(f"killall -0 {NAME}", interval=60.0, fall=9))
    bench.configure(asking(f"killall -0 {NAME}x", interval=60.0, fall=9))
    assert bench.values() == [None, 1, 0]
    census: Any = bench.room.snapshot(False)["census"]
    assert list(census["watches"]) == [f"KillallName {NAME}x"]
    bench.configure()
    census = bench.room.snapshot(False)["census"]
    assert census["watches"] == {}


def test_the_snapshot_says_what_is_native(bench: Bench, tmp_path: Path) -> None:
    bench.configure(asking(f"[ -f {tmp_path}/down ] && exit 1 || exit 0"))
    (script,) = bench.room.snapshot(False)["scripts"]  # type: ignore[misc]
    assert script["native"] == f"OK unless file {tmp_path}/down exists"
    assert (script["runs"], script["answers"]) == (0, 1)


def test_a_check_of_another_process_is_answered_without_a_program(bench: Bench, tmp_path: Path) -> None:
    command = f"test -f {tmp_path}/up"
    program = Program(id="check:x/misc_path", text=command, argv=("/bin/false",), probe=recognise(command))
    program = msgspec.structs.replace(program, subject=CheckSubject(timeouts=(5.0,)))
    bench.configure(programs=(program,))

    def ask(sequence: int) -> Notified:
        message = Notify(program=program.id, fact=CheckDue(check=1, timeout=5.0), generation=1, sequence=sequence)
        bench.room.receive(message)
        bench.run(lambda: len(bench.heard(Notified)) == sequence)
        return bench.heard(Notified)[-1]

    answer = ask(1)
    assert (answer.ending, answer.output) == (Exited(1), f"there is no {tmp_path}/up")
    (tmp_path / "up").touch()
    answer = ask(2)
    assert (answer.ending, answer.output) == (Exited(0), f"there is a {tmp_path}/up")


# the machine


def machine(fall: int = 1, rise: int = 1, *, immediate: bool = False) -> Play:
    return Play(ScriptCheck(asking("killall -0 nginx", 1.0, fall, rise, immediate=immediate)))


GONE = Report("VRRP_Script(chk) failed (exited with status 1): gone")
BACK = Report("VRRP_Script(chk) succeeded")


def test_a_probe_is_asked_each_interval() -> None:
    play = machine(fall=2) >> Started() << AskProbe() >> Answered(True, "lives") << BACK << Observe(1, "lives", "")
    assert (
        play
        >> Due(1.0)
        >> DeadlineReached()
        << AskProbe()
        >> Answered(False, "gone")
        << Report("Script `chk` now returning 1")
    )
    assert (
        play >> Due(2.0) >> DeadlineReached() << AskProbe() >> Answered(False, "gone") << GONE << Observe(0, "gone", "")
    )
    assert play >> Due(3.0)


def test_an_unasked_answer_counts_only_where_it_shall_and_only_when_it_is_bad() -> None:
    for immediate in (False, True):
        play = machine(fall=3, immediate=immediate) >> Started() << AskProbe() >> Answered(True, "lives") << ...
        assert play >> At(0.5) >> Answered(True, "lives", unasked=True)
        play >> Answered(False, "gone", unasked=True)
        if immediate:
            assert play << Report("Script `chk` now returning 1") << GONE << Observe(0, "gone", "")
            assert play >> Answered(False, "gone", unasked=True)
            assert play >> Answered(True, "lives", unasked=True), "a return is counted by rise"
        assert play >> Due(1.0)


def test_what_can_never_run_has_failed_and_is_not_tried() -> None:
    hopeless = VrrpScript(name="chk", program=Program(id="x", text="", argv=()), impossible="it has no script")
    play = Play(ScriptCheck(hopeless)) >> Started()
    assert (
        play
        << Report("VRRP_Script(chk) failed (not started: it has no script)")
        << Observe(0, "could not be started: it has no script", "")
    )
    assert play >> Due(None)
    assert not play.machine.finished
    assert play >> Reconfigured(asking("killall -0 nginx")) << AskProbe()

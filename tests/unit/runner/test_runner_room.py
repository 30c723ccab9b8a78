"""The runner's room with real programs on a real loop; what it says is what the other processes would hear."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import msgspec
import pytest

from kad.child.multiplexer import Mux
from kad.model.notification import InstanceStateChanged, InstanceSubject
from kad.model.program_end import Exited, NotStarted
from kad.model.runner import Program, RunnerSlice, VrrpScript
from kad.runner.process.worker import Room
from kad.shared.log import Destination, Logger
from kad.shared.messages import Message, Notified, Notify, Observation, Pong

T = TypeVar("T", bound=Message)


class Lines(Logger):
    """A log that is kept."""

    def __init__(self) -> None:
        super().__init__("test", Destination(syslog=False))
        self.lines: list[str] = []

    def write(self, level: object, text: str) -> None:
        self.lines.append(text)


class Bench:
    """One room, what it said, and the loop that turns until something was said."""

    def __init__(self) -> None:
        self.mux = Mux()
        self.said: list[Message] = []
        self.log = Lines()
        self.room = Room(self.mux, self.said.append, self.log)
        self.generation = 0

    def run(self, condition: Callable[[], bool], seconds: float = 10.0) -> None:
        async def wait() -> None:
            async with asyncio.timeout(seconds):
                while not condition():
                    await asyncio.sleep(0.005)

        self.mux.loop.run_until_complete(wait())

    def configure(self, *scripts: VrrpScript, programs: tuple[Program, ...] = ()) -> None:
        self.commit(RunnerSlice(programs=programs, scripts=scripts))

    def commit(self, wanted: RunnerSlice) -> None:
        self.generation += 1
        self.room.prepare(self.generation, msgspec.msgpack.encode(wanted))
        self.room.commit(self.generation)

    def heard(self, kind: type[T]) -> list[T]:
        return [message for message in self.said if isinstance(message, kind)]

    def values(self) -> list[int | None]:
        return [message.value for message in self.heard(Observation)]


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.mux.loop.run_until_complete(bench.room.stop(release=True, handover=0.0))
    bench.mux.loop.close()


def shell(text: str, name: str = "chk") -> Program:
    return of_instance(Program(id=name, text=text, argv=("/bin/sh", "-c", text), shell=True))


def of_instance(program: Program) -> Program:
    """A program of the instance that its id names."""
    return msgspec.structs.replace(program, subject=InstanceSubject(name=program.id.split("/")[0]))


def script(text: str, interval: float = 60.0, timeout: float = 60.0, rise: int = 1, fall: int = 1) -> VrrpScript:
    return VrrpScript(name="chk", program=shell(text), interval=interval, timeout=timeout, rise=rise, fall=fall)


def ask(
    program: Program, sequence: int, *, generation: int = 1, awaited_until: float | None = None, reason: str = "why"
) -> Notify:
    state = program.id.rpartition("_")[2].upper() if "/notify_" in program.id else "MASTER"
    return Notify(
        program=program.id,
        fact=InstanceStateChanged(state=state, previous_state="BACKUP", priority=100, reason=reason),
        generation=generation,
        sequence=sequence,
        awaited_until=awaited_until,
    )


def test_a_script_is_unknown_first_and_good_after_its_first_success(bench: Bench) -> None:
    bench.configure(script("exit 0"))
    bench.run(lambda: len(bench.said) == 2)
    assert bench.values() == [None, 1]
    assert "VRRP_Script(chk) succeeded" in bench.log.lines


def test_a_failing_script_tells_status_and_the_end_of_its_output(bench: Bench) -> None:
    bench.configure(script("head -c 100000 /dev/zero | tr '\\0' x; echo; echo nginx is gone >&2; exit 3"))
    bench.run(lambda: len(bench.said) == 2)
    observation = bench.heard(Observation)[-1]
    assert (observation.value, observation.reason) == (0, "exited with status 3")
    assert observation.output.endswith("x\nnginx is gone\n")
    assert len(observation.output) == 2048
    assert "VRRP_Script(chk) failed (exited with status 3)" in bench.log.lines


def test_a_script_that_changes_its_mind_is_heard(bench: Bench, tmp_path: Path) -> None:
    down = tmp_path / "down"
    bench.configure(script(f"[ ! -e {down} ]", interval=0.05))
    bench.run(lambda: bench.values() == [None, 1])
    down.touch()
    bench.run(lambda: bench.values() == [None, 1, 0])
    down.unlink()
    bench.run(lambda: bench.values() == [None, 1, 0, 1])


def test_a_missing_program_fails_its_script_and_the_service_goes_on(bench: Bench) -> None:
    gone = Program(id="chk", text="/no/such", argv=("/no/such/program",))
    bench.configure(VrrpScript(name="chk", program=gone, interval=0.1))
    bench.run(lambda: len(bench.said) == 2)
    observation = bench.heard(Observation)[-1]
    assert observation.value == 0
    assert "No such file or directory" in observation.reason
    bench.configure(script("exit 0"))
    bench.run(lambda: bench.values() == [None, 0, 1])


def test_a_program_that_hangs_is_ended_with_all_that_it_started(bench: Bench, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    bench.configure(script(f"sleep 1000 & echo $! > {pids}; wait", interval=100.0, timeout=0.3))
    bench.run(lambda: bench.values() == [None, 0])
    assert bench.heard(Observation)[-1].reason == "timed out after 0.3 s"
    grandchild = int(pids.read_text())
    bench.run(lambda: has_ended(grandchild))


def test_a_child_that_keeps_the_pipe_open_delays_nothing_and_survives_its_writing(bench: Bench, tmp_path: Path) -> None:
    go, done = tmp_path / "go", tmp_path / "done"
    text = f"(trap '' TERM; while [ ! -e {go} ]; do sleep 0.02; done; echo late; echo later; touch {done}) & exit 0"
    bench.configure(script(text))
    bench.run(lambda: bench.values() == [None, 1], seconds=5.0)
    go.touch()
    bench.run(done.exists)


def test_signals_that_the_runner_ignores_are_default_in_its_programs(bench: Bench) -> None:
    before = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    try:
        bench.configure(script("kill -USR1 $$; exit 0"))
        bench.run(lambda: bench.values() == [None, 0])
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert bench.heard(Observation)[-1].reason == "due to signal 10"


def test_an_equal_script_is_not_touched_by_a_reload_and_a_removed_one_ends(bench: Bench, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    kept = script(f"echo run >> {runs}; exit 0", interval=100.0)
    bench.configure(kept)
    bench.run(lambda: bench.values() == [None, 1])
    bench.configure(kept)
    bench.configure()
    last = bench.heard(Observation)[-1]
    assert (last.value, last.deleted) == (None, True)
    assert runs.read_text() == "run\n"
    assert bench.values() == [None, 1, None]


def test_a_crowd_of_programs_runs_at_once_and_is_spread_afterwards(bench: Bench, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    crowd = [
        msgspec.structs.replace(script(f"date +{number}:%s.%N >> {runs}", interval=2.0), name=f"s{number}")
        for number in range(20)
    ]
    bench.configure(*crowd)
    bench.run(lambda: runs.exists() and len(runs.read_text().splitlines()) == 40, 8)
    seen: dict[int, list[float]] = {number: [] for number in range(20)}
    for line in runs.read_text().splitlines():
        number, _, moment = line.partition(":")
        seen[int(number)].append(float(moment))
    first = [moments[0] for moments in seen.values()]
    assert max(first) - min(first) < 1.0
    # Early by a twentieth of the interval more each, and none is late.
    assert seen[5][1] - seen[5][0] == pytest.approx(1.5, abs=0.3)
    assert seen[10][1] - seen[10][0] == pytest.approx(1.0, abs=0.3)
    assert max(moments[1] - moments[0] for moments in seen.values() if len(moments) > 1) < 2.3


def test_a_bad_slice_is_refused_and_changes_nothing(bench: Bench) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        bench.room.prepare(1, b"\xc1")
    bench.configure(script("exit 0"))
    bench.room.prepare(9, msgspec.msgpack.encode(RunnerSlice()))
    bench.room.abandon()
    with pytest.raises(ValueError, match="generation 9"):
        bench.room.commit(9)
    bench.run(lambda: bench.values() == [None, 1])


def test_notify_programs_run_in_order_with_arguments_and_environment(bench: Bench, tmp_path: Path) -> None:
    out = tmp_path / "out"
    master = Program(id="VI_1/notify_master", text="", argv=("/bin/sh", "-c", f"sleep 0.2; echo master >> {out}"))
    line = f'echo "$@ $KAD_REASON ${{LD_PRELOAD-unset}}" >> {out}; echo said; exit 4'
    generic = Program(id="VI_1/notify", text="", argv=("/bin/sh", "-c", line, "sh", "configured"))
    bench.configure(programs=(of_instance(master), of_instance(generic)))
    bench.room.receive(ask(master, 1))
    bench.room.receive(ask(generic, 2, reason="no advert for 3.61 s"))
    bench.run(lambda: len(bench.heard(Notified)) == 2)
    assert out.read_text() == "master\nconfigured INSTANCE VI_1 MASTER 100 no advert for 3.61 s unset\n"
    first, second = bench.heard(Notified)
    assert (first.program, first.sequence, first.ending) == ("VI_1/notify_master", 1, Exited(0))
    assert (second.program, second.sequence, second.ending, second.output) == ("VI_1/notify", 2, Exited(4), "said\n")
    assert first.duration >= 0.2


def test_a_program_that_is_not_configured_is_refused(bench: Bench) -> None:
    bench.configure()
    bench.room.receive(ask(shell("touch /never", "VI_1/notify"), 1))
    assert [(answer.ending, answer.output) for answer in bench.heard(Notified)] == [
        (NotStarted("VI_1/notify is not configured", transient=True), "")
    ]


def test_a_program_that_a_reload_took_away_is_not_run_any_more(bench: Bench, tmp_path: Path) -> None:
    slow, later = shell("sleep 0.3", "VI_1/notify_master"), shell(f"touch {tmp_path}/ran", "VI_1/notify")
    bench.configure(programs=(slow, later))
    bench.room.receive(ask(slow, 1))
    bench.room.receive(ask(later, 2))
    # One reload later it might still say farewell.
    bench.configure(programs=(slow,))
    bench.configure(programs=(slow,))
    bench.run(lambda: len(bench.heard(Notified)) == 2)
    assert [(answer.ending, answer.output) for answer in bench.heard(Notified)] == [
        (Exited(0), ""),
        (NotStarted("no longer configured", transient=True), ""),
    ]
    assert not (tmp_path / "ran").exists()


def test_another_message_is_said_to_be_none_of_ours(bench: Bench) -> None:
    bench.room.receive(Pong(number=1))
    assert bench.log.lines == ["a Pong is nothing for the runner"]


def test_stop_waits_for_what_is_awaited_and_for_nothing_else(bench: Bench, tmp_path: Path) -> None:
    farewell = shell(f"sleep 0.2; touch {tmp_path}/farewell", "VI_1/notify_stop")
    endless = shell(f"echo $$ > {tmp_path}/endless; exec sleep 1000", "VI_2/notify_master")
    bench.configure(programs=(farewell, endless))
    bench.room.receive(ask(farewell, 1, awaited_until=1.0))
    bench.room.receive(ask(endless, 1))
    started = bench.mux.now()
    bench.mux.loop.run_until_complete(bench.room.stop(release=True, handover=0.0))
    assert (tmp_path / "farewell").exists()
    assert bench.mux.now() - started < 0.9
    os.kill(int((tmp_path / "endless").read_text()), signal.SIGKILL)
    bench.run(lambda: len(bench.heard(Notified)) == 2)


def test_stop_kills_the_group_of_a_script_that_ignores_sigterm(bench: Bench, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    bench.configure(script(f"trap '' TERM; echo $$ > {pid}; while :; do sleep 0.05; done"))
    bench.run(lambda: pid.exists() and bool(pid.read_text()))
    bench.mux.loop.run_until_complete(bench.room.stop(release=True, handover=0.0))
    bench.run(lambda: has_ended(int(pid.read_text())))


def test_the_snapshot_is_plain(bench: Bench) -> None:
    bench.configure(script("echo bad; exit 1"), programs=(shell("exit 0", "VI_1/notify"),))
    bench.run(lambda: bench.values() == [None, 0])
    snapshot = msgspec.json.decode(msgspec.json.encode(bench.room.snapshot(clear_statistics=True)))
    [told] = snapshot["scripts"]
    assert (told["name"], told["value"], told["last_status"], told["output"], told["runs"]) == ("chk", 0, 1, "bad\n", 1)
    assert told["last_ending"] == {"type": "exited", "status": 1}
    assert snapshot["programs"] == {"VI_1/notify": ["/bin/sh", "-c", "exit 0"]}
    assert bench.room.snapshot(clear_statistics=False)["scripts"][0]["runs"] == 0  # type: ignore[index]


def has_ended(pid: int) -> bool:
    """Gone, or a zombie that its new parent has not yet collected."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True

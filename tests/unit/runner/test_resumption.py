"""A runner that replaces a dead one goes on with what the dead one had found."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kad.model.program_end import Exited
from kad.model.runner import VrrpScript
from kad.runner.script_check import ProgramEnded, Resumed, ScriptCheck, Slept, Started
from kad.shared.messages import Observation
from kad.shared.state_machine import DeadlineReached
from tests.unit.runner.test_runner_room import Bench, script, shell


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.mux.loop.run_until_complete(bench.room.stop(release=True, handover=0.0))
    bench.mux.loop.close()


def observed(value: int | None, name: str = "chk", *, deleted: bool = False) -> Observation:
    return Observation(
        kind="script", name=name, value=value, since=1000.0, reason="exited with status 3", output="no", deleted=deleted
    )


def test_a_result_of_the_earlier_life_is_the_first_thing_that_is_said(bench: Bench) -> None:
    bench.room.receive(observed(0))
    bench.configure(script("exec sleep 30"))
    assert bench.heard(Observation) == [observed(0)]


@pytest.mark.parametrize("earlier", [observed(None), observed(1, deleted=True), observed(1, "other")])
def test_no_result_is_no_result(bench: Bench, earlier: Observation) -> None:
    bench.room.receive(earlier)
    bench.configure(script("exec sleep 30"))
    assert bench.values() == [None]


def test_what_is_said_later_is_no_earlier_life(bench: Bench) -> None:
    bench.configure()
    bench.room.receive(observed(0))
    bench.configure(script("exec sleep 30"))
    assert bench.values() == [None]


def test_the_same_result_again_is_no_news(bench: Bench) -> None:
    bench.room.receive(observed(1))
    bench.configure(script("exit 0", interval=0.05, timeout=0.05))
    bench.run(lambda: bench.room.snapshot(False)["scripts"][0]["runs"] > 3)  # type: ignore[index]
    assert bench.values() == [1]
    assert bench.heard(Observation)[0].since == 1000.0


@pytest.mark.parametrize(("value", "status"), [(1, 1), (0, 0)])
def test_a_single_run_does_not_overturn_a_result_that_needs_several(value: int, status: int) -> None:
    check = ScriptCheck(VrrpScript(name="chk", program=shell("x"), interval=1.0, timeout=1.0, rise=2, fall=2))
    assert check.handle(Resumed(value, "", ""), 0.0) == []
    check.handle(Started(), 0.0)
    check.handle(ProgramEnded(Exited(status), ""), 0.5)
    assert check.value == value
    check.handle(DeadlineReached(), 1.0)
    check.handle(ProgramEnded(Exited(status), ""), 1.5)
    assert check.value == 1 - value


def test_a_program_is_not_blamed_for_a_pause_of_the_runner() -> None:
    check = ScriptCheck(VrrpScript(name="chk", program=shell("x"), interval=5.0, timeout=2.0))
    check.handle(Started(), 0.0)
    assert check.handle(Slept(), 10.0) == []
    assert check.deadline == 12.0
    check.handle(ProgramEnded(Exited(0), ""), 11.0)
    assert check.value == 1
    # Then it goes on in its own time.
    assert check.deadline == 15.0
    assert check.handle(Slept(), 30.0) == []
    assert check.deadline == 15.0

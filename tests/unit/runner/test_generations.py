"""Programs of a reload: each asker gets the program of the configuration that it ran when it asked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kad.model.program_end import Exited, NotStarted, ProgramEnd
from kad.shared.messages import Notified
from tests.unit.runner.test_runner_room import Bench, ask, shell


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.mux.loop.run_until_complete(bench.room.stop(release=True, handover=0.0))
    bench.mux.loop.close()


def ending(bench: Bench, generation: int, sequence: int) -> ProgramEnd:
    """The end of the program VI/notify for an asker that ran this generation."""
    bench.room.receive(ask(shell("", "VI/notify"), sequence, generation=generation))
    bench.run(lambda: any(said.sequence == sequence for said in bench.heard(Notified)))
    return next(said.ending for said in bench.heard(Notified) if said.sequence == sequence)


def test_what_was_removed_says_farewell_with_the_old_program(bench: Bench) -> None:
    bench.configure(programs=(shell("exit 11", "VI/notify"),))
    bench.configure()
    assert ending(bench, generation=1, sequence=1) == Exited(11)
    assert ending(bench, generation=2, sequence=2) == NotStarted("VI/notify is not configured", transient=True)


def test_what_was_changed_is_the_new_program_for_who_runs_the_new_configuration(bench: Bench) -> None:
    bench.configure(programs=(shell("exit 11", "VI/notify"),))
    bench.configure(programs=(shell("exit 22", "VI/notify"),))
    assert ending(bench, generation=1, sequence=1) == Exited(11)
    assert ending(bench, generation=2, sequence=2) == Exited(22)


def test_a_program_that_is_new_serves_a_late_asker_too(bench: Bench) -> None:
    bench.configure()
    bench.configure(programs=(shell("exit 22", "VI/notify"),))
    assert ending(bench, generation=1, sequence=1) == Exited(22)


def test_two_reloads_later_it_is_gone(bench: Bench) -> None:
    bench.configure(programs=(shell("exit 11", "VI/notify"),))
    bench.configure()
    bench.configure()
    assert ending(bench, generation=1, sequence=1) == NotStarted("VI/notify is not configured", transient=True)

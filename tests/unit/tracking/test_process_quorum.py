"""Tracked processes: which ones are meant, how many there must be, and how long a change may last unheard."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from kad.model.tracking import ProcessWords, TrackedProcess
from kad.shared.state_machine import DeadlineReached
from kad.tracking.process_quorum import Counted, Observe, ProcessQuorum, Reconfigured
from tests.play import Due, Play


@dataclass
class Fake:
    """A process that exists only here."""

    name: str
    arguments: tuple[str, ...] = ()
    executable_path: str = ""

    def runs(self, path: str) -> bool:
        return path == self.executable_path


def tracked(
    quorum: int = 1, quorum_max: int | None = None, fork: float = 0.0, terminate: float = 0.0
) -> TrackedProcess:
    return TrackedProcess(
        name="P",
        pattern=ProcessWords(name="nginx"),
        quorum=quorum,
        quorum_max=quorum_max,
        fork_delay=fork,
        terminate_delay=terminate,
    )


def run(number: int, wanted: str = "1 or more") -> str:
    return f"{number} of process nginx {'runs' if number == 1 else 'run'}, {wanted} wanted"


def test_the_first_count_decides_at_once_and_then_each_change() -> None:
    assert (
        Play(ProcessQuorum(tracked(terminate=3.0, fork=3.0)))
        >> Counted(0)
        << Observe(0, run(0))
        >> Counted(0)
        >> Due(None)
    )
    assert (
        Play(ProcessQuorum(tracked()))
        >> Counted(1)
        << Observe(1, run(1))
        >> Counted(2)
        >> Counted(1)
        >> Counted(0)
        << Observe(0, run(0))
        >> Counted(3)
        << Observe(1, run(3))
    )


@pytest.mark.parametrize(
    ("quorum", "quorum_max", "wanted", "good"),
    [
        (1, None, "1 or more", {1, 2, 3, 4}),
        (2, None, "2 or more", {2, 3, 4}),
        (2, 3, "2 to 3", {2, 3}),
        (2, 2, "2", {2}),
        (0, 0, "0", {0}),
        (1, 1, "1", {1}),
    ],
)
def test_the_number_must_be_within_both_bounds(
    quorum: int, quorum_max: int | None, wanted: str, good: set[int]
) -> None:
    for number in range(5):
        machine = ProcessQuorum(tracked(quorum, quorum_max))
        assert machine.handle(Counted(number), 0.0) == [Observe(int(number in good), run(number, wanted))]


def test_a_restart_within_the_delay_is_not_heard() -> None:
    assert (
        Play(ProcessQuorum(tracked(terminate=2.0)))
        >> Counted(1)
        << Observe(1, run(1))
        >> Counted(0)
        >> Due(2.0)
        >> Counted(1)
        >> Due(None)
    )


def test_what_lasts_longer_than_the_delay_counts() -> None:
    assert (
        Play(ProcessQuorum(tracked(terminate=2.0, fork=0.5)))
        >> Counted(1)
        << Observe(1, run(1))
        >> Counted(0)
        >> Due(2.0)
        >> DeadlineReached()
        << Observe(0, run(0))
        >> Counted(1)
        >> Due(2.5)
        >> DeadlineReached()
        << Observe(1, run(1))
        >> Due(None)
    )


def test_the_delay_is_that_of_the_direction_in_which_the_number_went() -> None:
    """quorum_max: one too many comes by a fork, and goes by an end."""
    assert (
        Play(ProcessQuorum(tracked(1, 1, fork=1.0, terminate=3.0)))
        >> Counted(1)
        << Observe(1, run(1, "1"))
        >> Counted(2)
        >> Due(1.0)
        >> DeadlineReached()
        << Observe(0, run(2, "1"))
        >> Counted(1)
        >> Due(4.0)
        >> DeadlineReached()
        << Observe(1, run(1, "1"))
    )


def test_a_second_loss_does_not_begin_the_delay_anew() -> None:
    play = Play(ProcessQuorum(tracked(quorum=3, terminate=2.0))) >> Counted(3) << Observe(1, run(3, "3 or more"))
    assert play >> Counted(2) >> Due(2.0)
    assert play >> Counted(1) >> DeadlineReached() << Observe(0, run(1, "3 or more"))


def test_another_quorum_counts_at_once() -> None:
    play = Play(ProcessQuorum(tracked(terminate=9.0))) >> Counted(2) << Observe(1, run(2))
    assert play >> Reconfigured(tracked(quorum=3)) << Observe(0, run(2, "3 or more"))
    assert play >> Reconfigured(tracked(quorum=2)) << Observe(1, run(2, "2 or more"))


@pytest.mark.parametrize(("value", "number", "news"), [(1, 1, []), (1, 0, [Observe(0, run(0))])])
def test_what_an_earlier_life_said_stands_until_it_is_wrong(value: int, number: int, news: list[Observe]) -> None:
    machine = ProcessQuorum(tracked(terminate=5.0))
    machine.resume(value, "as it was")
    assert machine.handle(Counted(number), 0.0) == news


@pytest.mark.parametrize(
    ("pattern", "process", "meant"),
    [
        (ProcessWords(name="nginx"), Fake("nginx"), True),
        (ProcessWords(name="nginx"), Fake("nginx2"), False),
        (ProcessWords(name="averyveryverylongname"), Fake("averyveryverylo"), True),
        (ProcessWords(name="averyveryverylongname"), Fake("averyveryveryl"), False),
        (ProcessWords(name="/a", full_command=True), Fake("x", ("/a", "-x")), True),
        (ProcessWords(name="/a", full_command=True), Fake("a", ("a",)), False),
        (ProcessWords(name="/a", full_command=True), Fake("kthread"), False),
        (ProcessWords(name="/a", full_command=True), Fake("a", ("a: worker process",), "/a"), True),
        (ProcessWords(name="/a", full_command=True), Fake("a", ("a: worker process",), "/b"), False),
        (ProcessWords(name="/a", full_command=True), Fake("a", ("other",), "/a"), False),
        *(
            (
                ProcessWords(name="/a", full_command=True, arguments=wanted, param_match=match),  # type: ignore[arg-type]
                Fake("a", ("/a", *given)),
                meant,
            )
            for match, wanted, given, meant in [
                ("exact", (), (), True),
                ("exact", (), ("x",), False),
                ("exact", ("x", "y"), ("x", "y"), True),
                ("exact", ("x", "y"), ("x", "y", "z"), False),
                ("exact", ("x", "y"), ("x",), False),
                ("partial", ("x", "y"), ("x", "y", "z"), True),
                ("partial", ("x", "y"), ("x", "yy"), False),
                ("partial", ("x", "y"), ("x",), False),
                ("partial", (), ("x",), True),
                ("initial", ("x", "y"), ("x", "yy"), True),
                ("initial", ("x", "y"), ("x", "y", "z"), True),
                ("initial", ("x", "y"), ("xx", "y"), False),
                ("initial", ("x", "y"), ("x",), False),
                ("initial", (), ("x",), True),
            ]
        ),
    ],
)
def test_which_processes_are_meant(pattern: ProcessWords, process: Fake, meant: bool) -> None:
    assert (pattern.may_mean(process.name) and pattern.means(process)) is meant

"""vrrp_script as plays: events in, actions out; the counting is keepalived's."""

from __future__ import annotations

import pytest

from kad.model.program_end import Exited, Killed, NotStarted
from kad.model.runner import Program, VrrpScript
from kad.runner.script_check import (
    Action,
    Event,
    Observe,
    ProgramEnded,
    Reconfigured,
    Report,
    ScriptCheck,
    Signal,
    SignalProgram,
    Started,
    StartProgram,
    Stopped,
)
from kad.shared.state_machine import DeadlineReached

PROGRAM = Program(id="chk", text="/bin/check", argv=("/bin/check",), shell=False, user=None, group=None)
OTHER = Program(id="chk", text="/bin/other", argv=("/bin/other",), shell=False, user=None, group=None)
START = StartProgram(PROGRAM)


def configured(
    program: Program = PROGRAM, interval: float = 1.0, timeout: float = 1.0, rise: int = 1, fall: int = 1
) -> VrrpScript:
    return VrrpScript(name="chk", program=program, interval=interval, timeout=timeout, rise=rise, fall=fall)


def play(check: ScriptCheck, *lines: tuple[float, Event, list[Action]]) -> None:
    for now, event, expected in lines:
        assert check.handle(event, now) == expected, f"at {now}: {event}"


def values(check: ScriptCheck, statuses: list[int]) -> list[int | None]:
    """The value after each run; runs start at 0, 1, 2 …"""
    seen = []
    assert check.handle(Started(), 0.0) == [START]
    for turn, status in enumerate(statuses):
        if turn:
            assert check.handle(DeadlineReached(), float(turn)) == [START]
        check.handle(ProgramEnded(Exited(status), ""), turn + 0.25)
        seen.append(check.value)
    return seen


def test_the_first_run_is_at_once_and_the_next_one_interval_after_its_start() -> None:
    check = ScriptCheck(configured(interval=3.0, timeout=3.0))
    play(check, (10.0, Started(), [START]))
    assert check.deadline == 13.0
    play(
        check,
        (
            12.5,
            ProgramEnded(Exited(0), ""),
            [Report("VRRP_Script(chk) succeeded"), Observe(1, "exited with status 0", "")],
        ),
    )
    assert check.deadline == 13.0
    play(check, (13.0, DeadlineReached(), [START]))


def test_a_run_longer_than_the_interval_is_not_doubled_and_keeps_the_rhythm() -> None:
    check = ScriptCheck(configured(interval=1.0, timeout=10.0))
    play(check, (0.0, Started(), [START]))
    assert check.deadline == 10.0
    check.handle(ProgramEnded(Exited(0), ""), 2.3)
    assert check.deadline == 3.0


def test_one_of_a_crowd_comes_early_once() -> None:
    check = ScriptCheck(configured(interval=2.0, timeout=2.0), early=1.5)
    play(check, (0.0, Started(), [START]))
    check.handle(ProgramEnded(Exited(0), ""), 0.75)
    assert check.deadline == 2.0  # too late for it
    check.handle(DeadlineReached(), 2.0)
    check.handle(ProgramEnded(Exited(0), ""), 2.25)
    assert check.deadline == 2.5
    check.handle(DeadlineReached(), 2.5)
    check.handle(ProgramEnded(Exited(0), ""), 2.75)
    assert check.deadline == 4.5


@pytest.mark.parametrize(("status", "value"), [(0, 1), (1, 0)])
def test_the_first_result_decides_whatever_rise_and_fall_say(status: int, value: int) -> None:
    assert values(ScriptCheck(configured(rise=5, fall=5)), [status]) == [value]


def test_fall_failures_in_a_row_are_needed() -> None:
    check = ScriptCheck(configured(rise=2, fall=3))
    assert values(check, [0, 1, 1, 0, 1, 1, 1]) == [1, 1, 1, 1, 1, 1, 0]


def test_rise_successes_in_a_row_are_needed() -> None:
    check = ScriptCheck(configured(rise=3, fall=2))
    assert values(check, [1, 0, 0, 1, 0, 0, 0]) == [0, 0, 0, 0, 0, 0, 1]


def test_the_value_is_observed_only_when_it_changes() -> None:
    check = ScriptCheck(configured())
    play(
        check,
        (0.0, Started(), [START]),
        (
            0.1,
            ProgramEnded(Exited(1), "no nginx\n"),
            [
                Report("VRRP_Script(chk) failed (exited with status 1)"),
                Report("VRRP_Script(chk) printed: no nginx"),
                Observe(0, "exited with status 1", "no nginx\n"),
            ],
        ),
        (1.0, DeadlineReached(), [START]),
        (1.1, ProgramEnded(Exited(1), "no nginx\n"), []),
        (2.0, DeadlineReached(), [START]),
        (2.1, ProgramEnded(Exited(3), ""), [Report("Script `chk` now returning 3")]),
        (3.0, DeadlineReached(), [START]),
        (
            3.1,
            ProgramEnded(Exited(0), ""),
            [
                Report("Script `chk` now returning 0"),
                Report("VRRP_Script(chk) succeeded"),
                Observe(1, "exited with status 0", ""),
            ],
        ),
    )


def test_death_by_a_signal_is_a_failure() -> None:
    check = ScriptCheck(configured())
    play(
        check,
        (0.0, Started(), [START]),
        (
            0.1,
            ProgramEnded(Killed(11), ""),
            [Report("VRRP_Script(chk) failed (due to signal 11)"), Observe(0, "due to signal 11", "")],
        ),
    )


def test_a_program_that_cannot_be_started_is_a_failure_with_its_cause() -> None:
    check = ScriptCheck(configured())
    play(
        check,
        (0.0, Started(), [START]),
        (
            0.0,
            ProgramEnded(NotStarted("No such file or directory"), ""),
            [
                Report("VRRP_Script(chk) failed (not started: No such file or directory)"),
                Observe(0, "could not be started: No such file or directory", ""),
            ],
        ),
    )
    assert check.deadline == 1.0


def test_a_time_out_fails_at_once_and_kills_in_keepaliveds_rhythm() -> None:
    check = ScriptCheck(configured(interval=5.0, timeout=2.0))
    play(
        check,
        (0.0, Started(), [START]),
        (
            2.0,
            DeadlineReached(),
            [
                SignalProgram(Signal.TERM),
                Report("VRRP_Script(chk) timed_out"),
                Observe(0, "timed out after 2 s", ""),
            ],
        ),
        (4.0, DeadlineReached(), [SignalProgram(Signal.KILL)]),
        (6.0, DeadlineReached(), [SignalProgram(Signal.KILL)]),
        (16.0, DeadlineReached(), [SignalProgram(Signal.KILL)]),
        (26.0, DeadlineReached(), [SignalProgram(Signal.KILL)]),
    )
    assert check.deadline == 36.0
    play(check, (27.0, ProgramEnded(Killed(9), "late words"), []))
    assert check.deadline == 30.0
    assert check.value == 0


def test_a_program_that_sigkill_does_not_end_fails_again_and_again() -> None:
    check = ScriptCheck(configured(fall=3, interval=2.0, timeout=2.0))
    play(
        check,
        (0.0, Started(), [START]),
        (
            0.1,
            ProgramEnded(Exited(0), ""),
            [Report("VRRP_Script(chk) succeeded"), Observe(1, "exited with status 0", "")],
        ),
        (2.0, DeadlineReached(), [START]),
        (4.0, DeadlineReached(), [SignalProgram(Signal.TERM)]),
        (6.0, DeadlineReached(), [SignalProgram(Signal.KILL)]),
        (8.0, DeadlineReached(), [SignalProgram(Signal.KILL)]),
        (
            18.0,
            DeadlineReached(),
            [
                SignalProgram(Signal.KILL),
                Report("VRRP_Script(chk) timed_out"),
                Observe(0, "cannot be killed", ""),
            ],
        ),
    )


def test_a_success_after_our_sigterm_does_not_count() -> None:
    check = ScriptCheck(configured(timeout=1.0, interval=4.0))
    check.handle(Started(), 0.0)
    check.handle(DeadlineReached(), 1.0)
    play(check, (1.2, ProgramEnded(Exited(0), ""), []))
    assert check.value == 0
    assert check.deadline == 4.0


def test_a_deadline_that_is_not_due_does_nothing() -> None:
    check = ScriptCheck(configured(timeout=1.0))
    play(check, (0.0, Started(), [START]), (0.5, DeadlineReached(), []))


def test_a_changed_program_runs_at_once_and_its_first_result_decides() -> None:
    check = ScriptCheck(configured(fall=3))
    assert values(check, [0]) == [1]
    changed = configured(program=OTHER, fall=3)
    play(check, (0.5, Reconfigured(changed), [StartProgram(OTHER)]))
    assert check.value == 1, "a reload alone moves no priority"
    play(
        check,
        (
            0.7,
            ProgramEnded(Exited(1), ""),
            [
                Report("VRRP_Script(chk) failed (exited with status 1)"),
                Observe(0, "exited with status 1", ""),
            ],
        ),
    )


def test_a_changed_program_needs_one_success_to_be_good_whatever_rise_says() -> None:
    check = ScriptCheck(configured(rise=3))
    assert values(check, [1]) == [0]
    check.handle(Reconfigured(configured(program=OTHER, rise=3)), 0.5)
    check.handle(ProgramEnded(Exited(0), ""), 0.7)
    assert check.value == 1


def test_a_changed_program_replaces_the_running_one_after_its_end() -> None:
    check = ScriptCheck(configured())
    play(
        check,
        (0.0, Started(), [START]),
        (0.5, Reconfigured(configured(program=OTHER)), [SignalProgram(Signal.TERM)]),
        (2.5, DeadlineReached(), [SignalProgram(Signal.KILL)]),
        (2.6, ProgramEnded(Exited(0), ""), [StartProgram(OTHER)]),
    )
    assert check.value is None, "the old program's result is nobody's"


def test_other_keywords_change_without_a_new_start_and_keep_the_result() -> None:
    check = ScriptCheck(configured(interval=60.0, timeout=60.0, fall=1))
    assert values(check, [0]) == [1]
    play(check, (2.0, Reconfigured(configured(interval=5.0, timeout=5.0, fall=2)), []))
    assert check.deadline == 5.0
    check.handle(DeadlineReached(), 5.0)
    check.handle(ProgramEnded(Exited(1), ""), 5.1)
    assert check.value == 1, "fall is 2 now"


def test_stopped_ends_the_running_program_and_then_the_machine() -> None:
    check = ScriptCheck(configured())
    play(
        check,
        (0.0, Started(), [START]),
        (0.5, Stopped(), [SignalProgram(Signal.TERM)]),
        (2.5, DeadlineReached(), [SignalProgram(Signal.KILL)]),
        (4.5, DeadlineReached(), [SignalProgram(Signal.KILL)]),
    )
    assert not check.finished
    play(check, (4.6, ProgramEnded(Killed(9), ""), []))
    assert check.finished
    assert check.deadline is None
    assert check.value is None


def test_stopped_between_two_runs_ends_at_once() -> None:
    check = ScriptCheck(configured())
    values(check, [0])
    play(check, (0.5, Stopped(), []))
    assert check.finished

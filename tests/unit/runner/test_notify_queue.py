"""Notify programs as plays: one after the other, the latest state wins, nothing runs twice."""

from __future__ import annotations

from kad.model.notification import CheckDue, InstanceStateChanged
from kad.model.program_end import Exited, Killed, NotStarted, ProgramEnd, TimedOut
from kad.runner.notify_queue import (
    Action,
    Answer,
    Asked,
    Event,
    Keep,
    NotifyLine,
    ProgramEnded,
    Report,
    RunProgram,
    SignalProgram,
)
from kad.runner.script_check import Signal
from kad.shared.messages import Notified, Notify
from kad.shared.state_machine import DeadlineReached


def ask(keyword: str, sequence: int, name: str = "VI_1", awaited: float | None = None) -> Notify:
    fact = InstanceStateChanged(state="MASTER", previous_state="BACKUP", priority=100, reason="why")
    return Notify(program=f"{name}/{keyword}", fact=fact, generation=1, sequence=sequence, awaited_until=awaited)


def answer(keyword: str, sequence: int, ending: ProgramEnd, output: str, duration: float) -> Answer:
    return Answer(
        Notified(
            program=f"VI_1/{keyword}",
            object="VI_1",
            sequence=sequence,
            ending=ending,
            output=output,
            duration=duration,
        )
    )


def play(line: NotifyLine, *lines: tuple[float, Event, list[Action]]) -> None:
    for now, event, expected in lines:
        assert line.handle(event, now) == expected, f"at {now}: {event}"


def test_programs_of_one_object_run_one_after_the_other() -> None:
    line = NotifyLine()
    master, generic = ask("notify_master", 1), ask("notify", 2)
    play(
        line,
        (0.0, Asked(master), [RunProgram(1, master)]),
        (0.0, Asked(generic), [Keep(generic)]),
        (
            0.5,
            ProgramEnded(1, Exited(0), "done"),
            [
                answer("notify_master", 1, Exited(0), "done", 0.5),
                RunProgram(2, generic),
                Keep(generic, wanted=False),
            ],
        ),
        (0.75, ProgramEnded(2, Exited(0), ""), [answer("notify", 2, Exited(0), "", 0.25)]),
    )
    assert line.deadline is None


def test_a_line_that_is_behind_keeps_the_latest_of_each_program_in_the_order_of_asking() -> None:
    line = NotifyLine()
    first = ask("notify_backup", 1)
    second, third, fourth = ask("notify_master", 2), ask("notify_backup", 3), ask("notify_master", 4)
    play(
        line,
        (0.0, Asked(first), [RunProgram(1, first)]),
        (1.0, Asked(second), [Keep(second)]),
        (2.0, Asked(third), [Keep(third)]),
        (
            3.0,
            Asked(fourth),
            [
                answer("notify_master", 2, NotStarted("overtaken by VI_1/notify_master"), "", 0.0),
                Keep(second, wanted=False),
                Keep(fourth),
            ],
        ),
        (
            4.0,
            ProgramEnded(1, Exited(0), ""),
            [answer("notify_backup", 1, Exited(0), "", 4.0), RunProgram(2, third), Keep(third, wanted=False)],
        ),
        (
            5.0,
            ProgramEnded(2, Exited(0), ""),
            [answer("notify_backup", 3, Exited(0), "", 1.0), RunProgram(3, fourth), Keep(fourth, wanted=False)],
        ),
    )


def test_a_repeat_is_ignored() -> None:
    line = NotifyLine()
    master, generic = ask("notify_master", 7), ask("notify", 8)
    play(
        line,
        (0.0, Asked(master), [RunProgram(1, master)]),
        (0.0, Asked(generic), [Keep(generic)]),
        (0.1, Asked(master), []),
        (0.1, Asked(generic), []),
        (
            0.2,
            ProgramEnded(1, Exited(0), ""),
            [answer("notify_master", 7, Exited(0), "", 0.2), RunProgram(2, generic), Keep(generic, wanted=False)],
        ),
        (0.3, ProgramEnded(2, Exited(0), ""), [answer("notify", 8, Exited(0), "", 0.3 - 0.2)]),
        (0.4, Asked(generic), []),
    )


def test_a_failure_is_reported_with_its_output_and_a_signal_counts_from_128() -> None:
    line = NotifyLine()
    one, two, three = ask("notify_fault", 1), ask("notify_fault", 2), ask("notify_fault", 3)
    play(
        line,
        (0.0, Asked(one), [RunProgram(1, one)]),
        (
            1.0,
            ProgramEnded(1, Exited(2), "no mail\n"),
            [
                Report("VI_1/notify_fault failed (exited with status 2): no mail"),
                answer("notify_fault", 1, Exited(2), "no mail\n", 1.0),
            ],
        ),
        (1.0, Asked(two), [RunProgram(2, two)]),
        (
            2.0,
            ProgramEnded(2, Killed(15), ""),
            [Report("VI_1/notify_fault failed (due to signal 15)"), answer("notify_fault", 2, Killed(15), "", 1.0)],
        ),
        (2.0, Asked(three), [RunProgram(3, three)]),
        (
            2.0,
            ProgramEnded(3, NotStarted("Permission denied"), ""),
            [
                Report("VI_1/notify_fault could not be started: Permission denied"),
                answer("notify_fault", 3, NotStarted("Permission denied"), "", 0.0),
            ],
        ),
    )


def test_a_program_that_nothing_waits_for_has_no_limit() -> None:
    line = NotifyLine()
    line.handle(Asked(ask("notify_master", 1)), 0.0)
    assert line.deadline is None


def test_a_program_that_holds_up_a_newer_one_is_ended_after_a_minute() -> None:
    line = NotifyLine()
    master, backup = ask("notify_master", 1), ask("notify_backup", 2)
    play(line, (0.0, Asked(master), [RunProgram(1, master)]), (10.0, Asked(backup), [Keep(backup)]))
    assert line.deadline == 60.0
    play(
        line,
        (
            60.0,
            DeadlineReached(),
            [Report("VI_1/notify_master has run for 60 s: ending it"), SignalProgram(1, Signal.TERM)],
        ),
        (62.0, DeadlineReached(), [SignalProgram(1, Signal.KILL)]),
        (64.0, DeadlineReached(), [SignalProgram(1, Signal.KILL)]),
    )
    assert line.deadline == 74.0
    play(
        line,
        (
            65.0,
            ProgramEnded(1, Killed(9), ""),
            [
                Report("VI_1/notify_master failed (due to signal 9)"),
                answer("notify_master", 1, Killed(9), "", 65.0),
                RunProgram(2, backup),
                Keep(backup, wanted=False),
            ],
        ),
    )


def test_a_farewell_overtakes_what_waits_and_does_not_wait_for_ever() -> None:
    line = NotifyLine()
    master, backup, stop = ask("notify_master", 1), ask("notify_backup", 2), ask("notify_stop", 3, awaited=1.0)
    play(
        line,
        (0.0, Asked(master), [RunProgram(1, master)]),
        (1.0, Asked(backup), [Keep(backup)]),
        (
            2.0,
            Asked(stop),
            [
                answer("notify_backup", 2, NotStarted("overtaken by VI_1/notify_stop"), "", 0.0),
                Keep(backup, wanted=False),
                Keep(stop),
            ],
        ),
    )
    assert line.awaited
    assert line.deadline == 2.5
    play(line, (2.5, DeadlineReached(), [RunProgram(2, stop), Keep(stop, wanted=False)]))
    play(line, (2.6, ProgramEnded(2, Exited(0), ""), [answer("notify_stop", 3, Exited(0), "", 2.6 - 2.5)]))
    assert not line.awaited


def test_one_farewell_does_not_overtake_another() -> None:
    line = NotifyLine()
    master = ask("notify_master", 1)
    stop, general = ask("notify_stop", 2, awaited=1.0), ask("notify", 3, awaited=1.0)
    play(
        line,
        (0.0, Asked(master), [RunProgram(1, master)]),
        (1.0, Asked(stop), [Keep(stop)]),
        (1.0, Asked(general), [Keep(general)]),
        (
            1.25,
            ProgramEnded(1, Exited(0), ""),
            [answer("notify_master", 1, Exited(0), "", 1.25), RunProgram(2, stop), Keep(stop, wanted=False)],
        ),
    )
    assert line.awaited


def check(sequence: int) -> Notify:
    fact = CheckDue(check=1, timeout=3.0)
    return Notify(program="check:x/misc_path", fact=fact, generation=1, sequence=sequence)


def test_a_program_with_a_timeout_has_its_verdict_when_the_time_is_over_and_the_runner_says_nothing() -> None:
    line = NotifyLine()
    message = check(1)
    assert line.handle(Asked(message), 10.0) == [RunProgram(1, message)]
    assert line.deadline == 13.0
    (terminate, verdict) = line.handle(DeadlineReached(), 13.0)
    assert terminate == SignalProgram(1, Signal.TERM)
    assert isinstance(verdict, Answer)
    assert (verdict.message.ending, verdict.message.duration) == (TimedOut(3.0), 3.0)
    assert line.deadline == 15.0
    assert line.handle(DeadlineReached(), 15.0) == [SignalProgram(1, Signal.KILL)]
    assert line.handle(ProgramEnded(1, Killed(9), "late"), 15.5) == []


def test_a_check_behind_one_that_does_not_die_is_answered_too_and_never_run() -> None:
    line = NotifyLine()
    line.handle(Asked(check(1)), 10.0)
    line.handle(DeadlineReached(), 13.0)
    assert line.handle(Asked(check(2)), 14.0) == []
    line.handle(DeadlineReached(), 15.0)
    (verdict, kill) = line.handle(DeadlineReached(), 17.0)
    assert isinstance(verdict, Answer)
    assert verdict.message.sequence == 2
    assert verdict.message.ending == NotStarted("the run before it has not ended")
    assert kill == SignalProgram(1, Signal.KILL)
    assert line.handle(ProgramEnded(1, Killed(9), ""), 18.0) == []


def test_what_could_not_be_started_for_a_passing_reason_is_told_so() -> None:
    line = NotifyLine()
    line.handle(Asked(check(1)), 10.0)
    (verdict,) = line.handle(ProgramEnded(1, NotStarted("Cannot allocate memory", transient=True), ""), 10.0)
    assert isinstance(verdict, Answer)
    assert verdict.message.ending == NotStarted("Cannot allocate memory", transient=True)

"""Notify programs as plays: order for each object, the latest state wins, nothing runs twice."""

from __future__ import annotations

from kad.messages import Notified, Notify
from kad.run.notify import (
    Action,
    Answer,
    Asked,
    DeadlineReached,
    Event,
    NotifyQueue,
    ProgramEnded,
    Report,
    RunProgram,
    Signal,
    SignalProgram,
)


def ask(keyword: str, sequence: int, name: str = "VI_1", awaited: float | None = None) -> Notify:
    return Notify(program=f"{name}/{keyword}", object=name, generation=1, sequence=sequence, awaited_until=awaited)


def answer(keyword: str, sequence: int, status: int | None, output: str, duration: float) -> Answer:
    return Answer(
        Notified(
            program=f"VI_1/{keyword}",
            object="VI_1",
            sequence=sequence,
            status=status,
            output=output,
            duration=duration,
        )
    )


def play(queue: NotifyQueue, *lines: tuple[float, Event, list[Action]]) -> None:
    for now, event, expected in lines:
        assert queue.handle(event, now) == expected, f"at {now}: {event}"


def test_programs_of_one_object_run_one_after_the_other() -> None:
    queue = NotifyQueue()
    master, generic = ask("notify_master", 1), ask("notify", 2)
    play(
        queue,
        (0.0, Asked(master), [RunProgram(1, master)]),
        (0.0, Asked(generic), []),
        (0.5, ProgramEnded(1, 0, "done"), [answer("notify_master", 1, 0, "done", 0.5), RunProgram(2, generic)]),
        (0.75, ProgramEnded(2, 0, ""), [answer("notify", 2, 0, "", 0.25)]),
    )
    assert queue.deadline is None


def test_programs_of_two_objects_run_beside_each_other() -> None:
    queue = NotifyQueue()
    one, group = ask("notify_master", 1), ask("notify_master", 1, name="group:G")
    play(queue, (0.0, Asked(one), [RunProgram(1, one)]), (0.0, Asked(group), [RunProgram(2, group)]))


def test_a_queue_that_is_behind_keeps_the_latest_of_each_program_in_the_order_of_asking() -> None:
    queue = NotifyQueue()
    first = ask("notify_backup", 1)
    second, third, fourth = ask("notify_master", 2), ask("notify_backup", 3), ask("notify_master", 4)
    play(
        queue,
        (0.0, Asked(first), [RunProgram(1, first)]),
        (1.0, Asked(second), []),
        (2.0, Asked(third), []),
        (3.0, Asked(fourth), [answer("notify_master", 2, None, "overtaken by VI_1/notify_master", 0.0)]),
        (4.0, ProgramEnded(1, 0, ""), [answer("notify_backup", 1, 0, "", 4.0), RunProgram(2, third)]),
        (5.0, ProgramEnded(2, 0, ""), [answer("notify_backup", 3, 0, "", 1.0), RunProgram(3, fourth)]),
    )


def test_a_repeat_is_ignored() -> None:
    queue = NotifyQueue()
    master, generic = ask("notify_master", 7), ask("notify", 8)
    play(
        queue,
        (0.0, Asked(master), [RunProgram(1, master)]),
        (0.0, Asked(generic), []),
        (0.1, Asked(master), []),
        (0.1, Asked(generic), []),
        (0.2, ProgramEnded(1, 0, ""), [answer("notify_master", 7, 0, "", 0.2), RunProgram(2, generic)]),
        (0.3, ProgramEnded(2, 0, ""), [answer("notify", 8, 0, "", 0.3 - 0.2)]),
        (0.4, Asked(generic), []),
    )


def test_a_failure_is_reported_with_its_output_and_a_signal_counts_from_128() -> None:
    queue = NotifyQueue()
    one, two, three = ask("notify_fault", 1), ask("notify_fault", 2), ask("notify_fault", 3)
    play(
        queue,
        (0.0, Asked(one), [RunProgram(1, one)]),
        (
            1.0,
            ProgramEnded(1, 2, "no mail\n"),
            [
                Report("VI_1/notify_fault failed (exited with status 2): no mail"),
                answer("notify_fault", 1, 2, "no mail\n", 1.0),
            ],
        ),
        (1.0, Asked(two), [RunProgram(2, two)]),
        (
            2.0,
            ProgramEnded(2, 143, ""),
            [Report("VI_1/notify_fault failed (due to signal 15)"), answer("notify_fault", 2, 143, "", 1.0)],
        ),
        (2.0, Asked(three), [RunProgram(3, three)]),
        (
            2.0,
            ProgramEnded(3, None, "Permission denied"),
            [
                Report("VI_1/notify_fault could not be started: Permission denied"),
                answer("notify_fault", 3, None, "Permission denied", 0.0),
            ],
        ),
    )


def test_a_program_that_nothing_waits_for_has_no_limit() -> None:
    queue = NotifyQueue()
    queue.handle(Asked(ask("notify_master", 1)), 0.0)
    assert queue.deadline is None


def test_a_program_that_holds_up_a_newer_one_is_ended_after_a_minute() -> None:
    queue = NotifyQueue()
    master, backup = ask("notify_master", 1), ask("notify_backup", 2)
    play(queue, (0.0, Asked(master), [RunProgram(1, master)]), (10.0, Asked(backup), []))
    assert queue.deadline == 60.0
    play(
        queue,
        (
            60.0,
            DeadlineReached(),
            [Report("VI_1/notify_master has run for 60 s: ending it"), SignalProgram(1, Signal.TERM)],
        ),
        (62.0, DeadlineReached(), [SignalProgram(1, Signal.KILL)]),
        (64.0, DeadlineReached(), [SignalProgram(1, Signal.KILL)]),
    )
    assert queue.deadline == 74.0
    play(
        queue,
        (
            65.0,
            ProgramEnded(1, 137, ""),
            [
                Report("VI_1/notify_master failed (due to signal 9)"),
                answer("notify_master", 1, 137, "", 65.0),
                RunProgram(2, backup),
            ],
        ),
    )


def test_a_farewell_overtakes_what_waits_and_does_not_wait_for_ever() -> None:
    queue = NotifyQueue()
    master, backup, stop = ask("notify_master", 1), ask("notify_backup", 2), ask("notify_stop", 3, awaited=1.0)
    play(
        queue,
        (0.0, Asked(master), [RunProgram(1, master)]),
        (1.0, Asked(backup), []),
        (2.0, Asked(stop), [answer("notify_backup", 2, None, "overtaken by VI_1/notify_stop", 0.0)]),
    )
    assert queue.awaited
    assert queue.deadline == 2.5
    play(queue, (2.5, DeadlineReached(), [RunProgram(2, stop)]))
    play(queue, (2.6, ProgramEnded(2, 0, ""), [answer("notify_stop", 3, 0, "", 2.6 - 2.5)]))
    assert not queue.awaited


def test_a_program_with_a_timeout_is_ended_by_it_and_nobody_but_the_asker_speaks_of_it() -> None:
    queue = NotifyQueue()
    message = Notify(program="check:x/misc_path", object="x", generation=1, sequence=1, timeout=3.0)
    assert queue.handle(Asked(message), 10.0) == [RunProgram(1, message)]
    assert queue.deadline == 13.0
    assert queue.handle(DeadlineReached(), 13.0) == [SignalProgram(1, Signal.TERM)]
    assert queue.deadline == 15.0
    assert queue.handle(DeadlineReached(), 15.0) == [SignalProgram(1, Signal.KILL)]
    (answer,) = queue.handle(ProgramEnded(1, 137, "late"), 15.5)
    assert isinstance(answer, Answer)
    assert (answer.message.status, answer.message.duration) == (137, 5.5)

"""When a child is started, replaced, killed and given up on."""

from __future__ import annotations

import pytest

from kad.shared.exit_codes import describe
from kad.watchdog.supervision import (
    Answered,
    AskAlive,
    Complain,
    Configured,
    DeadlineReached,
    Died,
    Dismissed,
    Fork,
    GiveUp,
    Gone,
    Kill,
    Phase,
    Supervision,
    TellStop,
    Unwanted,
    Wanted,
)
from tests.play import At, Due, Late, Play


def child(deaf_after: float = 2.0) -> Play:
    """Started at 0.0."""
    return Play(Supervision("vrrp", deaf_after)) >> Wanted() << Fork()


def running(deaf_after: float = 2.0) -> Play:
    """Configured at 1.0."""
    return child(deaf_after) >> At(1.0) >> Configured()


def died(how: str) -> Complain:
    return Complain("error", f"vrrp process {how}", "ended")


def again(seconds: int) -> Complain:
    return Complain("warning", f"vrrp process is started again in {seconds} s", "delayed")


@pytest.mark.parametrize(
    ("status", "words"), [(0, "exited with status 0"), (128, "exited with status 128"), (137, "died of signal 9")]
)
def test_an_exit_status_in_words(status: int, words: str) -> None:
    assert describe(status) == words


class TestStart:
    def test_once(self) -> None:
        assert child() >> Wanted()

    def test_nothing_before(self) -> None:
        assert Play(Supervision("vrrp", 2.0)) >> Due(None) >> Unwanted(5.0) >> DeadlineReached() >> Due(None)


class TestReplacement:
    def test_at_once_after_a_second_of_service(self) -> None:
        play = running() >> Late(2.001) >> Died(137) << died("died of signal 9") << Fork()
        assert play
        assert play.machine.restarts == 1

    def test_back_off_grows_with_early_deaths(self) -> None:
        play, now = child(), 0.0
        play = play >> At(now) >> Died(1) << died("exited with status 1") << Fork()
        for seconds in (1, 2, 4, 8, 16, 32, 60, 60, 60):
            play = play >> Died(1) << died("exited with status 1") << again(seconds)
            now += seconds
            play = play >> Due(now) >> DeadlineReached() << Fork()
        assert play

    def test_a_death_right_after_the_configuration_counts(self) -> None:
        play = running() >> At(2.0) >> Died(1) << died("exited with status 1") << Fork()
        play = play >> At(2.1) >> Configured() >> At(3.0) >> Died(1) << died("exited with status 1") << again(1)
        assert play >> Due(4.0)

    def test_a_second_of_service_ends_the_back_off(self) -> None:
        play = child() >> Died(1) << died("exited with status 1") << Fork() >> Died(1) << ... >> Due(1.0)
        play = play >> DeadlineReached() << Fork() >> At(1.5) >> Configured()
        play = play >> Late(2.501) >> Died(1) << died("exited with status 1") << Fork()
        play = play >> Died(1) << died("exited with status 1") << Fork()
        assert play >> Died(1) << died("exited with status 1") << again(1) >> Due(3.501)

    def test_it_may_be_unwanted_while_it_waits(self) -> None:
        play = child() >> Died(1) << ... >> Died(1) << ... >> At(0.5) >> Unwanted(5.0) << Gone()
        assert play >> Due(None) >> At(9.0) >> DeadlineReached() >> Wanted() << Fork()


class TestGivingUp:
    @pytest.mark.parametrize("status", [2, 4])
    def test_at_the_first_start(self, status: int) -> None:
        play = child() >> At(0.1) >> Died(status) << died(f"exited with status {status}")
        assert play << GiveUp(status, "the vrrp process cannot run here") >> Due(None)

    @pytest.mark.parametrize("status", [0, 1, 3, 70, 139])
    def test_not_for_another_status(self, status: int) -> None:
        assert child() >> Died(status) << died(describe(status)) << Fork()

    @pytest.mark.parametrize("status", [2, 4])
    def test_never_later(self, status: int) -> None:
        play = running() >> Late(5.0) >> Died(1) << ... >> At(5.1) >> Died(status)
        assert play << died(f"exited with status {status}") << Fork()

    def test_not_when_it_had_been_configured(self) -> None:
        assert running() >> At(1.1) >> Died(4) << died("exited with status 4") << Fork()


class TestDeafness:
    def test_half_of_the_patience_asks_and_all_of_it_kills(self) -> None:
        assert (
            running(deaf_after=0.3)
            >> Due(1.15)
            >> DeadlineReached()
            << AskAlive()
            >> Due(1.3)
            >> DeadlineReached()
            << Kill("no sign of life for 0.30 s")
            >> Due(2.3)
            >> DeadlineReached()
            >> Died(137)
            << died("died of signal 9")
            << Fork()
        )

    def test_an_answer_ends_the_doubt(self) -> None:
        assert running() >> Due(2.0) >> DeadlineReached() << AskAlive() >> At(2.4) >> Answered() >> Due(3.4)

    def test_a_sign_of_life_counts_from_when_it_was_given(self) -> None:
        assert running() >> At(1.9) >> Answered(1.5) >> Due(2.5)

    def test_an_older_sign_than_the_last_one_is_no_news(self) -> None:
        assert running() >> At(1.9) >> Answered(1.8) >> Answered(1.2) >> Due(2.8)

    def test_a_moment_served_too_early_does_nothing(self) -> None:
        assert running() >> At(1.999) >> DeadlineReached() >> Due(2.0)

    def test_a_parent_that_slept_asks_before_it_kills(self) -> None:
        assert (
            running()
            >> Late(9.0)
            >> DeadlineReached()
            << AskAlive()
            >> Due(11.0)
            >> DeadlineReached()
            << Kill("no sign of life for 2.00 s")
        )

    def test_a_parent_that_was_late_by_a_little_kills_all_the_same(self) -> None:
        play = running() >> Due(2.0) >> DeadlineReached() << AskAlive() >> Late(3.2) >> DeadlineReached()
        assert play << Kill("no sign of life for 2.20 s")

    def test_a_parent_that_was_late_by_a_little_asks_all_the_same(self) -> None:
        play = running(deaf_after=0.3) >> Due(1.15) >> Late(1.35) >> DeadlineReached() << AskAlive() >> Due(1.45)
        assert play >> DeadlineReached() << Kill("no sign of life for 0.45 s")

    def test_one_that_wants_a_processor_and_gets_none_is_not_deaf(self) -> None:
        play = running(deaf_after=0.3) >> Due(1.15) >> DeadlineReached(cpu=7.0) << AskAlive() >> Due(1.3)
        # A fifth of 0.3 s makes it deaf: 0.06 s; it has had none, then 0.02 s.
        play = play >> DeadlineReached(cpu=7.0) >> Due(1.36) >> DeadlineReached(cpu=7.02) >> Due(1.41)
        assert play >> Answered() >> Due(1.56)

    def test_one_that_was_asleep_until_it_was_asked_is_given_its_time(self) -> None:
        play = running(deaf_after=0.3) >> Due(1.15) >> DeadlineReached() << AskAlive() >> Due(1.3)
        play = play >> DeadlineReached(cpu=7.0) >> Due(1.36) >> DeadlineReached(cpu=7.05) >> Due(1.41)
        assert play >> DeadlineReached(cpu=7.07) << Kill("no sign of life for 0.41 s")

    def test_one_that_had_its_processor_is_deaf(self) -> None:
        play = running(deaf_after=0.3) >> Due(1.15) >> DeadlineReached(cpu=7.0) << AskAlive() >> Due(1.3)
        assert play >> DeadlineReached(cpu=7.07) << Kill("no sign of life for 0.30 s")

    def test_one_that_is_stopped_is_deaf_however_little_it_had(self) -> None:
        play = running(deaf_after=0.3) >> Due(1.15) >> DeadlineReached(cpu=7.0) << AskAlive() >> Due(1.3)
        assert play >> DeadlineReached(None) << Kill("no sign of life for 0.30 s")

    def test_nobody_waits_for_a_processor_for_ever(self) -> None:
        play = running() >> Due(2.0) >> DeadlineReached(cpu=7.0) << AskAlive() >> Due(3.0)
        for times in range(1, 21):
            play = play >> DeadlineReached(cpu=7.0) >> Due(3.0 + 0.4 * times)
        assert play >> DeadlineReached(cpu=7.0) << Kill("no sign of life for 10.00 s")

    def test_one_that_was_killed_cannot_answer_any_more(self) -> None:
        play = running() >> Due(2.0) >> DeadlineReached() << AskAlive() >> Due(3.0) >> DeadlineReached() << ...
        assert play >> At(3.5) >> Answered() >> Due(4.0)

    def test_its_replacement_is_doubted_anew(self) -> None:
        play = running() >> Due(2.0) >> DeadlineReached() << AskAlive() >> Due(3.0) >> DeadlineReached() << ...
        play = play >> At(3.5) >> Died(137) << ... >> Due(8.5) >> DeadlineReached() << AskAlive()
        assert play >> Due(13.5) >> DeadlineReached() << Kill("no sign of life for 10.00 s")

    def test_before_it_is_configured_it_has_ten_seconds(self) -> None:
        play = child() >> Due(5.0) >> DeadlineReached() << AskAlive() >> Due(10.0) >> DeadlineReached()
        assert play << Kill("no sign of life for 10.00 s")

    def test_who_holds_addresses_is_listened_to_closer(self) -> None:
        play = running()
        assert play
        play.machine.listen_closer(0.4)
        assert play >> Due(1.2) >> DeadlineReached() << AskAlive() >> Due(1.4)


class TestLeaving:
    def test_in_order(self) -> None:
        assert running() >> Unwanted(5.0) << TellStop() >> At(2.0) >> Died(0) << Gone() >> Due(None)

    def test_with_a_bad_end(self) -> None:
        play = running() >> Unwanted(5.0) << TellStop() >> At(2.0) >> Died(139)
        assert play << died("died of signal 11") << Gone()

    def test_who_does_not_leave_is_killed_each_second(self) -> None:
        assert (
            running()
            >> Unwanted(5.0)
            << TellStop()
            >> Due(6.0)
            >> DeadlineReached()
            << Kill("it did not leave in time")
            >> Due(7.0)
            >> DeadlineReached()
            << Kill("it did not leave in time")
            >> At(7.1)
            >> Died(137)
            << died("died of signal 9")
            << Gone()
        )

    def test_signs_of_life_do_not_postpone_it(self) -> None:
        assert running() >> Unwanted(5.0) << TellStop() >> At(2.0) >> Answered() >> Due(6.0)

    def test_a_configuration_that_comes_too_late_does_not_bring_it_back(self) -> None:
        play = child() >> At(0.5) >> Unwanted(5.0) << TellStop() >> At(0.6) >> Configured() >> Due(5.5)
        assert play >> At(0.7) >> Died(0) << Gone() >> Due(None)

    def test_it_is_asked_once(self) -> None:
        assert running() >> Unwanted(5.0) << TellStop() >> At(2.0) >> Unwanted(9.0) >> Due(6.0)

    def test_afterwards_it_may_be_wanted_again(self) -> None:
        play = running() >> Unwanted(5.0) << TellStop() >> Died(0) << Gone() >> Wanted() << Fork()
        assert play.machine.phase is Phase.STARTING


def test_a_death_on_purpose_says_nothing_against_the_child() -> None:
    play = running() >> At(1.1) >> Dismissed() >> Died(137) << died("died of signal 9") << Fork()
    play = play >> At(1.2) >> Configured() >> At(1.3) >> Dismissed() >> Died(137) << ...
    assert play >> At(1.4) >> Configured() >> At(1.5) >> Died(137) << died("died of signal 9") << Fork()
    # The next one on its own counts as the first.
    assert play >> At(1.6) >> Configured() >> At(1.7) >> Died(137) << died("died of signal 9") << again(1)


def test_a_new_configuration_ends_the_wait_and_not_the_count() -> None:
    play = child() >> At(0.1) >> Died(70) << ... >> At(0.2) >> Died(70) << died("exited with status 70") << again(1)
    play = play >> At(0.5) >> Wanted() << Fork()
    assert play >> At(0.6) >> Died(70) << died("exited with status 70") << again(2)


class TestFailing:
    """What is said of a child that ends again and again."""

    def ends(self, *moments: float) -> Supervision:
        play = running()
        for moment in moments:
            play >> Late(moment) >> Died(137) << ... >> Configured() << ...
        assert play
        machine: Supervision = play.machine
        return machine

    @pytest.mark.parametrize(
        ("moments", "now", "text"),
        [
            ((), 10.0, ""),
            ((10.0,), 10.1, ""),
            ((10.0, 15.0), 15.1, "2 times in 60 s, it last died of signal 9"),
            ((10.0, 15.0, 20.0), 20.1, "3 times in 60 s, it last died of signal 9"),
            ((10.0, 15.0), 70.1, ""),
            ((10.0, 100.0), 100.1, ""),
        ],
    )
    def test_twice_within_a_minute(self, moments: tuple[float, ...], now: float, text: str) -> None:
        assert self.ends(*moments).failing(now) == text

    def test_one_that_was_sent_away_did_not_fail(self) -> None:
        play = running()
        for moment in (10.0, 15.0, 20.0):
            play >> Late(moment) >> Dismissed() << ... >> Died(137) << ... >> Configured() << ...
        assert play
        assert play.machine.failing(20.1) == ""

    def test_one_that_waits_for_its_next_start_does(self) -> None:
        play = child() >> At(0.1) >> Died(70) << ... >> At(0.2) >> Died(70) << ...
        assert play
        assert play.machine.phase is Phase.WAITING
        assert play.machine.failing(0.3) == "2 times in 60 s, it last exited with status 70"

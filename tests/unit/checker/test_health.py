"""The life of a check as plays: keepalived's counting of failures, retries, delays and urls."""

from __future__ import annotations

import itertools
from collections import Counter

import msgspec
import pytest

from kad.checker.health import (
    AttemptEnded,
    AttemptFailed,
    CancelAttempt,
    Health,
    Reconfigured,
    Resumed,
    StartAttempt,
    Started,
    Suspended,
    Verdict,
)
from kad.model.checker import Timing
from kad.shared.state_machine import DeadlineReached
from tests.play import At, Due, Play

GOOD = AttemptEnded(True, "good")
BAD = AttemptEnded(False, "bad")
TURN = DeadlineReached()
ASK = StartAttempt(0)


def timing(
    *,
    retry: int = 1,
    alpha: bool = False,
    log: bool = False,
    from_start: bool = False,
    urls: int = 0,
    fast: bool = False,
) -> Timing:
    return Timing(
        delay_loop=10.0,
        retry=retry,
        delay_before_retry=3.0,
        warmup=10.0,
        alpha=alpha,
        log_all_failures=log,
        from_start=from_start,
        urls=urls,
        fast_recovery=fast,
    )


def checked(machine: Health) -> Play:
    """At 1.0, when the first attempt has just begun."""
    play = Play(machine) >> Started(0.0) >> Due(1.0) >> TURN << ASK
    assert play
    return play


def healthy(machine: Health) -> Play:
    """At 11.0, when the second attempt has just begun; the first one was good."""
    return checked(machine) >> GOOD << Verdict(True, "good") >> Due(11.0) >> TURN << ASK


def test_the_first_attempt_comes_a_second_and_its_share_of_the_warmup_after_the_start() -> None:
    assert Play(Health(timing()), now=100.0) >> Started(0.25) >> Due(103.5) >> TURN << ASK


def test_a_server_is_up_until_it_was_asked_and_down_with_alpha() -> None:
    assert Health(timing()).healthy
    assert not Health(timing(alpha=True)).healthy


def test_the_first_failure_decides_at_once_and_then_there_are_no_retries() -> None:
    machine = Health(timing(retry=5, log=True))
    play = checked(machine) >> BAD << Verdict(False, "bad") >> Due(11.0) >> TURN << ASK
    assert play >> BAD << AttemptFailed("bad") >> Due(21.0)
    assert not machine.healthy


def test_one_success_raises_an_alpha_check() -> None:
    assert checked(Health(timing(alpha=True))) >> At(1.5) >> GOOD << Verdict(True, "good") >> Due(11.5)


def test_a_server_that_was_up_gets_its_retries() -> None:
    machine = Health(timing(retry=2))
    play = healthy(machine) >> At(12.0) >> BAD >> Due(15.0) >> TURN << ASK >> BAD >> Due(18.0) >> TURN << ASK
    assert play
    assert machine.healthy
    assert machine.tries == 2
    assert play >> BAD << Verdict(False, "bad", retries=2) >> Due(28.0)


def test_a_success_among_the_retries_begins_the_count_anew() -> None:
    play = healthy(Health(timing(retry=1))) >> BAD >> Due(14.0) >> TURN << ASK >> GOOD >> Due(24.0) >> TURN << ASK
    assert play >> BAD >> Due(27.0) >> TURN << ASK >> BAD << Verdict(False, "bad", retries=1)


def test_without_retries_one_failure_is_enough() -> None:
    assert healthy(Health(timing(retry=0))) >> BAD << Verdict(False, "bad", retries=0) >> Due(21.0)


def test_any_success_brings_a_failed_server_back() -> None:
    play = checked(Health(timing())) >> BAD << Verdict(False, "bad") >> Due(11.0) >> TURN << ASK
    assert play >> GOOD << Verdict(True, "good") >> Due(21.0)


def test_each_failed_attempt_is_said_where_that_is_asked_for() -> None:
    play = healthy(Health(timing(retry=1, log=True))) >> BAD << AttemptFailed("bad") >> Due(14.0)
    assert play >> TURN << ASK >> BAD << Verdict(False, "bad", retries=1)


def test_a_program_keeps_the_rhythm_of_its_starts() -> None:
    play = checked(Health(timing(from_start=True))) >> At(5.0) >> GOOD << Verdict(True, "good") >> Due(11.0) >> TURN
    assert play << ASK >> At(34.0) >> GOOD >> Due(41.0)


def test_a_new_weight_is_a_new_verdict_and_the_same_one_is_not() -> None:
    heavy = AttemptEnded(True, "status 12", 10)
    play = healthy(Health(timing())) >> heavy << Verdict(True, "status 12", 10) >> Due(21.0) >> TURN << ASK >> heavy
    assert play >> Due(31.0) >> TURN << ASK >> GOOD << Verdict(True, "good")


def test_what_an_earlier_life_knew_stands_and_counts_as_a_result() -> None:
    down = Health(timing())
    assert Play(down) >> Resumed(False, "was down") >> Started(0.0) >> Due(1.0) >> TURN << ASK >> BAD >> Due(11.0)
    assert not down.healthy
    up = Health(timing(alpha=True))
    assert Play(up) >> Resumed(True, "was up") >> Started(0.0) >> Due(1.0) >> TURN << ASK >> BAD >> Due(4.0)
    assert up.healthy


def test_suspended_checks_ask_nothing_and_keep_their_verdict() -> None:
    machine = Health(timing())
    play = checked(machine) >> BAD << Verdict(False, "bad") >> Suspended() >> Due(None)
    assert play
    assert not machine.healthy
    assert play >> Started(0.5) >> Due(7.0) >> TURN << ASK >> Suspended() << CancelAttempt() >> GOOD >> Due(None)
    assert not machine.healthy


def test_a_new_configuration_keeps_the_verdict_and_asks_soon() -> None:
    machine = Health(timing())
    later = Timing(delay_loop=100.0, retry=0, warmup=2.0)
    play = checked(machine) >> BAD << Verdict(False, "bad") >> Reconfigured(later, 0.5) >> Due(3.0) >> TURN << ASK
    assert play >> Reconfigured(later, 0.5) << CancelAttempt() >> BAD >> Due(5.0) >> TURN << ASK >> BAD >> Due(105.0)
    assert not machine.healthy


def test_a_reload_never_delays_the_next_attempt() -> None:
    play = checked(Health(timing())) >> GOOD << Verdict(True, "good") >> At(10.5)
    assert play >> Reconfigured(timing(retry=7), 1.0) >> Due(11.0)


def test_urls_are_asked_for_in_turn_and_only_the_last_one_decides() -> None:
    play = checked(Health(timing(urls=3))) >> GOOD >> Due(11.0) >> TURN << StartAttempt(1) >> GOOD >> Due(21.0)
    assert play >> TURN << StartAttempt(2) >> GOOD << Verdict(True, "good") >> Due(31.0) >> TURN << ASK


def test_a_failed_url_is_asked_for_alone_until_it_is_good_and_then_all_of_them() -> None:
    machine = Health(timing(urls=2))
    play = checked(machine) >> GOOD >> Due(11.0) >> TURN << StartAttempt(1) >> BAD << Verdict(False, "bad")
    play = play >> Due(21.0) >> TURN << StartAttempt(1) >> BAD >> Due(31.0) >> TURN << StartAttempt(1) >> GOOD
    assert play >> Due(41.0) >> TURN << ASK >> GOOD >> Due(51.0) >> TURN << StartAttempt(1)
    assert not machine.healthy
    assert play >> GOOD << Verdict(True, "good")


def test_a_single_url_comes_back_with_the_whole_pass_after_the_good_one() -> None:
    play = checked(Health(timing(urls=1))) >> BAD << Verdict(False, "bad") >> Due(11.0) >> TURN << ASK >> GOOD
    assert play >> Due(21.0) >> TURN << ASK >> GOOD << Verdict(True, "good")


def test_a_failed_url_waits_for_the_longer_delay() -> None:
    slow = Timing(delay_loop=2.0, delay_before_retry=5.0, urls=1)
    assert Play(Health(slow)) >> Started(0.0) >> Due(1.0) >> TURN << ASK >> BAD << Verdict(False, "bad") >> Due(6.0)


def test_a_url_that_fails_is_retried_before_it_counts() -> None:
    play = checked(Health(timing(urls=2))) >> GOOD >> Due(11.0) >> TURN << StartAttempt(1)
    play = play >> GOOD << Verdict(True, "good") >> Due(21.0) >> TURN << ASK >> BAD >> Due(24.0) >> TURN << ASK
    assert play >> GOOD >> Due(34.0) >> TURN << StartAttempt(1)


def test_a_url_that_fails_on_the_way_up_is_retried_too_and_then_asked_for_alone() -> None:
    play = checked(Health(timing(urls=2))) >> BAD << Verdict(False, "bad") >> Due(11.0) >> TURN << ASK >> GOOD
    play = play >> Due(21.0) >> TURN << ASK >> BAD >> Due(24.0) >> TURN << ASK >> BAD >> Due(34.0) >> TURN << ASK
    assert play >> GOOD >> Due(44.0) >> TURN << ASK


def test_fast_recovery_asks_for_the_next_url_at_once_until_the_server_is_up() -> None:
    play = checked(Health(timing(urls=2, fast=True))) >> GOOD >> Due(1.0) >> TURN << StartAttempt(1)
    play = play >> GOOD << Verdict(True, "good") >> Due(11.0) >> TURN << ASK >> GOOD >> Due(21.0)
    assert play


def test_fast_recovery_waits_while_a_url_is_known_to_fail() -> None:
    play = checked(Health(timing(urls=2, fast=True))) >> BAD << Verdict(False, "bad") >> Due(11.0) >> TURN << ASK
    play = play >> GOOD >> Due(11.0) >> TURN << ASK >> GOOD >> Due(11.0) >> TURN << StartAttempt(1)
    assert play >> GOOD << Verdict(True, "good") >> Due(21.0)


def begins(spread: float, interval: float, lasts: float, count: int) -> list[float]:
    """When the attempts of a check that is always good begin."""
    machine = Health(msgspec.structs.replace(timing(), delay_loop=interval, warmup=interval))
    machine.handle(Started(spread), 0.0)
    found = []
    for _ in range(count):
        assert machine.deadline is not None
        found.append(machine.deadline)
        machine.handle(TURN, machine.deadline)
        machine.handle(GOOD, found[-1] + lasts)
    return found


@pytest.mark.parametrize("interval", [0.5, 1.0, 6.0, 10.0])
def test_checks_begin_together_and_yet_all_over_the_interval(interval: float) -> None:
    step = min(0.05, interval / 20)
    each = [begins(number / 1000, interval, 0.004, 12) for number in range(1000)]
    for moments in each:
        assert all(abs(b - a - interval) <= step / 2 + 0.004001 for a, b in itertools.pairwise(moments))
        assert moments[-1] - moments[1] == pytest.approx(10 * interval)
    together = Counter(round(moments[-1] % interval, 6) % interval for moments in each)
    assert len(together) == pytest.approx(interval / step, abs=1)
    assert max(together.values()) <= 2 * 1000 * step / interval + 1


def test_a_check_without_a_pause_is_made_again_at_once() -> None:
    assert begins(0.0, 0.0, 0.25, 3) == [1.0, 1.25, 1.5]

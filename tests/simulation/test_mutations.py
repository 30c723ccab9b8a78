"""Planted faults: each is caught by every check that is named beside it, and without a fault those checks pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from kad.vrrp.advert import Finding
from kad.vrrp.events import Announce, ChangeState, HoldAddresses, ReleaseAddresses, SendAdvert
from tests.rfc import rules_3768, rules_9568_packets, rules_9568_states, rules_advice
from tests.rfc.rules_advice import in_a_house
from tests.simulation import authenticated, faults, scenarios
from tests.simulation import faults_of_authentication as sealed
from tests.simulation import faults_of_corners as cornered
from tests.simulation.faults import Plant, finding_discards, finding_ignored, missing, out_of_order
from tests.simulation.ordeal import Ordeal
from tests.unit import test_machine as machine
from tests.unit import test_supervision as supervision
from tests.unit.tracking import test_priority as priority
from tests.unit.vrrp import test_ah as ah
from tests.unit.vrrp import test_announcing as announcing
from tests.unit.vrrp import test_group as group
from tests.unit.vrrp import test_hmac_trailer as hmac
from tests.unit.vrrp import test_process_conversations as conversations
from tests.unit.vrrp import test_router_backup as backup
from tests.unit.vrrp import test_router_corners as corners
from tests.unit.vrrp import test_router_life as life
from tests.unit.vrrp import test_router_master as master
from tests.unit.vrrp.clockwork import House

Check = Callable[[], Any]
V3_RULES = (*rules_9568_packets.RULES, *rules_9568_states.RULES)
V2 = {row.id: row for row in (*rules_3768.RULES, *rules_advice.RULES_3768)}
V3 = {row.id: row for row in V3_RULES}
KEPT_2 = {name: row.kept for name, row in V2.items() if row.kept}
KEPT_3 = {name: row.kept for name, row in V3.items() if row.kept}
BROKEN_2 = {name: row.broken for name, row in V2.items() if row.broken}
BROKEN_3 = {name: row.broken for name, row in V3.items() if row.broken}


def ordeals() -> None:
    for seed in range(6):
        ordeal = Ordeal(seed)
        ordeal.suffer()
        ordeal.recover()
        assert ordeal.judge() == []


def startup_delay() -> None:
    in_a_house(conversations.test_nothing_counts_during_the_startup_delay)


def delay_after_boot() -> None:
    with pytest.MonkeyPatch.context() as patch:
        conversations.test_the_delay_after_the_boot(House(patch), patch, 0.0, 30.0, 5.0)


def five_adverts() -> None:
    backup.test_silence_makes_it_master({"down_timer_adverts": 5}, 5.609375)


def late_timer() -> None:
    corners.TestTimerExpiredBackup().test_it_gives_way_to_a_router_of_that_priority(2.62, True)


class Fault(NamedTuple):
    """Something wrong, and who must see it."""

    name: str
    plant: Plant
    checks: tuple[Check, ...]


FAULTS = (
    Fault("skew is cut to whole seconds", faults.truncated_skew, (KEPT_2["6.1-1"], scenarios.election)),
    Fault("skew of version 3 is in seconds", faults.skew_in_seconds, (KEPT_3["6.1-2"], scenarios.learned_interval)),
    Fault("skew favours the lowest", faults.skew_the_wrong_way, (scenarios.election, scenarios.silent_death)),
    Fault("two missing adverts are enough", faults.two_intervals, (scenarios.silent_death, KEPT_2["6.1-1"])),
    Fault(
        "a stale timer fires",
        faults.stale_timer,
        (KEPT_2["6.4.2-7"], master.TestYielding().test_a_stale_announcement_does_not_survive),
    ),
    Fault("adverts restart no timer", faults.timer_runs_on, (scenarios.election, KEPT_2["6.4.2-7"], ordeals)),
    Fault("repeated adverts restart no timer", faults.repeat_does_nothing, (scenarios.election, ordeals)),
    Fault(
        "a moment that moves earlier is missed",
        faults.never_earlier,
        (machine.test_a_moment_that_moved_earlier_counts_when_watched_again, scenarios.orderly_stop),
    ),
    Fault(
        "the interval is never learned", faults.interval_never_learned, (scenarios.learned_interval, KEPT_3["6.4.2-9"])
    ),
    Fault(
        "the interval is never forgotten",
        faults.interval_never_forgotten,
        (life.TestFaults().test_the_interval_learned_before_is_forgotten,),
    ),
    Fault("the owner waits like others", faults.owner_waits, (scenarios.owner, KEPT_3["6.4.1-1"])),
    Fault("equal priority is ignored", faults.equal_priority_ignored, (scenarios.equal_priorities, KEPT_3["6.4.3-11"])),
    Fault("equal priority preempts", faults.equal_priority_preempts, (scenarios.equal_newcomer, KEPT_3["6.4.2-9"])),
    Fault(
        "addresses are compared as text",
        faults.addresses_as_text,
        (master.TestYielding().test_addresses_are_compared_as_numbers,),
    ),
    Fault("nopreempt is ignored", faults.nopreempt_ignored, (scenarios.no_preemption, BROKEN_3["6.4.2-9"])),
    Fault("nobody preempts", faults.nobody_preempts, (scenarios.fault, KEPT_3["6.4.2-10"])),
    Fault("a BACKUP is deaf to priority 0", faults.priority_0_unheard, (scenarios.orderly_stop, KEPT_3["6.4.2-8"])),
    Fault("a MASTER does not answer priority 0", faults.priority_0_unanswered, (KEPT_3["6.4.3-10"], KEPT_2["6.4.3-7"])),
    Fault(
        "a MASTER leaves without priority 0",
        missing("_give_up", SendAdvert),
        (scenarios.orderly_stop, scenarios.fault, KEPT_3["6.4.3-8"]),
    ),
    Fault(
        "a MASTER does not answer lower adverts",
        missing("_assert_against", SendAdvert),
        (KEPT_3["6.4.3-12"], scenarios.deaf_one_way),
    ),
    Fault("a sleeper does not doubt", faults.no_doubt, (scenarios.sleeper,)),
    Fault(
        "addresses stay where it yields",
        missing("_leave_master", ReleaseAddresses),
        (scenarios.partition, scenarios.equal_priorities, ordeals),
    ),
    Fault(
        "addresses stay after a fault", missing("_take_faults", ReleaseAddresses), (scenarios.fault, scenarios.group)
    ),
    Fault(
        "addresses of an earlier life stay",
        missing("_start", ReleaseAddresses),
        (scenarios.left_by_a_dead_process, life.TestStart().test_with_a_fault),
    ),
    Fault("addresses stay after a handover", missing("_fall_due", ReleaseAddresses), (scenarios.handover,)),
    Fault("addresses are not held", missing("_become_master", HoldAddresses), (scenarios.election, KEPT_3["6.4.3-1"])),
    Fault(
        "a reload does not hold what is new",
        missing("_reconfigure", HoldAddresses),
        (scenarios.reload, life.TestReload().test_a_master_holds_and_announces_what_changed),
    ),
    Fault("no gratuitous ARP", missing("_become_master", Announce), (KEPT_3["6.4.2-7"], KEPT_2["6.4.2-5"])),
    Fault(
        "gratuitous ARP before the addresses",
        out_of_order("_become_master", HoldAddresses),
        (KEPT_3["8.1.2-2"], KEPT_2["8.2-2"]),
    ),
    Fault("no second announcement", faults.no_second_announcement, (master.TestAnnouncing().test_the_second_burst,)),
    Fault("nobody is told of a new state", missing("_enter", ChangeState), (scenarios.election, scenarios.owner)),
    Fault(
        "a group does not yield together",
        faults.group_keeps_the_others,
        (group.test_one_that_yields_takes_the_others_along,),
    ),
    Fault("a group keeps faults apart", faults.group_keeps_faults_apart, (scenarios.group,)),
    Fault(
        "a group does not wait for its members",
        faults.group_does_not_wait,
        (
            group.test_one_whose_timer_ran_out_waits_for_the_others,
            group.test_one_that_obeys_another_router_keeps_all_back,
        ),
    ),
    Fault("any checksum is fine", faults.any_checksum, (BROKEN_3["7.1-4"], BROKEN_2["7.1-4"], scenarios.rubbish)),
    Fault("the carry of a checksum is lost", faults.carry_lost, (KEPT_2["5.3.6-3"], KEPT_3["7.2-1"])),
    Fault("any TTL is fine", finding_ignored(Finding.TTL), (BROKEN_3["7.1-8"], BROKEN_2["7.1-1"])),
    Fault("any password is fine", finding_ignored(Finding.AUTH_FAILURE), (BROKEN_2["7.1-7"],)),
    Fault(
        "any ICV is fine",
        finding_ignored(Finding.AH_ICV),
        (BROKEN_2["5.3.6-4"], authenticated.another_password_is_not_believed),
    ),
    Fault(
        "any number is fine",
        finding_ignored(Finding.AH_SEQUENCE),
        (BROKEN_2["5.3.6-5"], authenticated.recorded_headers_hold_nobody_back),
    ),
    Fault("headers are never counted", sealed.headers_never_count, (authenticated.numbers_go_round, ordeals)),
    Fault(
        "heard numbers do not count",
        sealed.heard_numbers_do_not_count,
        (authenticated.numbers_go_round, authenticated.owners_numbers_catch_up),
    ),
    Fault("forged numbers count", sealed.forged_numbers_count, (ah.test_another_password_is_not_believed,)),
    Fault(
        "the TTL of unicast is covered",
        sealed.ttl_of_unicast_is_covered,
        (ah.test_the_ttl_of_unicast_may_change_on_the_way,),
    ),
    Fault(
        "any signature is fine",
        finding_ignored(Finding.EXTENSION_INVALID),
        (authenticated.another_key_is_not_believed,),
    ),
    Fault(
        "no signature is fine",
        finding_ignored(Finding.EXTENSION_MISSING),
        (authenticated.unsigned_adverts_are_not_believed,),
    ),
    Fault(
        "a signature is believed twice",
        finding_ignored(Finding.EXTENSION_REPLAY),
        (
            authenticated.recorded_signatures_hold_nobody_back,
            authenticated.recorded_signatures_hold_nobody_back_by_their_order_alone,
        ),
    ),
    Fault(
        "a signature is believed for ever",
        finding_ignored(Finding.EXTENSION_STALE),
        (authenticated.clocks_may_differ_a_little,),
    ),
    Fault(
        "signatures are never counted",
        sealed.signatures_never_count,
        (hmac.TestReplay().test_an_older_one_is_refused_and_a_newer_one_is_not,),
    ),
    Fault(
        "one mark for all senders",
        sealed.one_mark_for_all_senders,
        (hmac.TestReplay().test_four_senders_of_multicast_are_remembered,),
    ),
    Fault(
        "the sender is not covered",
        sealed.the_sender_is_not_covered,
        (hmac.TestVectors().test_both_are_believed,),
    ),
    Fault(
        "the old time is kept",
        sealed.old_time_is_kept,
        (hmac.TestWindow().test_a_clock_that_was_set_back_is_followed,),
    ),
    Fault(
        "numbers do not come round", sealed.numbers_are_not_serial, (hmac.TestWindow().test_numbers_go_on_across_it,)
    ),
    Fault("any type is fine", finding_ignored(Finding.TYPE), (BROKEN_3["7.1-2"], BROKEN_2["5.3.2-1"])),
    Fault("any version is fine", finding_ignored(Finding.VERSION), (BROKEN_3["7.1-1"],)),
    Fault("any length is fine", finding_ignored(Finding.LENGTH), (BROKEN_3["5.2.5-1"], BROKEN_3["7.1-3"])),
    Fault("any interval is fine", finding_ignored(Finding.INTERVAL_DIFFERS), (BROKEN_3["7.1-7"], BROKEN_2["7.1-9"])),
    Fault(
        "another interval of version 3 discards",
        finding_discards(Finding.INTERVAL_OTHER),
        (KEPT_3["7.1-9"], scenarios.learned_interval),
    ),
    Fault("other addresses discard", finding_discards(Finding.ADDRESS_LIST), (KEPT_3["7.1-10"], KEPT_2["7.1-10"])),
    Fault("a priority is not clamped", faults.not_clamped, (KEPT_3["5.2.4-2"], BROKEN_3["5.2.4-2"])),
    Fault(
        "an owner loses priority",
        faults.owner_loses_priority,
        (priority.test_the_priority_of_an_owner_never_changes, KEPT_3["5.2.4-1"]),
    ),
    Fault(
        "the delay of preemption is ignored",
        cornered.preempt_delay_ignored,
        (
            scenarios.delayed_preemption,
            backup.TestPreemptDelay().test_until_it_is_over_a_lower_advert_restarts_the_timer,
        ),
    ),
    Fault(
        "the delay of preemption begins at the boot",
        cornered.preempt_delay_begins_at_boot,
        (backup.TestPreemptDelay().test_until_it_is_over_a_lower_advert_restarts_the_timer,),
    ),
    Fault(
        "the delay of preemption runs on under a better MASTER",
        cornered.preempt_delay_runs_on,
        (backup.TestPreemptDelay().test_an_advert_that_is_not_lower_ends_it,),
    ),
    Fault(
        "a weight that rises preempts in spite of nopreempt",
        cornered.preempting_at_a_new_priority,
        (corners.TestNopreemptWithWeights().test_a_priority_that_rises_over_the_master_s_replaces_it_not,),
    ),
    Fault(
        "priority 255 yields",
        cornered.owner_yields,
        (master.TestAsserting().test_an_owner_yields_to_no_lower_priority, scenarios.deaf_owner),
    ),
    Fault(
        "two owners stay MASTER",
        cornered.owners_do_not_contend,
        (corners.TestTwoOwners().test_the_higher_one_waits_and_then_lowers_itself, scenarios.owner_that_hears_nobody),
    ),
    Fault(
        "an owner that lowered itself stays low",
        cornered.lowered_for_ever,
        (
            corners.TestTwoOwners().test_it_is_owner_again_when_the_other_is_gone,
            corners.TestTwoOwners().test_and_when_the_other_shows_a_lower_priority,
        ),
    ),
    Fault(
        "what is tracked makes a lowered owner insist",
        cornered.tracking_restores_the_owner,
        (corners.TestTwoOwners().test_what_is_tracked_does_not_undo_it,),
    ),
    Fault("down_timer_adverts is ignored", cornered.down_timer_adverts_ignored, (five_adverts,)),
    Fault("timer_expired_backup is ignored", cornered.timer_expired_backup_ignored, (late_timer,)),
    Fault(
        "higher_prio_send_advert is ignored",
        missing("_yield_to", SendAdvert),
        (master.TestYielding().test_one_last_advert_where_asked,),
    ),
    Fault(
        "who yields always says so",
        cornered.always_one_last_advert,
        (master.TestYielding().test_to_a_higher_priority, KEPT_3["6.4.3-11"]),
    ),
    Fault(
        "lower_prio_no_advert is ignored",
        cornered.lower_prio_no_advert_ignored,
        (master.TestAsserting().test_no_advert_where_none_is_wanted, KEPT_2["6.4.3-9"]),
    ),
    Fault(
        "owner_ignore_adverts is ignored",
        finding_ignored(Finding.OWNER_IGNORES),
        (BROKEN_3["7.1-6"], KEPT_2["7.1-6"]),
    ),
    Fault("vrrp_startup_delay is ignored", cornered.startup_delay_ignored, (startup_delay,)),
    Fault("vrrp_delay_after_boot is ignored", cornered.delay_after_boot_ignored, (delay_after_boot,)),
    Fault(
        "a group promotes one alone",
        cornered.group_promotes_one_alone,
        (group.test_one_whose_timer_ran_out_waits_for_the_others, scenarios.group),
    ),
    Fault(
        "a group leaves a member behind",
        cornered.group_leaves_a_member_behind,
        (group.test_one_that_yields_takes_the_others_along, scenarios.group),
    ),
    Fault(
        "state MASTER spares a member of a group the listening",
        cornered.wish_of_the_file_counts,
        (group.test_each_listens_for_its_own_time_whatever_state_is_wished,),
    ),
    Fault(
        "claims are not answered",
        cornered.claims_ignored,
        (announcing.TestClaims().test_who_remains_master_announces_again_and_ever_more_rarely,),
    ),
    Fault(
        "who hears another MASTER does not announce",
        missing("_announce_against", Announce),
        (announcing.TestTwoMasters().test_by_default_a_burst_a_second_and_one_five_seconds_after_the_last_advert,),
    ),
    Fault(
        "announcing against others has no pause",
        cornered.healing_without_a_pause,
        (announcing.TestTwoMasters().test_by_default_a_burst_a_second_and_one_five_seconds_after_the_last_advert,),
    ),
    Fault(
        "back-off never grows",
        faults.back_off_stays,
        (supervision.TestReplacement().test_back_off_grows_with_early_deaths,),
    ),
    Fault(
        "a parent trusts itself",
        faults.parent_trusts_itself,
        (supervision.TestDeafness().test_a_parent_that_slept_asks_before_it_kills,),
    ),
)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "-"))
def test_a_planted_fault_is_seen(fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    for check in fault.checks:
        check()
    fault.plant(monkeypatch)
    assert [check for check in fault.checks if passes(check)] == []


def passes(check: Check) -> bool:
    try:
        check()
    except Exception:  # whatever a check fails with, it has seen the fault
        return False
    return True

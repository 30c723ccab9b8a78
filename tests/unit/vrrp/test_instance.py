"""What the process keeps beside a router: transitions, counters by reason, the plain truth; and how stubborn it is."""

from __future__ import annotations

from typing import Any

import pytest

from kad.model.cause import InstanceStarted
from kad.shared.messages import Earlier, RouterState
from kad.shared.shared_page import Page
from kad.shared.state_machine import DeadlineReached
from kad.vrrp.advert import Finding
from kad.vrrp.events import AdvertReceived, ChangeState, FaultsChanged, Started, State
from kad.vrrp.process.instance import Instance
from kad.vrrp.restore_backoff import AddressGuard
from tests.causes import cause
from tests.unit.vrrp.samples import OTHER_VIP, VIP, advert, instance

NOWHERE: frozenset[tuple[str, int]] = frozenset()


def made(**changes: Any) -> Instance:
    """BACKUP since 1000.0 of the wall clock."""
    found = Instance(instance(**changes), 999.0)
    found.router.handle(Started(), 0.0)
    found.enter(ChangeState(State.INIT, State.BACKUP, cause("init")), 1000.0)
    return found


def test_its_state_as_a_message() -> None:
    found = made()
    found.slot = 7
    found.sent_by_slot, found.received_by_slot = [0] * 7 + [2], [0] * 7 + [3]
    assert found.state_message() == RouterState(
        name="VI_1",
        state="BACKUP",
        since=1000.0,
        cause=InstanceStarted(),
        priority=100,
        holds_addresses=False,
        slot=7,
        advertisement_interval=1.0,
        transitions=1,
        counters={"advert_sent": 2, "advert_rcvd": 3},
    )
    assert found.state_message(deleted=True).deleted


def test_a_replaced_process_goes_on_counting() -> None:
    before = made()
    before.counters["become_master"] = 2
    before.slot = 5
    after = Instance(instance(), 2000.0)
    # The page outlives both.
    page = Page()
    page.sent[5], page.received[5] = 40, 50
    before.count_on(page)
    after.count_on(page)
    after.remember(Earlier(state=before.state_message(), spoke_at=10.0, sent=40, received=50))
    assert (after.slot, after.since, after.reason, after.transitions) == (5, 1000.0, "init", 1)
    assert after.state_message().counters == {"become_master": 2, "advert_sent": 40, "advert_rcvd": 50}


def test_becoming_master_is_counted() -> None:
    found = made()
    found.enter(ChangeState(State.BACKUP, State.MASTER, cause("no advert")), 1003.0)
    found.enter(ChangeState(State.MASTER, State.BACKUP, cause("advert")), 1004.0)
    found.enter(ChangeState(State.BACKUP, State.MASTER, cause("no advert")), 1008.0)
    assert (found.since, found.reason, found.transitions) == (1008.0, "no advert", 4)
    assert found.counters["become_master"] == 2


def test_a_reload_changes_what_is_expected() -> None:
    found = made(old_unicast_checksum="always")
    assert found.old_unicast_checksum
    found.reconfigure(instance(advertisement_interval=5.0, virtual_addresses=(VIP, OTHER_VIP)))
    assert (found.expected.interval, found.expected.address_count) == (5.0, 2)
    assert not found.old_unicast_checksum


@pytest.mark.parametrize(
    ("finding", "counter"),
    [
        (Finding.TRUNCATED, "packet_len_err"),
        (Finding.LENGTH, "packet_len_err"),
        (Finding.TOTAL_LENGTH, "packet_len_err"),
        (Finding.INTERVAL_DIFFERS, "advert_interval_err"),
        (Finding.TTL, "ip_ttl_err"),
        (Finding.TYPE, "invalid_type_rcvd"),
        (Finding.ADDRESS_LIST, "addr_list_err"),
        (Finding.DESTINATION_KIND, "addr_list_err"),
        (Finding.AUTH_TYPE_INVALID, "invalid_authtype"),
        (Finding.AUTH_TYPE_DIFFERS, "authtype_mismatch"),
        (Finding.AH_UNEXPECTED, "authtype_mismatch"),
        (Finding.AUTH_FAILURE, "auth_failure"),
    ],
)
def test_what_was_discarded_under_keepalived_s_names(finding: Finding, counter: str) -> None:
    found = made()
    found.discarded[finding] = 3
    statistics = found.snapshot(1.0, NOWHERE)["statistics"]
    assert {name: count for name, count in statistics.items() if count} == {counter: 3}
    assert found.snapshot(1.0, NOWHERE)["discarded"] == {finding.value: 3}


class TestSnapshot:
    def test_of_a_backup(self) -> None:
        found = made(version=3, priority=200)
        found.source = "10.77.0.1"
        found.router.handle(AdvertReceived(advert(250, interval=0.5, version=3)), 1.0)
        plain = found.snapshot(1.5, NOWHERE)
        assert plain["state"] == "BACKUP"
        assert (plain["master_address"], plain["master_priority"]) == ("10.77.0.2", 250)
        assert (plain["advertisement_interval"], plain["master_advertisement_interval"]) == (1.0, 0.5)
        assert plain["timers"] == {"skew_time": 0.109375, "master_down_interval": 1.609375, "next_in": 1.109375}
        assert plain["virtual_addresses"][0]["held"] is False

    def test_of_a_master(self) -> None:
        found = made(excluded_addresses=(OTHER_VIP,))
        found.source = "10.77.0.1"
        found.router.handle(DeadlineReached(), 3.609375)
        plain = found.snapshot(4.0, frozenset({("10.77.0.100", 24)}))
        assert plain["state"] == "MASTER"
        assert (plain["master_address"], plain["master_priority"]) == ("10.77.0.1", 100)
        assert plain["virtual_addresses"][0]["held"] is True
        assert plain["excluded_addresses"][0]["held"] is False

    def test_of_one_in_fault(self) -> None:
        found = made()
        found.router.handle(FaultsChanged(frozenset({"b", "a"})), 1.0)
        plain = found.snapshot(1.0, NOWHERE)
        assert (plain["state"], plain["faults"], plain["timers"]["next_in"]) == ("FAULT", ["a", "b"], None)
        assert plain["master_address"] is None

    def test_a_moment_that_is_overdue_is_now(self) -> None:
        assert made().snapshot(99.0, NOWHERE)["timers"]["next_in"] == 0.0


class TestAddressGuard:
    """An address that somebody removes comes back at once three times, then ever later, and after ten not at all."""

    def test_later_and_later(self) -> None:
        guard = AddressGuard()
        delays = [guard.lost(10.0) for _ in range(11)]
        assert delays[:3] == [10.0, 10.0, 10.0]
        assert delays[3:10] == pytest.approx([10.1, 10.2, 10.4, 10.8, 11.6, 13.2, 16.4])
        assert delays[10] is None
        assert guard.may_try_again_at() == 70.0

    def test_a_minute_forgives(self) -> None:
        guard = AddressGuard()
        for _ in range(3):
            guard.lost(10.0)
        assert guard.lost(69.9) == pytest.approx(70.0)
        assert guard.lost(129.8) == 129.8

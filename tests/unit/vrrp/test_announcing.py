"""Announcements beside those of becoming MASTER: two MASTERs, claims of other hosts, other interfaces, the pace."""

from __future__ import annotations

import pytest

from kad.linux.netlink.network_table import LinkChanged
from kad.linux.sockets.sendmmsg import Datagram
from kad.model.vrrp import Announcing, GarpGroup, UnicastPeer, VirtualAddress
from kad.shared.state_machine import DeadlineReached
from kad.vrrp.events import (
    AddressClaimed,
    Announce,
    AnnounceSource,
    Complain,
    Demoted,
    FaultsChanged,
    ReleaseAddresses,
    ReportSplit,
    SendAdvert,
    Started,
    State,
    Stopped,
    TellLowerPriority,
)
from tests.causes import cause
from tests.play import At, Due, Play
from tests.rfc.row import hears
from tests.unit.vrrp.clockwork import House, address, link
from tests.unit.vrrp.samples import advert, entered, instance, master, router

DEFAULT = Announcing()
WRITTEN = Announcing(lower_prio_delay=0.0, lower_prio_repeat=2, lower_prio_pause=0.0)
QUIET = Announcing(master_delay=0.0, master_repeat=1, lower_prio_delay=0.0, lower_prio_repeat=0)
OTHER = "02:00:00:00:00:99"
CLAIMED = f"{OTHER} claims 10.77.0.100 too; unless it takes over, it is announced again"


class TestTwoMasters:
    def test_the_second_advert_makes_it_a_split_and_silence_ends_it(self) -> None:
        play = master(announcing=QUIET) >> At(0.5) >> hears(90) << SendAdvert(100) << TellLowerPriority(advert(90))
        play = play >> At(0.9) >> hears(90) << SendAdvert(100)
        play = play << Complain("warning", "10.77.0.2 is MASTER too") << TellLowerPriority(advert(90))
        play = play >> At(1.0) >> DeadlineReached() << SendAdvert(100)
        play = play >> At(1.4) >> hears(90) << SendAdvert(100) << TellLowerPriority(advert(90))
        for moment in (2.0, 3.0, 4.0):
            play = play >> Due(moment) >> DeadlineReached() << SendAdvert(100)
        play = play >> Due(4.4) >> DeadlineReached()
        assert play << ReportSplit("10.77.0.2", pytest.approx(0.9), "it is silent")

    def test_one_advert_may_have_crossed_ours(self) -> None:
        play = master(announcing=QUIET) >> At(0.5) >> hears(90) << ...
        for moment in (1.0, 2.0, 3.0):
            play = play >> Due(moment) >> DeadlineReached() << SendAdvert(100)
        assert play >> Due(3.5) >> DeadlineReached() >> Due(4.0)

    def test_it_ends_where_the_other_gives_up_or_this_one_yields(self) -> None:
        def split() -> Play:
            return master(announcing=QUIET) >> At(0.1) >> hears(90) << ... >> At(0.6) >> hears(90) << ...

        report = ReportSplit("10.77.0.2", 0.5, "10.77.0.2 gave up")
        assert split() >> hears(0) << SendAdvert(100) << report
        yielded = entered(State.MASTER, State.BACKUP, "advert from 10.77.0.3 priority 200 > 100")
        report = ReportSplit("10.77.0.2", 0.5, "this router yields")
        assert split() >> hears(200, "10.77.0.3") << ReleaseAddresses() << yielded << report
        assert (
            split() >> Demoted(cause("x")) << ReleaseAddresses() << entered(State.MASTER, State.BACKUP, "x") << report
        )
        stopped = entered(State.MASTER, State.STOP, "stopped")
        report = ReportSplit("10.77.0.2", 0.5, "this router stops")
        assert split() >> Stopped() << SendAdvert(0) << ReleaseAddresses() << report << stopped
        report = ReportSplit("10.77.0.2", 0.5, "this router is in FAULT")
        failed = entered(State.MASTER, State.FAULT, "eth0")
        play = split() >> FaultsChanged(frozenset({"eth0"}))
        assert play << SendAdvert(0) << ReleaseAddresses() << report << failed

    def test_by_default_a_burst_a_second_and_one_five_seconds_after_the_last_advert(self) -> None:
        play = master(announcing=DEFAULT, advertisement_interval=100.0)
        for moment, announced in ((0.5, True), (0.9, False), (1.4, False), (1.5, True), (1.6, False)):
            play = play >> At(moment) >> hears(90) << SendAdvert(100)
            play = play << Announce(5) if announced else play
            play = play << Complain("warning", "10.77.0.2 is MASTER too") if moment == 0.9 else play
            play = play << TellLowerPriority(advert(90))
        assert play >> Due(6.6) >> DeadlineReached() << Announce(5)

    def test_written_words_hold_for_every_advert(self) -> None:
        play = master(announcing=WRITTEN)
        for moment in (0.5, 0.6):
            play = play >> At(moment) >> hears(90) << SendAdvert(100) << Announce(2) << ...
        assert play


class TestClaims:
    def test_who_remains_master_announces_again_and_ever_more_rarely(self) -> None:
        play = master(advertisement_interval=0.1, version=3, announcing=QUIET)
        play.machine.deadline = None
        claim = AddressClaimed("10.77.0.100", OTHER)
        moments = []
        for number in range(4000):
            play.now = number * 0.1
            machine = play.machine
            actions = machine.handle(claim, play.now) if number % 3 == 0 else []
            actions += machine.handle(DeadlineReached(), play.now)
            moments += [round(play.now, 1) for action in actions if action == Announce(1)]
        # 0.5 s is more than a takeover needs to be known; then pauses of 10, 20, 40 … s.
        assert moments == [0.5, 10.5, 30.5, 70.5, 150.5, 310.5]

    def test_a_takeover_that_follows_the_claim_is_left_alone(self) -> None:
        play = master(announcing=QUIET) >> At(0.1) >> AddressClaimed("10.77.0.100", OTHER)
        play = play << Complain("warning", CLAIMED) >> At(0.2) >> hears(150) << ...
        assert play >> Due(3.8093750000000003)

    def test_a_backup_does_not_care(self) -> None:
        play = Play(router()) >> Started() << ...
        assert play >> AddressClaimed("10.77.0.100", OTHER) >> Due(3.609375)

    def test_only_claims_of_others_for_what_is_held_there(self, house: House) -> None:
        house.network.by_name["eth1"] = link("eth1", 2, mac="020000000002")
        house.commit(instance(announcing=QUIET))
        house.run(10.0)
        assert house.listeners[4].addresses == {"10.77.0.100"}
        frames = len(house.frames.sent)
        house.claim("10.77.0.100", "02:00:00:00:00:01")
        house.claim("10.77.0.100", "02:00:00:00:00:02")
        house.claim("10.77.0.100", OTHER, index=2)
        house.claim("10.77.0.1", OTHER)
        house.run(5.0)
        assert len(house.frames.sent) == frames
        house.claim("10.77.0.100", OTHER)
        house.run(5.0)
        assert len(house.frames.sent) == frames + 1
        assert f"(VI_1) {CLAIMED}" in house.lines
        house.commit()
        assert house.listeners[4].addresses == set()

    def test_the_split_is_in_the_dump(self, house: House) -> None:
        house.commit(instance(announcing=QUIET))
        house.run(10.0)
        house.claim("10.77.0.100", OTHER)
        house.run(4.0)
        house.claim("10.77.0.100", OTHER)
        (one,) = house.instances
        assert one.snapshot(house.mux.time, frozenset())["splits"] == {
            "count": 0,
            "seconds": 0.0,
            "now": {"with": OTHER, "for": 4.0},
        }
        house.run(61.0)
        assert one.snapshot(house.mux.time, frozenset())["splits"] == {"count": 1, "seconds": 4.0, "now": None}
        assert f"(VI_1) two MASTERs for 4.00 s, {OTHER} was the other one: it is silent" in house.lines


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> House:
    made = House(monkeypatch)
    made.network.by_name["eth1"] = link("eth1", 2, mac="020000000002")
    made.network.held[1] += [address("fe80::1", 64, 1, scope=253)]
    return made


VIPS = (
    VirtualAddress(address="10.77.0.100", prefix=24),
    VirtualAddress(address="10.77.0.101", prefix=24),
    VirtualAddress(address="10.78.0.100", prefix=24, device="eth1"),
)


def moments(house: House, seconds: float) -> list[tuple[float, list[Datagram]]]:
    """When frames left, from now on, and which."""
    begin, seen = house.mux.time, []
    while house.mux.time < begin + seconds - 1e-9:
        before = len(house.frames.sent)
        house.run(0.1)
        if fresh := house.frames.sent[before:]:
            seen.append((round(house.mux.time - begin, 1), fresh))
    return seen


def paced(garp_interval: float) -> Announcing:
    return Announcing(master_delay=0.0, master_repeat=1, lower_prio_repeat=0, garp_interval=garp_interval)


class TestPace:
    def test_each_interface_by_itself(self, house: House) -> None:
        house.commit(instance(virtual_addresses=VIPS, announcing=paced(1.0)))
        house.run(3.5)
        assert [len(frames) for _, frames in moments(house, 3.0)] == [2, 1]

    def test_a_group_of_interfaces_has_one_pace(self, house: House) -> None:
        group = GarpGroup(interfaces=("eth0", "eth1"), garp_interval=1.0)
        house.commit(instance(virtual_addresses=VIPS, announcing=paced(0.0)), garp_groups=(group,))
        house.run(3.5)
        times = [when for when, _ in moments(house, 4.0)]
        assert len(times) == 3
        assert [round(later - times[0], 1) for later in times] == [0.0, 1.0, 2.0]

    def test_ipv6_has_a_pace_of_its_own(self, house: House) -> None:
        group = GarpGroup(interfaces=("eth0", "eth1"), garp_interval=1.0)
        excluded = (VirtualAddress(address="2001:db8::1", prefix=64),)
        configured = instance(virtual_addresses=VIPS, excluded_addresses=excluded, announcing=paced(0.0))
        house.commit(configured, garp_groups=(group,))
        house.run(3.5)
        assert [len(frames) for _, frames in moments(house, 4.0)] == [2, 1, 1]

    def test_what_waits_is_not_sent_when_the_addresses_are_gone(self, house: House) -> None:
        house.commit(instance(virtual_addresses=VIPS[:2], announcing=paced(1.0)))
        house.run(3.7)
        assert len(house.frames.sent) == 1
        house.commit()
        house.run(5.0)
        assert len(house.frames.sent) == 1


class TestElsewhere:
    def test_all_of_the_other_interfaces(self, house: House) -> None:
        elsewhere = Announcing(master_delay=0.0, master_repeat=1, elsewhere=2.0, elsewhere_all=True)
        house.commit(instance(virtual_addresses=VIPS, announcing=elsewhere))
        house.run(3.7)
        assert len(house.frames.sent) == 3
        assert [len(frames) for _, frames in moments(house, 4.2)] == [1, 1]

    def test_or_virtual_macs_alone(self, house: House) -> None:
        elsewhere = Announcing(master_delay=0.0, master_repeat=1, elsewhere=2.0)
        house.commit(instance(virtual_addresses=VIPS, announcing=elsewhere))
        house.run(10.0)
        assert len(house.frames.sent) == 3


def test_a_unicast_router_that_leaves_fault_says_where_it_is(house: House) -> None:
    peers = (UnicastPeer(address="10.77.0.2"),)
    fault = frozenset({"x"})
    play = Play(router(unicast_peers=peers)) >> Started(fault) << ReleaseAddresses() << ...
    play = play >> FaultsChanged(frozenset()) << entered(State.FAULT, State.BACKUP, "no longer: x")
    assert play << AnnounceSource()
    down = house.network.by_name["eth0"] = link("eth0", 1, up=False)
    house.commit(instance(unicast_peers=peers))
    up = house.network.by_name["eth0"] = link("eth0", 1)
    house.tell(LinkChanged(down, up))
    assert "(VI_1) sending gratuitous ARP for 10.77.0.1" in house.lines
    assert len(house.frames.sent) == 1

"""The order of time in the vrrp process: adverts first and together, then decisions, then what was decided."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from kad.linux.netlink.link import Link
from kad.linux.netlink.network_table import AddressChanged, LinkChanged
from kad.linux.sockets.sendmmsg import Datagram, Unsent
from kad.model import secret
from kad.model.cause import JournalKey, faults_of
from kad.model.problem import ProblemKind
from kad.model.tracking import TrackItem
from kad.model.vrrp import Announcing, VirtualAddress, VrrpInstance, VrrpSlice
from kad.shared.messages import IpvsState
from kad.vrrp.events import State
from kad.vrrp.process.instance import Instance
from tests.unit.vrrp.clockwork import House, address, link
from tests.unit.vrrp.packets import Packet

QUIET = Announcing(master_delay=0.0, master_repeat=1)


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> House:
    return House(monkeypatch)


def router(number: int = 1, **fields: Any) -> VrrpInstance:
    """VRID as the number, an address of its own, version 3, an advert each second, silent after its first ARP."""
    settings: dict[str, Any] = {
        "name": f"VI_{number}",
        "interface": "eth0",
        "virtual_router_id": number,
        "version": 3,
        "virtual_addresses": (VirtualAddress(address=f"10.77.1.{number}", prefix=32),),
        "announcing": QUIET,
    }
    return VrrpInstance(**(settings | fields))


def adverts(house: House) -> list[int]:
    """How many adverts left in each call."""
    return [len(together) for together in house.segment().sent]


def number_of(advert: Datagram) -> int:
    """Its VRID, behind an IPv4 header."""
    return advert.payload[21]


def v3(number: int, priority: int = 200, **fields: Any) -> Packet:
    settings: dict[str, Any] = {
        "version": 3,
        "virtual_router_id": number,
        "priority": priority,
        "interval": 100,
        "addresses": (bytes([10, 77, 1, number]),),
    }
    return Packet(**(settings | fields))


class TestAdverts:
    def test_those_of_one_moment_leave_in_one_call(self, house: House) -> None:
        house.commit(*(router(number) for number in range(1, 6)))
        house.run(3.61)
        assert all(instance.router.state is State.MASTER for instance in house.instances)
        house.segment().sent.clear()
        house.run(3.0)
        assert adverts(house) == [5, 5, 5]

    def test_those_due_within_a_millisecond_leave_together_and_stay_together(self, house: House) -> None:
        # Skew: priority 100 waits 3.609375 s, priority 101 3.90625 ms less; 0.5 ms apart only by the start.
        house.commit(router(1))
        house.mux.time += 0.0005
        house.commit(router(1), router(2))
        house.run(3.7)
        house.segment().sent.clear()
        house.run(2.0)
        assert adverts(house) == [2, 2]
        one, other = house.instances
        assert one.router.deadline == other.router.deadline

    def test_those_further_apart_leave_each_at_its_time(self, house: House) -> None:
        house.commit(router(1), router(2, priority=101))
        house.run(3.62)
        house.segment().sent.clear()
        house.run(2.0)
        assert adverts(house) == [1, 1, 1, 1]

    def test_no_advert_is_lost_or_doubled_over_a_long_time(self, house: House) -> None:
        house.commit(*(router(number, advertisement_interval=0.1 + number / 100) for number in range(1, 9)))
        house.run(1.0)
        before = [instance.sent for instance in house.instances]
        house.run(60.0)
        counts = [instance.sent - old for instance, old in zip(house.instances, before, strict=True)]
        # 60 s at 0.11, 0.12 … 0.18 s; a millisecond of slack is lost at most once.
        assert counts == pytest.approx([545, 500, 461, 428, 400, 375, 352, 333], abs=1)

    def test_another_timer_of_a_master_does_not_double_its_adverts(self, house: House) -> None:
        announcing = Announcing(master_delay=0.7, master_repeat=1, master_refresh=0.3, master_refresh_repeat=1)
        house.commit(router(1, announcing=announcing))
        house.run(3.61)
        house.segment().sent.clear()
        house.frames.sent.clear()
        house.run(3.0)
        assert adverts(house) == [1, 1, 1]
        # One after the delay of 0.7 s, and each 0.3 s one.
        assert len(house.frames.sent) == 11

    def test_the_page_and_the_counters_tell_of_each(self, house: House) -> None:
        house.commit(router(1))
        house.run(5.7)
        (instance,) = house.instances
        assert instance.sent == 3
        spoken = house.mux.page.spoken(instance.slot)
        assert (spoken.sent, spoken.received) == (3, 0)
        assert spoken.at == pytest.approx(1005.609375)


class TestDecisions:
    def test_what_waits_on_the_socket_is_read_before_a_master_is_presumed_dead(self, house: House) -> None:
        house.commit(router(1))
        house.run(3.6)
        # The loop has not been told yet.
        house.segment().waiting.append(v3(1).datagram)
        house.run(0.1)
        (instance,) = house.instances
        assert instance.router.state is State.BACKUP
        assert instance.router.master is not None
        assert instance.received == 1

    def test_adverts_do_not_wait_for_many_decisions(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        """A hundred routers fall due at once and each takes a millisecond; the MASTER goes on speaking."""
        house.commit(router(255, priority=254, advertisement_interval=0.02))
        house.run(0.2)
        assert house.instances[0].router.state is State.MASTER
        many = [router(number) for number in range(1, 101)]
        house.commit(router(255, priority=254, advertisement_interval=0.02), *many)
        house.run(3.6)
        post = house.room._conversations.post

        def slow_post(instance: Instance, priority: int) -> bool:
            house.mux.time += 0.001
            return post(instance, priority)

        segment = house.segment()
        segment.sent.clear()
        segment.moments.clear()
        monkeypatch.setattr(house.room._conversations, "post", slow_post)
        house.run(0.3)
        assert all(instance.router.state is State.MASTER for instance in house.instances)
        moments = [
            moment for moment, sent in zip(segment.moments, segment.sent, strict=True) if 255 in map(number_of, sent)
        ]
        assert len(moments) >= 15
        gaps = [later - earlier for earlier, later in itertools.pairwise(moments)]
        assert max(gaps) < 0.03


class TestOverload:
    def test_what_was_decided_gets_its_part_of_the_time(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        """Adverts that take longer than the interval between them leave no time; still addresses come and go."""
        addresses = tuple(VirtualAddress(address=f"10.78.{n // 250}.{n % 250 + 1}", prefix=32) for n in range(3200))
        busy = router(2, priority=254, advertisement_interval=0.02)
        house.commit(busy)
        house.run(0.2)
        segment, ask = house.segment(), house.network.request
        flush = segment.flush
        sendings: list[int] = []
        requests: list[int] = []

        def slow_flush() -> list[Unsent]:
            # For a while: a clock that only work moves would never catch up.
            if len(sendings) < 20 and any(outbox.volleys or outbox.datagrams for outbox in segment.outbox.values()):
                sendings.append(len(requests))
                house.mux.time += 0.04
            return flush()

        def slow_request(batch: list[bytes]) -> list[int]:
            requests.append(len(batch))
            house.mux.time += 0.001
            return ask(batch)

        monkeypatch.setattr(segment, "flush", slow_flush)
        monkeypatch.setattr(house.network, "request", slow_request)
        house.commit(busy, router(1, virtual_addresses=addresses[:1], excluded_addresses=addresses[1:], priority=255))
        house.run(3.0)
        # Requests of a millisecond: about twenty in half of the 40 ms that an advert takes, not one.
        assert sendings[10] - sendings[5] > 50


class TestDeeds:
    def hold(self, house: House, count: int) -> VrrpInstance:
        addresses = tuple(VirtualAddress(address=f"10.78.{i // 250}.{i % 250 + 1}", prefix=32) for i in range(count))
        return router(1, virtual_addresses=addresses[:1], excluded_addresses=addresses[1:])

    def test_many_addresses_come_a_few_at_a_time_and_adverts_go_between(self, house: House) -> None:
        speaking = router(2, priority=254, advertisement_interval=0.02)
        house.commit(speaking)
        house.run(0.2)
        house.commit(self.hold(house, 500), speaking)
        house.run(3.605)
        house.network.asked.clear()
        house.segment().moments.clear()

        def slowly() -> None:
            house.mux.time += 0.0001

        house.network.takes = slowly
        house.run(0.2)
        assert house.instances[0].router.state is State.MASTER
        assert [len(batch) for batch in house.network.asked] == [32] * 15 + [20]
        moments = house.segment().moments
        # 32 addresses take 3.2 ms here, and an advert may just have missed its turn.
        assert max(later - earlier for earlier, later in itertools.pairwise(moments)) < 0.0265

    def test_announcing_and_telling_come_after_the_last_address(self, house: House) -> None:
        house.commit(self.hold(house, 100))
        house.run(3.60)
        house.network.asked.clear()
        seen: list[tuple[int, int]] = []
        house.network.takes = lambda: seen.append((len(house.frames.sent), len(house.lines)))
        lines = len(house.lines)
        house.run(0.02)
        assert seen == [(0, lines)] * 100
        assert len(house.frames.sent) == 100
        assert house.lines[-1].startswith("(VI_1) Entering MASTER STATE")

    def test_a_router_that_gives_up_at_once_ends_without_addresses(self, house: House) -> None:
        house.commit(self.hold(house, 100))
        house.run(3.60)
        house.network.asked.clear()
        house.run(0.0095)
        house.arrive(v3(1, addresses=(bytes([10, 78, 0, 1]),)).datagram)
        house.run(0.02)
        assert house.instances[0].router.state is State.BACKUP
        kinds = [int.from_bytes(message[4:6], "little") for batch in house.network.asked for message in batch]
        # RTM_NEWADDR a hundred times, then RTM_DELADDR a hundred times.
        assert kinds == [20] * 100 + [21] * 100


class TestAlarm:
    def test_a_deadline_that_moves_later_costs_no_setting(self, house: House) -> None:
        house.commit(router(1))
        # The other one ends the rest of a socket.
        (alarm,) = [each for each in house.mux.alarms if each.when is not None]
        house.arrive(v3(1).datagram)
        settings = alarm.settings
        for _ in range(10):
            house.mux.time += 0.1
            house.arrive(v3(1).datagram)
        assert alarm.settings == settings
        assert house.instances[0].router.state is State.BACKUP
        # The silence counts from the last of them.
        house.run(3.60)
        assert house.instances[0].router.state is State.BACKUP
        house.run(0.02)
        assert house.instances[0].router.state is State.MASTER

    def test_a_router_that_left_is_not_waited_for(self, house: House) -> None:
        house.commit(router(1), router(2))
        house.run(3.7)
        house.commit(router(2))
        house.segment().sent.clear()
        house.run(2.0)
        assert adverts(house) == [1, 1]


class TestLostTime:
    def test_a_master_that_slept_listens_before_it_speaks(self, house: House) -> None:
        house.commit(router(1))
        house.run(4.0)
        house.mux.time += 5.0
        house.segment().waiting.append(v3(1, priority=50).datagram)
        house.run(0.0)
        (instance,) = house.instances
        assert instance.router.state is State.BACKUP
        assert "This process did not run for 4.39 s" in house.lines
        assert house.room._course.counters["late_timers"] == 1

    def test_a_process_that_is_only_busy_did_not_sleep(self, house: House) -> None:
        house.commit(router(1))
        house.run(3.7)
        for _ in range(100):
            house.mux.time += 0.04
            house.room._course.turn(lambda: None)
        assert house.room._course.counters["late_timers"] == 0


def test_a_reload_keeps_what_is_equal(house: House) -> None:
    house.commit(router(1), router(2))
    house.run(3.7)
    before = list(house.instances)
    house.network.asked.clear()
    house.commit(router(1), router(2))
    house.run(0.0)
    assert house.instances == before
    assert house.network.asked == []


def test_each_instance_has_a_slot_of_its_own_and_gives_it_back(house: House) -> None:
    house.commit(*(router(number) for number in range(1, 5)))
    assert [instance.slot for instance in house.instances] == [0, 1, 2, 3]
    house.run(4.0)
    house.commit(router(1), router(3))
    house.commit(router(1), router(3), router(7), router(8), router(9))
    assert [instance.slot for instance in house.instances] == [0, 2, 1, 3, 4]
    assert [instance.sent for instance in house.instances] == [1, 1, 0, 0, 0]


def test_more_instances_than_there_are_slots_are_refused(house: House) -> None:
    house.commit(router(1))
    many = VrrpSlice(instances=(router(1),) * 16385)
    with pytest.raises(ValueError, match="16385 instances"):
        house.room.prepare(2, secret.encode(many))


def other_link() -> Link:
    return link("eth1", 2)


def test_only_the_interface_that_changed_is_looked_at(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.network.by_name["eth1"] = other_link()
    house.network.held[2] = [address("10.78.0.1", 24, 2)]
    house.commit(router(1), router(2, interface="eth1"))
    house.run(0.0)
    looked: list[str] = []
    look_at = house.room._conversations.look_at

    def note(name: str, network: Any) -> None:
        looked.append(name)
        look_at(name, network)

    monkeypatch.setattr(house.room._conversations, "look_at", note)
    down = link("eth1", 2, up=False)
    old, house.network.by_name["eth1"] = house.network.by_name["eth1"], down
    house.tell(LinkChanged(old, down))
    assert looked == ["eth1"]
    assert [instance.router.state for instance in house.instances] == [State.BACKUP, State.FAULT]
    # An address of ours comes and goes: nobody's standing depends on it.
    house.tell(AddressChanged(address("10.77.1.1", 32, 1), gone=False))
    house.tell(AddressChanged(address("10.77.1.1", 32, 1), gone=True))
    assert looked == ["eth1"]


class TestWithoutIpvs:
    """An instance with an address of a virtual server."""

    LACK = IpvsState(usable=False, reason="this kernel has no IPVS")

    def test_no_takeover_waits_for_the_word_of_the_ipvs_process(self, house: House) -> None:
        house.commit(router(served_address="10.77.1.1"))
        house.run(4.0)
        assert [each.router.state for each in house.instances] == [State.MASTER]

    def test_it_is_in_fault_without_and_back_when_the_module_is_loaded_later(self, house: House) -> None:
        house.commit(router(1, served_address="10.77.1.1"), router(2))
        house.run(4.0)
        house.room.receive(self.LACK)
        house.run(0.1)
        served, other = house.instances
        assert (served.router.state, other.router.state) == (State.FAULT, State.MASTER)
        assert served.reason == "virtual_server 10.77.1.1 is not served: this kernel has no IPVS"
        assert [each.event for each in faults_of(served.cause)] == [JournalKey("ipvs", "ipvs")]
        house.room.receive(IpvsState(usable=True))
        house.run(4.0)
        assert served.router.state is State.MASTER
        assert not other.router.faults

    def test_what_was_known_before_the_configuration_counts(self, house: House) -> None:
        """A process that is replaced is told first."""
        house.room.receive(self.LACK)
        house.commit(router(served_address="10.77.1.1"))
        house.run(4.0)
        assert [each.router.state for each in house.instances] == [State.FAULT]

    def test_a_reload_without_that_need_ends_it(self, house: House) -> None:
        house.room.receive(self.LACK)
        house.commit(router(served_address="10.77.1.1"))
        house.run(4.0)
        house.commit(router())
        house.run(4.0)
        assert [each.router.state for each in house.instances] == [State.MASTER]


class TestProblems:
    """What the process says is wrong."""

    def test_an_instance_that_waits_for_a_result_does_not_take_part_yet(self, house: House) -> None:
        house.commit(router(tracks=(TrackItem(kind="script", name="chk", weight=0),)))
        house.run(0.1)
        [problem] = house.room.problems()
        assert (problem.kind, problem.detail) == (ProblemKind.NOT_STARTED, "script chk has no result yet")

    def test_a_device_of_a_master_that_is_down(self, house: House) -> None:
        house.commit(router(track_primary=False))
        house.run(4.0)
        assert ProblemKind.DEVICE_DOWN not in {each.kind for each in house.room.problems()}
        old = house.network.by_name["eth0"]
        down = house.network.by_name["eth0"] = link("eth0", old.index, up=False)
        house.tell(LinkChanged(old, down))
        assert [each.router.state for each in house.instances] == [State.MASTER]
        assert (ProblemKind.DEVICE_DOWN, "eth0") in [(each.kind, each.detail) for each in house.room.problems()]

"""What the vrrp process hears: equal packets cost nothing, dense sockets rest, complaints are rare."""

from __future__ import annotations

import time
from typing import Any

import pytest

from kad.linux.netlink.network_table import LinkChanged
from kad.linux.sockets.epoll_set import ONCE, READABLE
from kad.model.problem import Problem, ProblemKind
from kad.model.vrrp import UnicastPeer, VirtualAddress, VrrpInstance
from kad.shared.messages import Event
from kad.vrrp.events import State
from kad.vrrp.process import worker as process
from kad.vrrp.process.wire import advert_sockets
from tests.unit.vrrp.clockwork import House, address, link
from tests.unit.vrrp.packets import Packet, v3, v6
from tests.unit.vrrp.samples import VIP, VIP_BYTES, instance, instance_v6


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> House:
    return House(monkeypatch)


@pytest.fixture
def examined(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Every packet that was looked at closely."""
    looked: list[bytes] = []
    examine = advert_sockets.examine

    def note(packet: bytes, expected: Any) -> Any:
        looked.append(packet)
        return examine(packet, expected)

    monkeypatch.setattr(advert_sockets, "examine", note)
    return looked


def advert(priority: int = 150, **fields: Any) -> bytes:
    return Packet(priority=priority, **fields).datagram


def renumbered(packet: bytes, identification: int) -> bytes:
    """The same advert as the next one of its sender: identification and header checksum are other ones."""
    return packet[:4] + identification.to_bytes(2, "big") + packet[6:10] + b"\x12\x34" + packet[12:]


def problems(house: House) -> list[Problem]:
    """But for the addresses, which this kernel does not keep."""
    return [each for each in house.room.problems() if each.kind is not ProblemKind.ADDRESS_MISSING]


class TestRepetition:
    def test_an_equal_packet_is_not_looked_at_again_but_counts(self, house: House, examined: list[bytes]) -> None:
        house.commit(instance())
        for number in range(20):
            house.arrive(renumbered(advert(), number))
            house.run(1.0)
        (one,) = house.instances
        assert len(examined) == 1
        assert one.received == 20
        assert house.mux.page.spoken(one.slot).received == 20
        assert one.router.state is State.BACKUP

    @pytest.mark.parametrize(
        "other",
        [
            pytest.param(advert(151), id="priority"),
            pytest.param(advert(ttl=254), id="TTL"),
            pytest.param(advert(source="10.77.0.3"), id="source"),
            pytest.param(advert(destination="224.0.0.19"), id="destination"),
            pytest.param(advert(kind=2), id="type"),
            pytest.param(advert(padding=bytes(1)), id="length"),
        ],
    )
    def test_any_other_packet_is_looked_at(self, house: House, examined: list[bytes], other: bytes) -> None:
        house.commit(instance())
        house.arrive(advert(), advert(), other)
        assert examined == [advert(), other]

    def test_giving_up_is_never_a_repetition(self, house: House, examined: list[bytes]) -> None:
        house.commit(instance())
        house.arrive(advert(), advert(0), advert(0), advert(), advert())
        assert examined == [advert(), advert(0), advert(0), advert()]
        (one,) = house.instances
        assert one.received == 5
        assert one.counters["pri_zero_rcvd"] == 2

    def test_after_another_master_was_obeyed_the_old_one_is_looked_at_again(
        self, house: House, examined: list[bytes]
    ) -> None:
        house.commit(instance())
        other = advert(160, source="10.77.0.3")
        house.arrive(advert(), other, advert(), other)
        assert len(examined) == 4

    def test_a_lower_one_does_not_make_the_master_forgotten(self, house: House, examined: list[bytes]) -> None:
        house.commit(instance())
        lower = advert(50, source="10.77.0.3")
        house.arrive(advert(), lower, advert(), lower, advert())
        assert examined == [advert(), lower, lower]

    def test_a_master_with_something_strange_is_looked_at_each_time(self, house: House, examined: list[bytes]) -> None:
        house.commit(instance())
        strange = advert(addresses=(bytes([10, 77, 0, 9]),))
        house.arrive(strange, strange, strange)
        assert len(examined) == 3
        assert house.instances[0].received == 3

    def test_a_priority_above_the_master_s_ends_it(self, house: House, examined: list[bytes]) -> None:
        house.commit(instance(priority=100))
        house.arrive(advert(150))
        house.commit(instance(priority=200))
        house.arrive(advert(150), advert(150))
        assert len(examined) == 3
        house.run(3.7)
        assert house.instances[0].router.state is State.MASTER

    def test_what_is_expected_changed_with_a_reload(self, house: House, examined: list[bytes]) -> None:
        house.commit(instance())
        house.arrive(advert())
        house.commit(instance(virtual_addresses=(VirtualAddress(address="10.77.0.7", prefix=32),)))
        house.arrive(advert())
        assert len(examined) == 2


class TestSharedNumber:
    """Several routers of one VRID on one interface: each hears its own peers, and only they."""

    def house(self, house: House) -> House:
        names = {"VI_1": "10.77.0.2", "VI_2": "10.77.0.3"}
        peers = {name: (UnicastPeer(address=address),) for name, address in names.items()}
        alone = instance(name="VI_3")
        house.commit(*(instance(name=name, unicast_peers=each) for name, each in peers.items()), alone)
        return house

    def received(self, house: House) -> list[int]:
        return [each.received for each in house.instances]

    @pytest.mark.parametrize(
        ("source", "destination", "received"),
        [
            ("10.77.0.2", "10.77.0.1", [2, 0, 0]),
            ("10.77.0.3", "10.77.0.1", [0, 2, 0]),
            ("10.77.0.4", "10.77.0.1", [0, 0, 0]),
            ("10.77.0.2", "224.0.0.18", [0, 0, 2]),
        ],
    )
    def test_who_receives(self, house: House, source: str, destination: str, received: list[int]) -> None:
        self.house(house)
        packet = advert(source=source, destination=destination)
        house.arrive(packet)
        house.arrive(packet)
        assert self.received(house) == received
        assert not [line for line in house.lines if "discarded" in line]

    def test_each_becomes_master_when_its_own_peer_is_silent(self, house: House) -> None:
        self.house(house)
        for _ in range(4):
            house.arrive(advert(source="10.77.0.3", destination="10.77.0.1"))
            house.run(1.0)
        states = [each.router.state for each in house.instances]
        assert states == [State.MASTER, State.BACKUP, State.MASTER]


class TestRest:
    def flood(self, house: House, readings: int, pause: float = 0.001) -> None:
        for _ in range(readings):
            house.arrive(advert())
            house.run(pause)

    def test_a_dense_socket_is_read_each_ten_milliseconds(self, house: House) -> None:
        house.commit(instance())
        segment = house.segment()
        self.flood(house, 3)
        # One that is told of and then rests has gathered eleven, a packet each millisecond.
        assert segment.readings == 3
        self.flood(house, 110)
        assert segment.readings == 13
        assert house.instances[0].received == 113

    def test_it_is_told_of_the_first_packet_alone(self, house: House) -> None:
        house.commit(instance())
        descriptor = house.segment().fileno()
        self.flood(house, 3)
        assert house.sockets.wanted[descriptor] == READABLE | ONCE
        house.arrive(advert())
        assert house.sockets.wanted[descriptor] == 0
        house.run(0.0101)
        assert house.sockets.wanted[descriptor] != 0
        readings = house.segment().readings
        house.run(1.0)
        assert house.segment().readings == readings

    def test_after_a_second_without_traffic_it_is_as_if_there_had_been_none(self, house: House) -> None:
        house.commit(instance())
        self.flood(house, 3)
        readings = house.segment().readings
        house.run(1.0)
        house.arrive(advert())
        assert house.segment().readings == readings + 1
        assert house.sockets.wanted[house.segment().fileno()] == READABLE

    def test_it_rests_a_tenth_of_the_shortest_interval_at_most(self, house: House) -> None:
        house.commit(instance(version=3, advertisement_interval=0.02), instance(name="VI_2", virtual_router_id=52))
        segment = house.segment()
        strange = advert(virtual_router_id=9)
        for _ in range(3):
            house.arrive(strange)
            house.run(0.001)
        house.arrive(strange)
        readings = segment.readings
        house.run(0.0019)
        assert segment.readings == readings
        house.run(0.0002)
        assert segment.readings == readings + 1

    def test_after_a_rest_that_gathered_little_each_packet_is_read_at_once(self, house: House) -> None:
        house.commit(instance())
        self.flood(house, 3)
        house.arrive(advert())
        house.run(0.05)
        assert house.sockets.wanted[house.segment().fileno()] == READABLE
        readings = house.segment().readings
        house.arrive(advert())
        assert house.segment().readings == readings + 1

    def test_a_socket_with_little_to_say_never_rests(self, house: House) -> None:
        house.commit(instance())
        self.flood(house, 50, pause=0.0101)
        assert house.segment().readings == 50

    def test_it_is_read_before_a_master_is_presumed_dead(self, house: House) -> None:
        house.commit(instance(version=3, advertisement_interval=0.01))
        settings: dict[str, Any] = {"version": 3, "interval": 1}
        for _ in range(20):
            house.arrive(advert(**settings))
            house.run(0.001)
        # 3 intervals and a skew of 0.6 of one: 36 ms of silence; the last advert comes 1 ms before that.
        house.run(0.0345)
        house.segment().waiting.append(advert(**settings))
        house.run(0.003)
        assert house.instances[0].router.state is State.BACKUP

    def takes_time(self, house: House) -> None:
        """A reading of 64 packets takes a millisecond."""
        segment = house.segment()
        real = segment.receive

        def receive() -> list[bytes]:
            house.mux.time += 0.001
            return real()

        segment.receive = receive  # type: ignore[method-assign]

    def test_it_does_not_rest_while_more_wait_than_it_reads_at_a_time(self, house: House) -> None:
        house.commit(instance())
        self.flood(house, 3)
        self.takes_time(house)
        bad = advert(ttl=3)
        house.arrive(*[bad] * 64 * 50)
        house.run(0.012)
        assert house.segment().waiting
        # Told of again at once, and not at the next packet alone.
        assert house.sockets.wanted[house.segment().fileno()] == READABLE
        for _ in range(3):
            house.sockets.tell(house.segment().fileno())
        assert not house.segment().waiting

    def test_an_advert_behind_a_flood_is_read_before_the_master_is_presumed_dead(self, house: House) -> None:
        house.commit(instance())
        house.arrive(advert())
        # 3 intervals and a skew of 156/256 of one.
        house.run(3.6)
        self.takes_time(house)
        house.segment().waiting += [advert(ttl=3)] * 64 * 100 + [advert()]
        house.run(0.5)
        assert house.instances[0].router.state is State.BACKUP
        assert house.instances[0].received == 2

    def test_it_may_close_while_it_rests(self, house: House) -> None:
        house.commit(instance())
        segment = house.segment()
        self.flood(house, 20)
        old = house.network.by_name.pop("eth0")
        house.tell(LinkChanged(old, None))
        assert segment.closed
        assert house.instances[0].router.state is State.FAULT
        house.run(0.1)
        new = house.network.by_name["eth0"] = link("eth0", 1)
        house.tell(LinkChanged(None, new))
        assert house.segment() is not segment
        house.run(0.1)
        assert house.sockets.wanted == {house.segment().fileno(): READABLE}
        assert house.segment().readings == 0


def test_a_flood_does_not_hold_the_loop(house: House) -> None:
    house.commit(instance())
    segment = house.segment()
    unknown = advert(virtual_router_id=9)
    receive = segment.receive

    def without_end() -> list[bytes]:
        house.mux.time += 0.001
        segment.waiting += [unknown] * 64
        return receive()

    segment.receive = without_end  # type: ignore[method-assign]
    house.arrive(unknown)
    assert 20 <= segment.readings <= 22


class TestComplaints:
    def test_one_line_a_minute_for_a_cause(self, house: House) -> None:
        house.commit(instance())
        for _ in range(100):
            house.arrive(advert(ttl=3))
            house.run(1.0)
        said = [line for line in house.lines if "discarded" in line]
        assert said == ["(VI_1) advert from 10.77.0.2 discarded: its TTL is not 255"] * 2

    def test_refused_adverts_are_a_problem_and_one_event_when_they_begin_and_one_when_they_end(
        self, house: House
    ) -> None:
        house.commit(instance())
        for _ in range(100):
            house.arrive(advert(ttl=3))
            house.run(1.0)
        told = [each for each in house.said if isinstance(each, Event)]
        assert [(each.kind, each.object, each.text) for each in told] == [
            ("refused", "VI_1", "adverts of 10.77.0.2 are refused: its TTL is not 255")
        ]
        [problem] = problems(house)
        assert (problem.kind, problem.object, problem.peer) == (ProblemKind.ADVERTS_REFUSED, "VI_1", "10.77.0.2")
        house.run(4.0)
        [_, ended] = [each for each in house.said if isinstance(each, Event)]
        assert ended.text == "adverts of 10.77.0.2 are no longer refused: 100 in 99.0 s were"
        assert problems(house) == []

    def test_an_advert_that_counts_ends_the_refusal_of_its_sender_at_once(self, house: House) -> None:
        house.commit(instance())
        for _ in range(2):
            house.arrive(advert(ttl=3))
            house.run(0.5)
        assert len(problems(house)) == 1
        house.arrive(advert())
        assert problems(house) == []
        [_, ended] = [each for each in house.said if isinstance(each, Event)]
        assert ended.details == {"peer": "10.77.0.2", "reason": "ip_ttl_err", "ended": True, "count": 2}

    def test_forged_sources_do_not_fill_the_log(self, house: House) -> None:
        house.commit(instance())
        for number in range(1000):
            house.arrive(advert(ttl=3, source=f"10.9.{number // 250}.{number % 250}"))
        house.run(0.1)
        assert len([line for line in house.lines if "TTL" in line]) == 100
        assert len(house.instances[0].complained) == 100
        house.run(60.0)
        house.arrive(advert(ttl=3, source="10.9.9.9"))
        assert "(VI_1) advert from 10.9.9.9 discarded: its TTL is not 255" in house.lines

    def test_unknown_vrids_are_counted_and_named_when_asked(self, house: House) -> None:
        house.commit(instance())
        house.arrive(advert(virtual_router_id=9))
        assert not [line for line in house.lines if "Unknown" in line]
        house.commit(instance(), log_unknown_vrids=True)
        house.arrive(advert(virtual_router_id=9), advert(virtual_router_id=9))
        assert [line for line in house.lines if "VRID" in line] == [
            "Unknown VRID 9 on eth0 from 10.77.0.2: not configured here"
        ]
        assert house.room._conversations.counters["unknown_vrid"] == 3


class TestNotices:
    """What is odd about a router but counts is said once for each."""

    def said(self, house: House, *packets: bytes) -> list[str]:
        for _ in range(3):
            house.arrive(*packets)
            house.run(100.0)
        return [line.removeprefix("(VI_1) ") for line in house.lines if "10.77.0." in line and "Entering" not in line]

    def test_other_addresses_name_who_uses_the_vrid(self, house: House) -> None:
        house.commit(instance())
        strangers = advert(source="10.77.0.9", addresses=(bytes([10, 77, 0, 7]), bytes([10, 77, 0, 8])))
        assert self.said(house, strangers, advert()) == [
            "10.77.0.9 uses VRID 51 with other addresses: 10.77.0.7 10.77.0.8"
        ]
        assert house.instances[0].received == 6

    def test_addresses_are_compared_once_where_that_is_asked(self, house: House) -> None:
        house.commit(instance(skip_check_adv_addr=True))
        strangers = advert(addresses=(bytes([10, 77, 0, 7]),))
        house.arrive(strangers, renumbered(advert(149, addresses=(bytes([10, 77, 0, 8]),)), 2))
        (one,) = house.instances
        assert one.snapshot(0.0, frozenset())["discarded"] == {"addr_list_err": 1}
        assert one.received == 2

    def test_another_interval_of_version_3(self, house: House) -> None:
        house.commit(instance(version=3))
        packet = v3(priority=150, interval=50).datagram
        assert self.said(house, packet) == ["10.77.0.2 sends adverts every 0.5 s, this router every 1 s"]

    def test_what_changes_is_said_again(self, house: House) -> None:
        house.commit(instance(version=3))
        first = self.said(house, v3(priority=150, interval=50).datagram)
        second = self.said(house, v3(priority=150, interval=25).datagram)
        assert second == [*first, "10.77.0.2 sends adverts every 0.25 s, this router every 1 s"]

    def test_another_rule_of_checksums(self, house: House) -> None:
        house.commit(instance(version=3))
        assert self.said(house, v3(priority=150, pseudo_destination="").datagram) == [
            "10.77.0.2 makes its checksums over the message alone (RFC 9568), this router over a pseudo header too: "
            "accepted; v3_checksum_as_v2 changes this router's"
        ]
        assert house.instances[0].received == 3
        house.commit(instance(version=3, v3_checksum_as_v2=True))
        assert len(self.said(house, v3(priority=150, pseudo_destination="").datagram)) == 1

    def test_another_version_and_another_interval_of_version_2_are_refused(self, house: House) -> None:
        house.commit(instance())
        packet = v3(priority=150, addresses=(VIP_BYTES,) * 3).datagram
        assert self.said(house, packet)[0] == (
            "advert from 10.77.0.2 discarded: it is of VRRP version 3, this router of version 2"
        )
        house.lines.clear()
        assert self.said(house, advert(interval=3))[0] == (
            "advert from 10.77.0.2 discarded: its advertisement interval is 3 s, ours 1 s"
        )
        house.commit(instance(version=3))
        house.lines.clear()
        assert self.said(house, advert())[0] == (
            "advert from 10.77.0.2 discarded: it is of VRRP version 2, this router of version 3"
        )


class TestIPv6:
    """An instance on eth0, fe80::1."""

    @pytest.fixture
    def ipv6(self, house: House) -> House:
        house.network.held[1] += [
            address("2001:db8::1", 64, 1),
            address("fe80::1", 64, 1, scope=253),
        ]
        return house

    def test_it_is_backup_of_whom_it_hears(self, ipv6: House, examined: list[bytes]) -> None:
        ipv6.commit(instance_v6())
        assert ipv6.segment(family=6).groups == {"ff02::12"}
        (one,) = ipv6.instances
        assert one.source == "fe80::1"
        for _ in range(10):
            ipv6.arrive(v6(priority=150).datagram, family=6)
            ipv6.run(1.0)
        assert (one.router.state, one.received, len(examined)) == (State.BACKUP, 10, 1)
        assert one.router.master is not None
        assert one.router.master.source == "fe80::2"

    def test_it_speaks_from_its_link_local_address(self, ipv6: House) -> None:
        ipv6.commit(instance_v6(priority=255))
        ipv6.run(2.5)
        assert len(ipv6.segment(family=6).sent) == 3

    def test_a_virtual_link_local_address_is_no_source(self, ipv6: House) -> None:
        ipv6.network.held[1] = [address("fe80::100", 64, 1, scope=253), address("fe80::1", 64, 1, scope=253)]
        ipv6.commit(instance_v6())
        assert ipv6.instances[0].source == "fe80::1"

    @pytest.mark.parametrize(
        ("flags", "fault"),
        [
            (0x40, "the link-local address of interface eth0 is still looked for among the neighbours"),
            (0x48, "the link-local address fe80::1 of interface eth0 is used by another host too"),
        ],
    )
    def test_a_doubtful_source_is_a_fault(self, ipv6: House, flags: int, fault: str) -> None:
        ipv6.network.held[1] = [address("fe80::1", 64, 1, scope=253, flags=flags)]
        ipv6.commit(instance_v6())
        assert ipv6.instances[0].router.faults == {fault}

    def test_without_a_link_local_address_there_is_nothing_to_send_from(self, house: House) -> None:
        house.commit(instance_v6())
        assert house.instances[0].router.faults == {"interface eth0 has no IPv6 link-local address to send from"}

    def test_another_hop_limit_is_no_repetition(self, ipv6: House) -> None:
        ipv6.commit(instance_v6())
        ipv6.arrive(v6(priority=150).datagram, v6(priority=150, ttl=64).datagram, family=6)
        assert ipv6.instances[0].received == 1
        assert "(VI_1) advert from fe80::2 discarded: its hop limit is not 255" in ipv6.lines


def test_nothing_counts_during_the_startup_delay(house: House) -> None:
    house.commit(instance(), startup_delay=5.0)
    house.arrive(advert())
    (one,) = house.instances
    assert (one.received, one.router.state) == (0, State.INIT)
    house.run(5.0)
    house.arrive(advert())
    assert (one.received, one.router.state) == (1, State.BACKUP)


@pytest.mark.parametrize(
    ("startup", "boot", "delay"), [(0.0, 30.0, 5.0), (7.0, 30.0, 7.0), (7.0, 20.0, 7.0), (0.0, 25.0, 0.0)]
)
def test_the_delay_after_the_boot(
    house: House, monkeypatch: pytest.MonkeyPatch, startup: float, boot: float, delay: float
) -> None:
    monkeypatch.setattr(process.time, "clock_gettime", lambda clock: {time.CLOCK_BOOTTIME: 25.0}[clock])
    house.commit(instance(), startup_delay=startup, delay_after_boot=boot)
    (one,) = house.instances
    if delay:
        house.run(delay - 0.1)
        assert one.router.state is State.INIT
        house.run(0.1)
    assert one.router.state is State.BACKUP


def test_groups_are_joined_and_left(house: House) -> None:
    house.commit(instance(), instance(name="VI_2", virtual_router_id=52, multicast_group="224.0.0.77"))
    segment = house.segment()
    assert segment.groups == {"224.0.0.18", "224.0.0.77"}
    house.commit(instance())
    assert house.segment() is segment
    assert segment.groups == {"224.0.0.18"}


def two() -> tuple[VrrpInstance, VrrpInstance]:
    return instance(), instance(name="VI_2", interface="eth1", virtual_addresses=(VIP,))


def test_the_same_vrid_on_two_interfaces(house: House) -> None:
    house.network.by_name["eth1"] = link("eth1", 2)
    house.network.held[2] = house.network.held[1]
    house.commit(*two())
    house.arrive(advert(), name="eth1")
    assert [one.received for one in house.instances] == [0, 1]


def test_an_interface_that_nobody_uses_any_more_is_let_go(house: House) -> None:
    house.network.by_name["eth1"] = link("eth1", 2)
    house.network.held[2] = house.network.held[1]
    house.commit(*two())
    segment = house.segment("eth1")
    house.commit(two()[0])
    assert segment.closed
    assert segment.fileno() not in house.mux.watched

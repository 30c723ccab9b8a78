"""LANs with a story: each function lets it happen and asserts how it ends, in literal seconds."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec
import pytest

from kad.model.vrrp import UnicastPeer, VrrpInstance
from kad.simulation.host import Host
from kad.simulation.lan import Lan
from kad.simulation.verdict import Period, caused, left_behind, no_storm, one_holder, unmoved
from kad.vrrp.events import State
from tests.unit.vrrp.samples import OTHER_VIP, VIP, instance, instance_v6

MASTER, BACKUP, FAULT = State.MASTER, State.BACKUP, State.FAULT
NONE: frozenset[str] = frozenset()
DELAY = 0.001
"""The longest way of a packet, seconds."""


class World:
    """Hosts 10.77.0.1, 10.77.0.2 … on one LAN; host n runs the n-th list of instances."""

    def __init__(
        self,
        *hosts: VrrpInstance | list[VrrpInstance],
        seed: int = 1,
        rates: tuple[float, ...] = (),
        network: str = "10.77.0.",
    ) -> None:
        self.lan = Lan(Random(seed), shortest=DELAY / 10, longest=DELAY)
        self.wishes = [each if isinstance(each, list) else [each] for each in hosts]
        self.hosts = [
            Host(f"h{number}", f"{network}{number}", self.lan, rate=rates[number - 1] if rates else 1.0)
            for number in range(1, len(hosts) + 1)
        ]

    def boot(self, *groups: tuple[str, ...]) -> World:
        for host, wishes in zip(self.hosts, self.wishes, strict=True):
            host.boot(wishes, groups)
        return self

    def until(self, moment: float) -> World:
        self.lan.timeline.run_until(moment)
        return self

    def states(self, name: str = "VI_1") -> list[State | None]:
        return [host.places[name].router.state if host.runs else None for host in self.hosts]

    def entered(self, host: int, state: State) -> list[float]:
        """When that host (1, 2 …) entered that state."""
        found = [each for each in self.lan.chronicle.transitions if each.seat.host == f"h{host}" and each.new is state]
        return [each.moment for each in found]

    def sent(self, host: int, since: float, until: float) -> int:
        found = [each for each in self.lan.chronicle.sent if each.seat.host == f"h{host}"]
        return sum(1 for each in found if since < each.moment <= until)

    @property
    def rates(self) -> dict[str, float]:
        return {host.name: host.rate for host in self.hosts}

    def is_sound(self, since: float = 0.0) -> None:
        """Nothing without cause, no storm, no address where it should not be; from `since` on one holder."""
        chronicle, now = self.lan.chronicle, self.lan.now
        running = [host for host in self.hosts if host.runs]
        assert [
            *caused(chronicle, self.rates),
            *no_storm(chronicle, self.rates, now),
            *left_behind(running),
            *(one_holder(self.hosts, chronicle, Period(since, now), DELAY) if since else ()),
        ] == []

    def is_quiet(self, since: float) -> None:
        assert list(unmoved(self.lan.chronicle, Period(since, self.lan.now))) == []


def about(moment: float) -> Any:
    """That moment, or as much later as a packet may be under way."""
    return pytest.approx(moment + DELAY / 2, abs=DELAY / 2 + 1e-9)


def election() -> None:
    """The highest priority is first, after 3 s + 56/256 s, and stays."""
    world = World(instance(priority=100), instance(priority=200), instance(priority=150)).boot().until(60.0)
    assert world.states() == [BACKUP, MASTER, BACKUP]
    assert world.entered(2, MASTER) == [3.21875]
    assert world.entered(1, MASTER) == world.entered(3, MASTER) == []
    assert world.sent(2, 10.0, 60.0) == 50
    assert world.sent(1, 0.0, 60.0) == 0
    world.is_sound(3.21875)


def election_over_ipv6() -> None:
    """Three routers with link-local addresses; equal priorities are decided by all 128 bits of them."""
    wishes = [instance_v6(priority=priority) for priority in (100, 150, 150)]
    world = World(*wishes, network="fe80::").boot().until(60.0)
    assert world.states() == [BACKUP, BACKUP, MASTER]
    assert world.entered(3, MASTER) == [3.4140625]
    assert world.entered(1, MASTER) == []
    assert world.hosts[2].addresses == {"fe80::100", "2001:db8::100"}
    world.hosts[2].crash()
    world.until(80.0)
    assert world.states() == [BACKUP, MASTER, None]
    world.is_sound(70.0)


def owner() -> None:
    """Priority 255 waits for nobody, and takes over again as soon as it is back."""
    world = World(instance(priority=255), instance(priority=200)).boot().until(10.0)
    assert world.entered(1, MASTER) == [0.0]
    world.hosts[0].crash()
    world.until(20.0)
    assert world.states() == [None, MASTER]
    world.hosts[0].boot(world.wishes[0])
    world.until(30.0)
    assert world.entered(1, MASTER) == [0.0, 20.0]
    assert world.entered(2, BACKUP) == [0.0, about(20.0)]
    world.is_sound(20.0)


def deaf_owner() -> None:
    """A router that does not hear the owner is MASTER beside it; the owner contradicts and stays."""
    world = World(instance(priority=255), instance(priority=254)).boot().until(10.0)
    world.lan.deafen(world.hosts[1], world.hosts[0])
    world.until(30.0)
    assert world.states() == [MASTER, MASTER]
    assert world.entered(1, BACKUP) == [0.0]
    world.lan.heal()
    world.until(40.0)
    assert world.states() == [MASTER, BACKUP]
    world.is_sound(31.1)


def two_owners() -> None:
    """Both say 255, which only one may: the lower address yields at once, and takes over when the other one dies."""
    world = World(instance(priority=255), instance(priority=255)).boot().until(20.0)
    assert world.states() == [BACKUP, MASTER]
    assert world.entered(1, BACKUP)[-1] == about(0.0)
    world.hosts[1].crash()
    world.until(30.0)
    assert world.states() == [MASTER, None]
    world.is_sound(24.1)


def owner_that_hears_nobody() -> None:
    """The lower of two owners is deaf: the other one gives way, and is owner again when that one hears."""
    world = World(instance(priority=255), instance(priority=255))
    world.lan.deafen(world.hosts[0], world.hosts[1])
    world.boot().until(20.0)
    assert world.states() == [MASTER, BACKUP]
    world.hosts[0].crash()
    world.until(30.0)
    assert world.states() == [None, MASTER]
    assert world.hosts[1].places["VI_1"].router.priority == 255


def equal_priorities() -> None:
    """All time out at once; the highest address remains, within one packet's way."""
    world = World(instance(), instance(), instance()).boot().until(30.0)
    assert world.states() == [BACKUP, BACKUP, MASTER]
    assert [len(world.entered(host, MASTER)) for host in (1, 2, 3)] == [1, 1, 1]
    assert world.entered(1, BACKUP)[1] == about(3.609375)
    world.is_quiet(3.7)
    world.is_sound(3.7)


def equal_newcomer() -> None:
    """Who comes later with an equal priority does not preempt, even with a higher address."""
    world = World(instance(), instance())
    world.hosts[0].boot(world.wishes[0])
    world.until(20.0)
    world.hosts[1].boot(world.wishes[1])
    world.until(60.0)
    assert world.states() == [MASTER, BACKUP]
    world.is_quiet(20.1)
    world.is_sound(4.0)


def silent_death() -> None:
    """Takeover 3 s + 106/256 s after the last advert, not sooner and not later."""
    world = World(instance(priority=200), instance(priority=150), instance(priority=100)).boot().until(10.9)
    last = 10.21875
    assert world.lan.chronicle.sent[-1].moment == last
    world.hosts[0].crash()
    world.until(60.0)
    assert world.entered(2, MASTER) == [about(last + 3.4140625)]
    assert world.entered(3, MASTER) == []
    assert world.states() == [None, MASTER, BACKUP]
    world.is_sound(14.0)


def orderly_stop() -> None:
    """Priority 0 leaves the skew time: 106/256 s."""
    world = World(instance(priority=200), instance(priority=150)).boot().until(10.0)
    world.hosts[0].stop()
    world.until(12.0)
    assert world.entered(2, MASTER) == [about(10.4140625)]
    assert world.hosts[0].addresses == set()
    world.is_sound(10.5)


def handover() -> None:
    """Stopping with patience the address is never without a place, and for 0.1 s has two."""
    world = World(instance(priority=200), instance(priority=150)).boot().until(10.0)
    world.hosts[0].stop(patience=5.0)
    world.until(12.0)
    assert world.entered(2, MASTER) == [about(10.4140625)]
    assert world.entered(1, State.STOP) == [pytest.approx(10.515, abs=0.002)]
    chronicle = world.lan.chronicle
    assert list(one_holder(world.hosts, chronicle, Period(4.0, 12.0), 0.102)) == []
    assert len(list(one_holder(world.hosts, chronicle, Period(4.0, 12.0), 0.09))) == 1
    world.is_sound()


def fault() -> None:
    """An interface goes: priority 0 and FAULT; it returns, and after its silence it preempts."""
    world = World(instance(priority=200), instance(priority=150)).boot().until(10.0)
    world.hosts[0].fail("VI_1", frozenset({"interface eth0 is down"}))
    world.until(20.0)
    assert world.states() == [FAULT, MASTER]
    assert world.entered(2, MASTER) == [about(10.4140625)]
    world.hosts[0].fail("VI_1", NONE)
    world.until(40.0)
    assert world.entered(1, MASTER) == [3.21875, 23.21875]
    assert world.states() == [MASTER, BACKUP]
    world.is_sound(11.0)


def no_preemption() -> None:
    """nopreempt: who comes back higher leaves the lower MASTER in place."""
    world = World(instance(priority=200, preempt=False), instance(priority=150)).boot().until(10.0)
    world.hosts[0].crash()
    world.until(20.0)
    world.hosts[0].boot(world.wishes[0])
    world.until(60.0)
    assert world.states() == [BACKUP, MASTER]
    world.is_quiet(20.1)
    world.is_sound(14.0)


def delayed_preemption() -> None:
    """preempt_delay 10 s: from the first lower advert, and then once the silence of obedience is over."""
    world = World(instance(priority=200, preempt_delay=10.0), instance(priority=150)).boot().until(10.0)
    world.hosts[0].crash()
    world.until(20.0)
    world.hosts[0].boot(world.wishes[0])
    world.until(60.0)
    (_, again) = world.entered(1, MASTER)
    assert 30.0 < again < 34.3
    assert world.states() == [MASTER, BACKUP]
    world.is_sound(14.0)


def partition() -> None:
    """Each part has its MASTER; healed, the lower one yields at the next advert of the higher one."""
    routers = [instance(priority=priority) for priority in (200, 180, 120, 110)]
    world = World(*routers).boot().until(10.0)
    world.lan.partition([world.hosts[:2], world.hosts[2:]])
    world.until(30.0)
    assert world.states() == [MASTER, BACKUP, MASTER, BACKUP]
    assert world.entered(3, MASTER) == [about(9.21875 + 3.53125)]
    for part in (world.hosts[:2], world.hosts[2:]):
        assert list(one_holder(part, world.lan.chronicle, Period(14.0, 30.0), DELAY)) == []
    world.lan.heal()
    world.until(60.0)
    assert world.states() == [MASTER, BACKUP, BACKUP, BACKUP]
    assert 30.0 < world.entered(3, BACKUP)[1] < 31.002
    world.is_sound(31.002)


def deaf_one_way() -> None:
    """h2 does not hear h1 and is MASTER beside it: h1 answers each of its adverts, and there is no storm."""
    world = World(instance(priority=200), instance(priority=100)).boot().until(10.0)
    world.lan.deafen(world.hosts[1], world.hosts[0])
    world.until(110.0)
    assert world.states() == [MASTER, MASTER]
    assert world.sent(2, 20.0, 100.0) == 80
    assert 158 <= world.sent(1, 20.0, 100.0) <= 162
    world.lan.heal()
    world.until(120.0)
    assert world.states() == [MASTER, BACKUP]
    world.is_sound(112.0)


def slow_clocks() -> None:
    """Clocks that differ by a tenth: for an hour nothing moves after the election."""
    routers = [instance(priority=priority) for priority in (110, 105, 100)]
    world = World(*routers, rates=(0.9, 1.0, 1.1)).boot().until(3600.0)
    world.is_quiet(6.0)
    world.is_sound(6.0)


def learned_interval() -> None:
    """Version 3: routers that would advertise each 0.1 s wait for a master that does so each 2 s."""
    slow = instance(version=3, priority=200, advertisement_interval=2.0)
    fast = instance(version=3, priority=100, advertisement_interval=0.1)
    world = World(slow, fast, msgspec.structs.replace(fast, priority=90)).boot().until(300.0)
    assert world.states() == [MASTER, BACKUP, BACKUP]
    world.is_quiet(10.0)
    world.hosts[0].crash()
    last = world.lan.chronicle.sent[-1].moment
    world.until(310.0)
    assert world.entered(2, MASTER)[-1] == about(last + 6.0 + 156 / 256 * 2.0)
    world.is_sound()


def version_2_against_3() -> None:
    """They do not understand each other: two MASTERs, and no storm between them."""
    world = World(instance(priority=200), instance(priority=100, version=3)).boot().until(60.0)
    assert world.states() == [MASTER, MASTER]
    assert world.lan.chronicle.heard == []
    assert world.sent(1, 10.0, 50.0) == world.sent(2, 10.0, 50.0) == 40
    world.is_sound()


def sleeper() -> None:
    """A MASTER that did not run for 8 s finds another one, yields without a word, and returns after its silence."""
    world = World(instance(priority=200), instance(priority=150)).boot().until(10.0)
    world.hosts[0].sleep(8.0)
    world.until(17.9)
    assert world.states() == [MASTER, MASTER]
    world.until(18.01)
    assert world.states() == [BACKUP, MASTER]
    assert world.sent(1, 10.0, 18.01) == 0
    world.until(40.0)
    assert world.states() == [MASTER, BACKUP]
    assert 21.2 < world.entered(1, MASTER)[1] < 22.3
    world.is_sound(18.01)


def short_sleep() -> None:
    """Half a second of sleep changes nothing."""
    world = World(instance(priority=200), instance(priority=150)).boot().until(10.0)
    world.hosts[0].sleep(0.5)
    world.until(30.0)
    world.is_quiet(3.3)
    assert world.sent(1, 9.0, 29.0) == 20


def replaced_process() -> None:
    """A crashed MASTER that is back in 0.1 s stays MASTER; nobody else moves and the address stays."""
    world = World(instance(priority=200), instance(priority=150)).boot().until(10.0)
    before = world.hosts[0].kill()
    world.until(10.1)
    assert world.hosts[0].addresses == {"10.77.0.100"}
    world.hosts[0].replace(before, world.wishes[0])
    world.until(60.0)
    assert world.states() == [MASTER, BACKUP]
    world.is_quiet(3.3)
    world.is_sound(4.0)


def replaced_too_late() -> None:
    """After 10 s another one has taken over; what the dead process left is released first."""
    world = World(instance(priority=200), instance(priority=150)).boot().until(10.0)
    before = world.hosts[0].kill()
    world.until(20.0)
    assert world.states() == [None, MASTER]
    assert world.hosts[0].addresses == {"10.77.0.100"}
    world.hosts[0].replace(before, world.wishes[0])
    assert world.hosts[0].addresses == set()
    world.until(60.0)
    assert world.states() == [MASTER, BACKUP]
    world.is_sound(20.0)


def left_by_a_dead_process() -> None:
    """Started anew, a router releases what an earlier life left behind."""
    world = World(instance(priority=100), instance(priority=150)).boot()
    world.hosts[1].kill()
    world.until(10.0)
    world.hosts[0].kill()
    assert world.hosts[0].addresses == {"10.77.0.100"}
    world.hosts[0].boot(world.wishes[0])
    assert world.hosts[0].addresses == set()


def reload() -> None:
    """A raised priority preempts; a changed list of addresses is held and released as it is written."""
    world = World(instance(priority=200), instance(priority=150)).boot().until(10.0)
    more = instance(priority=200, excluded_addresses=(OTHER_VIP,))
    world.hosts[0].reload([more])
    assert world.hosts[0].addresses == {"10.77.0.100", "10.77.0.101"}
    world.hosts[0].reload([instance(priority=200)])
    assert world.hosts[0].addresses == {"10.77.0.100"}
    world.is_quiet(3.3)
    world.until(20.0)
    world.hosts[1].reload([instance(priority=250)])
    world.until(40.0)
    assert world.states() == [BACKUP, MASTER]
    assert 20.0 < world.entered(2, MASTER)[0] < 23.5
    world.is_sound(4.0)


def tracked_priority() -> None:
    """A lost 100 hands over to the next one; it comes back with it."""
    world = World(instance(priority=200), instance(priority=150)).boot().until(10.0)
    world.hosts[0].prefer("VI_1", 100)
    world.until(30.0)
    assert world.states() == [BACKUP, MASTER]
    world.hosts[0].prefer("VI_1", 200)
    world.until(50.0)
    assert world.states() == [MASTER, BACKUP]
    world.is_sound(4.0)


def unicast() -> None:
    """Peers by address, without any multicast."""
    peers = [tuple(UnicastPeer(address=f"10.77.0.{n}") for n in (1, 2, 3) if n != own) for own in (1, 2, 3)]
    routers = [instance(priority=100 + own, unicast_peers=peers[own]) for own in (0, 1, 2)]
    world = World(*routers).boot().until(10.0)
    assert world.states() == [BACKUP, BACKUP, MASTER]
    world.hosts[2].crash()
    world.until(20.0)
    assert world.states() == [BACKUP, MASTER, None]
    world.is_sound(14.0)


def group() -> None:
    """A fault of one member moves both addresses; they come back together."""
    wishes = [
        [instance(name="A", priority=priority), instance(name="B", priority=priority, virtual_router_id=52)]
        for priority in (200, 150)
    ]
    for each in wishes:
        each[1] = msgspec.structs.replace(each[1], virtual_addresses=(OTHER_VIP,))
    world = World(*wishes).boot(("A", "B")).until(10.0)
    assert world.hosts[0].addresses == {VIP.address, OTHER_VIP.address}
    world.hosts[0].fail("B", frozenset({"interface eth1 is down"}))
    world.until(20.0)
    assert world.hosts[0].addresses == set()
    assert world.hosts[1].addresses == {VIP.address, OTHER_VIP.address}
    assert world.states("A") == world.states("B") == [FAULT, MASTER]
    world.hosts[0].fail("B", NONE)
    world.until(40.0)
    assert world.states("A") == world.states("B") == [MASTER, BACKUP]
    world.is_sound(15.0)


def bad_weather() -> None:
    """A third of all packets is lost for ten minutes: whatever moves has its cause, and nobody floods."""
    world = World(instance(priority=200), instance(priority=150), instance(priority=100), seed=7)
    world.lan.loss = 0.33
    world.boot().until(600.0)
    world.lan.heal()
    world.until(620.0)
    assert world.states() == [MASTER, BACKUP, BACKUP]
    world.is_sound(610.0)


def rubbish() -> None:
    """Random bytes, cut packets and packets with one changed byte move nobody."""
    world = World(instance(priority=200), instance(priority=150)).boot().until(10.0)
    random = Random(3)
    (good,) = (datagram for _, datagram in world.hosts[0].places["VI_1"].adverts[200])
    for _ in range(3000):
        kind = random.randrange(3)
        if kind == 0:
            packet = bytes([0x45]) + random.randbytes(random.randrange(80))
        elif kind == 1:
            packet = good[: random.randrange(len(good))]
        else:
            changed = bytearray(good)
            changed[random.randrange(20, len(good))] ^= random.randrange(1, 256)
            packet = bytes(changed)
        for host in world.hosts:
            host.receive(packet)
    world.until(30.0)
    world.is_quiet(3.3)
    assert world.lan.chronicle.discarded > 1000
    world.is_sound(4.0)


ALL = (
    election,
    election_over_ipv6,
    owner,
    deaf_owner,
    two_owners,
    owner_that_hears_nobody,
    equal_priorities,
    equal_newcomer,
    silent_death,
    orderly_stop,
    handover,
    fault,
    no_preemption,
    delayed_preemption,
    partition,
    deaf_one_way,
    slow_clocks,
    learned_interval,
    version_2_against_3,
    sleeper,
    short_sleep,
    replaced_process,
    replaced_too_late,
    left_by_a_dead_process,
    reload,
    tracked_priority,
    unicast,
    group,
    bad_weather,
    rubbish,
)

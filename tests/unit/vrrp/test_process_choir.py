"""MASTERs that only speak do so together, and nobody on the wire or among the counters can tell it from each alone."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import msgspec
import pytest

from kad.linux.netlink.network_table import LinkChanged
from kad.model.secret import SecretBytes
from kad.model.vrrp import Announcing, AuthHmac, HmacKey, VirtualAddress, VrrpInstance
from kad.vrrp.events import AddressClaimed, AdvertReceived, Event, PriorityChanged, Reconfigured, State, Stopped
from kad.vrrp.process.instance import Instance
from kad.vrrp.process.timers import advert_batches, dispatcher
from kad.vrrp.process.timers.advert_batches import Choirs
from tests.causes import tracked
from tests.unit.vrrp.clockwork import House, link
from tests.unit.vrrp.packets import Packet
from tests.unit.vrrp.samples import advert


def router(number: int, **fields: object) -> VrrpInstance:
    """VRID as the number, version 3, an advert each 100 ms, nothing to do but speak once it is MASTER for a second."""
    settings: dict[str, object] = {
        "name": f"VI_{number}",
        "interface": "eth0",
        "virtual_router_id": number,
        "version": 3,
        "priority": 150,
        "advertisement_interval": 0.1,
        "virtual_addresses": (VirtualAddress(address=f"10.77.1.{number}", prefix=32),),
        "announcing": Announcing(master_delay=0.0, master_repeat=1),
    }
    return msgspec.convert(settings | fields, VrrpInstance)


def packet(number: int, priority: int) -> bytes:
    return Packet(
        version=3, virtual_router_id=number, priority=priority, interval=10, addresses=(bytes([10, 77, 1, number]),)
    ).datagram


class Said(NamedTuple):
    at: float
    virtual_router_id: int
    priority: int
    message: bytes


def said(house: House) -> list[Said]:
    """All adverts, by their moments."""
    segment = house.segment()
    return [
        Said(at, each.payload[21], each.payload[22], each.payload[20:])
        for at, together in zip(segment.moments, segment.sent, strict=True)
        for each in together
    ]


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> House:
    return House(monkeypatch)


def members(house: House) -> list[set[str]]:
    """Who sings with whom."""
    choirs = {id(each): each for each in house.room._course._agenda.choirs.choir_of.values()}
    return [{instance.name for instance in each.members.values()} for each in choirs.values()]


def singing(house: House, *instances: VrrpInstance) -> None:
    """They are MASTERs for a while."""
    house.commit(*instances)
    house.run(2.0)
    assert all(each.router.state is State.MASTER for each in house.instances)
    house.segment().sent.clear()
    house.segment().moments.clear()


def test_none_of_them_is_looked_at(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    singing(house, *(router(number) for number in range(1, 6)))
    assert members(house) == [{"VI_1", "VI_2", "VI_3", "VI_4", "VI_5"}]
    before = [each.sent for each in house.instances]
    monkeypatch.setattr(house.room._conversations, "post", None)
    house.run(1.0)
    assert [len(together) for together in house.segment().sent] == [5] * 10
    assert [each.sent - old for each, old in zip(house.instances, before, strict=True)] == [10] * 5
    spoke_at = house.mux.page.spoke_at
    assert {spoke_at[each.slot] for each in house.instances} == {house.segment().moments[-1]}


def test_each_interval_has_its_own(house: House) -> None:
    singing(house, router(1), router(2, advertisement_interval=0.2), router(3), router(4, advertisement_interval=0.2))
    assert sorted(members(house), key=min) == [{"VI_1", "VI_3"}, {"VI_2", "VI_4"}]


def test_those_that_come_within_a_millisecond_of_each_other_become_one(house: House) -> None:
    singing(house, router(1))
    first = house.instances[0].router.pulse
    assert first is not None
    # Half a millisecond behind an advert, less the 3 x 0.1 s and skew of (256 - 150) / 256 of 0.1 s until it is MASTER.
    house.run(first.advert_at + 1.0005 - 0.34140625 - house.mux.time)
    house.commit(router(1), router(2))
    house.run(0.35)
    assert house.instances[1].router.state is State.MASTER
    house.run(0.2)
    assert members(house) == [{"VI_1", "VI_2"}]
    house.segment().sent.clear()
    house.run(0.5)
    assert [len(together) for together in house.segment().sent] == [2] * 5


def spoken(house: House, number: int) -> list[float]:
    """The moments of this router's adverts."""
    return [each.at for each in said(house) if each.virtual_router_id == number]


def test_those_of_one_interval_meet_by_leaving_a_little_early(house: House) -> None:
    apart = [router(number, advertisement_interval=0.1 if number < 4 else 0.2) for number in range(1, 5)]
    for count in range(1, 5):
        house.commit(*apart[:count])
        house.segment()
        house.run(0.021)
    house.run(5.0)
    assert sorted(members(house), key=min) == [{"VI_1", "VI_2", "VI_3"}, {"VI_4"}]
    for number, least, most in ((1, 0.095, 0.1), (2, 0.095, 0.1), (3, 0.095, 0.1), (4, 0.2, 0.2)):
        distances = [later - earlier for earlier, later in itertools.pairwise(spoken(house, number))]
        assert len(distances) > 20
        assert least - 1e-9 <= min(distances) <= max(distances) <= most + 1e-9
    assert spoken(house, 1)[-20:] == spoken(house, 2)[-20:] == spoken(house, 3)[-20:]
    last = spoken(house, 1)[-20:]
    assert all(later - earlier == pytest.approx(0.1, abs=1e-9) for earlier, later in itertools.pairwise(last))


def test_whoever_is_alone_with_its_interval_keeps_its_moments(house: House) -> None:
    singing(house, router(1))
    house.run(5.0)
    moments = spoken(house, 1)
    assert all(later - earlier == pytest.approx(0.1, abs=1e-9) for earlier, later in itertools.pairwise(moments))


def test_no_choir_grows_beyond_bounds(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(advert_batches, "_TOGETHER", 3)
    for count in range(1, 13):
        house.commit(*(router(number) for number in range(1, count + 1)))
        house.run(0.013)
    house.run(5.0)
    moments = [each.router.pulse.advert_at for each in house.instances if each.router.pulse is not None]
    assert len(moments) == 12
    assert len(set(moments)) == 4
    # At four points of the interval; each went to the one before it.
    assert {round(moment % 0.025, 6) for moment in moments} <= {0.0, 0.025}


def test_late_ones_do_not_hurry(house: House) -> None:
    """Those of another choir wait elsewhere in the interval, and leaving early would be at once."""
    house.commit(router(1))
    house.run(0.04)
    house.commit(router(1), router(2))
    house.run(1.0)
    house.segment().sent.clear()
    house.segment().moments.clear()
    for _ in range(20):
        house.mux.time += 0.098
        house.run(0.0)
    for number in (1, 2):
        assert all(later - earlier > 0.09 for earlier, later in itertools.pairwise(spoken(house, number)))


def test_whoever_leaves_leaves_the_others(house: House) -> None:
    singing(house, *(router(number) for number in range(1, 4)))
    house.run(0.05)
    house.arrive(packet(2, 200))
    assert [each.router.state for each in house.instances] == [State.MASTER, State.BACKUP, State.MASTER]
    house.segment().sent.clear()
    house.segment().moments.clear()
    house.run(0.3)
    assert [each.virtual_router_id for each in said(house)] == [1, 3] * 3
    assert members(house) == [{"VI_1", "VI_3"}]


def test_another_priority_is_said_with_the_next_advert_and_by_nobody_else(house: House) -> None:
    singing(house, router(1), router(2))
    house.commit(router(1, priority=160), router(2))
    house.run(0.11)
    assert {(each.virtual_router_id, each.priority) for each in said(house)} == {(1, 160), (2, 150)}
    house.run(0.2)
    assert members(house) == [{"VI_1", "VI_2"}]


def test_a_removed_one_is_silent(house: House) -> None:
    singing(house, router(1), router(2))
    house.commit(router(2))
    house.segment().sent.clear()
    house.segment().moments.clear()
    house.run(0.5)
    assert {each.virtual_router_id for each in said(house)} == {2}


def test_what_else_is_due_does_not_wait_for_the_next_advert(house: House) -> None:
    refreshing = Announcing(master_delay=0.0, master_repeat=1, master_refresh=1.03, master_refresh_repeat=1)
    singing(house, router(1, announcing=refreshing), router(2))
    assert members(house) == [{"VI_1", "VI_2"}]
    house.frames.sent.clear()
    house.run(4.12)
    assert len(house.frames.sent) == 4
    assert members(house) == [{"VI_1", "VI_2"}]


def test_nobody_is_asked_whose_adverts_are_numbered(house: House) -> None:
    key = HmacKey(id=1, secret=SecretBytes(bytes(32)))
    singing(house, msgspec.structs.replace(router(1), auth_hmac=AuthHmac(keys=(key,), active_key=1)), router(2))
    assert members(house) == [{"VI_2"}]


def test_a_choir_that_all_have_left_is_gone(house: House) -> None:
    singing(house, router(1), router(2))
    house.arrive(packet(1, 200), packet(2, 200))
    house.run(0.2)
    assert house.room._course._agenda.choirs.next() is None


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(PriorityChanged(160, tracked("a weight")), id="priority"),
        pytest.param(Reconfigured(router(1, advertisement_interval=0.3)), id="longer interval"),
        pytest.param(Reconfigured(router(1, advertisement_interval=0.05)), id="shorter interval"),
        pytest.param(AdvertReceived(advert(0, interval=0.1, version=3)), id="another one gave up"),
        pytest.param(AdvertReceived(advert(200, interval=0.1, version=3)), id="a higher one"),
        pytest.param(Stopped(), id="the end"),
    ],
)
def test_whoever_has_another_advert_or_moment_speaks_alone(house: House, event: Event) -> None:
    singing(house, router(1))
    house.run(0.03)
    one = house.instances[0].router
    pulse = one.pulse
    assert pulse is not None
    one.handle(event, house.mux.time)
    assert one.pulse is None
    assert pulse.disturbed


def test_whoever_decides_nothing_about_adverts_goes_on_with_the_others(house: House) -> None:
    singing(house, router(1))
    house.run(0.03)
    one = house.instances[0].router
    pulse = one.pulse
    one.handle(AddressClaimed("10.77.1.1", "02:00:00:00:00:99"), house.mux.time)
    assert one.pulse is pulse
    assert one.deadline is not None
    assert one.deadline > house.mux.time


def test_a_pause_is_not_made_up_for(house: House) -> None:
    singing(house, router(1), router(2))
    house.mux.time += 0.17
    house.run(0.45)
    moments = house.segment().moments
    assert all(later - earlier > 0.099 for earlier, later in itertools.pairwise(moments))
    assert len(moments) == 5


# A day in the life of several routers, once with choirs and once without.

_NUMBERS = range(1, 7)


def play(house: House, seed: int) -> tuple[list[Said], list[int], list[tuple[str, int]]]:
    chance = random.Random(seed)
    now = {number: router(number, advertisement_interval=chance.choice((0.1, 0.1, 0.1, 0.3))) for number in _NUMBERS}
    house.commit(*now.values())
    house.segment()
    house.run(2.0)

    def hear() -> None:
        house.arrive(packet(chance.choice(_NUMBERS), chance.choice((0, 50, 50, 200))))

    def prioritize() -> None:
        """As a tracked script does."""
        chosen = PriorityChanged(chance.randint(100, 200), tracked("a weight"))
        house.room._course.turn(partial(house.room._course.tell, chance.choice(house.instances), chosen))

    def sleep() -> None:
        house.mux.time += chance.uniform(0.0, 0.5)

    def change() -> None:
        number = chance.choice(_NUMBERS)
        changes: list[dict[str, object]] = [
            {"priority": chance.randint(100, 200)},
            {"advertisement_interval": chance.choice((0.1, 0.3))},
            {"virtual_addresses": (VirtualAddress(address=f"10.77.2.{chance.randint(1, 200)}", prefix=32),)},
            {"announcing": Announcing(master_delay=0.5, master_refresh=chance.choice((0.0, 0.7)))},
        ]
        now[number] = msgspec.structs.replace(now[number], **chance.choice(changes))
        house.commit(*now.values())

    def come_and_go() -> None:
        number = chance.choice(_NUMBERS)
        if number in now and len(now) > 1:
            del now[number]
        else:
            now[number] = router(number)
        house.commit(*now.values())

    def flap() -> None:
        for up in (False, True):
            old, new = house.network.by_name["eth0"], link("eth0", 1, up=up)
            house.network.by_name["eth0"] = new
            house.tell(LinkChanged(old, new))
            house.run(chance.uniform(0.0, 0.5))

    def claim() -> None:
        house.claim(f"10.77.1.{chance.choice(_NUMBERS)}", "02:00:00:00:00:99")

    def leave_unnoticed() -> None:
        """Whatever a router decides, its next advert is its own although nobody looks at it again."""
        chosen: Instance = chance.choice(house.instances)
        chosen.router.catch_up()
        chosen.router.leave_pulse()

    deeds: list[Callable[[], None]] = [hear, hear, prioritize, change, come_and_go, flap, claim, sleep, leave_unnoticed]
    for _ in range(25):
        house.run(chance.uniform(0.0, 0.6))
        deed = chance.choice(deeds)
        if deed is change and len(now) < len(_NUMBERS):
            deed = come_and_go
        deed()
    house.run(1.0)
    counted = [each.sent for each in house.instances]
    return said(house), counted, [(each.router.state.value, each.router.priority) for each in house.instances]


@pytest.mark.parametrize("seed", range(60))
def test_nobody_can_tell_it_from_each_speaking_alone(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # Who speaks within a millisecond of another moves to its moment, in an order that differs.
    monkeypatch.setattr(dispatcher, "_SLACK", 0.0)
    monkeypatch.setattr(advert_batches, "_EARLIER", 0.0)
    together = play(House(monkeypatch), seed)
    monkeypatch.setattr(Choirs, "admit", lambda *_: None)
    alone = play(House(monkeypatch), seed)
    assert sorted(together[0]) == sorted(alone[0])
    assert together[1:] == alone[1:]
    assert len(together[0]) > 100

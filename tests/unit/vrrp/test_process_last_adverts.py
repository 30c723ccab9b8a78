"""A new life says again what each MASTER said last, before the configuration is committed."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from kad.linux.sockets.sendmmsg import sockaddr_ll
from kad.model import secret
from kad.model.secret import Secret
from kad.model.vrrp import Authentication, UnicastPeer, VirtualAddress, VrrpInstance, VrrpSlice
from kad.shared.checksum import internet_checksum
from kad.shared.messages import Earlier, Resume
from tests.unit.vrrp.clockwork import House, address, link
from tests.unit.vrrp.samples import instance, instance_v6


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> House:
    made = House(monkeypatch)
    made.network.held[1].append(address("fe80::1", 64, 1, scope=253))
    return made


def become_master(house: House, configured: VrrpInstance) -> bytes:
    """What it says then."""
    house.commit(configured)
    house.run(5.0)
    assert house.instances[0].router.holds_addresses
    segment = house.segment(family=configured.family)
    return segment.sent[-1][0].payload


def replaced(house: House, monkeypatch: pytest.MonkeyPatch, late: float = 0.0, **changes: Any) -> House:
    """The next life, before it looks at the configuration."""
    (one,) = house.instances
    state = msgspec.structs.replace(one.state_message(), **changes)
    spoken = house.mux.page.spoken(one.slot)
    earlier = Earlier(state=state, spoke_at=spoken.at, sent=spoken.sent, received=spoken.received)
    again = House(monkeypatch)
    again.network = house.network
    again.mux.page = house.mux.page
    again.mux.time = spoken.at + late
    again.room.network = house.network  # type: ignore[assignment]
    again.room.receive(Resume(routers=(earlier,)))
    assert again.room.instances == []
    wanted = VrrpSlice(instances=(one.configuration,))
    again.room.prepare(1, secret.encode(wanted))
    return again


@pytest.mark.parametrize(
    ("configured", "head"),
    [
        (instance(), "01005e0000120200000000010800"),
        (instance(multicast_group="239.130.1.2"), "01005e0201020200000000010800"),
        (instance_v6(), "33330000001202000000000186dd"),
    ],
)
def test_the_last_advert_leaves_again_as_a_frame(
    house: House, monkeypatch: pytest.MonkeyPatch, configured: VrrpInstance, head: str
) -> None:
    said = become_master(house, configured)
    again = replaced(house, monkeypatch, late=2.9)
    [frame] = again.frames.sent
    assert frame.payload == bytes.fromhex(head) + said
    assert again.mux.page.spoke_at[0] == again.mux.time
    sent = again.mux.page.sent[0]
    again.room.commit(1)
    (one,) = again.instances
    assert one.router.holds_addresses
    assert one.sent == again.mux.page.sent[0] == sent + 1


def test_who_spoke_in_time_resumes_however_long_the_rest_takes(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    become_master(house, instance())
    again = replaced(house, monkeypatch, late=2.9)
    again.mux.time += 2.9
    again.room.commit(1)
    assert again.instances[0].router.holds_addresses


@pytest.mark.parametrize(
    ("late", "changes"),
    [
        pytest.param(3.0, {}, id="too late"),
        pytest.param(0.1, {"state": "BACKUP"}, id="no MASTER"),
        pytest.param(2.1, {"down_timer_adverts": 2}, id="too late for impatient peers"),
        pytest.param(0.1, {"priority": 101}, id="another priority by now"),
    ],
)
def test_who_must_not_speak_is_silent(
    house: House, monkeypatch: pytest.MonkeyPatch, late: float, changes: dict[str, Any]
) -> None:
    become_master(house, instance())
    assert replaced(house, monkeypatch, late=late, **changes).frames.sent == []


@pytest.mark.parametrize(
    "configured",
    [
        pytest.param(instance(unicast_peers=(UnicastPeer(address="10.77.0.2"),)), id="unicast"),
        pytest.param(instance(authentication=Authentication(type="AH", password=Secret("x"))), id="numbered"),
        pytest.param(
            instance(virtual_addresses=tuple(VirtualAddress(address=f"10.77.1.{at}", prefix=24) for at in range(40))),
            id="large",
        ),
    ],
)
def test_what_cannot_be_kept_is_not_said_again(
    house: House, monkeypatch: pytest.MonkeyPatch, configured: VrrpInstance
) -> None:
    become_master(house, configured)
    assert replaced(house, monkeypatch, late=0.1).frames.sent == []


def test_an_interface_with_another_mac_is_left_to_the_commit(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    become_master(house, instance())
    house.network.by_name["eth0"] = link("eth0", 1, mac="020000000002")
    assert replaced(house, monkeypatch, late=0.1).frames.sent == []


def test_nothing_is_said_where_nothing_was_kept_even_on_a_link_without_mac(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    become_master(house, instance())
    house.mux.page.keep_frame(house.instances[0].slot, 1, b"")
    house.network.by_name["eth0"] = link("eth0", 1, mac="")
    assert replaced(house, monkeypatch, late=0.1).frames.sent == []


def test_the_kept_advert_follows_the_priority_and_ends_with_a_farewell(house: House) -> None:
    become_master(house, instance())
    page, (one,) = house.mux.page, house.instances
    for priority in (90, 100, 80, 100):
        house.room._conversations.post(one, priority)
        ifindex, frame = page.frame(one.slot)
        assert (ifindex, frame[14 + 20 + 2]) == (1, priority)
        assert internet_checksum(frame[34:]) == 0
    house.room._conversations.post(one, 0)
    assert page.frame(one.slot)[1] == b""


def test_the_frame_leaves_by_its_own_interface(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    become_master(house, instance())
    [frame] = replaced(house, monkeypatch, late=0.1).frames.sent
    assert sockaddr_ll(1, b"\x08\x00") in bytes(frame._memory)

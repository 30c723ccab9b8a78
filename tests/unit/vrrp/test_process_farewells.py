"""To whom a MASTER says farewell, and by which way, when a reload or the host takes from it what it was."""

from __future__ import annotations

from typing import Any

import pytest

from kad.linux.netlink.network_table import AddressChanged, LinkChanged
from kad.model.vrrp import Authentication, UnicastPeer, VrrpInstance
from kad.vrrp.events import State
from tests.unit.vrrp.clockwork import House, Segment, address, link
from tests.unit.vrrp.samples import instance


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> House:
    return House(monkeypatch)


def master(house: House, configuration: VrrpInstance) -> Segment:
    """It is MASTER; what it has sent so far is forgotten."""
    house.commit(configuration)
    house.run(3.7)
    assert house.instances[0].router.state is State.MASTER
    segment = house.segment()
    segment.sent.clear()
    return segment


def said(segment: Segment) -> list[tuple[str, int, int]]:
    """Destination, VRID and priority of each advert, in order."""
    found = []
    for datagram in (each for together in segment.sent for each in together):
        packet = bytes(datagram.payload)
        header = 4 * (packet[0] & 15)
        found.append((".".join(map(str, packet[16:20])), packet[header + 1], packet[header + 2]))
    return found


GROUP = "224.0.0.18"
PEERS = tuple(UnicastPeer(address=f"10.77.0.{number}") for number in (2, 3, 4))


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"version": 3}, id="version"),
        pytest.param({"source_address": "10.77.0.9"}, id="source"),
        pytest.param({"authentication": Authentication(type="PASS", password="x")}, id="authentication"),
        pytest.param({"multicast_group": "224.0.0.19"}, id="group"),
    ],
)
def test_what_others_demand_of_an_advert_is_changed(house: House, changes: dict[str, Any]) -> None:
    segment = master(house, instance())
    house.commit(instance(**changes))
    now = changes.get("multicast_group", GROUP)
    assert said(segment) == [(GROUP, 51, 0), (now, 51, 100)]
    assert house.instances[0].router.state is State.MASTER
    assert house.instances[0].counters["pri_zero_sent"] == 1


def test_what_matters_to_nobody_else_is_changed(house: House) -> None:
    segment = master(house, instance())
    house.commit(instance(preempt_delay=3.0, track_primary=False))
    assert said(segment) == []


def test_only_peers_that_are_removed_are_left(house: House) -> None:
    segment = master(house, instance(unicast_peers=PEERS))
    house.commit(instance(unicast_peers=PEERS[:2]))
    assert said(segment) == [("10.77.0.4", 51, 0), ("10.77.0.2", 51, 100), ("10.77.0.3", 51, 100)]


def test_a_backup_has_nothing_to_give_up(house: House) -> None:
    house.commit(instance())
    house.commit(instance(version=3))
    house.commit(instance(version=3, virtual_router_id=52))
    assert said(house.segment()) == []


@pytest.mark.parametrize("changes", [{"virtual_router_id": 52}, {"interface": "eth1"}, {"unicast_peers": PEERS}])
def test_whoever_begins_in_the_place_of_a_master_waits_for_skew_time(house: House, changes: dict[str, Any]) -> None:
    house.network.by_name["eth1"] = link("eth1", 2)
    house.network.held[2] = [address("10.78.0.1", 24, 2)]
    segment = master(house, instance())
    house.commit(instance(**changes))
    assert said(segment) == [(GROUP, 51, 0)]
    (one,) = house.instances
    # 156/256 of a second.
    house.run(0.6)
    assert one.router.state is State.BACKUP
    house.run(0.02)
    assert one.router.state is State.MASTER


@pytest.mark.parametrize("changes", [{"name": "VI_2", "virtual_router_id": 52}])
def test_another_instance_waits_for_a_silence(house: House, changes: dict[str, Any]) -> None:
    master(house, instance())
    house.commit(instance(**changes))
    house.run(3.5)
    assert house.instances[0].router.state is State.BACKUP


def test_an_interface_is_renamed(house: House) -> None:
    segment = master(house, instance())
    old, new = house.network.by_name.pop("eth0"), link("wan0", 1)
    house.network.by_name["wan0"] = new
    house.tell(LinkChanged(old, new))
    assert said(segment) == [(GROUP, 51, 0)]
    assert segment.closed
    assert house.instances[0].router.state is State.FAULT


def test_another_interface_has_its_name(house: House) -> None:
    segment = master(house, instance())
    old, renamed, new = house.network.by_name.pop("eth0"), link("wan0", 1), link("eth0", 7)
    house.network.by_name |= {"wan0": renamed, "eth0": new}
    house.network.held[7] = [address("10.77.0.1", 24, 7)]
    house.tell(LinkChanged(old, renamed), LinkChanged(None, new))
    assert said(segment) == [(GROUP, 51, 0)]
    assert said(house.segment()) == [(GROUP, 51, 100)]
    assert house.instances[0].router.state is State.MASTER


def test_an_interface_loses_its_address(house: House) -> None:
    segment = master(house, instance())
    (gone,) = house.network.held.pop(1)
    house.tell(AddressChanged(gone, True))
    assert said(segment) == [(GROUP, 51, 0)]
    assert not segment.closed
    assert house.instances[0].router.state is State.FAULT

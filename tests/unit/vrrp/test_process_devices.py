"""Devices of instances: what the kernel made counts as right, and what others change is put right with a limit."""

from __future__ import annotations

import msgspec
import pytest

from kad.linux.netlink.link import Elsewhere, Link
from kad.linux.netlink.network_table import lowest
from kad.model.problem import ProblemKind
from kad.model.vrrp import VirtualAddress, VirtualDevice, VrrpInstance
from kad.vrrp.events import State
from tests.unit.vrrp.clockwork import link
from tests.unit.vrrp.device_kernel import DeviceHouse
from tests.unit.vrrp.samples import instance

MAC = "00:00:5e:00:01:33"


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> DeviceHouse:
    return DeviceHouse(monkeypatch)


def with_vmac(device: str = "vrrp.51", mac: str = MAC, **fields: object) -> VrrpInstance:
    return instance(device=VirtualDevice(name=device, base="eth0", mac=mac), **fields)


def below(house: DeviceHouse, **fields: object) -> Link:
    """eth0 is of this kind, and on something."""
    changed = msgspec.structs.replace(house.network.by_name["eth0"], **fields)
    house.network.by_name["eth0"] = changed
    return changed


class TestWhereTheKernelPutsIt:
    @pytest.mark.parametrize(
        "fields",
        [
            pytest.param({"kind": "veth", "lower": 7}, id="on eth0 itself"),
            pytest.param({"kind": "vlan", "lower": 7}, id="on a vlan"),
            pytest.param({"kind": "macvlan", "lower": 7}, id="below a macvlan"),
            pytest.param({"kind": "macvlan", "lower_elsewhere": Elsewhere(1, 0)}, id="in another namespace"),
        ],
    )
    def test_it_is_made_once_also_by_the_next_process(
        self, house: DeviceHouse, monkeypatch: pytest.MonkeyPatch, fields: dict[str, object]
    ) -> None:
        below(house, **fields)
        house.commit(with_vmac())
        house.run(10)
        assert house.kernel.made == 1
        assert house.instances[0].router.state is State.MASTER
        again = DeviceHouse(monkeypatch)
        again.kernel.by_name, again.kernel.held = house.kernel.by_name, house.kernel.held
        again.commit(with_vmac())
        again.run(1)
        assert again.kernel.made == 0

    def test_a_place_of_the_kernels_own_choice_counts_as_right(self, house: DeviceHouse) -> None:
        house.kernel.as_made = lambda made: msgspec.structs.replace(made, lower=77)
        house.commit(with_vmac())
        house.run(10)
        assert house.kernel.made == 1
        assert house.instances[0].router.state is State.MASTER

    def test_one_that_never_becomes_what_was_asked_for_is_made_anew_a_few_times(self, house: DeviceHouse) -> None:
        house.kernel.as_made = lambda made: msgspec.structs.replace(made, mode=4)
        house.commit(with_vmac())
        faults = set()
        for _ in range(100):
            house.run(1)
            faults |= house.instances[0].router.faults
        assert faults == {"somebody changed vrrp.51"}
        # Eleven a minute, not one for each word of the kernel.
        assert 3 < house.kernel.made < 30

    def test_what_was_made_on_another_interface_is_made_anew(self, house: DeviceHouse) -> None:
        house.commit(with_vmac())
        (found,) = [each for each in house.network.links() if each.kind == "macvlan"]
        house.network.by_name["eth1"] = link("eth1", 2)
        house.kernel.change(found, msgspec.structs.replace(found, lower=2))
        house.read()
        house.run(1)
        assert house.kernel.made == 2


def twelve(prefix: str, first: int = 0) -> list[VrrpInstance]:
    """VRIDs 51 to 62; the device of the first has the number `first` further."""
    return [
        with_vmac(
            f"{prefix}.{51 + (number + first) % 12}",
            f"00:00:5e:00:01:{51 + number:02x}",
            name=f"VI_{number}",
            virtual_router_id=51 + number,
            virtual_addresses=(VirtualAddress(address=f"10.77.0.{101 + number}", prefix=24),),
        )
        for number in range(12)
    ]


def devices(house: DeviceHouse) -> dict[str, tuple[str, bool, list[str]]]:
    """MAC, whether it is on, and addresses of each device by name."""
    return {
        each.name: (each.mac.hex(":"), each.enabled, [held.address for held in house.kernel.addresses(each.index)])
        for each in house.network.links()
        if each.kind == "macvlan"
    }


class TestReload:
    @pytest.mark.parametrize("renames_live", [True, False], ids=["renamed", "made anew"])
    @pytest.mark.parametrize(("prefix", "first"), [("rt", 0), ("vrrp", 1)], ids=["prefix", "names exchanged"])
    def test_other_names_for_twelve_masters(
        self, house: DeviceHouse, renames_live: bool, prefix: str, first: int
    ) -> None:
        house.kernel.renames_live = renames_live
        house.commit(*twelve("vrrp"))
        house.run(4)
        assert {each.router.state for each in house.instances} == {State.MASTER}
        house.lines.clear()
        house.commit(*twelve(prefix, first))
        house.run(0.1)
        assert devices(house) == {
            f"{prefix}.{51 + (number + first) % 12}": (
                f"00:00:5e:00:01:{51 + number:02x}",
                True,
                [f"10.77.0.{101 + number}"],
            )
            for number in range(12)
        }
        sent = [each.sent for each in house.instances]
        house.run(5)
        assert all(each.sent - before >= 4 for each, before in zip(house.instances, sent, strict=True))
        assert (house.room.problems(), [line for line in house.lines if "Entering" in line or "somebody" in line]) == (
            [],
            [],
        )

    def test_a_name_alone_costs_no_address(self, house: DeviceHouse) -> None:
        house.commit(*twelve("vrrp"))
        house.run(4)
        indexes = {each.index for each in house.network.links()}
        house.commit(*twelve("rt"))
        house.run(1)
        assert {each.index for each in house.network.links()} == indexes
        assert house.kernel.made == 12


def test_adverts_leave_while_many_devices_are_made(house: DeviceHouse) -> None:
    plain = instance(
        name="plain", virtual_router_id=9, virtual_addresses=(VirtualAddress(address="10.77.0.9", prefix=24),)
    )
    house.commit(plain)
    house.run(4)

    def take() -> None:
        house.mux.time += 0.3

    house.kernel.takes = take
    segment, begin = house.segment(), house.mux.now()
    house.commit(plain, *twelve("vrrp"))
    sent = [moment for moment in segment.moments if moment >= begin]
    assert (house.mux.now() - begin, len(sent)) == (pytest.approx(3.6), 3)


class TestRival:
    """Something else has the virtual MAC on the same interface."""

    def rival(self, house: DeviceHouse) -> Link:
        made = msgspec.structs.replace(link("other", 50), kind="macvlan", lower=1, mac=bytes.fromhex("00005e000133"))
        house.kernel.change(None, made)
        return made

    @pytest.mark.parametrize("told", [True, False], ids=["gone here", "gone in another namespace"])
    def test_before_the_start(self, house: DeviceHouse, told: bool) -> None:
        rival = self.rival(house)
        house.commit(with_vmac())
        house.run(4)
        assert house.instances[0].router.faults == {"cannot switch on vrrp.51: Address already in use"}
        assert {each.kind for each in house.room.problems()} == {ProblemKind.FAULT, ProblemKind.KERNEL_REFUSED}
        house.kernel.change(rival, None)
        if told:
            house.read()
        else:
            house.kernel.changes.clear()
            house.run(10)
        house.run(4)
        assert (house.instances[0].router.state, house.room.problems()) == (State.MASTER, [])

    def test_when_the_device_of_a_master_is_switched_off_and_another_one_on(self, house: DeviceHouse) -> None:
        house.commit(with_vmac())
        house.run(4)
        assert house.instances[0].router.state is State.MASTER
        own = house.network.by_name["vrrp.51"]
        house.kernel.change(own, msgspec.structs.replace(own, up=False, enabled=False))
        self.rival(house)
        house.read()
        house.run(0.1)
        assert house.instances[0].router.state is State.FAULT


class TestLowest:
    def of(self, *links: Link) -> str:
        by_index = {each.index: each for each in links}
        return lowest(links[0], ("macvlan", "ipvlan"), by_index.get).name

    def stacked(self, name: str, index: int, lower: int, **fields: object) -> Link:
        made = msgspec.structs.replace(link(name, index), kind="macvlan", lower=lower)
        return msgspec.structs.replace(made, **fields)

    def test_the_card_below(self) -> None:
        assert self.of(self.stacked("vrrp.51", 5, 4), self.stacked("wan0", 4, 1), link("eth0", 1)) == "eth0"

    def test_what_another_namespace_has_is_not_followed(self) -> None:
        elsewhere = self.stacked("wan0", 4, 0, lower_elsewhere=Elsewhere(4, 0))
        assert self.of(self.stacked("vrrp.51", 5, 4), elsewhere) == "wan0"

    def test_a_circle_ends(self) -> None:
        assert self.of(self.stacked("a", 2, 3), self.stacked("b", 3, 2)) == "b"
        assert self.of(self.stacked("a", 2, 2)) == "a"

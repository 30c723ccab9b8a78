"""Devices of instances: what the kernel made counts as right, and what others change is put right with a limit."""

from __future__ import annotations

import msgspec
import pytest

from kad.linux.link import Elsewhere, Link
from kad.linux.network import lowest
from kad.vrrp.events import State
from kad.vrrp.keywords import VirtualDevice, VrrpInstance
from tests.unit.vrrp.clockwork import link
from tests.unit.vrrp.device_kernel import DeviceHouse
from tests.unit.vrrp.samples import instance

MAC = "00:00:5e:00:01:33"


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> DeviceHouse:
    return DeviceHouse(monkeypatch)


def with_vmac(name: str = "vrrp.51", mac: str = MAC, **fields: object) -> VrrpInstance:
    return instance(device=VirtualDevice(name=name, base="eth0", mac=mac), **fields)


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
        for _ in range(100):
            house.run(1)
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

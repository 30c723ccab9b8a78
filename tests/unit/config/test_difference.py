"""What two slices differ in, object by object."""

from __future__ import annotations

from kad.config.difference import Difference, difference
from kad.model.vrrp import VirtualAddress, VrrpInstance, VrrpSlice


def instance(name: str, **more: object) -> VrrpInstance:
    return VrrpInstance(name=name, interface="eth0", virtual_router_id=51, **more)  # type: ignore[arg-type]


def test_equal_slices_differ_in_nothing() -> None:
    one = VrrpSlice(instances=(instance("A", virtual_addresses=(VirtualAddress(address="192.0.2.1", prefix=24),)),))
    other = VrrpSlice(instances=(instance("A", virtual_addresses=(VirtualAddress(address="192.0.2.1", prefix=24),)),))
    assert difference(one, other) == []


def test_removed_then_changed_then_added() -> None:
    old = VrrpSlice(instances=(instance("B", priority=100), instance("A")))
    new = VrrpSlice(instances=(instance("C"), instance("B", priority=120)))
    assert difference(old, new) == [
        Difference("instances", "A", "removed"),
        Difference("instances", "B", "changed", (("priority", 100, 120),)),
        Difference("instances", "C", "added"),
    ]


def test_settings_of_the_slice_itself() -> None:
    assert difference(VrrpSlice(), VrrpSlice(startup_delay=3.0)) == [
        Difference("settings", "", "changed", (("startup_delay", 0.0, 3.0),))
    ]

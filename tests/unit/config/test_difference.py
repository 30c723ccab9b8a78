"""A reload touches exactly what changed."""

from __future__ import annotations

from kad.config.difference import Difference, difference
from kad.vrrp.keywords import VrrpInstance


def instance(name: str, priority: int = 100) -> VrrpInstance:
    return VrrpInstance(name=name, interface="eth0", virtual_router_id=1, priority=priority)


def test_each_object_is_in_one_place() -> None:
    old = [instance("gone"), instance("same"), instance("other", 90)]
    new = [instance("other", 91), instance("fresh"), instance("same")]
    assert difference(old, new) == Difference(
        removed=(instance("gone"),),
        changed=(instance("other", 91),),
        added=(instance("fresh"),),
        kept=(instance("same"),),
    )


def test_equal_configurations_change_nothing_in_whatever_order() -> None:
    one, two = instance("a"), instance("b")
    found = difference([one, two], [two, one])
    assert (found.removed, found.changed, found.added) == ((), (), ())
    assert found.kept == (two, one)

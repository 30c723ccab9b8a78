"""What keeps a router from being MASTER: links, tracked interfaces, a missing source address; and the way back."""

from __future__ import annotations

import time

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.texts import BOTH, PAIRS, global_defs, instance, router

pytestmark = pytest.mark.lab

VIP = "10.77.0.100"
DOWN = 0.45
Pair = tuple[Lab, Node, Node]


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_a_lost_link_moves_the_address_and_its_return_brings_it_back(pair: Pair, first: str, second: str) -> None:
    lab, a, b = pair
    daemon = lab.start(first, a, router(priority=150))
    lab.start(second, b, router(priority=100))
    lab.wait_holder(VIP, a, seconds=5)
    begin = time.time()
    lab.link_down(a)
    # The address leaves the node that lost its link: it is not left there to answer when the link returns.
    lab.wait_holder(VIP, b, seconds=3)
    daemon.wait_log(r"\(VI_1\) Entering FAULT STATE", since=begin)
    lab.stays(VIP, b, DOWN * 2)
    lab.heal(a)
    daemon.wait_log(r"\(VI_1\) Entering BACKUP STATE", since=begin)
    lab.wait_holder(VIP, a, seconds=3)
    lab.stays(VIP, a, DOWN * 2)


@pytest.mark.parametrize("program", BOTH)
def test_an_interface_that_is_set_down_by_hand(pair: Pair, program: str) -> None:
    lab, a, _ = pair
    daemon = lab.start(program, a, router())
    lab.wait_holder(VIP, a, seconds=5)
    begin = time.time()
    a.run("ip", "link", "set", "eth0", "down")
    lab.wait_holder(VIP, seconds=2)
    daemon.wait_log(r"\(VI_1\) Entering FAULT STATE", since=begin)
    a.run("ip", "link", "set", "eth0", "up")
    lab.wait_holder(VIP, a, seconds=3)


@pytest.mark.parametrize("program", BOTH)
def test_an_interface_that_is_deleted_and_made_again(pair: Pair, program: str) -> None:
    lab, a, _ = pair
    daemon = lab.start(program, a, global_defs("dynamic_interfaces allow_if_changes") + instance())
    lab.wait_holder(VIP, a, seconds=5)
    begin = time.time()
    lab.remove_interface(a, "eth0")
    daemon.wait_log(r"\(VI_1\) Entering FAULT STATE", since=begin)
    assert lab.holders(VIP) == set()
    again = time.time()
    lab.add_interface(a, "eth0", "10.77.0.1/24")
    lab.wait_holder(VIP, a, seconds=5)
    assert lab.wire.wait_advert(node="a", seconds=1, since=again).priority == 100


@pytest.mark.parametrize("program", BOTH)
def test_a_missing_source_address_is_a_fault_until_it_comes(lab: Lab, program: str) -> None:
    a = lab.node("a", {"eth0": ""})
    daemon = lab.start(program, a, router())
    daemon.wait_log(r"\(VI_1\) .*FAULT")
    lab.hub.never(lambda: lab.wire.adverts() or lab.holders(VIP), DOWN * 2, "a router without address speaks")
    a.run("ip", "addr", "add", "10.77.0.1/24", "dev", "eth0")
    lab.wait_holder(VIP, a, seconds=3)
    assert lab.wire.wait_advert(node="a", seconds=1).source == "10.77.0.1"


@pytest.mark.parametrize("program", BOTH)
def test_a_tracked_interface_without_weight_is_a_fault(pair: Pair, program: str) -> None:
    lab, a, _ = pair
    lab.add_interface(a, "eth1", "10.78.0.1/24")
    daemon = lab.start(program, a, router(more="track_interface {\n eth1\n }"))
    lab.wait_holder(VIP, a, seconds=5)
    begin = time.time()
    lab.link_down(a, "eth1")
    lab.wait_holder(VIP, seconds=2)
    daemon.wait_log(r"\(VI_1\) Entering FAULT STATE", since=begin)
    assert lab.wire.wait_advert(node="a", priority=0, since=begin, seconds=1)
    lab.heal(a, "eth1")
    lab.wait_holder(VIP, a, seconds=3)


@pytest.mark.parametrize("program", BOTH)
@pytest.mark.parametrize(("weight", "up", "down"), [(-60, 150, 90), (60, 210, 150)])
def test_a_tracked_interface_with_weight_moves_the_priority(
    pair: Pair, program: str, weight: int, up: int, down: int
) -> None:
    lab, a, _ = pair
    lab.add_interface(a, "eth1", "10.78.0.1/24")
    lab.start(program, a, router(priority=150, more=f"track_interface {{\n eth1 weight {weight}\n }}"))
    lab.wait_holder(VIP, a, seconds=5)
    assert lab.wire.wait_advert(node="a", seconds=1).priority == up
    lab.link_down(a, "eth1")
    lab.wire.wait_advert(node="a", priority=down, seconds=2)
    lab.stays(VIP, a, DOWN)
    lab.heal(a, "eth1")
    lab.wire.wait_advert(node="a", priority=up, seconds=2)
    lab.stays(VIP, a, DOWN)


@pytest.mark.parametrize("program", BOTH)
def test_dont_track_primary_ignores_the_link(pair: Pair, program: str) -> None:
    lab, a, _ = pair
    daemon = lab.start(program, a, router(more="dont_track_primary"))
    lab.wait_holder(VIP, a, seconds=5)
    begin = time.time()
    lab.link_down(a)
    lab.hub.never(lambda: lab.moves(VIP, begin), DOWN * 2, "the address moves")
    lab.heal(a)
    lab.wire.wait_advert(node="a", seconds=2)
    lab.stays(VIP, a, DOWN)
    assert not daemon.logged("FAULT")

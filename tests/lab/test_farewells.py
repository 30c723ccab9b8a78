"""A MASTER says farewell wherever it gives something up: others wait for their skew_time, not for its silence."""

from __future__ import annotations

import time

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.texts import router

pytestmark = pytest.mark.lab

VIP, NEXT = "10.77.0.100", "10.77.0.101"
Pair = tuple[Lab, Node, Node]


@pytest.mark.parametrize("peer", ["keepalived", "kad"])
@pytest.mark.parametrize("what", ["renamed", "without an address"])
def test_an_interface_that_can_no_longer_be_used(pair: Pair, what: str, peer: str) -> None:
    lab, a, b = pair
    settings = {"version": 2, "advert_int": 1, "addresses": (f"{VIP}/32",)}
    first = lab.start_kad(a, router(priority=150, **settings))
    lab.wait_holder(VIP, a, seconds=8)
    lab.start(peer, b, router(priority=100, **settings)).wait_log("Entering BACKUP STATE")
    lab.wire.wait_advert(node="a", seconds=3, since=time.time())
    begin = time.time()
    if what == "renamed":
        a.run("ip", "link", "set", "eth0", "name", "wan0")
    else:
        a.run("ip", "addr", "del", "10.77.0.1/24", "dev", "eth0")
    farewell = lab.wire.wait_advert(node="a", priority=0, seconds=2, since=begin)
    lab.wait_holder(VIP, b, seconds=5)
    advert = lab.wire.wait_advert(node="b", seconds=1, since=farewell.time)
    # 156/256 of a second; a silence would last three seconds more.
    assert 0.55 < advert.time - farewell.time < 2.5
    first.wait_log("Entering FAULT STATE")
    if what == "renamed":
        a.run("ip", "link", "set", "wan0", "name", "eth0")
    else:
        a.run("ip", "addr", "add", "10.77.0.1/24", "dev", "eth0")
    lab.wait_holder(VIP, a, seconds=8)


def test_another_vrid_priority_and_address_on_both_nodes(pair: Pair) -> None:
    lab, a, b = pair
    one = {"version": 2, "advert_int": 1}
    old, new = one | {"vrid": 51, "addresses": (f"{VIP}/24",)}, one | {"vrid": 52, "addresses": (f"{NEXT}/24",)}
    first = lab.start_kad(a, router(priority=150, **old))
    lab.wait_holder(VIP, a, seconds=8)
    second = lab.start_kad(b, router(priority=100, **old))
    second.wait_log("Entering BACKUP STATE")
    begin = second.reload(router(priority=90, **new))
    second.wait_log("Reload complete", since=begin)
    first.reload(router(priority=200, **new))
    farewell = lab.wire.wait_advert(node="a", vrid=51, priority=0, seconds=5, since=begin)
    lab.wait_holder(NEXT, a, seconds=5)
    [taken] = lab.moves(NEXT, begin)
    # 56/256 of a second; a router that begins listens for three seconds more.
    assert 0.15 < taken.time - farewell.time < 2.0
    lab.wait_holder(VIP, seconds=1)
    lab.stays(NEXT, a, 0.5)


@pytest.mark.parametrize("change", ["version", "authentication"])
def test_whoever_understands_no_more_takes_over_and_whoever_does_stays(pair: Pair, change: str) -> None:
    """b and c have the old configuration; c learns of the new one just before a does."""
    lab, a, b = pair
    c = lab.node("c", {"eth0": "10.77.0.3/24"})
    old = {"version": 2, "advert_int": 1, "addresses": (f"{VIP}/24",)}
    said = "" if change == "version" else "authentication {\n auth_type PASS\n auth_pass secret\n }"
    new = old | {"version": 3 if change == "version" else 2, "more": said}
    # However long the reloads take: c, which understands nobody in between, has patience.
    patient = new | {"more": f"{said}\n down_timer_adverts 30"}
    first = lab.start_kad(a, router(priority=150, **old))
    lab.wait_holder(VIP, a, seconds=8)
    for node, priority in ((b, 100), (c, 50)):
        daemon = lab.start_kad(node, router(priority=priority, **old))
        daemon.wait_log("Entering BACKUP STATE")
    begin = daemon.reload(router(priority=50, **patient))
    daemon.wait_log("Reload complete", since=begin)
    first.reload(router(priority=150, **new))
    farewell = lab.wire.wait_advert(node="a", priority=0, seconds=5, since=begin)
    following = lab.wire.wait_advert(node="a", priority=150, seconds=1, since=farewell.time)
    assert following.time - farewell.time < 0.5
    taken = lab.wire.wait_advert(node="b", seconds=5, since=farewell.time)
    assert 0.55 < taken.time - farewell.time < 2.5
    lab.hub.never(lambda: lab.wire.adverts(node="c", since=begin), 1.5, "c takes over")
    assert not daemon.logged("Entering MASTER", since=begin)

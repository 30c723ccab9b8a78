"""Who becomes MASTER, and when: keepalived and kad side by side, asked on the wire and of the kernels."""

from __future__ import annotations

import time

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.texts import BOTH, PAIRS, global_defs, instance, router

pytestmark = pytest.mark.lab

VIP = "10.77.0.100"
Pair = tuple[Lab, Node, Node]
DOWN = 0.45
"""Seconds: more than any master-down interval at 0.1 s between adverts."""


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_equal_priorities_are_decided_by_the_address(pair: Pair, first: str, second: str) -> None:
    lab, a, b = pair
    lab.cut(b)
    lab.start(first, a, router())
    lab.start(second, b, router())
    lab.wait_holder(VIP, a, b, seconds=5)
    lab.heal(b)
    # 10.77.0.2 is the higher address.
    lab.wait_holder(VIP, b, seconds=2)
    lab.stays(VIP, b, DOWN * 2)


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_a_higher_priority_preempts(pair: Pair, first: str, second: str) -> None:
    lab, a, b = pair
    lab.start(first, a, router(priority=100))
    lab.wait_holder(VIP, a, seconds=5)
    begin = time.time()
    daemon = lab.start(second, b, router(priority=101))
    lab.wait_holder(VIP, b, seconds=5)
    lab.stays(VIP, b, DOWN)
    daemon.wait_log(r"\(VI_1\) Entering MASTER STATE")
    lab.daemons[0].wait_log(r"\(VI_1\) Entering BACKUP STATE", since=begin)
    # The weaker one yields without a farewell.
    assert not lab.wire.adverts(node="a", priority=0)


@pytest.mark.parametrize("program", BOTH)
def test_the_owner_waits_for_nobody(pair: Pair, program: str) -> None:
    lab, a, _ = pair
    daemon = lab.start(program, a, router(priority=255, state="MASTER", advert_int=1))
    first = lab.wire.wait_advert(node="a", seconds=2, since=daemon.started)
    assert first.priority == 255
    # Not the 3 s of three lost adverts.
    assert first.time - daemon.started < 1.5
    lab.wait_holder(VIP, a, seconds=1)


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_nopreempt_leaves_a_weaker_master_in_peace(pair: Pair, first: str, second: str) -> None:
    lab, a, b = pair
    lab.start(first, a, router(priority=100))
    lab.wait_holder(VIP, a, seconds=5)
    lab.start(second, b, router(priority=150, more="nopreempt")).wait_log("Entering BACKUP STATE")
    lab.stays(VIP, a, 1.5)
    lab.cut(a)
    lab.wait_holder(VIP, a, b, seconds=2)
    lab.heal(a)
    # The stronger one is MASTER now, and stays it.
    lab.wait_holder(VIP, b, seconds=2)
    lab.stays(VIP, b, DOWN)


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_preempt_delay_counts_from_the_first_weaker_advert(pair: Pair, first: str, second: str) -> None:
    lab, a, b = pair
    lab.start(first, a, router(priority=100))
    lab.wait_holder(VIP, a, seconds=5)
    daemon = lab.start(second, b, router(priority=150, more="preempt_delay 2"))
    ready = daemon.wait_log("Entering BACKUP STATE").time
    lab.wait_holder(VIP, b, seconds=5)
    waited = lab.wire.wait_advert(node="b", seconds=1, since=ready).time - ready
    # Up to one advert until the delay begins, and one master-down interval (0.34 s) after it.
    assert 1.9 < waited < 2.7
    lab.stays(VIP, b, DOWN)


@pytest.mark.parametrize(("version", "advert_int", "low", "high"), [(2, 1, 0.58, 1.2), (3, 0.1, 0.050, 0.300)])
@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_an_orderly_stop_is_announced_and_followed_after_the_skew(
    pair: Pair, first: str, second: str, version: int, advert_int: float, low: float, high: float
) -> None:
    lab, a, b = pair
    leaving = lab.start(first, a, router(priority=150, version=version, advert_int=advert_int))
    lab.wait_holder(VIP, a, seconds=6)
    lab.start(second, b, router(priority=98, version=version, advert_int=advert_int)).wait_log("Entering BACKUP STATE")
    lab.wire.wait_advert(node="a", seconds=2)
    begin = time.time()
    assert leaving.stop() == 0
    farewell = lab.wire.wait_advert(node="a", priority=0, seconds=1, since=begin)
    taken = lab.wire.wait_advert(node="b", seconds=3, since=farewell.time)
    # (256 - 98) / 256 of the interval: 0.617 s and 0.062 s. After a silence it would be 3.617 s and 0.362 s.
    assert low < taken.time - farewell.time < high
    assert len(lab.wire.adverts(node="a", priority=0)) == 1
    lab.wait_holder(VIP, b, seconds=1)
    assert a.processes() == {}


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_different_passwords_are_two_masters_that_do_not_hear_each_other(pair: Pair, first: str, second: str) -> None:
    lab, a, b = pair

    def locked(password: str, priority: int) -> str:
        more = f"authentication {{\n auth_type PASS\n auth_pass {password}\n }}"
        return router(version=2, advert_int=1, priority=priority, more=more)

    lab.start(first, a, locked("one", 150))
    other = lab.start(second, b, locked("two", 100))
    lab.wait_holder(VIP, a, b, seconds=8)
    begin = time.time()
    lab.hub.never(lambda: lab.moves(VIP, begin), 3.7, "somebody yields")
    assert {advert.authentication for advert in lab.wire.adverts()} == {b"one" + bytes(5), b"two" + bytes(5)}
    other.reload(locked("one", 100))
    lab.wait_holder(VIP, a, seconds=5)


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_version_3_learns_the_interval_of_its_master(pair: Pair, first: str, second: str) -> None:
    lab, a, b = pair
    lab.start(first, a, router(priority=150, advert_int=0.5))
    lab.wait_holder(VIP, a, seconds=5)
    lab.start(second, b, router(priority=100, advert_int=0.1)).wait_log("Entering BACKUP STATE")
    # Until it has heard the first advert, it waits by its own interval and may speak once.
    lab.wire.wait_advert(node="a", seconds=3, count=2)
    lab.wait_holder(VIP, a, seconds=1)
    lab.stays(VIP, a, 1.2)
    last = lab.wire.wait_advert(node="a", seconds=2)
    lab.cut(a)
    taken = lab.wire.wait_advert(node="b", seconds=4, since=last.time)
    # 3 · 0.5 + (256 - 100) · 0.5 / 256 = 1.805 s; its own 0.1 s would give 0.361 s.
    assert 1.78 < taken.time - last.time < 1.95
    # What it sends is its own interval again.
    assert taken.interval == 0.1


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_unicast_peers(pair: Pair, first: str, second: str) -> None:
    lab, a, b = pair

    def text(mine: int, other: int, priority: int) -> str:
        more = f"unicast_src_ip 10.77.0.{mine}\n    unicast_peer {{\n        10.77.0.{other}\n    }}"
        return router(priority=priority, more=more)

    lab.start(first, a, text(1, 2, 150))
    lab.start(second, b, text(2, 1, 100))
    lab.wait_holder(VIP, a, seconds=5)
    lab.stays(VIP, a, DOWN)
    assert {(seen.source, seen.destination) for seen in lab.wire.adverts(node="a")} == {("10.77.0.1", "10.77.0.2")}
    lab.cut(a)
    lab.wait_holder(VIP, a, b, seconds=2)
    lab.heal(a)
    lab.wait_holder(VIP, a, seconds=2)
    # The pseudo header holds the real destination on both sides, else the weaker one would have stayed MASTER.
    lab.stays(VIP, a, DOWN)


@pytest.mark.parametrize("program", BOTH)
def test_many_instances_and_sources_of_one_daemon(pair: Pair, program: str) -> None:
    lab, a, _ = pair
    a.run("ip", "addr", "add", "10.77.0.9/24", "dev", "eth0")
    text = global_defs("vrrp_mcast_group4 224.0.0.42") + instance("one", vrid=1, addresses=("10.77.0.101/24",))
    text += instance("two", vrid=2, addresses=("10.77.0.102/24",), more="mcast_src_ip 10.77.0.9")
    lab.start(program, a, text)
    lab.wait_holder("10.77.0.101", a, seconds=5)
    lab.wait_holder("10.77.0.102", a, seconds=5)
    one, two = (lab.wire.wait_advert(node="a", vrid=vrid, seconds=1) for vrid in (1, 2))
    assert (one.source, one.destination) == ("10.77.0.1", "224.0.0.42")
    assert (two.source, two.destination) == ("10.77.0.9", "224.0.0.42")


@pytest.mark.parametrize(("first", "second"), PAIRS[1:3])
def test_a_group_of_their_own(pair: Pair, first: str, second: str) -> None:
    lab, a, b = pair
    lab.start(first, a, router(priority=150, more="mcast_dst_ip 224.0.0.42"))
    lab.wait_holder(VIP, a, seconds=5)
    lab.start(second, b, router(priority=100, more="mcast_dst_ip 224.0.0.42")).wait_log("Entering BACKUP STATE")
    lab.stays(VIP, a, DOWN)
    for node in (a, b):
        joined = {each["address"] for each in node.ip("-4", "maddr", "show", "dev", "eth0")[0]["maddr"]}
        assert "224.0.0.42" in joined
        assert "224.0.0.18" not in joined
    lab.cut(a)
    lab.wait_holder(VIP, a, b, seconds=2)
    assert {seen.destination for seen in lab.wire.adverts()} == {"224.0.0.42"}


def test_a_router_without_addresses(pair: Pair) -> None:
    """kad alone: keepalived 2.2.7 does not know the word."""
    lab, a, b = pair
    before = a.watch.held()
    text = router(version=2, advert_int=1, priority=255, state="MASTER", addresses=(), more="no_virtual_ipaddress")
    leaves = lab.start_kad(a, text)
    said = lab.wire.wait_advert(node="a", seconds=5, since=0)
    # RFC 3768 5.3: version 2 and type 1, VRID 51, priority 255, no address, no authentication, 1 s.
    assert said.packet[20:26].hex() == "2133ff000001"
    assert len(said.packet) == 20 + 16
    other = lab.start_kad(b, text.replace("priority 255", "priority 100").replace("state MASTER", "state BACKUP"))
    lab.wire.wait_advert(node="a", seconds=2, since=other.wait_log("Entering BACKUP STATE").time)
    assert a.watch.held() == before
    assert leaves.stop() == 0
    farewell = lab.wire.wait_advert(node="a", priority=0, seconds=1, since=0)
    # It was heard: 156/256 of a second later, not after 3 s of silence.
    taken = lab.wire.wait_advert(node="b", seconds=3, since=0)
    assert 0.58 < taken.time - farewell.time < 0.75
    assert not lab.wire.announcements()
    assert "no_virtual_ipaddress" not in leaves.log


def test_a_delay_after_boot_is_counted_from_the_boot(pair: Pair) -> None:
    """kad alone: keepalived 2.2.7 does not know the word."""
    lab, a, b = pair
    uptime = time.clock_gettime(time.CLOCK_BOOTTIME)
    owner = instance(priority=255, state="MASTER")
    late = lab.start_kad(a, global_defs(f"vrrp_delay_after_boot {uptime + 2:.2f}") + owner)
    begin = time.time()
    said = lab.wire.wait_advert(node="a", seconds=5, since=0)
    assert late.logged("Delaying startup for")
    # The uptime was asked before the daemon was started.
    assert 1.0 < said.time - begin < 2.1
    lab.link_down(a)
    lab.start_kad(b, global_defs(f"vrrp_delay_after_boot {uptime - 60:.2f}") + owner)
    assert lab.wire.wait_advert(node="b", seconds=5, since=0).time - time.time() < 1.0


@pytest.mark.parametrize("program", BOTH)
def test_two_routers_of_one_number_with_peers_of_their_own(lab: Lab, program: str) -> None:
    a, b, c = (lab.node(name, {"eth0": f"10.77.0.{place}/24"}) for place, name in enumerate("abc", start=1))
    vips = {"VI_1": "10.77.0.100", "VI_2": "10.77.0.101"}

    def text(name: str, mine: int, peer: int, priority: int) -> str:
        more = f"unicast_src_ip 10.77.0.{mine}\n unicast_peer {{\n 10.77.0.{peer}\n }}\n check_unicast_src"
        return instance(name, priority=priority, addresses=(f"{vips[name]}/32",), more=more)

    # a gives way to b in the one, and c to a in the other.
    both = lab.start(program, a, global_defs() + text("VI_1", 1, 2, 100) + text("VI_2", 1, 3, 150))
    other = lab.start_kad(b, global_defs() + text("VI_1", 2, 1, 150))
    lab.start_kad(c, global_defs() + text("VI_2", 3, 1, 100))
    lab.wait_holder(vips["VI_1"], b, seconds=8)
    lab.wait_holder(vips["VI_2"], a, seconds=8)
    lab.stays(vips["VI_2"], a, 1.0)
    other.stop()
    lab.wait_holder(vips["VI_1"], a, seconds=3)
    assert not both.logged("discarded")

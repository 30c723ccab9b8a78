"""A parent that is killed: its children notice at once, hand over and leave; no orphan keeps an address."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.test_crash import RECORD, settle
from tests.lab.test_stop import NOTIFIED
from tests.lab.texts import global_defs, instance, router

pytestmark = pytest.mark.lab

VIP = "10.77.0.100"
Pair = tuple[Lab, Node, Node]


@pytest.mark.parametrize("peer", ["kad", "keepalived"])
def test_children_whose_parent_is_killed_hand_over_and_leave(pair: Pair, peer: str) -> None:
    lab, a, b = pair
    a.write("record.sh", RECORD, 0o755)
    served = "virtual_server 10.77.0.200 80 {\n lb_algo rr\n lb_kind NAT\n real_server 10.77.0.50 80 {\n }\n}\n"
    watched = served + 'vrrp_script watched {\n script "/bin/true"\n interval 1\n}\n'
    more = "track_script {\n watched\n }\n" + NOTIFIED
    text = global_defs() + watched + instance(priority=150, advert_int=0.4, more=more)
    first = lab.start_kad(a, text)
    lab.wait_holder(VIP, a, seconds=8)
    lab.start(peer, b, router(priority=100, advert_int=0.4))
    settle(lab, first, a)
    moment = time.time()
    os.kill(first.pid, signal.SIGKILL)
    farewell = lab.wire.wait_advert(node="a", priority=0, seconds=1, since=moment)
    assert farewell.time - moment < 0.35
    lab.wait_holder(VIP, b, seconds=2)
    lab.hub.until(lambda: a.processes() == {}, 3, lambda: f"no process is left: {a.processes()}")
    # Restarted, as systemd would, it takes its place from what it finds.
    again = lab.start_kad(a, text)
    settle(lab, again, a)
    assert sorted(again.family().values()) == ["kad", "kad: checker", "kad: ipvs", "kad: runner", "kad: vrrp"]


def test_a_parent_that_is_killed_while_it_starts_leaves_nothing(pair: Pair) -> None:
    lab, a, _ = pair
    for delay in (0.05, 0.15, 0.2, 0.25, 0.3, 0.35, 0.45):
        daemon = lab.start_kad(a, router(priority=255, state="MASTER"))
        lab.hub.never(lambda daemon=daemon: daemon.exit_status is not None, delay, "it ends by itself")
        os.kill(daemon.pid, signal.SIGKILL)
        daemon.wait_exit()
        lab.hub.until(lambda: a.processes() == {}, 3, lambda: f"no process is left: {a.processes()}")
        assert lab.holders(VIP) == set()


def test_a_stopped_parent_that_is_killed_leaves_no_orphan(pair: Pair) -> None:
    lab, a, _ = pair
    daemon = lab.start_kad(a, router())
    settle(lab, daemon, a)
    daemon.send(signal.SIGSTOP)
    lab.stays(VIP, a, 0.5)
    moment = time.time()
    daemon.send(signal.SIGKILL)
    lab.wire.wait_advert(node="a", priority=0, seconds=1, since=moment)
    lab.hub.until(lambda: a.processes() == {}, 2, lambda: f"no process is left: {a.processes()}")
    assert lab.holders(VIP) == set()


def test_a_parent_that_is_killed_in_the_middle_of_a_reload_leaves_no_orphan(pair: Pair) -> None:
    lab, a, _ = pair
    for delay in (0.0, 0.1, 0.25):
        daemon = lab.start_kad(a, router())
        lab.wait_holder(VIP, a, seconds=8)
        daemon.reload(router(priority=120))
        lab.hub.never(lambda: None, delay, "nothing")
        daemon.send(signal.SIGKILL)
        daemon.wait_exit()
        lab.hub.until(lambda: a.processes() == {}, 3, lambda: f"no process is left: {a.processes()}")
        assert lab.holders(VIP) == set()


def test_a_child_that_sleeps_while_its_parent_dies_leaves_when_it_wakes(pair: Pair) -> None:
    lab, a, b = pair
    daemon = lab.start_kad(a, router(priority=150, advert_int=0.4))
    lab.wait_holder(VIP, a, seconds=8)
    lab.start_kad(b, router(priority=100, advert_int=0.4))
    settle(lab, daemon, a)
    vrrp = daemon.child("vrrp")
    os.kill(vrrp, signal.SIGSTOP)
    moment = time.time()
    os.kill(daemon.pid, signal.SIGKILL)
    # Before 3 advertisement intervals are over: then the runner kills it.
    lab.hub.never(lambda: None, 0.5, "nothing")
    os.kill(vrrp, signal.SIGCONT)
    lab.wire.wait_advert(node="a", priority=0, seconds=1, since=moment)
    lab.hub.until(lambda: a.processes() == {}, 3, lambda: f"no process is left: {a.processes()}")
    lab.wait_holder(VIP, b, seconds=2)

"""The vrrp process dies and the parent cannot see to what it held: no address has two holders, none is orphaned."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.lab.deaths import BALANCED
from tests.lab.lab import Lab, Node
from tests.lab.pair_deaths import VIP, pair_deaths
from tests.lab.test_crash import settle
from tests.lab.texts import router

pytestmark = [pytest.mark.lab, pytest.mark.more]
Pair = tuple[Lab, Node, Node]


def test_vrrp_and_parent_die_together(pair: Pair) -> None:
    lab, a, b = pair
    pair_deaths(lab, a, b, times=4, seed=1)


def test_vrrp_dies_while_the_parent_is_stopped(pair: Pair) -> None:
    lab, a, b = pair
    daemon = lab.start_kad(a, router(priority=150, advert_int=0.4))
    lab.wait_holder(VIP, a, seconds=8)
    lab.start_kad(b, router(priority=100, advert_int=0.4))
    settle(lab, daemon, a)
    daemon.send(signal.SIGSTOP)
    moment = time.time()
    os.kill(daemon.child("vrrp"), signal.SIGKILL)
    lab.wait_holder(VIP, b, seconds=3)
    gone = [event.time for event in a.watch.events if event.address == VIP and not event.added and event.time > moment]
    assert gone[0] - moment < 2.5
    daemon.send(signal.SIGCONT)
    lab.wait_holder(VIP, a, seconds=8)
    daemon.wait_log("Starting the vrrp process", since=moment)
    lab.stays(VIP, a, 1.0)
    assert daemon.stop() == 0


def test_the_parent_dies_while_the_vrrp_process_is_stopped(pair: Pair) -> None:
    lab, a, b = pair
    daemon = lab.start_kad(a, router(priority=150, advert_int=0.4))
    lab.wait_holder(VIP, a, seconds=8)
    lab.start_kad(b, router(priority=100, advert_int=0.4))
    settle(lab, daemon, a)
    moment = time.time()
    os.kill(daemon.child("vrrp"), signal.SIGSTOP)
    daemon.send(signal.SIGKILL)
    lab.wait_holder(VIP, b, seconds=4)
    gone = [event.time for event in a.watch.events if event.address == VIP and not event.added and event.time > moment]
    assert gone[0] - moment < 3
    lab.hub.until(lambda: a.processes() == {}, 5, lambda: f"a process is left: {a.processes()}")


def test_vrrp_runner_and_parent_die_together_and_the_next_start_releases(pair: Pair) -> None:
    lab, a, _ = pair
    daemon = lab.start_kad(a, router(priority=150, advert_int=0.4) + BALANCED)
    settle(lab, daemon, a)
    pids = [daemon.child(name) for name in ("vrrp", "runner")]
    daemon.send(signal.SIGSTOP)
    for pid in (*pids, daemon.pid):
        os.kill(pid, signal.SIGKILL)
    daemon.wait_exit()
    lab.hub.until(lambda: a.processes() == {}, 5, lambda: f"a process is left: {a.processes()}")
    lab.stays(VIP, a, 0.5)
    # The next configuration does not even name the address.
    again = lab.start_kad(a, BALANCED.replace(VIP, "10.77.0.200"))
    lab.wait_holder(VIP, seconds=8)
    again.wait_log("Startup complete")
    assert again.stop() == 0


def test_a_restart_beside_what_still_leaves_keeps_what_it_takes(pair: Pair) -> None:
    lab, a, _ = pair
    text = router(priority=150, advert_int=0.4)
    for delay in (0.0, 0.1):
        daemon = lab.start_kad(a, text)
        lab.wait_holder(VIP, a, seconds=8)
        vrrp = daemon.child("vrrp")
        os.kill(vrrp, signal.SIGKILL)
        daemon.send(signal.SIGKILL)
        daemon.wait_exit()
        lab.hub.never(lambda: None, delay, "nothing")
        again = lab.start_kad(a, text)
        settle(lab, again, a)
        lab.stays(VIP, a, 1.0)
        assert again.stop() == 0

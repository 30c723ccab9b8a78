"""A child that is alive but deaf is replaced before a peer misses it; a parent that was late blames nobody."""

from __future__ import annotations

import signal
import time

import pytest

from tests.lab.client import Client
from tests.lab.lab import Lab, Node
from tests.lab.test_crash import kill, replaced, settle
from tests.lab.texts import global_defs, instance, router
from tests.lab.wrapped import BLOCK, RUN_WILD, start_wrapped

pytestmark = pytest.mark.lab

VIP = "10.77.0.100"
Pair = tuple[Lab, Node, Node]


@pytest.mark.parametrize(
    ("peer", "advert_int", "version", "at_least", "at_most"),
    [("keepalived", 1, 2, 0.4, 2.4), ("kad", 0.4, 3, 0.1, 1.2)],
)
def test_a_stopped_master_is_replaced_before_the_peer_misses_it(
    pair: Pair, peer: str, advert_int: float, version: int, at_least: float, at_most: float
) -> None:
    lab, a, b = pair
    c = lab.node("c", {"eth0": "10.77.0.9/24"})
    first = lab.start_kad(a, router(priority=150, advert_int=advert_int, version=version))
    lab.wait_holder(VIP, a, seconds=8)
    second = lab.start(peer, b, router(priority=100, advert_int=advert_int, version=version))
    settle(lab, first, a)
    with Client(c, VIP) as client:
        last = lab.wire.wait_advert(node="a", seconds=2)
        old, moment = kill(first, "vrrp", signal.SIGSTOP)
        replaced(lab, first, "vrrp", old)
        next_advert = lab.wire.wait_advert(node="a", seconds=2, since=last.time + 0.05)
        lab.stays(VIP, a, 2 * advert_int)
    # Half of it at least was patience, in case the child was only slow.
    assert at_least < next_advert.time - moment < at_most
    assert lab.moves(VIP, moment) == []
    assert not lab.wire.adverts(node="b", since=moment)
    assert not second.logged("Entering", since=moment)
    assert client.result.lost() == 0
    # The kernel's clock of the shared page: it tells what the process did when it stopped.
    assert first.logged(
        r"killing the vrrp process \d+: no sign of life for .* s; it was last serving deadlines", moment
    )


@pytest.mark.parametrize(("number", "line"), [(RUN_WILD, "in run_wild"), (BLOCK, "in block")])
def test_a_master_in_an_endless_loop_says_where_it_is_and_is_replaced(pair: Pair, number: int, line: str) -> None:
    lab, a, b = pair
    first = start_wrapped(lab, a, router(priority=150, advert_int=0.4), deaf=True)
    lab.wait_holder(VIP, a, seconds=8)
    second = lab.start_kad(b, router(priority=100, advert_int=0.4))
    settle(lab, first, a)
    old, moment = kill(first, "vrrp", number)
    replaced(lab, first, "vrrp", old)
    lab.stays(VIP, a, 1.5)
    assert lab.moves(VIP, moment) == []
    assert not second.logged("Entering", since=moment)
    first.wait_log("killing the vrrp process", since=moment)
    assert first.logged(line, since=moment)
    # It does not keep the processor.
    assert old not in first.family()


@pytest.mark.parametrize("name", ["runner", "vrrp"])
def test_who_holds_nothing_has_longer(pair: Pair, name: str) -> None:
    lab, a, b = pair
    watched = 'vrrp_script watched {\n script "/bin/true"\n interval 1\n weight 10\n}\n'
    tracking = "track_script {\n watched\n }"
    text = global_defs("child_deaf_time 1") + watched
    first = lab.start_kad(a, text + instance(priority=150, more=tracking))
    second = lab.start_kad(b, text + instance(priority=100, more=tracking))
    settle(lab, first, a)
    second.wait_log("Entering BACKUP STATE")
    old, moment = kill(second, name, signal.SIGSTOP)
    killed = second.wait_log(f"killing the {name} process", seconds=3, since=moment)
    assert 0.4 < killed.time - moment < 1.9
    replaced(lab, second, name, old)
    lab.stays(VIP, a, 0.5)
    assert not second.logged("Entering", since=moment)


def test_a_parent_that_was_late_itself_kills_nobody(pair: Pair) -> None:
    lab, a, _ = pair
    daemon = lab.start_kad(a, router())
    settle(lab, daemon, a)
    family = daemon.family()
    moment = time.time()
    daemon.send(signal.SIGSTOP)
    lab.stays(VIP, a, 2.2)
    daemon.send(signal.SIGCONT)
    lab.stays(VIP, a, 1)
    assert daemon.family() == family
    assert not daemon.logged("killing", since=moment)
    # Signs of life that it missed meanwhile do not make it deaf itself.
    assert daemon.dump()["processes"]["vrrp"]["restarts"] == 0


def test_a_newborn_that_hangs_keeps_no_address_beyond_the_takeover(pair: Pair) -> None:
    lab, a, b = pair
    first = start_wrapped(lab, a, router(priority=150, advert_int=0.5), deaf=True)
    lab.wait_holder(VIP, a, seconds=5)
    lab.start_kad(b, router(priority=100, advert_int=0.5))
    settle(lab, first, a)
    (a.files / "run" / "stillborn").touch()
    _, moment = kill(first, "vrrp")
    lab.hub.until(lambda: len(lab.moves(VIP, moment)) == 2, 3, "b takes over")
    released, taken = lab.moves(VIP, moment)
    assert (released.node, released.added, taken.node, taken.added) == ("a", False, "b", True)
    # Not before it was missed: another life could still have gone on.
    assert released.time - moment > 2 * 0.5

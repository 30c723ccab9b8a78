"""Who stops hands over first: the address is there throughout, and nothing of the daemon is left."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.lab.client import Client
from tests.lab.lab import Lab, Node
from tests.lab.test_crash import RECORD, recorded, settle
from tests.lab.texts import global_defs, instance, router

pytestmark = [pytest.mark.lab, pytest.mark.timing]

VIP = "10.77.0.100"
Pair = tuple[Lab, Node, Node]
MANY = tuple(f"10.77.{number // 200 + 1}.{number % 200 + 1}/32" for number in range(300))


@pytest.mark.parametrize("peer", ["kad", "keepalived"])
@pytest.mark.parametrize(("advert_int", "version"), [(1, 2), (0.2, 3)])
def test_a_master_that_stops_keeps_its_address_until_the_peer_has_it(
    pair: Pair, peer: str, advert_int: float, version: int
) -> None:
    lab, a, b = pair
    c = lab.node("c", {"eth0": "10.77.0.9/24"})
    first = lab.start_kad(a, router(priority=150, advert_int=advert_int, version=version))
    lab.wait_holder(VIP, a, seconds=8)
    lab.start(peer, b, router(priority=100, advert_int=advert_int, version=version))
    lab.daemons[-1].wait_log("Entering BACKUP STATE")
    settle(lab, first, a)
    with Client(c, VIP) as client:
        moment = time.time()
        assert first.stop(seconds=5) == 0
        lab.stays(VIP, b, 1)
    assert client.result.lost() <= 1
    farewell = lab.wire.wait_advert(node="a", priority=0, seconds=1, since=moment)
    assert farewell.time - moment < 0.1
    taken = lab.wire.wait_advert(node="b", seconds=1, since=moment)
    [held, released] = lab.moves(VIP, moment)
    assert (held.node, held.added, released.node, released.added) == ("b", True, "a", False)
    # A tenth of a second for the switches to learn, and not much more.
    assert 0.09 < released.time - taken.time < 0.3
    assert [advert.priority for advert in lab.wire.adverts(node="a", since=farewell.time)] == [0]
    assert a.processes() == {}


def test_no_ping_to_any_of_many_addresses_is_lost(pair: Pair) -> None:
    lab, a, b = pair
    c = lab.node("c", {"eth0": "10.77.0.9/16"})
    text = {
        priority: global_defs()
        + instance(priority=priority, advert_int=0.3, addresses=MANY, more="garp_master_repeat 1")
        for priority in (150, 100)
    }
    last = MANY[-1].partition("/")[0]
    first = lab.start_kad(a, text[150])
    lab.wait_holder(last, a, seconds=8)
    lab.start_kad(b, text[100])
    lab.daemons[-1].wait_log("Entering BACKUP STATE")
    lab.stays(last, a, 1.5)
    with Client(c, MANY[0].partition("/")[0]) as one, Client(c, last) as other:
        assert first.stop(seconds=5) == 0
        lab.wait_holder(last, b, seconds=1)
        lab.stays(last, b, 1)
    assert one.result.lost() <= 1
    assert other.result.lost() <= 1


@pytest.mark.parametrize(("child_wait_time", "longest"), [(5, 1.0 + 156 / 256), (1, 0.8)])
def test_a_master_alone_keeps_its_address_no_longer_than_a_peer_could_take(
    pair: Pair, child_wait_time: int, longest: float
) -> None:
    lab, a, _ = pair
    daemon = lab.start_kad(a, f"child_wait_time {child_wait_time}\n" + router(advert_int=1, version=2))
    settle(lab, daemon, a)
    moment = time.time()
    assert daemon.stop(seconds=5) == 0
    [released] = lab.moves(VIP, moment)
    assert longest - 0.05 < released.time - moment < longest + 0.2
    assert not daemon.logged("killing", since=moment)


def test_keepalived_s_order_where_the_operator_wants_it(pair: Pair) -> None:
    lab, a, b = pair
    first = lab.start_kad(a, global_defs("vrrp_handover no") + instance(priority=150, advert_int=1))
    lab.wait_holder(VIP, a, seconds=8)
    lab.start_kad(b, router(priority=100, advert_int=1))
    settle(lab, first, a)
    moment = time.time()
    assert first.stop(seconds=5) == 0
    lab.wait_holder(VIP, b, seconds=2)
    [released, held] = lab.moves(VIP, moment)
    assert (released.node, released.added, held.node) == ("a", False, "b")
    assert released.time - moment < 0.2
    # Nobody has it for the skew time of the peer.
    assert 0.4 < held.time - released.time < 0.9


def test_a_peer_that_is_too_slow_to_take_over_does_not_hold_up_the_end(pair: Pair) -> None:
    lab, a, b = pair
    first = lab.start_kad(a, router(priority=150, advert_int=0.3))
    lab.wait_holder(VIP, a, seconds=8)
    second = lab.start_kad(b, router(priority=100, advert_int=0.3))
    settle(lab, first, a)
    second.send(signal.SIGSTOP)
    for pid in second.family():
        os.kill(pid, signal.SIGSTOP)
    moment = time.time()
    assert first.stop(seconds=3) == 0
    assert time.time() - moment < 0.3 + 0.2 + 0.5
    assert lab.holders(VIP) == set()


NOTIFIED = """notify_stop "/etc/keepalived/record.sh order stop"
    notify "/etc/keepalived/record.sh order"
"""


def test_everything_at_the_end_happens_in_keepalived_s_order(pair: Pair) -> None:
    lab, a, _ = pair
    a.write("record.sh", RECORD, 0o755)
    a.write("slow.sh", "#!/bin/sh\nsleep 0.3\necho shutdown >> /run/order\nip -o addr show > /run/addresses\n", 0o755)
    scripts = (
        'startup_script "/etc/keepalived/record.sh order startup"',
        'shutdown_script "/etc/keepalived/slow.sh"',
    )
    daemon = lab.start_kad(a, global_defs(*scripts) + instance(more=NOTIFIED))
    settle(lab, daemon, a)
    lab.hub.until(lambda: len(recorded(a, "order")) == 3, 3, "MASTER is told")
    assert daemon.stop(seconds=5) == 0
    assert recorded(a, "order") == [
        "startup",
        "INSTANCE VI_1 BACKUP 100",
        "INSTANCE VI_1 MASTER 100",
        "stop",
        "INSTANCE VI_1 STOP 100",
        "shutdown",
    ]
    # The addresses were gone by then.
    assert VIP not in a.read_run("addresses")
    assert a.processes() == {}


@pytest.mark.parametrize("delay", [0.0, 0.1, 0.25, 0.3, 0.35])
def test_term_while_it_starts_ends_it(pair: Pair, delay: float) -> None:
    lab, a, _ = pair
    daemon = lab.start_kad(a, router(priority=255, state="MASTER"))
    daemon.wait_log("Starting kad")
    lab.hub.never(lambda: daemon.exit_status is not None, delay, "it ends by itself")
    assert daemon.stop(seconds=5) == 0
    assert a.processes() == {}
    assert lab.holders(VIP) == set()


def test_term_while_the_startup_script_runs_ends_that_too(pair: Pair) -> None:
    lab, a, _ = pair
    a.write("slow.sh", "#!/bin/sh\nsleep 30\n", 0o755)
    a.write("record.sh", RECORD, 0o755)
    scripts = (
        'startup_script "/etc/keepalived/slow.sh"',
        'shutdown_script "/etc/keepalived/record.sh order shutdown"',
    )
    daemon = lab.start_kad(a, global_defs(*scripts) + instance())
    daemon.wait_log("Running /etc/keepalived/slow.sh")
    lab.hub.until(lambda: "slow.sh" in daemon.family().values(), 2, "it runs")
    begin = time.time()
    assert daemon.stop(seconds=3) == 0
    assert time.time() - begin < 1.5
    assert a.processes() == {}
    # Nothing had started, so nothing is shut down.
    assert recorded(a, "order") == []


@pytest.mark.parametrize(
    ("program", "said"), [("/etc/keepalived/slow.sh", "takes too long"), ("/bin/false", "status 1")]
)
def test_a_startup_script_that_fails_holds_nothing_up(pair: Pair, program: str, said: str) -> None:
    lab, a, _ = pair
    a.write("slow.sh", "#!/bin/sh\nsleep 30\n", 0o755)
    words = (f'startup_script "{program}"', "startup_script_timeout 1")
    daemon = lab.start_kad(a, global_defs(*words) + instance())
    lab.wait_holder(VIP, a, seconds=8)
    assert daemon.logged(said)
    assert sorted(daemon.family().values()) == ["kad", "kad: runner", "kad: vrrp"]

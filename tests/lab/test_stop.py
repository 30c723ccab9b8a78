"""Who stops hands over first: the address is there throughout, and nothing of the daemon is left."""

from __future__ import annotations

import contextlib
import os
import signal
import time

import pytest

from tests.lab.client import Client
from tests.lab.lab import Lab, Node
from tests.lab.test_crash import RECORD, recorded, settle
from tests.lab.texts import global_defs, instance, router

pytestmark = pytest.mark.lab

VIP = "10.77.0.100"
Pair = tuple[Lab, Node, Node]
MANY = tuple(f"10.77.{number // 200 + 1}.{number % 200 + 1}/32" for number in range(500))


HANDED_OVER = [(1, 2, "kad"), (1, 2, "keepalived"), (0.2, 3, "kad"), (0.2, 3, "keepalived")]
"""advert_int, version, and who takes over."""


def handed_over(which: int, priority: int) -> str:
    advert_int, version, _ = HANDED_OVER[which]
    return instance(
        f"VI_{which}",
        vrid=60 + which,
        priority=priority,
        advert_int=advert_int,
        version=version,
        addresses=(f"10.77.0.{100 + which}/32",),
    )


@pytest.mark.timing
def test_a_master_that_stops_keeps_each_address_until_the_peer_has_it(pair: Pair) -> None:
    lab, a, b = pair
    c, d = lab.node("c", {"eth0": "10.77.0.9/24"}), lab.node("d", {"eth0": "10.77.0.4/24"})
    peers = {"kad": b, "keepalived": d}
    places = range(len(HANDED_OVER))
    addresses = [f"10.77.0.{100 + which}" for which in places]
    first = lab.start_kad(a, global_defs() + "".join(handed_over(which, 150) for which in places))
    for program, node in peers.items():
        mine = [handed_over(which, 100) for which in places if HANDED_OVER[which][2] == program]
        lab.start(program, node, global_defs() + "".join(mine))
    for which in places:
        lab.wait_holder(addresses[which], a, seconds=8)
    settle(lab, first, a, addresses[0])
    with contextlib.ExitStack() as pinging:
        clients = [pinging.enter_context(Client(c, address)) for address in addresses]
        moment = time.time()
        assert first.stop(seconds=5) == 0
        lab.stays(addresses[0], b, 1)
    for which, client in enumerate(clients):
        assert client.result.lost() <= 1, HANDED_OVER[which]
        taker = peers[HANDED_OVER[which][2]].name
        farewell = lab.wire.wait_advert(node="a", vrid=60 + which, priority=0, seconds=1, since=moment)
        assert farewell.time - moment < 0.1
        taken = lab.wire.wait_advert(node=taker, vrid=60 + which, seconds=1, since=moment)
        [held, released] = lab.moves(addresses[which], moment)
        assert (held.node, held.added, released.node, released.added) == (taker, True, "a", False)
        # A tenth of a second for the switches to learn, and not much more.
        assert 0.09 < released.time - taken.time < 0.3, HANDED_OVER[which]
        last = lab.wire.adverts(node="a", vrid=60 + which, since=farewell.time)
        assert [advert.priority for advert in last] == [0]
    assert a.processes() == {}


@pytest.mark.timing
@pytest.mark.parametrize(
    # Debian's keepalived announces a hundred addresses in 200 ms and more, whoever had them before.
    ("peer", "count"),
    [("kad", 500), ("keepalived", 20)],
)
def test_no_ping_to_any_of_many_addresses_is_lost(pair: Pair, peer: str, count: int) -> None:
    lab, a, b = pair
    c = lab.node("c", {"eth0": "10.77.0.9/16"})
    text = {
        priority: global_defs()
        + instance(priority=priority, advert_int=0.3, addresses=MANY[:count], more="garp_master_repeat 1")
        for priority in (150, 100)
    }
    seen = [MANY[place].partition("/")[0] for place in (0, count // 2, count - 1)]
    first = lab.start_kad(a, text[150])
    lab.wait_holder(seen[-1], a, seconds=8)
    lab.start(peer, b, text[100]).wait_log("Entering BACKUP STATE")
    settle(lab, first, a, seen[-1])
    with contextlib.ExitStack() as pinging:
        clients = [pinging.enter_context(Client(c, address)) for address in seen]
        assert first.stop(seconds=5) == 0
        lab.wait_holder(seen[-1], b, seconds=1)
        lab.stays(seen[-1], b, 0.5)
    assert max(client.result.lost() for client in clients) <= 1
    assert {address.partition("/")[0] for address in MANY[:count]} <= b.watch.held()


@pytest.mark.parametrize(("child_wait_time", "advert_int", "longest"), [(5, 0.5, 0.5 + 0.5 * 156 / 256), (1, 1, 0.8)])
def test_a_master_alone_keeps_its_address_no_longer_than_a_peer_could_take(
    pair: Pair, child_wait_time: int, advert_int: float, longest: float
) -> None:
    lab, a, _ = pair
    daemon = lab.start_kad(a, f"child_wait_time {child_wait_time}\n" + router(advert_int=advert_int))
    settle(lab, daemon, a)
    moment = time.time()
    assert daemon.stop(seconds=5) == 0
    [released] = lab.moves(VIP, moment)
    assert longest - 0.05 < released.time - moment < longest + 0.5
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
    assert released.time - moment < 0.4
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
    assert time.time() - moment < 0.3 + 0.2 + 1
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


def test_programs_are_in_the_other_groups_of_their_user_where_that_is_asked(pair: Pair) -> None:
    lab, a, _ = pair
    a.write("group", "nogroup:x:65534:\nroot:x:0:\nadm:x:4:nobody\nkadlab:x:4242:nobody\n")
    a.run("mount", "--bind", "/etc/keepalived/group", "/etc/group")
    a.write("groups.sh", "#!/bin/sh\nid -G >>/run/groups\n", 0o755)
    (a.files / "run" / "groups").touch(0o666)
    (a.files / "run" / "groups").chmod(0o666)
    words = ('startup_script "/etc/keepalived/groups.sh" nobody', "set_supplementary_groups")
    daemon = lab.start_kad(a, global_defs(*words) + instance(more="notify_master /etc/keepalived/groups.sh nobody"))
    settle(lab, daemon, a)
    groups = "65534 4 4242"
    lab.hub.until(lambda: recorded(a, "groups") == [groups, groups], 3, lambda: f"both are in: {recorded(a, 'groups')}")


def test_term_while_it_starts_ends_it(pair: Pair) -> None:
    lab, a, _ = pair
    for delay in (0.0, 0.05, 0.1, 0.2, 0.25, 0.3, 0.35):
        daemon = lab.start_kad(a, router(priority=255, state="MASTER"))
        daemon.wait_log("Starting kad")
        lab.hub.never(lambda daemon=daemon: daemon.exit_status is not None, delay, "it ends by itself")
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
    assert time.time() - begin < 3
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

"""A child that is killed loses nothing: no address moves, nobody takes over, nothing is told twice."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import pytest

from tests.lab.client import Client
from tests.lab.daemons import Daemon, Kad
from tests.lab.lab import Lab, Node
from tests.lab.texts import global_defs, instance, router

pytestmark = pytest.mark.lab

VIP = "10.77.0.100"
Pair = tuple[Lab, Node, Node]
SETTLED = 1.15
"""Seconds after which a death is no early one, and the second announcement of a MASTER was made."""


def settle(lab: Lab, daemon: Daemon, node: Node, address: str = VIP) -> None:
    """Every daemon takes part; the node is MASTER, has announced itself twice, and its children have lived a while."""
    for each in lab.daemons:
        each.wait_log(r"Entering \w+ STATE")
    lab.wait_holder(address, node, seconds=8)
    lab.stays(address, node, SETTLED)


def kill(daemon: Kad, name: str, number: int = signal.SIGKILL) -> tuple[int, float]:
    """Kill that child; its pid and the moment."""
    pid = daemon.child(name)
    moment = time.time()
    os.kill(pid, number)
    return pid, moment


def replaced(lab: Lab, daemon: Kad, name: str, old: int, seconds: float = 3) -> int:
    """The pid of the replacement."""

    def another() -> int:
        try:
            pid = daemon.child(name)
        except LookupError:
            return 0
        return pid if pid != old else 0

    return lab.hub.until(another, seconds, lambda: f"another {name}\n{daemon.log}")


def told(daemon: Kad, name: str = "VI_1") -> dict[str, Any]:
    """What the dump says of the instance."""
    [found] = [each for each in daemon.dump("vrrp")["instances"] if each["name"] == name]
    return dict(found)


@pytest.mark.timing
def test_a_master_whose_vrrp_process_is_killed_stays_master(pair: Pair) -> None:
    lab, a, b = pair
    c, d = lab.node("c", {"eth0": "10.77.0.9/24"}), lab.node("d", {"eth0": "10.77.0.4/24"})

    def text(priority: int) -> str:
        slow = instance("slow", vrid=52, priority=priority, advert_int=1, addresses=("10.77.0.101/32",))
        return router(priority=priority) + slow

    first = lab.start_kad(a, text(150))
    # Of each program one that would notice.
    peers = [lab.start("kad", b, text(100)), lab.start("keepalived", d, text(90))]
    settle(lab, first, a, "10.77.0.101")
    before = [told(first), told(first, "slow")]
    with Client(c, VIP) as client, Client(c, "10.77.0.101") as other:
        old, moment = kill(first, "vrrp")
        adverts = [lab.wire.wait_advert(node="a", vrid=vrid, seconds=2, since=moment) for vrid in (51, 52)]
        replaced(lab, first, "vrrp", old)
        lab.stays("10.77.0.101", a, 4.5)
    assert max(advert.time for advert in adverts) - moment < 0.1
    assert {advert.priority for advert in adverts} == {150}
    assert lab.moves(VIP, moment) == lab.moves("10.77.0.101", moment) == []
    assert not [advert for advert in lab.wire.adverts(since=moment) if advert.node != "a" or not advert.priority]
    assert not lab.wire.announcements(node="a", since=moment)
    assert not [daemon.program for daemon in (first, *peers) if daemon.logged("Entering", since=moment)]
    assert client.result.lost() == other.result.lost() == 0
    for earlier in before:
        after = told(first, earlier["name"])
        for name in ("state", "since", "reason", "transitions", "effective_priority"):
            assert after[name] == earlier[name], name
        assert after["statistics"]["become_master"] == 1
        sent = len(lab.wire.adverts(node="a", vrid=after["virtual_router_id"]))
        assert sent - 2 <= after["statistics"]["advert_sent"] <= sent


def test_a_master_that_is_replaced_too_late_is_backup_and_lets_go(pair: Pair) -> None:
    lab, a, b = pair
    first = lab.start_kad(a, router(priority=100, more="nopreempt"))
    lab.wait_holder(VIP, a, seconds=5)
    lab.start_kad(b, router(priority=90, more="nopreempt"))
    settle(lab, first, a)
    # A parent that does not run cannot replace anybody.
    first.send(signal.SIGSTOP)
    _, moment = kill(first, "vrrp")
    lab.wire.wait_advert(node="b", seconds=3, since=moment)
    # The address comes behind the advert. The runner of the first may have released it there by then, or not yet.
    lab.hub.until(lambda: "b" in lab.holders(VIP), 1, "the second holds it")
    first.send(signal.SIGCONT)
    lab.wait_holder(VIP, b, seconds=2)
    first.wait_log(r"\(VI_1\) Entering BACKUP STATE.*too late", since=moment)
    lab.stays(VIP, b, 0.5)
    assert not lab.wire.adverts(node="a", since=moment)
    assert sorted((event.node, event.added) for event in lab.moves(VIP, moment)) == [("a", False), ("b", True)]
    assert told(first)["state"] == "BACKUP"


def test_an_address_that_went_while_nobody_lived_is_completed(pair: Pair) -> None:
    lab, a, _ = pair
    other = "10.77.0.101"
    daemon = lab.start_kad(a, router(advert_int=1, addresses=(f"{VIP}/24", f"{other}/24")))
    settle(lab, daemon, a)
    # A parent that sleeps for a moment replaces nobody meanwhile.
    daemon.send(signal.SIGSTOP)
    _, moment = kill(daemon, "vrrp")
    a.run("ip", "addr", "del", f"{other}/24", "dev", "eth0")
    daemon.send(signal.SIGCONT)
    lab.wait_holder(other, a, seconds=1)
    lab.wire.wait_announcements(1, node="a", address=other, seconds=1, since=moment)
    lab.stays(VIP, a, 0.5)
    assert lab.moves(VIP, moment) == []
    assert not daemon.logged("Entering", since=moment)


def kill_until_it_must_wait(lab: Lab, daemon: Kad) -> tuple[int, float]:
    """Three deaths in a row: the next life comes a second later. The last pid, and when it was killed."""
    old = daemon.child("vrrp")
    for _ in range(2):
        moment = time.time()
        os.kill(old, signal.SIGKILL)
        old = replaced(lab, daemon, "vrrp", old)
        lab.wire.wait_advert(node=daemon.node.name, seconds=1, since=moment)
    moment = time.time()
    os.kill(old, signal.SIGKILL)
    daemon.wait_log("started again in 1 s", since=moment)
    return old, moment


def test_a_daemon_that_ends_while_nobody_serves_the_addresses_leaves_none(pair: Pair) -> None:
    lab, a, _ = pair
    daemon = lab.start_kad(a, router(advert_int=0.4))
    settle(lab, daemon, a)
    _, moment = kill_until_it_must_wait(lab, daemon)
    lab.hub.never(lambda: lab.moves(VIP, moment), 0.3, "the address stays as long as nobody misses it")
    assert daemon.stop(seconds=3) == 0
    assert lab.holders(VIP) == set()
    assert a.processes() == {}


def test_a_daemon_that_is_not_to_replace_children_leaves_no_address(pair: Pair) -> None:
    lab, a, _ = pair
    daemon = lab.start_kad(a, router(), "--dont-respawn")
    settle(lab, daemon, a)
    kill(daemon, "vrrp")
    assert daemon.wait_exit(3) != 0
    assert lab.holders(VIP) == set()
    assert a.processes() == {}


def test_a_process_that_does_not_leave_in_time_leaves_no_address(pair: Pair) -> None:
    lab, a, _ = pair
    daemon = lab.start_kad(a, "child_wait_time 1\n" + router())
    settle(lab, daemon, a)
    # It is not killed for its deafness first.
    vrrp = daemon.child("vrrp")
    daemon.send(signal.SIGTERM)
    os.kill(vrrp, signal.SIGSTOP)
    assert daemon.wait_exit(5) == 0
    assert lab.holders(VIP) == set()
    assert a.processes() == {}


def test_what_must_wait_for_another_life_is_let_go_meanwhile(pair: Pair) -> None:
    lab, a, b = pair
    first = lab.start_kad(a, router(priority=100, advert_int=0.2, more="nopreempt"))
    lab.wait_holder(VIP, a, seconds=5)
    lab.start_kad(b, router(priority=90, advert_int=0.2, more="nopreempt"))
    settle(lab, first, a)
    last, moment = kill_until_it_must_wait(lab, first)
    lab.hub.until(lambda: len(lab.moves(VIP, moment)) == 2, 0.9, "b takes over")
    assert [(event.node, event.added) for event in lab.moves(VIP, moment)] == [("a", False), ("b", True)]
    replaced(lab, first, "vrrp", last)
    lab.stays(VIP, b, 1)
    assert told(first)["state"] == "BACKUP"


def test_a_backup_whose_vrrp_process_is_killed_stays_backup(pair: Pair) -> None:
    lab, a, b = pair
    first = lab.start_kad(a, router(priority=150))
    second = lab.start_kad(b, router(priority=100))
    settle(lab, first, a)
    second.wait_log("Entering BACKUP STATE")
    before = told(second)
    old, moment = kill(second, "vrrp")
    replaced(lab, second, "vrrp", old)
    lab.stays(VIP, a, 1)
    assert not second.logged("Entering", since=moment)
    after = told(second)
    for name in ("state", "since", "reason", "transitions"):
        assert after[name] == before[name], name
    assert after["statistics"]["advert_rcvd"] > before["statistics"]["advert_rcvd"]
    # And it still takes over.
    lab.cut(a)
    lab.hub.until(lambda: VIP in b.watch.held(), 2, "b takes over")


RECORD = '#!/bin/sh\nout=$1; shift; echo "$@" >> /run/$out\n'
GROUP = """vrrp_sync_group both {
    group {
        VI_1
        VI_2
    }
    notify "/etc/keepalived/record.sh group"
}
"""


def recorded(node: Node, name: str) -> list[str]:
    try:
        return node.read_run(name).splitlines()
    except FileNotFoundError:
        return []


def test_a_sync_group_survives_and_nobody_is_told_again(pair: Pair) -> None:
    lab, a, b = pair
    other = "10.77.0.101"

    def text(priority: int) -> str:
        notify = 'notify "/etc/keepalived/record.sh instance"'
        return (
            global_defs()
            + GROUP
            + instance(priority=priority, advert_int=0.3, more=notify)
            + instance("VI_2", vrid=52, priority=priority, advert_int=0.3, addresses=(other,), more=notify)
        )

    for node in (a, b):
        node.write("record.sh", RECORD, 0o755)
    first = lab.start_kad(a, text(150))
    second = lab.start_kad(b, text(100))
    lab.wait_holder(other, a, seconds=8)
    settle(lab, first, a)
    lab.hub.until(lambda: len(recorded(a, "group")) == 2, 3, "the group was told")
    before = {node.name: {name: recorded(node, name) for name in ("instance", "group")} for node in (a, b)}
    for daemon in (first, second):
        old, moment = kill(daemon, "vrrp")
        replaced(lab, daemon, "vrrp", old)
        lab.stays(VIP, a, 0.7)
        assert lab.moves(other, moment) == []
        assert not daemon.logged("Entering|Syncing", since=moment)
    assert {node.name: {name: recorded(node, name) for name in ("instance", "group")} for node in (a, b)} == before
    assert [each["state"] for each in first.dump("vrrp")["groups"]] == ["MASTER"]
    assert [each["state"] for each in second.dump("vrrp")["groups"]] == ["BACKUP"]
    # The replacement still moves both together.
    lab.cut(a)
    lab.hub.until(lambda: {VIP, other} <= b.watch.held(), 3, "b takes over both")
    lab.hub.until(lambda: recorded(b, "group")[-1:] == ["GROUP both MASTER 0"], 2, "the group of b is told")


def test_a_router_in_fault_is_not_told_again(pair: Pair) -> None:
    lab, a, _ = pair
    a.write("record.sh", RECORD, 0o755)
    daemon = lab.start_kad(a, router(more='notify "/etc/keepalived/record.sh instance"'))
    settle(lab, daemon, a)
    lab.link_down(a)
    lab.hub.until(lambda: recorded(a, "instance")[-1:] == ["INSTANCE VI_1 FAULT 100"], 3, "FAULT is told")
    before = told(daemon)
    old, moment = kill(daemon, "vrrp")
    replaced(lab, daemon, "vrrp", old)
    daemon.dump()
    lab.hub.never(lambda: daemon.logged("Entering", since=moment), 0.5, "nothing is entered")
    after = told(daemon)
    for name in ("state", "since", "reason", "transitions"):
        assert after[name] == before[name], name
    lab.heal(a)
    lab.wait_holder(VIP, a, seconds=4)
    assert len(recorded(a, "instance")) >= 4


def weighted(script: str, weight: int) -> str:
    notify = 'notify "/etc/keepalived/record.sh instance"'
    watched = f'vrrp_script watched {{\n script "{script}"\n interval 1\n fall 2\n rise 2\n weight {weight}\n}}\n'
    tracking = "track_script {\n watched\n }\n"
    return global_defs() + watched + instance(priority=150, advert_int=0.3, more=tracking + notify)


@pytest.mark.parametrize(("weight", "flagged", "priority"), [(40, True, 190), (-40, False, 110), (40, False, 150)])
def test_a_runner_that_is_killed_resets_no_verdict(pair: Pair, weight: int, flagged: bool, priority: int) -> None:
    lab, a, _ = pair
    a.write("record.sh", RECORD, 0o755)
    # The first life of the script answers at once; in the second life of the runner it hangs.
    a.write("check.sh", "#!/bin/sh\ntest -f /run/hang && sleep 0.8\ntest -f /run/flag\n", 0o755)
    flag = a.files / "run" / "flag"
    if flagged:
        flag.touch()
    daemon = lab.start_kad(a, weighted("/etc/keepalived/check.sh", weight))
    lab.wire.wait_advert(node="a", priority=priority, seconds=5)
    settle(lab, daemon, a)
    [before] = daemon.dump("runner")["scripts"]
    notified = recorded(a, "instance")
    (a.files / "run" / "hang").touch()
    old, moment = kill(daemon, "runner")
    replaced(lab, daemon, "runner", old)
    lab.stays(VIP, a, 2)
    assert {advert.priority for advert in lab.wire.adverts(node="a", since=moment)} == {priority}
    [after] = daemon.dump("runner")["scripts"]
    for name in ("value", "since"):
        assert after[name] == before[name], name
    assert recorded(a, "instance") == notified
    assert not daemon.logged("Changing effective priority|Entering|VRRP_Script", since=moment)
    # It still counts: two runs in a row must say otherwise.
    (flag.unlink if flagged else flag.touch)()
    changed = {190: 150, 110: 150, 150: 190}[priority]
    lab.wire.wait_advert(node="a", priority=changed, seconds=6)


def test_a_script_without_weight_keeps_the_instance_up_when_its_runner_is_killed(pair: Pair) -> None:
    lab, a, _ = pair
    a.write("record.sh", RECORD, 0o755)
    a.write("check.sh", "#!/bin/sh\ntest -f /run/hang && sleep 0.8\nexit 0\n", 0o755)
    daemon = lab.start_kad(a, weighted("/etc/keepalived/check.sh", 0))
    settle(lab, daemon, a)
    told_before = recorded(a, "instance")
    (a.files / "run" / "hang").touch()
    old, moment = kill(daemon, "runner")
    replaced(lab, daemon, "runner", old)
    lab.stays(VIP, a, 2)
    assert recorded(a, "instance") == told_before
    assert told(daemon)["pending"] == []
    assert not daemon.logged("Entering", since=moment)


def test_a_runner_and_a_vrrp_process_that_are_killed_together(pair: Pair) -> None:
    lab, a, _ = pair
    a.write("record.sh", RECORD, 0o755)
    daemon = lab.start_kad(a, weighted("/bin/true", 40))
    lab.wire.wait_advert(node="a", priority=190, seconds=5)
    settle(lab, daemon, a)
    runner, vrrp = daemon.child("runner"), daemon.child("vrrp")
    moment = time.time()
    os.kill(runner, signal.SIGKILL)
    os.kill(vrrp, signal.SIGKILL)
    replaced(lab, daemon, "runner", runner)
    replaced(lab, daemon, "vrrp", vrrp)
    lab.stays(VIP, a, 1)
    assert {advert.priority for advert in lab.wire.adverts(node="a", since=moment)} == {190}
    assert not daemon.logged("Entering", since=moment)


BALANCED = """global_defs {
    ipvs_required no
}
virtual_server 10.77.0.100 80 {
    lb_algo rr
    lb_kind NAT
    protocol TCP
    real_server 10.77.0.50 80 {
        TCP_CHECK {
            connect_timeout 1
        }
    }
}
"""


@pytest.mark.parametrize("name", ["ipvs", "checker"])
def test_a_killed_sibling_is_replaced_alone(pair: Pair, name: str) -> None:
    lab, a, _ = pair
    daemon = lab.start_kad(a, router() + BALANCED)
    settle(lab, daemon, a)
    family = daemon.family()
    old, moment = kill(daemon, name)
    new = replaced(lab, daemon, name, old)
    lab.stays(VIP, a, 0.5)
    assert set(daemon.family()) == set(family) - {old} | {new}
    assert not daemon.logged("Entering", since=moment)
    lab.hub.until(lambda: daemon.dump()["processes"][name].get("generation") == 1, 3, "it is configured")
    assert daemon.dump()["processes"][name]["restarts"] == 1


def test_what_a_deaf_runner_never_read_is_told_by_the_next_one_once(pair: Pair) -> None:
    lab, a, _ = pair
    a.write("record.sh", RECORD, 0o755)
    daemon = lab.start_kad(a, router(more='notify "/etc/keepalived/record.sh instance"'))
    settle(lab, daemon, a)
    lab.hub.until(lambda: len(recorded(a, "instance")) == 2, 3, "MASTER is told")
    old, moment = kill(daemon, "runner", signal.SIGSTOP)
    lab.link_down(a)
    daemon.wait_log("Entering FAULT STATE", since=moment)
    lab.heal(a)
    daemon.wait_log("Entering MASTER STATE", since=moment)
    daemon.wait_log("killing the runner process", since=moment)
    replaced(lab, daemon, "runner", old)
    # As ever, the latest state wins where several wait.
    lab.hub.until(lambda: recorded(a, "instance")[-1] == "INSTANCE VI_1 MASTER 100", 3, "MASTER is told")
    lab.hub.never(lambda: len(recorded(a, "instance")) > 5, 0.5, "nothing is told twice")
    assert recorded(a, "instance")[:3] == [
        "INSTANCE VI_1 BACKUP 100",
        "INSTANCE VI_1 MASTER 100",
        "INSTANCE VI_1 FAULT 100",
    ]


def test_a_change_while_no_runner_lives_is_told_by_the_next_one(pair: Pair) -> None:
    lab, a, _ = pair
    a.write("record.sh", RECORD, 0o755)
    daemon = lab.start_kad(a, router(more='notify "/etc/keepalived/record.sh instance"'))
    settle(lab, daemon, a)
    old = daemon.child("runner")
    for _ in range(2):
        os.kill(old, signal.SIGKILL)
        old = replaced(lab, daemon, "runner", old)
    os.kill(old, signal.SIGKILL)
    daemon.wait_log("runner process is started again in 1 s")
    lab.link_down(a)
    daemon.wait_log("Entering FAULT STATE")
    assert recorded(a, "instance")[-1] == "INSTANCE VI_1 MASTER 100"
    lab.hub.until(lambda: recorded(a, "instance")[-1] == "INSTANCE VI_1 FAULT 100", 4, "FAULT is told")


@pytest.mark.parametrize("program", ["kad", "keepalived"])
def test_a_backup_that_is_replaced_remembers_how_often_its_master_speaks(pair: Pair, program: str) -> None:
    lab, a, b = pair
    master = lab.start(program, a, router(priority=150, advert_int=1))
    master.wait_log("Entering MASTER STATE", 8)
    backup = lab.start_kad(b, router())
    backup.wait_log("Startup complete")
    lab.hub.until(lambda: told(backup)["master_advertisement_interval"] == 1.0, 3, "it is heard")
    # Before it heard anybody it may have been MASTER.
    lab.hub.until(lambda: VIP not in b.watch.held(), 3, "it yields")
    lab.wire.wait_advert(node="a", vrid=51, seconds=3, since=time.time())
    old, _ = kill(backup, "vrrp")
    replaced(lab, backup, "vrrp", old)
    # By its own interval it would be MASTER after 0.36 s.
    lab.hub.never(lambda: VIP in b.watch.held(), 1.5, "it takes over")

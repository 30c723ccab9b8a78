"""Pauses of the whole daemon and jumps of the wall clock: who slept looks first, and disturbs nobody."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.lab.client import Client
from tests.lab.daemons import Daemon
from tests.lab.lab import Lab, Node
from tests.lab.test_crash import RECORD, kill, recorded, replaced, settle, told
from tests.lab.test_reload import largest_gap
from tests.lab.texts import global_defs, instance, router
from tests.lab.wrapped import start_wrapped

pytestmark = pytest.mark.lab

VIP = "10.77.0.100"
Pair = tuple[Lab, Node, Node]
DAY = 86400


def freeze(daemon: Daemon) -> list[int]:
    """Stop the whole family; its pids, the parent first."""
    family = sorted(daemon.family(), key=lambda pid: pid != daemon.pid)
    for pid in family:
        os.kill(pid, signal.SIGSTOP)
    return family


def thaw(lab: Lab, family: list[int], pause: float) -> float:
    """Let them run again one after the other, with so many seconds between; the moment of the first."""
    moment = time.time()
    for pid in family:
        os.kill(pid, signal.SIGCONT)
        if pause:
            lab.hub.never(lambda: False, pause, "nothing")
    return moment


@pytest.mark.parametrize(
    ("first", "peer"),
    [("parent first", "kad"), ("parent first", "keepalived"), ("children first", "kad"), ("slowly", "keepalived")],
)
def test_who_slept_too_long_disturbs_nobody_who_took_over(pair: Pair, first: str, peer: str) -> None:
    lab, a, b = pair
    c = lab.node("c", {"eth0": "10.77.0.9/24"})
    sleeper = lab.start_kad(a, router(priority=150, advert_int=0.2, more="nopreempt"))
    lab.wait_holder(VIP, a, seconds=5)
    other = lab.start(peer, b, router(priority=100, advert_int=0.2))
    settle(lab, sleeper, a)
    # The kernel of a frozen daemon still answers: the address is there throughout.
    with Client(c, VIP) as client:
        family = freeze(sleeper)
        begin = time.time()
        lab.wire.wait_advert(node="b", seconds=3, since=begin)
        lab.hub.never(lambda: lab.wire.adverts(node="a", since=begin + 0.3), 1.0, "a sleeps")
        moment = thaw(lab, family if first != "children first" else family[::-1], 0.1 if first == "slowly" else 0.0)
        lab.wait_holder(VIP, b, seconds=1)
        [gone] = [event for event in lab.moves(VIP, moment) if event.node == "a"]
        assert gone.time - moment < 0.9
        # With nopreempt it stays so: not one advert of the sleeper, not one transition of the other.
        lab.stays(VIP, b, 1.2)
    assert client.result.lost() <= 1
    assert not lab.wire.adverts(node="a", since=moment)
    assert not other.logged("Entering", since=moment)
    assert not sleeper.logged("killing|died of", since=begin)
    sleeper.wait_log("did not run for", since=moment)
    counters = sleeper.dump("vrrp")["counters"]
    assert counters["late_timers"] >= 1
    assert counters["longest_gap_ms"] > 800
    found = told(sleeper)
    assert found["state"] == "BACKUP"
    assert "took over" in found["reason"]


def test_who_slept_and_was_not_replaced_stays_master(pair: Pair) -> None:
    lab, a, _ = pair
    sleeper = lab.start_kad(a, router(advert_int=0.2))
    settle(lab, sleeper, a)
    before = told(sleeper)
    family = freeze(sleeper)
    lab.stays(VIP, a, 1.5)
    moment = thaw(lab, family, 0.0)
    lab.wire.wait_advert(node="a", seconds=0.5, since=moment)
    lab.stays(VIP, a, 0.6)
    assert told(sleeper)["since"] == before["since"]
    assert not sleeper.logged("Entering|killing", since=moment)
    # What it missed is not made up for: no burst of adverts.
    assert len([advert for advert in lab.wire.adverts(node="a", since=moment) if advert.time < moment + 0.15]) <= 2


def test_timer_expired_backup_yields_although_nobody_took_over(pair: Pair) -> None:
    lab, a, _ = pair
    sleeper = lab.start_kad(a, router(advert_int=0.2, more="nopreempt\n timer_expired_backup 100"))
    settle(lab, sleeper, a)
    family = freeze(sleeper)
    lab.stays(VIP, a, 1.5)
    moment = thaw(lab, family, 0.0)
    sleeper.wait_log(r"Entering BACKUP STATE: did not run for \S+ s \(timer_expired_backup\)", 1, moment)
    # Then it waits as any BACKUP does.
    again = sleeper.wait_log("Entering MASTER STATE: no advert from anyone", 3, moment)
    assert again.time - moment > 0.6
    assert [event.node for event in lab.moves(VIP, moment)] == ["a", "a"]


def test_a_nap_that_nobody_missed_changes_nothing(pair: Pair) -> None:
    lab, a, b = pair
    sleeper = lab.start_kad(a, router(priority=150, advert_int=0.5))
    lab.wait_holder(VIP, a, seconds=5)
    other = lab.start_kad(b, router(priority=100, advert_int=0.5))
    other.wait_log("Entering BACKUP STATE")
    settle(lab, sleeper, a)
    family = freeze(sleeper)
    begin = time.time()
    lab.stays(VIP, a, 0.8)
    thaw(lab, family, 0.0)
    lab.stays(VIP, a, 1.5)
    assert lab.moves(VIP, begin) == []
    assert not sleeper.logged("Entering", since=begin)
    assert not other.logged("Entering", since=begin)


def test_a_backup_that_slept_hears_its_master_first(pair: Pair) -> None:
    lab, a, b = pair
    lab.start_kad(a, router(priority=150))
    lab.wait_holder(VIP, a, seconds=5)
    sleeper = lab.start_kad(b, router(priority=100))
    sleeper.wait_log("Entering BACKUP STATE")
    lab.wire.wait_advert(node="a", seconds=1, count=3)
    for pause in (0.0, 0.1):
        family = freeze(sleeper)
        lab.stays(VIP, a, 1.5)
        thaw(lab, family, pause)
        lab.stays(VIP, a, 1)
        assert not lab.wire.adverts(node="b")
        assert told(sleeper)["transitions"] == 1


def test_scripts_are_not_blamed_for_a_pause(pair: Pair) -> None:
    lab, a, _ = pair
    a.write("check.sh", "#!/bin/sh\nsleep 0.4\nexit 0\n", 0o755)
    watched = (
        'vrrp_script slow {\n script "/etc/keepalived/check.sh"\n interval 1\n timeout 1\n fall 1\n weight -60\n}\n'
    )
    sleeper = lab.start_kad(a, global_defs() + watched + instance(priority=150, more="track_script {\n slow\n}"))
    settle(lab, sleeper, a)
    for with_programs in (False, True):
        # While one runs.
        wanted = sleeper.dump("runner")["scripts"][0]["runs"] + 2
        lab.hub.until(lambda: "check.sh" in sleeper.family().values(), 3, "it runs")
        frozen = [pid for pid, name in sleeper.family().items() if with_programs or name.startswith("kad")]
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        begin = time.time()
        lab.hub.never(lambda: False, 2, "nothing")
        for pid in reversed(frozen):
            os.kill(pid, signal.SIGCONT)
        while sleeper.dump("runner")["scripts"][0]["runs"] < wanted:
            lab.hub.never(lambda: sleeper.exit_status is not None, 0.2, "it ends")
        assert {advert.priority for advert in lab.wire.adverts(node="a", since=begin)} == {150}
        assert not sleeper.logged("timed.out|Changing effective", since=begin)


# the wall clock


@pytest.mark.parametrize("jump", [DAY, -DAY])
def test_a_jump_of_the_wall_clock_changes_nothing(pair: Pair, jump: int) -> None:
    lab, a, b = pair
    a.write("record.sh", RECORD, 0o755)
    watched = 'vrrp_script watched {\n script "/etc/keepalived/record.sh runs"\n interval 1\n weight 7\n}\n'
    more = 'notify "/etc/keepalived/record.sh instance"\ntrack_script {\n watched\n}'
    daemon = start_wrapped(lab, a, global_defs() + watched + instance(priority=150, more=more), movable_clock=True)
    lab.wait_holder(VIP, a, seconds=5)
    other = lab.start_kad(b, router(priority=100))
    settle(lab, daemon, a)
    lab.wire.wait_advert(node="a", priority=157, seconds=3)
    uptime = daemon.dump()["processes"]["watchdog"]["uptime"]
    runs, begin = len(recorded(a, "runs")), time.time()
    (a.files / "run" / "offset").write_text(str(jump))
    lab.stays(VIP, a, 2.5)
    assert largest_gap(lab, a, 51, begin) < 0.1 * 1.1 + 0.3
    assert len(recorded(a, "runs")) - runs in (2, 3)
    assert not daemon.logged("Entering|killing|died|Changing", since=begin)
    assert not other.logged("Entering", since=begin)
    processes = daemon.dump()["processes"]
    assert 2 < processes["watchdog"]["uptime"] - uptime < 20
    assert 2 < processes["vrrp"]["uptime"] < 30
    # Whoever is born after the jump goes on where the others are, and its notifications are no repeats.
    old, moment = kill(daemon, "vrrp")
    replaced(lab, daemon, "vrrp", old)
    lab.stays(VIP, a, 0.5)
    assert lab.moves(VIP, moment) == []
    lab.link_down(a)
    lab.hub.until(lambda: recorded(a, "instance")[-1] == "INSTANCE VI_1 FAULT 157", 3, "FAULT is told")
    lab.heal(a)
    lab.hub.until(lambda: recorded(a, "instance")[-1] == "INSTANCE VI_1 MASTER 157", 3, "MASTER is told")

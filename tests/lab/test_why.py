"""kad --why and kad --dump events, asked after things happened that are seen from outside."""

from __future__ import annotations

import os
import re
import signal
import time
from typing import Any

import pytest

from tests.lab.daemons import Kad
from tests.lab.lab import Lab, Node
from tests.lab.texts import global_defs, instance

pytestmark = pytest.mark.lab

VIP = "10.77.0.100"
Pair = tuple[Lab, Node, Node]
CLOCK = r"\d\d:\d\d:\d\d\.\d\d\d"


def why(daemon: Kad) -> list[str]:
    # All of them: there is one.
    done = daemon.ask("--why")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == daemon.ask("--why", "VI_1").stdout.splitlines()
    return done.stdout.splitlines()


def events(daemon: Kad, kind: str) -> list[dict[str, Any]]:
    return [event for event in daemon.dump("events") if event["kind"] == kind]


def wait_events(lab: Lab, daemon: Kad, kind: str, pattern: str) -> list[dict[str, Any]]:
    """Those of the kind whose text has the pattern, as soon as there is one."""

    def found() -> list[dict[str, Any]]:
        return [event for event in events(daemon, kind) if re.search(pattern, event["text"])]

    return lab.hub.until(found, 8, lambda: f"{kind} {pattern!r} in {daemon.dump('events')}")


WATCHING = (
    'vrrp_script chk_server {\n script "killall -0 server"\n interval 1\n weight -60\n fall 2\n rise 1\n}\n'
    'vrrp_script chk_down {\n script "/etc/keepalived/down.sh"\n interval 1\n weight -5\n}\n'
)
TRACK = "track_script {\n chk_server\n chk_down\n }"
DOWN = '#!/bin/sh\ntest ! -e /run/down || { echo "the operator said so"; exit 3; }\n'


def test_the_chain_goes_from_the_address_that_moved_to_the_process_that_died(pair: Pair) -> None:
    lab, a, b = pair
    a.write("down.sh", DOWN, 0o755)
    a.run("cp", "/bin/sleep", "/run/server")
    server = a.start(("/run/server", "1000"))
    daemon = lab.start_kad(a, global_defs() + WATCHING + instance(priority=150, more=TRACK))
    lab.start_kad(b, global_defs() + instance(priority=100))
    lab.wait_holder(VIP, a, seconds=8)
    server.kill()
    server.wait()
    lab.wait_holder(VIP, b, seconds=8)
    state, priority, cause = why(daemon)
    assert re.fullmatch(
        rf"VI_1 is BACKUP since {CLOCK}: priority 90 < 100 of 10\.77\.0\.2;",
        state,
    )
    assert re.fullmatch(rf"  because its priority fell from 150 to 90 at {CLOCK}: -60 by script chk_server;", priority)
    assert re.fullmatch(
        rf"    because chk_server failed twice: no process server since {CLOCK} "
        rf"\(pid \d+ (?:ended|was killed by signal 9)\) \(at {CLOCK}\)\.",
        cause,
    )


def test_what_a_failing_script_printed_is_in_the_chain(pair: Pair) -> None:
    lab, a, _ = pair
    a.write("down.sh", DOWN, 0o755)
    script = WATCHING.replace("weight -5", "weight 0").partition("vrrp_script chk_down")[2]
    more = "track_script {\n chk_down\n }"
    daemon = lab.start_kad(a, f"{global_defs()}vrrp_script chk_down{script}{instance(priority=150, more=more)}")
    lab.wait_holder(VIP, a, seconds=8)
    (a.files / "run" / "down").touch()
    lab.wait_holder(VIP, seconds=6)
    state, cause = why(daemon)
    assert re.fullmatch(rf"VI_1 is FAULT since {CLOCK}: script chk_down: .*status 3.*;", state)
    assert re.fullmatch(
        rf"  because chk_down failed: .*status 3.* \(at {CLOCK}\), and printed: the operator said so\.", cause
    )


def test_the_link_that_went_is_in_the_chain_and_the_journal_outlives_the_process(pair: Pair) -> None:
    lab, a, _ = pair
    daemon = lab.start_kad(a, global_defs() + instance(priority=150))
    lab.wait_holder(VIP, a, seconds=8)
    lab.link_down(a)
    daemon.wait_log("Entering FAULT STATE")
    state, link = why(daemon)
    assert re.fullmatch(rf"VI_1 is FAULT since {CLOCK}: interface eth0 is down;", state)
    assert re.fullmatch(rf"  because Netlink reports eth0 down: it has no carrier \(at {CLOCK}\)\.", link)
    before = events(daemon, "transition")
    assert [event["details"]["new"] for event in before] == ["BACKUP", "MASTER", "FAULT"]
    os.kill(daemon.child("vrrp"), signal.SIGKILL)
    died = wait_events(lab, daemon, "child", "vrrp process died of signal 9")
    wait_events(lab, daemon, "child", f"Starting the vrrp process, pid=(?!{daemon.pid})")
    assert events(daemon, "transition") == before
    assert died[0]["number"] > before[-1]["number"]
    assert why(daemon) == [state, link]


def test_an_interface_that_is_switched_off_is_explained_by_that_and_not_by_the_address_that_went_with_it(
    pair: Pair,
) -> None:
    lab, a, _ = pair
    a.set_sysctl("net.ipv6.conf.eth0.disable_ipv6", "0")
    a.run("ip", "address", "add", "fe80::1/64", "dev", "eth0", "nodad")
    daemon = lab.start_kad(a, global_defs() + instance(priority=255))
    lab.wait_holder(VIP, a, seconds=8)
    a.run("ip", "link", "set", "eth0", "down")
    wait_events(lab, daemon, "address", "fe80::1/64 removed from eth0")
    state, link = why(daemon)
    assert re.fullmatch(rf"VI_1 is FAULT since {CLOCK}: interface eth0 is down;", state)
    assert re.fullmatch(rf"  because Netlink reports eth0 down: it is switched off \(at {CLOCK}\)\.", link)


def test_reloads_and_what_became_of_them(pair: Pair) -> None:
    lab, a, b = pair
    text = global_defs() + instance(priority=150)
    daemon = lab.start_kad(a, text)
    lab.start_kad(b, global_defs() + instance(priority=100))
    lab.wait_holder(VIP, a, seconds=8)
    daemon.reload(text.replace("virtual_router_id 51", "virtual_router_id 510"))
    wait_events(lab, daemon, "reload", "the reload is refused: .*virtual_router_id")
    daemon.reload(text.replace("priority 150", "priority 90"))
    lab.wait_holder(VIP, b, seconds=6)
    state, priority, reload = why(daemon)
    assert "priority 90 < 100 of 10.77.0.2" in state
    assert re.fullmatch(rf"  because its priority fell from 150 to 90 at {CLOCK}: as configured;", priority)
    assert re.fullmatch(rf"    because generation \d of the configuration is in force \(at {CLOCK}\)\.", reload)


def test_a_pause_of_all_processes_is_remembered(pair: Pair) -> None:
    lab, a, b = pair
    daemon = lab.start_kad(a, global_defs() + instance(priority=150))
    lab.start_kad(b, global_defs() + instance(priority=100))
    lab.wait_holder(VIP, a, seconds=8)
    daemon.wait_log("Entering MASTER STATE")
    family = [*daemon.family()]
    for pid in family:
        os.kill(pid, signal.SIGSTOP)
    begin = time.time()
    lab.hub.until(lambda: VIP in b.watch.held(), 8, "b takes over")
    lab.hub.never(lambda: time.time() - begin > 60, 1.5, "a minute passes")
    for pid in reversed(family):
        os.kill(pid, signal.SIGCONT)
    texts = [event["text"] for event in wait_events(lab, daemon, "pause", "the vrrp process did not run for")]
    seconds = max(float(text.split()[-2]) for text in texts)
    assert 1.0 < seconds < time.time() - begin + 1
    lab.wait_holder(VIP, a, seconds=8)
    assert any("did not run" in event["text"] for event in events(daemon, "transition"))


def test_programs_that_fail_and_addresses_that_are_taken_away_are_events(pair: Pair) -> None:
    lab, a, _ = pair
    a.write("fail.sh", '#!/bin/sh\necho "no such pager"; exit 7\n', 0o755)
    daemon = lab.start_kad(a, global_defs() + instance(priority=150, more='notify_master "/etc/keepalived/fail.sh"'))
    lab.wait_holder(VIP, a, seconds=8)
    [event] = wait_events(lab, daemon, "notify", "VI_1/notify_master failed")
    assert "no such pager" in event["text"]
    a.run("ip", "address", "del", f"{VIP}/24", "dev", "eth0")
    wait_events(lab, daemon, "address", f"somebody removed {VIP}")
    lab.wait_holder(VIP, a, seconds=5)


def test_a_whole_dump_shows_the_latest_events_and_an_unknown_name_the_known_ones(pair: Pair) -> None:
    lab, a, _ = pair
    daemon = lab.start_kad(a, global_defs() + instance(priority=150))
    lab.wait_holder(VIP, a, seconds=8)
    assert daemon.dump()["events"] == daemon.dump("events")
    done = daemon.ask("--why", "VI_9")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "kad: there is no vrrp_instance VI_9; there are: VI_1\n"

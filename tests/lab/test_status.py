"""kad --status: what is wrong now, from outside, with the literal exit status."""

from __future__ import annotations

import os
import re
import signal
import time
from typing import Any

import pytest

from tests.lab.daemons import Kad
from tests.lab.lab import Lab, Node
from tests.lab.test_crash import replaced
from tests.lab.texts import router
from tests.lab.wrapped import WORK, start_wrapped

pytestmark = pytest.mark.lab

VIP = "10.77.0.100"
OWNER = router(priority=255, advert_int=2)
"""MASTER at once, and given the longest time for an answer."""


@pytest.fixture
def owner(lab: Lab) -> Kad:
    daemon = lab.start_kad(lab.node("a", {"eth0": "10.77.0.1/24"}), OWNER)
    daemon.wait_log("Entering MASTER STATE")
    assert daemon.ask("--status").returncode == 0
    return daemon


def problems(daemon: Kad) -> tuple[int, list[str]]:
    """The exit status of --status, and what it says is wrong."""
    asked = daemon.ask("--status")
    assert asked.stderr == ""
    return asked.returncode, [line for line in asked.stdout.splitlines() if line.startswith(("CRITICAL", "WARNING"))]


@pytest.mark.parametrize("name", ["vrrp", "runner"])
def test_a_stopped_child_is_said_within_two_seconds(lab: Lab, owner: Kad, name: str) -> None:
    daemon = owner
    if name == "runner":
        daemon.reload(OWNER + "vrrp_script fine {\n script /usr/bin/true\n}\n")
        daemon.wait_log("Reload complete")
    os.kill(daemon.child(name), signal.SIGSTOP)
    begin = time.monotonic()
    assert problems(daemon) == (2, [f"CRITICAL: process {name}: does not answer"])
    assert time.monotonic() - begin < 3  # with the start of the command
    daemon.wait_log(f"killing the {name} process")


def test_a_stopped_parent_is_said_within_two_seconds(owner: Kad) -> None:
    owner.send(signal.SIGSTOP)
    begin = time.monotonic()
    assert problems(owner) == (2, ["CRITICAL: the parent process does not answer within 1.8 s"])
    assert time.monotonic() - begin < 3  # with the start of the command
    owner.send(signal.SIGCONT)


@pytest.mark.parametrize("words", [("--dump",), ("--why",), ("--dump", "events"), ("--reload",)])
def test_a_stopped_parent_is_known_as_soon_to_all_other_questions(owner: Kad, words: tuple[str, ...]) -> None:
    owner.send(signal.SIGSTOP)
    begin = time.monotonic()
    asked = owner.ask(*words)
    took = time.monotonic() - begin
    owner.send(signal.SIGCONT)
    assert (asked.returncode, asked.stdout) == (1, "")
    # Where its last work was just before it was stopped, it is looked at once more.
    assert re.fullmatch(r"kad: the parent process does not answer within (1\.8|3\.6) s\n", asked.stderr)
    assert took < 6  # with the start of the command


def test_a_busy_parent_is_waited_for(lab: Lab) -> None:
    node = lab.node("a", {"eth0": "10.77.0.1/24"})
    daemon = start_wrapped(lab, node, OWNER, deaf=True)
    daemon.wait_log("Entering MASTER STATE")
    assert daemon.ask("--status").returncode == 0
    begin = time.monotonic()
    daemon.send(WORK)
    asked = daemon.ask("--dump", "generation")
    assert (asked.returncode, asked.stdout, asked.stderr) == (0, "1\n", "")
    assert time.monotonic() - begin > 3.5
    assert daemon.ask("--status").returncode == 0


def test_a_process_that_is_killed_again_and_again_is_said_also_while_it_runs(lab: Lab, owner: Kad) -> None:
    for _ in range(2):
        old = owner.child("vrrp")
        os.kill(old, signal.SIGKILL)
        replaced(lab, owner, "vrrp", old)
    text = "CRITICAL: process vrrp: ends again and again: 2 times in 60 s, it last died of signal 9"
    assert problems(owner) == (2, [text])
    lab.stays(VIP, lab.nodes["a"], 0.3)


def test_a_refused_reload_is_a_warning_until_one_is_applied(owner: Kad) -> None:
    owner.reload(OWNER.replace("priority 255", "priority 255\n wrong word"))
    owner.wait_log("Reload refused")
    exit_status, [text] = problems(owner)
    assert exit_status == 1
    assert text.startswith("WARNING: the last reload was refused: ")
    assert "wrong" in text
    owner.reload(OWNER)
    owner.wait_log("Reload complete")
    assert problems(owner) == (0, [])


def test_a_device_of_a_master_that_is_down_is_said(lab: Lab) -> None:
    a = lab.node("a", {"eth0": "10.77.0.1/24", "eth1": "10.78.0.1/24"})
    addresses = ("10.77.0.100/24", "10.78.0.100/24 dev eth1 no_track")
    daemon = lab.start_kad(a, router(priority=255, addresses=addresses))
    daemon.wait_log("Entering MASTER STATE")
    assert problems(daemon) == (0, [])
    lab.link_down(a, "eth1")
    lab.hub.until(lambda: problems(daemon) == (2, ["CRITICAL: VI_1: device eth1 is down"]) or None, 5, "device down")
    lab.stays(VIP, a, 0.3)
    lab.heal(a, "eth1")
    lab.hub.until(lambda: problems(daemon) == (0, []) or None, 5, "device up")


def events(daemon: Kad, kind: str) -> list[dict[str, Any]]:
    return [event for event in daemon.dump("events") if event["kind"] == kind]


def test_two_masters_by_another_password_are_said_by_both_and_not_called_silent(pair: tuple[Lab, Node, Node]) -> None:
    """One host has auth_pass, the other has not."""
    lab, a, b = pair
    password = "authentication {\n auth_type PASS\n auth_pass secret\n }"
    first = lab.start_kad(a, router(version=2, advert_int=1, priority=255))
    first.wait_log("Entering MASTER STATE")
    second = lab.start_kad(b, router(version=2, advert_int=1, more=password))
    second.wait_log("Entering MASTER STATE: adverts of 10.77.0.1 are refused: authentication differs; none that counts")
    for daemon, other in ((second, "10.77.0.1"), (first, "10.77.0.2")):
        text = f"adverts of {other} are refused: authentication differs"
        lab.hub.until(lambda: events(daemon, "refused"), 8, text)  # noqa: B023
        exit_status, [line, *_] = problems(daemon)
        assert exit_status == 2
        assert line.startswith(f"CRITICAL: VI_1: {text}, since ")
        [event] = events(daemon, "refused")
        assert (event["object"], event["text"]) == ("VI_1", text)
        assert event["details"] == {"peer": other, "reason": "authtype_differs", "ended": False, "count": 2}
    assert f"because adverts of 10.77.0.1 are refused: {text[-22:]}" in second.ask("--why").stdout
    # However many came meanwhile, its end is one event more, with their number.
    second.reload(router(version=2, advert_int=1))
    lab.hub.until(lambda: events(first, "refused")[1:], 10, "an end")
    # For a minute the second one is still known to have announced the address.
    exit_status, lines = problems(first)
    assert (exit_status, [line[:15] for line in lines]) == (1, ["WARNING: VI_1: "])
    [_, ended] = events(first, "refused")
    assert re.fullmatch(r"adverts of 10\.77\.0\.2 are no longer refused: \d+ in \d+\.\d s were", ended["text"])
    assert ended["details"]["count"] > 2


def test_another_master_is_said(pair: tuple[Lab, Node, Node]) -> None:
    """The second node discards what the first one sends, and becomes MASTER too."""
    lab, a, b = pair
    first = lab.start_kad(a, router(priority=200, more="unicast_peer {\n 10.77.0.2\n }"))
    first.wait_log("Entering MASTER STATE")
    second = lab.start_kad(b, router(priority=100, more="unicast_peer {\n 10.77.0.1 min_ttl 1 max_ttl 9\n }"))
    first.wait_log("10.77.0.2 is MASTER too")
    for daemon, text in (
        (first, "10.77.0.2 is also MASTER"),
        (second, "adverts of 10.77.0.1 are refused: its TTL is not within min_ttl and max_ttl of that peer"),
    ):
        exit_status, [line, *_] = problems(daemon)
        assert exit_status == 2
        assert line.startswith(f"CRITICAL: VI_1: {text}, since ")

"""A daemon whose sentences are all other ones elects, reloads, refuses and explains as it does with its own."""

from __future__ import annotations

import re

import pytest

from tests.altered import rotated
from tests.lab.daemons import Kad
from tests.lab.lab import Lab, Node
from tests.lab.namespaces import PROJECT
from tests.lab.test_reload import surplus
from tests.lab.texts import global_defs, instance
from tests.lab.wrapped import WrappedKad

pytestmark = [pytest.mark.lab, pytest.mark.more]

VIP = "10.77.0.100"
Pair = tuple[Lab, Node, Node]

_ALTERED = """
import sys

if "kad" in sys.orig_argv:
    from tests.altered import alter

    alter()
"""
"""sitecustomize of the daemon; its children are forked and print as it does."""


def start_altered(lab: Lab, node: Node, text: str) -> Kad:
    node.write("sitecustomize.py", _ALTERED)
    daemon = WrappedKad(lab, node, text, ["env", f"PYTHONPATH=/etc/keepalived:{PROJECT}"], (), "/run/kad")
    lab.began(daemon)
    return daemon


def test_a_daemon_that_prints_other_sentences_decides_the_same(pair: Pair) -> None:
    lab, a, b = pair
    daemon = start_altered(lab, a, global_defs() + surplus(260).replace("priority 100", "priority 150"))
    lab.wait_holder(VIP, a, seconds=8)
    daemon.wait_log(re.escape(rotated("no advert from anyone for ")))
    daemon.wait_log(rotated("an advert can name 255 addresses; the other 5 are held but not advertised"))

    # Figures of the same finding, then another one.
    begin = daemon.reload(global_defs() + surplus(261).replace("priority 100", "priority 150"))
    daemon.wait_log("Reload complete", since=begin)
    begin = daemon.reload(global_defs() + surplus(261) + "vrrp_instance X {\n prioritty 5\n}\n")
    daemon.wait_log("Reload refused", since=begin)
    status = daemon.ask("--status")
    assert status.returncode == 1, status.stdout
    begin = daemon.reload(global_defs() + instance(priority=150))
    daemon.wait_log("Reload complete", since=begin)
    assert daemon.ask("--status").returncode == 0

    # Faults and their causes.
    lab.start_kad(b, global_defs() + instance(priority=100))
    a.run("ip", "link", "set", "eth0", "down")
    lab.wait_holder(VIP, b, seconds=8)
    daemon.wait_log("Entering FAULT STATE")
    state, cause = daemon.ask("--why").stdout.splitlines()
    assert re.fullmatch(rf"VI_1 is FAULT since \S+: {rotated('interface eth0 is down')};", state)
    assert re.fullmatch(r"  because Netlink reports eth0 down: it is switched off \(at \S+\)\.", cause)
    assert daemon.ask("--status").returncode == 2
    a.run("ip", "link", "set", "eth0", "up")
    lab.wait_holder(VIP, a, seconds=12)
    told = daemon.dump("events")
    causes = [event["details"]["cause"]["kind"] for event in told if event["kind"] == "transition"]
    assert causes[-3:] == ["faults-began", "faults-ended", "lower-priority-preempted"]

"""Minutes of cut cables, lost links, killed and stopped daemons: on a whole LAN one node holds the address."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time

import pytest

from tests.lab.daemons import Daemon, Kad
from tests.lab.lab import Lab, Node
from tests.lab.texts import router

pytestmark = [pytest.mark.lab, pytest.mark.soak]

VIP = "10.77.0.100"
SETTLED = 6.0
"""Seconds in which a whole LAN must have one MASTER: a child killed soon after its start waits up to 4 s."""


@pytest.mark.parametrize("seed", [1, 2])
def test_three_nodes_through_a_storm(lab: Lab, seed: int) -> None:
    dice = random.Random(seed)
    nodes = [lab.node(name, {"eth0": f"10.77.0.{number}/24"}) for number, name in enumerate("abc", start=1)]
    texts = [router(priority=priority) for priority in (150, 120, 90)]
    programs = ("kad", "kad", "keepalived")
    running = [lab.start(*each) for each in zip(programs, nodes, texts, strict=True)]
    end = time.monotonic() + 120
    while time.monotonic() < end:
        for _ in range(dice.randrange(1, 4)):
            which = dice.randrange(3)
            running[which] = disturb(lab, dice, nodes[which], running[which], texts[which])
        for node in nodes:
            lab.heal(node)
        # Who was cut off for almost a master-down interval may still take over once.
        pause(lab, 0.5)
        lab.wait_holder(VIP, nodes[0], seconds=SETTLED)
        lab.stays(VIP, nodes[0], 0.6)
    for daemon in running:
        assert daemon.stop() == 0
    lab.wait_holder(VIP, seconds=1)


def disturb(lab: Lab, dice: random.Random, node: Node, daemon: Daemon, text: str) -> Daemon:
    """Do one bad thing to a node; the daemon that runs there afterwards."""
    match dice.choice(["cut", "link", "restart", "child", "reload", "down"]):
        case "cut":
            lab.cut(node)
        case "link":
            lab.link_down(node)
        case "restart":
            assert daemon.stop() == 0
            again = lab.start(daemon.program, node, text)
            again.wait_log("Startup complete", 20)
            return again
        case "child" if isinstance(daemon, Kad):
            with contextlib.suppress(LookupError):
                os.kill(daemon.child("vrrp"), signal.SIGKILL)
        case "reload":
            daemon.reload()
        case _:
            node.run("ip", "link", "set", "eth0", "down")
            node.run("ip", "link", "set", "eth0", "up")
    pause(lab, dice.uniform(0, 0.6))
    return daemon


def pause(lab: Lab, seconds: float) -> None:
    """Let the storm work for so long."""
    lab.hub.never(lambda: [each for each in lab.daemons[-3:] if each.log.count("Traceback")], seconds, "a traceback")

"""Weights and their reversal, of instances and of sync groups: the same priorities under kad and under keepalived."""

from __future__ import annotations

import re

import pytest

from tests.lab.daemons import Daemon
from tests.lab.lab import Lab

pytestmark = pytest.mark.lab

CONFIGURATION = """
global_defs {
    vrrp_version 3
}
track_file numbers {
    file /etc/keepalived/numbers
    weight 1
}
track_file own {
    file /etc/keepalived/own
    weight 2
}
vrrp_sync_group G {
    group {
        A
        B
    }
    track_interface {
        eth1 weight -30
    }
    track_file {
        numbers
    }
    SYNCED
}
vrrp_instance A {
    interface eth0
    virtual_router_id 51
    priority 100
    advert_int 0.3
    track_file {
        own
    }
    virtual_ipaddress {
        10.77.0.100/24
    }
}
vrrp_instance B {
    interface eth0
    virtual_router_id 52
    priority 150
    advert_int 0.3
    virtual_ipaddress {
        10.77.0.101/24
    }
}
vrrp_instance C {
    interface eth0
    virtual_router_id 53
    priority 150
    advert_int 0.3
    track_interface {
        eth1 weight 20 reverse
    }
    track_file {
        numbers weight -3 reverse
    }
    virtual_ipaddress {
        10.77.0.102/24
    }
}
"""


def priorities(daemon: Daemon) -> dict[str, int]:
    """What each instance said last."""
    found = {"A": 100, "B": 150, "C": 150}
    for line in daemon.lines:
        if match := re.search(r"\((.)\) Changing effective priority from \d+ to (\d+)", line.text):
            found[match[1]] = int(match[2])
    return found


@pytest.mark.parametrize("synced", [False, True])
def test_priorities(lab: Lab, synced: bool) -> None:
    daemons: list[Daemon] = []
    for name, lan in (("keepalived", "one"), ("kad", "two")):
        node = lab.node(name, {})
        lab.add_interface(node, "eth0", "10.77.0.1/24", lan=lan)
        lab.add_interface(node, "eth1", "10.78.0.1/24", lan=lan)
        node.write("numbers", "0\n")
        node.write("own", "7\n")
        text = CONFIGURATION.replace("SYNCED", "sync_group_tracking_weight" if synced else "")
        daemons.append(lab.start(name, node, text))
    for daemon in daemons:
        for name in "ABC":
            daemon.wait_log(rf"\({name}\) Entering MASTER STATE", 20)

    own = 14 if synced else 0

    def agree(**expected: int) -> None:
        lab.hub.until(
            lambda: all(priorities(daemon) == expected for daemon in daemons),
            4,
            lambda: f"{expected}, but {[priorities(daemon) for daemon in daemons]}",
        )

    agree(A=100 + own, B=150, C=130)
    for node in lab.nodes.values():
        node.write("numbers", "5\n")
    agree(A=105 + own, B=155, C=145)
    for node in lab.nodes.values():
        lab.link_down(node, "eth1")
    agree(A=75 + own, B=125, C=165)
    for node in lab.nodes.values():
        node.write("numbers", "0\n")
        lab.heal(node, "eth1")
    agree(A=100 + own, B=150, C=130)

"""Weights and their reversal, of instances and of sync groups: the same priorities under kad and under keepalived."""

from __future__ import annotations

import re

import pytest

from tests.lab.daemons import Daemon
from tests.lab.lab import Lab, Node
from tests.lab.texts import instance

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
vrrp_script lamp {
    script "/usr/bin/test -e /etc/keepalived/lamp"
    interval 1
    user root
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
    track_script {
        lamp weight -4
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
        node.write("lamp", "")
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
    for node in lab.nodes.values():
        (node.files / "etc/lamp").unlink()
    agree(A=96 + own, B=146, C=130)


def test_a_process_and_a_neighbour_count_for_every_member_of_a_group(pair: tuple[Lab, Node, Node]) -> None:
    """kad alone: in a network namespace the kernel tells keepalived of no process."""
    lab, a, b = pair
    text = """
vrrp_track_process worker {
    process lab-worker
}
vrrp_sync_group G {
    group {
        A
        B
    }
    track_process {
        worker weight 6
    }
    track_bfd {
        peer weight 20 reverse
    }
}
"""

    def speak(moved: int) -> None:
        for vrid in (51, 52):
            lab.wire.wait_advert(node="a", vrid=vrid, priority=100 + vrid + moved, seconds=5)

    def neighbour(address: str) -> str:
        return f"bfd_instance peer {{\n neighbor_ip {address}\n min_rx 50\n min_tx 50\n}}\n"

    members = (instance(name, vrid=vrid, priority=100 + vrid) for name, vrid in (("A", 51), ("B", 52)))
    daemon = lab.start_kad(a, neighbour("10.77.0.2") + text + "".join(members))
    speak(0)
    a.run("cp", "/usr/bin/sleep", "/etc/keepalived/lab-worker")
    with a.start(["/etc/keepalived/lab-worker", "60"]) as worker:
        speak(+6)
        listening = instance(vrid=99, addresses=("10.77.0.99/24",), more="track_bfd {\n peer weight 1\n }")
        other = lab.start_kad(b, neighbour("10.77.0.1") + listening)
        speak(+6 - 20)
        other.kill()
        speak(+6)
        worker.kill()
    speak(0)
    assert not daemon.logged("FAULT")

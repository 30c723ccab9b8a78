"""A vrrp_sync_group moves as one: by the link of one member, and by what the group itself tracks."""

from __future__ import annotations

import time

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.texts import PAIRS, global_defs, instance

pytestmark = pytest.mark.lab

VIPS = ("10.77.0.100", "10.78.0.100")


def host(lab: Lab, number: int) -> Node:
    """Interfaces on two LANs, that end in this number."""
    node = lab.node("ab"[number - 1], {})
    for interface, lan in (("eth0", 77), ("eth1", 78)):
        lab.add_interface(node, interface, f"10.{lan}.0.{number}/24", lan=f"lan{lan}")
    return node


def text(priority: int, before: str = "", tracks: str = "") -> str:
    group = f"vrrp_sync_group G {{\n group {{\n A\n B\n }}\n {tracks}\n}}\n"
    members = (
        instance(name, interface=f"eth{at}", vrid=51 + at, priority=priority, addresses=(f"{VIPS[at]}/24",))
        for at, name in enumerate("AB")
    )
    return global_defs() + before + group + "".join(members)


def both_on(lab: Lab, node: Node, seconds: float = 3) -> None:
    for vip in VIPS:
        lab.wait_holder(vip, node, seconds=seconds)


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_the_link_of_one_member_moves_both(lab: Lab, first: str, second: str) -> None:
    a, b = host(lab, 1), host(lab, 2)
    lab.start(first, a, text(150))
    both_on(lab, a, 8)
    lab.start(second, b, text(100)).wait_log("Entering BACKUP STATE")
    for vip in VIPS:
        lab.stays(vip, a, 0.45)
    for interface in ("eth1", "eth0"):
        begin = time.time()
        lab.link_down(a, interface)
        both_on(lab, b)
        # The member whose link is whole says farewell, so nobody waits for its silence.
        (whole,) = {"eth0", "eth1"} - {interface}
        assert lab.wire.adverts(node="a", vrid=51 + int(whole[-1]), priority=0, since=begin)
        lab.heal(a, interface)
        both_on(lab, a)


@pytest.mark.parametrize(("first", "second"), PAIRS[:2])
def test_what_the_group_tracks_without_weight_is_a_fault_of_all(lab: Lab, first: str, second: str) -> None:
    a, b = host(lab, 1), host(lab, 2)
    script = 'script "/usr/bin/grep -q 0 /etc/keepalived/asked"\n interval 1\n user root'
    trackers = (
        "track_file read {\n file /etc/keepalived/read\n weight 0\n}\n" + f"vrrp_script asked {{\n {script}\n}}\n"
    )
    for name in ("read", "asked"):
        a.write(name, "0\n")
    daemon = lab.start(first, a, text(150, trackers, "track_file {\n read\n }\n track_script {\n asked\n }"))
    both_on(lab, a, 8)
    lab.start(second, b, text(100)).wait_log("Entering BACKUP STATE")
    for name in ("read", "asked"):
        begin = time.time()
        a.write(name, "1\n")
        both_on(lab, b)
        for member in ("A", "B"):
            daemon.wait_log(rf"\({member}\) Entering FAULT STATE", since=begin)
        back = time.time()
        a.write(name, "0\n")
        both_on(lab, a)
        for member in ("A", "B"):
            daemon.wait_log(rf"\({member}\) Entering MASTER STATE", since=back)

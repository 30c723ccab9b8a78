"""The course's configurations run unchanged: keepalived and kad in every pairing, versions 2 and 3."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.texts import PAIRS

pytestmark = pytest.mark.lab

COURSE = Path(__file__).parent / "configurations" / "course"
FIRST, SECOND = "172.16.3.100", "172.16.3.200"
DOWN = 3.7
"""Seconds: a little more than 3 · 1 + (256 - 98) / 256, the longest master-down interval in these files."""


def course(name: str, version: int = 2) -> str:
    """A course file as it stands; for version 3 one line more in its global_defs."""
    text = (COURSE / name).read_text()
    return text.replace("global_defs {", "global_defs {\n   vrrp_version 3", 1) if version == 3 else text


def two_nodes(lab: Lab) -> tuple[Node, Node]:
    return lab.node("node1", {"eth0": "172.16.3.1/16"}), lab.node("node2", {"eth0": "172.16.3.2/16"})


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_single_master(lab: Lab, first: str, second: str, version: int) -> None:
    one, two = two_nodes(lab)
    lab.start(first, one, course("single-master-node1.conf", version))
    lab.start(second, two, course("single-master-node2.conf", version))
    lab.wait_holder(FIRST, one, seconds=8)
    begin = time.time()
    lab.stays(FIRST, one, DOWN)
    seen = lab.wire.adverts(vrid=51, since=begin)
    assert {(advert.node, advert.version, advert.priority, advert.destination) for advert in seen} == {
        ("node1", version, 100, "224.3.1.10")
    }
    assert {advert.authentication for advert in seen} == {b"Mcy1995\0" if version == 2 else b""}
    [held] = [entry for entry in one.ip("addr", "show", "eth0")[0]["addr_info"] if entry["local"] == FIRST]
    assert (held["prefixlen"], held["label"], held["scope"]) == (16, "eth0:0", "global")
    lab.cut(one)
    lab.wait_holder(FIRST, one, two, seconds=5)
    assert lab.wire.wait_advert(node="node2", vrid=51, seconds=2).priority == 98
    lab.heal(one)
    lab.wait_holder(FIRST, one, seconds=4)
    lab.stays(FIRST, one, DOWN)


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_dual_master(lab: Lab, first: str, second: str) -> None:
    one, two = two_nodes(lab)
    lab.start(first, one, course("dual-master-node1.conf"))
    lab.start(second, two, course("dual-master-node2.conf"))
    lab.wait_holder(FIRST, one, seconds=8)
    lab.wait_holder(SECOND, two, seconds=8)
    lab.stays(FIRST, one, DOWN)
    lab.stays(SECOND, two, 0.5)
    # The mistyped auth_type leaves VI_2 without authentication.
    assert lab.wire.adverts(node="node2", vrid=52)[-1].authentication == bytes(8)
    lab.link_down(one)
    lab.wait_holder(FIRST, two, seconds=5)
    assert lab.holders(SECOND) == {"node2"}
    lab.stays(FIRST, two, DOWN)
    lab.heal(one)
    lab.wait_holder(FIRST, one, seconds=8)
    lab.link_down(two)
    lab.wait_holder(SECOND, one, seconds=5)
    assert lab.holders(FIRST) == {"node1"}


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_nopreempt(lab: Lab, first: str, second: str) -> None:
    text = course("nopreempt-node.conf")
    address = "10.1.0.91"
    one = lab.node("node1", {"eno16777736": "10.1.0.1/16"})
    two = lab.node("node2", {"eno16777736": "10.1.0.2/16"})
    weaker = lab.start(second, two, text.replace("priority 98", "priority 90"))
    lab.wait_holder(address, two, seconds=8)
    lab.start(first, one, text).wait_log("Entering BACKUP STATE")
    lab.stays(address, two, 4.5)
    assert weaker.stop() == 0
    lab.wait_holder(address, one, seconds=2)
    lab.start(second, two, text.replace("priority 98", "priority 90")).wait_log("Entering BACKUP STATE")
    lab.stays(address, one, DOWN)


def test_the_mistyped_auth_type_is_explained(lab: Lab) -> None:
    one, _ = two_nodes(lab)
    one.write("kad.conf", course("dual-master-node1.conf"))
    done = one.kad("-t", "-f", "/etc/keepalived/kad.conf")
    # The place of the word, what is wrong with it, and what was meant; the word may be a password.
    said = (done.stdout + done.stderr).partition("/etc/keepalived/kad.conf:37:")[2].partition("/etc/")[0]
    assert "Mcy9586" not in done.stdout + done.stderr
    assert "auth_type: **** is not one of PASS, AH" in said
    assert "did you mean auth_pass?" in said
    assert done.returncode == 5

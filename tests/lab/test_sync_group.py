"""A vrrp_sync_group moves as one: by the link or an address of one member, by what the group itself tracks."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.texts import BOTH, PAIRS, global_defs, instance

pytestmark = pytest.mark.lab

Pair = tuple[Lab, Node, Node]
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


TRACK_FILE = "track_file fault {\n file /etc/keepalived/fault\n weight 0\n}\n"
MEMBERSHIPS = ("VI_1 VI_2 VI_3", "VI_1 VI_2", "VI_1 VI_2 VI_4", "", "VI_2 VI_3 VI_4")
"""What the group has: one leaves, one joins, the group goes, and is there again with others."""


def members(program: str, node: Node, step: int) -> str:
    """The group as of that step, and a router that only this node has, whose address says that the step is done."""
    words = ("vrrp_restore_addresses no",) if program == "kad" else ()
    text = global_defs("vrrp_garp_master_repeat 1", *words)
    names = "\n ".join(MEMBERSHIPS[step].split())
    if names:
        text += f"vrrp_sync_group {'G' if step < 2 else 'H'} {{\n group {{\n {names}\n }}\n}}\n"
    for vrid in range(1, 5):
        settings: dict[str, Any] = {"priority": {"a": 100, "b": 50}[node.name], "advert_int": 0.3}
        settings["addresses"] = (f"10.77.0.10{vrid}/24", f"10.77.0.11{vrid}/24")
        text += instance(f"VI_{vrid}", vrid=vrid, **settings)
    return text + instance("own", vrid=ord(node.name), priority=255, state="MASTER", addresses=(done(node, step),))


def done(node: Node, step: int) -> str:
    return f"10.77.{ord(node.name)}.{step + 1}"


@pytest.mark.parametrize("program", BOTH)
def test_other_members_after_a_reload_move_nothing_and_move_together(pair: Pair, program: str) -> None:
    lab, a, b = pair
    vips = [f"10.77.0.1{group}{vrid}" for vrid in range(1, 5) for group in range(2)]
    daemons = [lab.start(program, a, members(program, a, 0))]
    for vip in vips:
        lab.wait_holder(vip, a, seconds=8)
    daemons.append(lab.start(program, b, members(program, b, 0)))
    lab.wait_holder(done(b, 0), b, seconds=8)
    begin = time.time()
    for step in range(1, len(MEMBERSHIPS)):
        for daemon, node in zip(daemons, (a, b), strict=True):
            daemon.reload(members(program, node, step))
        for node in (a, b):
            lab.wait_holder(done(node, step), node, seconds=3)

    def moved() -> object:
        adverts = [each for vrid in range(1, 5) for each in lab.wire.adverts(vrid=vrid, since=begin)]
        said = [each for each in adverts if (each.node, each.priority) != ("a", 100)]
        return said or [move for vip in vips for move in lab.moves(vip, begin)]

    # More than the longest master_down_interval, that of b: three intervals and 206/256 of one.
    lab.hub.never(moved, 1.2, "nothing moves")
    daemons[1].kill()
    moment = time.time()
    a.run("ip", "addr", "del", "10.77.0.113/24", "dev", "eth0")
    for vrid in (2, 3, 4):
        farewell = lab.wire.wait_advert(node="a", vrid=vrid, priority=0, seconds=1, since=moment)
        again = lab.wire.wait_advert(node="a", vrid=vrid, priority=100, seconds=2, since=farewell.time)
        # The skew_time is 156/256 of an interval; a silence would last three intervals more.
        assert 0.15 < again.time - farewell.time < 0.6
    for vip in vips:
        lab.wait_holder(vip, a, seconds=1)
        gone_and_back = [] if vip.endswith("1") else [False, True]
        assert [move.added for move in lab.moves(vip, moment)] == gone_and_back
    assert not lab.wire.adverts(vrid=1, priority=0, since=moment)


@pytest.mark.parametrize("program", BOTH)
def test_whoever_joins_by_a_reload_and_cannot_be_master_takes_the_group_along(pair: Pair, program: str) -> None:
    lab, a, b = pair
    in_fault, in_backup = "VI_3", "VI_4"
    vips = [f"10.77.0.10{vrid}" for vrid in range(1, 5)]

    def text(node: Node, more: str = "") -> str:
        found = global_defs("vrrp_garp_master_repeat 1") + TRACK_FILE
        found += f"vrrp_sync_group G {{\n group {{\n VI_1\n VI_2\n {more}\n }}\n}}\n"
        for vrid, vip in enumerate(vips, start=1):
            name = f"VI_{vrid}"
            priority = 100 if (node is a) != (name == in_backup) else 50
            tracked = "track_file {\n fault\n }" if name == in_fault else ""
            found += instance(name, vrid=vrid, priority=priority, addresses=(f"{vip}/24",), more=tracked)
        return found

    def see(*holders: Node) -> None:
        for vip, node in zip(vips, holders, strict=True):
            lab.wait_holder(vip, node, seconds=3)

    for node, value in ((a, 1), (b, 0)):
        node.write("fault", f"{value}\n")
    daemons = [lab.start(program, node, text(node)) for node in (a, b)]
    see(a, a, b, b)
    for joins in (in_fault, in_backup):
        daemons[0].reload(text(a, joins))
        see(b, b, b, b)
        # Nobody forgets for a moment who keeps the group from being MASTER.
        again = daemons[0].reload(text(a, joins) + instance("own", vrid=9, addresses=(f"10.77.9.{joins[-1]}",)))
        lab.wait_holder(f"10.77.9.{joins[-1]}", a, seconds=3)
        assert not daemons[0].logged(r"\(VI_[12]\) Entering", since=again)
        daemons[0].reload(text(a))
        see(a, a, b, b)

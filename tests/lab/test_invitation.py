"""A MASTER whose priority falls: whoever is better takes over after its skew time, whoever is not stays where it is."""

from __future__ import annotations

import time

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.texts import BOTH, global_defs, instance

pytestmark = pytest.mark.lab

VIP = "10.77.0.100"
SLACK = 0.3
"""Seconds that a machine with other work may add."""
FILE = "track_file lowers {\n file /run/number\n init_file 0\n}\n"


@pytest.mark.parametrize("program", BOTH)
def test_the_better_one_need_not_wait_for_a_silence(lab: Lab, program: str) -> None:
    a, b, c = (lab.node(name, {"eth0": f"10.77.0.{number}/24"}) for number, name in enumerate("abc", start=1))
    lowered = instance(priority=100, advert_int=0.5, more="track_file {\n lowers weight 1\n }")
    lab.start_kad(a, global_defs() + FILE + lowered)
    lab.wait_holder(VIP, a, seconds=5)
    for node, priority in ((b, 98), (c, 90)):
        daemon = lab.start(program, node, global_defs() + instance(priority=priority, advert_int=0.5))
        daemon.wait_log("Entering BACKUP STATE")
    # Each has heard the MASTER.
    begin = time.time()
    lab.hub.until(lambda: len(lab.wire.adverts(node="a", since=begin)) >= 2, 3, "two adverts")
    begin = time.time()
    (a.files / "run" / "number").write_text("-5\n")
    lab.wait_holder(VIP, b, seconds=3)
    came = min(event.time for event in lab.moves(VIP, begin) if event.node == "b" and event.added)
    # (256 - 98) / 256 of half a second; by the silence alone it would have been more than a second.
    assert 0.3 < came - begin < 0.309 + SLACK
    assert [advert.priority for advert in lab.wire.adverts(node="a", since=begin)][:3] == [0, 95, 95]
    lab.stays(VIP, b, 2)
    assert not lab.wire.adverts(node="c")
    if program == "kad":
        assert {daemon.node.name for daemon in lab.daemons if daemon.logged("Entering MASTER STATE")} == {"a", "b"}


def test_without_invitation_it_takes_a_silence(pair: tuple[Lab, Node, Node]) -> None:
    lab, a, b = pair
    words = global_defs("vrrp_invite_successor no")
    lab.start_kad(a, words + FILE + instance(priority=100, advert_int=0.5, more="track_file {\n lowers weight 1\n }"))
    lab.wait_holder(VIP, a, seconds=5)
    lab.start_kad(b, words + instance(priority=98, advert_int=0.5)).wait_log("Entering BACKUP STATE")
    begin = time.time()
    lab.hub.until(lambda: len(lab.wire.adverts(node="a", since=begin)) >= 2, 3, "two adverts")
    begin = time.time()
    (a.files / "run" / "number").write_text("-5\n")
    lab.wait_holder(VIP, b, seconds=3)
    # Three intervals and the skew time, less the age of the last advert that counted.
    assert lab.moves(VIP, begin)[-1].time - begin > 1.2
    assert not lab.wire.adverts(node="a", since=begin, priority=0)

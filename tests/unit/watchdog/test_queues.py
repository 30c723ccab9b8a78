"""What waits for a child that does not read: it leaves when there is room, and costs nothing else."""

from __future__ import annotations

from kad.shared import messages
from tests.unit.watchdog import Parent

LARGE = messages.IpvsLeft(slice=bytes(1_000_000))


def test_a_queue_that_a_later_message_empties_leaves_nothing_to_wait_for(parent: Parent) -> None:
    child = parent.child("ipvs")
    parent.rest()
    parent.watchdog.children.send(child.member, LARGE)
    assert parent.is_at_rest()
    # The socket has room again, and it is a message and not the loop that finds it first.
    while child.member.channel is not None and child.member.channel.has_backlog:
        child.read()
        parent.watchdog.children.send(child.member, messages.Ping(number=1))
    assert parent.is_at_rest()
    child.read()
    assert parent.is_at_rest()


def test_what_waits_leaves_when_there_is_room(parent: Parent) -> None:
    child = parent.child("ipvs")
    parent.rest()
    child.read()
    child.received.clear()
    parent.watchdog.children.send(child.member, LARGE)
    parent.until(child.read)
    assert child.received == [LARGE]
    assert parent.is_at_rest()


def test_a_child_that_never_reads_is_replaced_before_much_waits(parent: Parent) -> None:
    child = parent.child("ipvs")
    for _ in range(70):
        parent.watchdog.children.send(child.member, LARGE)
    assert any("it does not read what it is sent" in line for line in parent.log.lines)
    parent.until(lambda: len(parent.lives["ipvs"]) == 2)

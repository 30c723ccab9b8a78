"""What the parent sends again to the next life of a child: what the life before it had not obeyed, and nothing else."""

from __future__ import annotations

import struct

from kad.shared.framing import Frame
from kad.watchdog.process_registry import PROCESS_SPECS
from kad.watchdog.process_specs import Member, Order


def member_with(count: int) -> tuple[Member, list[Order]]:
    """A runner that was sent so many orders, behind two messages of its configuration."""
    member = Member(PROCESS_SPECS["runner"])
    made = []
    for number in range(count):
        order = Order(Frame(1, str(number), struct.pack("=I", number)), number + 3)
        member.orders.append(order)
        made.append(order)
    return member, made


def test_what_was_obeyed_is_not_sent_again() -> None:
    member, made = member_with(4)
    member.page.obey(4)
    member.lose_life()
    assert list(member.orders) == made[2:]
    assert [order.number for order in made[2:]] == [0, 0]


def test_nothing_is_left_of_a_life_that_obeyed_everything() -> None:
    member, _ = member_with(4)
    member.page.obey(6)
    member.lose_life()
    assert not member.orders


def test_what_was_never_sent_waits_whatever_the_life_did() -> None:
    member, made = member_with(1)
    waiting = Order(Frame(1, "later", b""))
    member.orders.append(waiting)
    member.page.obey(9)
    member.lose_life()
    assert list(member.orders) == [waiting]
    assert made[0] not in member.orders


def test_what_two_lives_died_of_is_not_given_to_a_third() -> None:
    member, made = member_with(2)
    member.page.obey(2)
    member.lose_life()
    assert list(member.orders) == made
    member.page.clear()
    made[0].number, made[1].number = 3, 4
    member.page.obey(2)
    member.lose_life()
    assert list(member.orders) == made[1:]

"""The page that a child shares with the parent, across a real fork."""

from __future__ import annotations

import os

from kad.shared.shared_page import LARGEST_FRAME, SLOTS, Page, Spoken, activity_bytes


def test_what_a_child_writes_the_parent_reads() -> None:
    page = Page()
    with page.shared_with_forks():
        child = os.fork()
    if child == 0:
        page.turn(12.5, activity_bytes("receiving on eth0"))
        page.spoke_at[SLOTS - 1], page.sent[SLOTS - 1], page.received[SLOTS - 1] = 12.25, 7, 3
        page.received[0], page.sequence[1] = 9, 1 << 63
        page.obey(41)
        page.mark(SLOTS - 1, 7, bytes(range(16)), (1 << 64) - 1)
        page.mark(0, 0, b"\x0a\x00\x00\x00", 5)
        page.keep_frame(SLOTS - 1, 7, bytes(range(LARGEST_FRAME)))
        page.keep_frame(0, 7, b"abc")
        page.keep_frame(0, 8, b"")
        os._exit(0)
    os.waitpid(child, 0)
    assert page.turned_at == 12.5
    assert page.activity == "receiving on eth0"
    assert page.obeyed == 41
    assert page.spoken(SLOTS - 1) == Spoken(at=12.25, sent=7, received=3)
    assert page.spoken(0) == Spoken(at=0.0, sent=0, received=9)
    assert page.spoken(1) == Spoken(at=0.0, sent=0, received=0, sequence=1 << 63)
    assert page.marks(SLOTS - 1) == ((bytes(range(16)), (1 << 64) - 1),)
    assert page.marks(0) == ((b"\x0a\x00\x00\x00", 5),)
    assert page.frame(SLOTS - 1) == (7, bytes(range(LARGEST_FRAME)))
    assert page.frame(0)[1] == page.frame(1)[1] == b""
    page.mark_anew(0, [(1, b"\x0a\x00\x00\x01", 6)])
    assert page.marks(0) == ((b"\x0a\x00\x00\x01", 6),)


def test_a_new_life_forgets_the_turn_but_not_the_routers() -> None:
    page = Page()
    page.turn(1.0, activity_bytes("x" * 200))
    page.spoke_at[3], page.sent[3], page.received[3] = 0.5, 1, 2
    page.obey(1 << 40)
    assert (page.activity, page.obeyed) == ("x" * 110, 1 << 40)
    page.clear()
    assert (page.turned_at, page.activity, page.obeyed) == (0.0, "", 0)
    assert page.spoken(3) == Spoken(0.5, 1, 2)

"""The page that a child shares with the parent, across a real fork."""

from __future__ import annotations

import gc
import mmap
import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

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


def mapped(name: str) -> bool:
    return f"/memfd:{name}" in Path("/proc/self/maps").read_text()


def in_a_child(page: Page, work: Callable[[], bool]) -> bool:
    """Whether `work` is true in a child that has the page."""
    with page.shared_with_forks():
        child = os.fork()
    if child == 0:
        try:
            os._exit(0 if work() else 1)
        finally:
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_the_parent_never_maps_what_routers_say() -> None:
    page = Page()

    def keep() -> bool:
        page.take_frames()
        page.keep_frame(5, 7, b"with a password")
        return mapped("frames")

    def read() -> bool:
        return page.frame(5) == (7, b"with a password")

    assert in_a_child(page, keep)
    assert in_a_child(page, read)
    assert not mapped("frames")


def test_the_descriptors_are_the_parent_s_alone() -> None:
    page = Page()
    descriptors = page.descriptor, page.frames_descriptor
    assert [os.get_inheritable(each) for each in descriptors] == [False, False]
    assert [os.fstat(each).st_mode & 0o777 for each in descriptors] == [0o600, 0o600]
    # Another program in the parent's place would map it again.
    page.obey(41)
    with mmap.mmap(page.descriptor, 0) as again:
        assert again[120:128] == struct.pack("=Q", 41)
        assert again[-8:] == struct.pack("=Q", 2)

    child = os.fork()
    if child == 0:
        try:
            del page
            gc.collect()
            # The number may be that of another file by then.
            os._exit(0 if all(os.fstat(each) for each in descriptors) else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    del page
    gc.collect()
    for each in descriptors:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(each)

"""The page that a child shares with the parent: alive or not, doing what, and what each router last said, and when.

The parent forks with it, so that it outlives the child; whoever writes never waits and never calls the kernel. What
each router says again and again may hold a password: it is in a memory file of its own, which the child alone maps.
"""

from __future__ import annotations

import mmap
import os
import struct
import sys
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

_TURN = struct.Struct("=d")
_ACTIVITY = struct.Struct("=H110s")
_ACTIVITY_PLACE = 8
_OBEYED_PLACE = 120
_COUNT = struct.Struct("=Q")
_WORD = 8
_COLUMNS = 6
_SLOTS_PLACE = 128
SLOTS = 16384
MARKS = 8
"""Senders a slot whose last number outlives the child."""
_MARK = struct.Struct("=B16sQ")  # length of the source, source, number
_MARKS = MARKS * _MARK.size
_UNMARKED = bytes(_MARKS)
_MARKS_PLACE = _SLOTS_PLACE + SLOTS * _COLUMNS * _WORD
_PARCEL = struct.Struct("=IH186s")  # index of the interface, length of the frame, frame
LARGEST_FRAME = 186
"""Bytes of a frame that a slot can keep."""
_FORMAT_PLACE = _MARKS_PLACE + SLOTS * _MARKS
_SIZE = _FORMAT_PLACE + _COUNT.size
FORMAT = 2
"""Number of this layout, at the end of the page."""


_LATEST = 1e10
"""Seconds; a host does not run for so long."""


def activity_bytes(text: str) -> bytes:
    """What a child does, in a few words (110 bytes at most), as turn() takes it."""
    words = text.encode()[:110]
    return _ACTIVITY.pack(len(words), words)


class Spoken(NamedTuple):
    """What a slot says of one router."""

    at: float
    """Monotonic moment of its last advert; 0.0 when it never sent one."""
    sent: int
    received: int
    sequence: int = 0
    """Of what authenticates its adverts: the next life must not use a number again."""
    interval: float = 0.0
    """Seconds between the adverts of the MASTER that it last heard; 0.0 when it never did."""
    entered_at: float = 0.0
    """Monotonic moment at which it entered its state."""


def _memory_file(name: str, size: int) -> int:
    descriptor = os.memfd_create(name, os.MFD_CLOEXEC)
    os.fchmod(descriptor, 0o600)
    os.ftruncate(descriptor, size)
    return descriptor


def _close(descriptors: tuple[int, ...], owner: int) -> None:
    """In a child the numbers may be those of other files by now."""
    if os.getpid() == owner:
        for descriptor in descriptors:
            os.close(descriptor)


class Page:
    """Shared memory of the parent and one child, in no other process: create it before the fork."""

    def __init__(self) -> None:
        self.descriptor = _memory_file("page", _SIZE)
        """Of the memory file, close-on-exec; another program in the place of the parent would map it again."""
        self.frames_descriptor = _memory_file("frames", SLOTS * _PARCEL.size)
        """Of the memory file of keep_frame(), which the child maps and the parent never does."""
        weakref.finalize(self, _close, (self.descriptor, self.frames_descriptor), os.getpid())
        self._memory = mmap.mmap(self.descriptor, _SIZE)
        self._frames: mmap.mmap | None = None
        self._memory[_FORMAT_PLACE:] = _COUNT.pack(FORMAT)
        self._memory.madvise(mmap.MADV_DONTFORK)
        slots = memoryview(self._memory)[_SLOTS_PLACE:_MARKS_PLACE]
        self.spoke_at = slots.cast("d")[0::_COLUMNS]
        """By slot: the monotonic moment at which the router last sent an advert; 0.0 when it never did."""
        self.sent = slots.cast("Q")[1::_COLUMNS]
        """By slot: adverts that it sent."""
        self.received = slots.cast("Q")[2::_COLUMNS]
        """By slot: adverts that it received."""
        self.sequence = slots.cast("Q")[3::_COLUMNS]
        """By slot: the last number that authenticated an advert of it; the next life must not use one again."""
        self.interval = slots.cast("d")[4::_COLUMNS]
        """By slot: seconds between the adverts of the MASTER that the router last heard; 0.0 when it never did."""
        self.entered_at = slots.cast("d")[5::_COLUMNS]
        """By slot: the monotonic moment at which the router entered its state; 0.0 before it has one."""

    @contextmanager
    def shared_with_forks(self) -> Iterator[None]:
        """What is forked meanwhile has the page too, and nothing else does."""
        self._memory.madvise(mmap.MADV_DOFORK)
        try:
            yield
        finally:
            self._memory.madvise(mmap.MADV_DONTFORK)

    def clear(self) -> None:
        """A new life begins; what was said of the routers stays."""
        self._memory[:_SLOTS_PLACE] = bytes(_SLOTS_PLACE)

    def begin(self, slot: int) -> None:
        """Another router has this slot from now on."""
        self.sent[slot] = self.received[slot] = self.sequence[slot] = 0
        self.interval[slot] = self.entered_at[slot] = 0.0

    def turn(self, now: float, activity: bytes) -> None:
        """The child's loop turns at this monotonic moment, to do this (made by activity_bytes)."""
        _TURN.pack_into(self._memory, 0, now)
        self._memory[_ACTIVITY_PLACE:_OBEYED_PLACE] = activity

    @property
    def turned_at(self) -> float:
        """When the loop last turned; 0.0 before it ever did."""
        return _moment(_TURN.unpack_from(self._memory, 0)[0])

    @property
    def activity(self) -> str:
        """What the child was last doing."""
        length, text = _ACTIVITY.unpack_from(self._memory, _ACTIVITY_PLACE)
        return bytes(text[:length]).decode(errors="replace")

    def obey(self, count: int) -> None:
        """So many messages that are no state were obeyed by this life."""
        _COUNT.pack_into(self._memory, _OBEYED_PLACE, count)

    @property
    def obeyed(self) -> int:
        """What obey() said last; 0 before it did."""
        return int(_COUNT.unpack_from(self._memory, _OBEYED_PLACE)[0])

    def mark(self, slot: int, place: int, source: bytes, number: int) -> None:
        """The router of this slot believed this sender, an address in network order; nothing older counts."""
        at = _MARKS_PLACE + slot * _MARKS + place * _MARK.size
        _MARK.pack_into(self._memory, at, len(source), source, number)

    def mark_anew(self, slot: int, marks: Iterable[tuple[int, bytes, int]]) -> None:
        """Another router has this slot, or the same one believes others: these places, sources, numbers are all."""
        at = _MARKS_PLACE + slot * _MARKS
        self._memory[at : at + _MARKS] = _UNMARKED
        for mark in marks:
            self.mark(slot, *mark)

    def marks(self, slot: int) -> tuple[tuple[bytes, int], ...]:
        """Whom the router of this slot has believed last, and the number of each."""
        at = _MARKS_PLACE + slot * _MARKS
        found = self._memory[at : at + _MARKS]
        if found == _UNMARKED:
            return ()
        return tuple((source[:length], number) for length, source, number in _MARK.iter_unpack(found) if length)

    def keep_frame(self, slot: int, ifindex: int, frame: bytes) -> None:
        """This is what the router of the slot says again and again, and where; an empty frame: nothing."""
        frames, at = self._map_frames(), slot * _PARCEL.size
        # Who is killed in the midst of this leaves none rather than half of one.
        frames[at + 4 : at + 6] = b"\0\0"
        if frame:
            _PARCEL.pack_into(frames, at, ifindex, 0, frame)
            frames[at + 4 : at + 6] = len(frame).to_bytes(2, sys.byteorder)

    def frame(self, slot: int) -> tuple[int, bytes]:
        """The last keep_frame() of the slot: the index of the interface, and the frame."""
        ifindex, length, frame = _PARCEL.unpack_from(self._map_frames(), slot * _PARCEL.size)
        return ifindex, frame[:length]

    def take_frames(self) -> None:
        """In the child, right after the fork: map the memory file of keep_frame(); no descriptor is needed then."""
        self._map_frames()

    def _map_frames(self) -> mmap.mmap:
        """By the first use, if take_frames() has not done it: the parent never does."""
        if self._frames is None:
            self._frames = mmap.mmap(self.frames_descriptor, SLOTS * _PARCEL.size)
        return self._frames

    def spoken(self, slot: int) -> Spoken:
        return Spoken(
            _moment(self.spoke_at[slot]),
            self.sent[slot],
            self.received[slot],
            self.sequence[slot],
            _moment(self.interval[slot]),
            _moment(self.entered_at[slot]),
        )


def _moment(value: float) -> float:
    """What a child wrote there, which may be anything: 0.0 for what is no moment."""
    return value if 0.0 <= value < _LATEST else 0.0

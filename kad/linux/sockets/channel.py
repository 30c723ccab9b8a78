"""A Unix socketpair between the parent and one child: frames and descriptors, never blocking, bounded."""

from __future__ import annotations

import array
import os
import socket
from collections import deque
from collections.abc import Callable, Iterable

from kad.shared.framing import LARGEST_FRAME, Assembler, BadFrame, Frame

_CHUNK = 256 * 1024
_MOST_DESCRIPTORS = 4
_MOST_UNCLAIMED = 16
"""Descriptors that wait for the frame that they belong to."""
LARGEST_BACKLOG = 64 * 1024 * 1024
"""Bytes waiting for a reader that does not read; beyond that the channel is given up."""


class ChannelLost(Exception):
    """The other end is gone, or it does not read what it is sent."""


class ChannelFull(ChannelLost):
    """It does not read what it is sent."""


def pair() -> tuple[socket.socket, socket.socket]:
    """Two connected non-blocking ends."""
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    for end in ends:
        end.setblocking(False)
    return ends


class _Unsent:
    """A frame that waits for room; without data it was replaced by a later one."""

    __slots__ = ("data", "descriptor", "given", "key")

    def __init__(self, key: tuple[int, str] | None, data: bytes, descriptor: int | None, given: bool) -> None:
        self.key = key
        self.given = given
        # What is left of a long frame is not copied for each piece that goes.
        self.data = memoryview(data)
        self.descriptor = descriptor


class Channel:
    """One end; `send` queues and tries, `flush` tries again when the socket can be written."""

    def __init__(self, end: socket.socket, largest: int = LARGEST_FRAME) -> None:
        """`largest`: bytes of a frame that is taken."""
        self._socket = end
        self._assembler = Assembler(largest)
        self._queue: deque[_Unsent] = deque()
        self._states: dict[tuple[int, str], _Unsent] = {}
        """Of the queue, what a later state of the same object replaces."""
        self._backlog = 0
        self._follow: Callable[[bool], None] = lambda _backlog: None
        self._followed = False
        """What was said to `_follow` last."""
        self.descriptors: deque[int] = deque()
        """Received descriptors, in the order of the frames that they came with."""

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._drop_descriptors()
        for unsent in self._queue:
            if unsent.given and unsent.descriptor is not None:
                os.close(unsent.descriptor)
        self._queue.clear()
        self._states.clear()
        self._socket.close()

    def drop_unclaimed(self) -> None:
        """Close the descriptors that came with frames that have no use for them; call it after those are served."""
        if self._assembler.is_between:
            self._drop_descriptors()

    def _drop_descriptors(self) -> None:
        while self.descriptors:
            os.close(self.descriptors.popleft())

    def take_descriptor(self) -> int:
        """That of the frame that is served now, to be closed by the caller. Raises BadFrame: none came with it."""
        if not self.descriptors:
            raise BadFrame("a descriptor is missing")
        return self.descriptors.popleft()

    @property
    def backlog(self) -> int:
        """Bytes that wait for room."""
        return self._backlog

    @property
    def has_backlog(self) -> bool:
        return bool(self._queue)

    def follow_backlog(self, follow: Callable[[bool], None]) -> None:
        """Called with True when frames begin to wait for room, with False when none waits any more.

        The loop follows this value alone, so that it waits for writability exactly as long as frames wait.
        """
        self._follow = follow
        self._followed = False
        self._tell_backlog()

    def _tell_backlog(self) -> None:
        if self.has_backlog != self._followed:
            self._followed = self.has_backlog
            self._follow(self._followed)

    def send(self, frame: Frame, *, state: bool = False, descriptor: int | None = None, given: bool = False) -> None:
        """Queue a frame and send what goes; an unsent state of the same object is replaced. Raises ChannelLost.

        A descriptor that is `given` is closed here once it is sent.
        """
        data = frame.encode()
        if self._backlog + len(data) > LARGEST_BACKLOG:
            if given and descriptor is not None:
                os.close(descriptor)
            raise ChannelFull(f"{self._backlog} bytes wait for a reader that does not read")
        unsent = _Unsent((frame.kind, frame.key) if state else None, data, descriptor, given)
        if unsent.key is not None:
            self._drop_unsent(unsent.key)
            self._states[unsent.key] = unsent
        self._queue.append(unsent)
        self._backlog += len(data)
        self.flush()

    def _drop_unsent(self, key: tuple[int, str]) -> None:
        replaced = self._states.pop(key, None)
        if replaced is not None:
            self._backlog -= len(replaced.data)
            replaced.data = memoryview(b"")

    def flush(self) -> None:
        """Send what the socket takes now. Raises ChannelLost."""
        try:
            self._flush()
        finally:
            self._tell_backlog()

    def _flush(self) -> None:
        while self._queue:
            first = self._queue[0]
            if first.data:
                try:
                    sent = self._send_some(first.data, first.descriptor)
                except (BlockingIOError, InterruptedError):
                    return
                except OSError as error:
                    raise ChannelLost(error.strerror or str(error)) from error
                self._backlog -= sent
                # What has begun must be sent to its end.
                if first.key is not None and self._states.get(first.key) is first:
                    del self._states[first.key]
                if first.given and first.descriptor is not None:
                    os.close(first.descriptor)
                first.data, first.descriptor = first.data[sent:], None
            if not first.data:
                self._queue.popleft()

    def flush_waiting(self) -> None:
        """Send all that is queued before the process leaves, waiting a second at most. Raises ChannelLost."""
        self._socket.settimeout(1.0)
        self.flush()

    def _send_some(self, data: memoryview, descriptor: int | None) -> int:
        if descriptor is None:
            return self._socket.send(data)
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))
        return self._socket.sendmsg([data], [rights])

    def receive(self) -> Iterable[Frame]:
        """Every frame that is complete now; raises ChannelLost at end of file, BadFrame on rubbish."""
        frames: list[Frame] = []
        while True:
            try:
                data, ancillary, _, _ = self._socket.recvmsg(
                    _CHUNK, socket.CMSG_SPACE(_MOST_DESCRIPTORS * array.array("i").itemsize), socket.MSG_CMSG_CLOEXEC
                )
            except (BlockingIOError, InterruptedError):
                return frames
            except OSError as error:
                raise ChannelLost(error.strerror or str(error)) from error
            for level, kind, content in ancillary:
                if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                    received = array.array("i")
                    received.frombytes(content[: len(content) - len(content) % received.itemsize])
                    self.descriptors.extend(received)
                    if len(self.descriptors) > _MOST_UNCLAIMED:
                        self._drop_descriptors()
                        raise BadFrame("descriptors without end")
            if not data:
                if frames:
                    return frames
                raise ChannelLost("end of file")
            frames += self._assembler.feed(data)
            if len(data) < _CHUNK:
                return frames

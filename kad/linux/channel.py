"""A Unix socketpair between the parent and one child: frames and descriptors, never blocking, bounded."""

from __future__ import annotations

import array
import socket
from collections import deque
from collections.abc import Iterable

from kad.messages import Assembler, Frame

_CHUNK = 256 * 1024
_MOST_DESCRIPTORS = 4
LARGEST_BACKLOG = 64 * 1024 * 1024
"""Bytes waiting for a reader that does not read; beyond that the channel is given up."""


class ChannelLost(Exception):
    """The other end is gone, or it does not read what it is sent."""


def pair() -> tuple[socket.socket, socket.socket]:
    """Two connected non-blocking ends."""
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    for end in ends:
        end.setblocking(False)
    return ends


class Channel:
    """One end; `send` queues and tries, `flush` tries again when the socket can be written."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._assembler = Assembler()
        self._queue: deque[tuple[tuple[int, str] | None, bytes, int | None]] = deque()
        self._backlog = 0
        self._partly_sent = False
        self.descriptors: deque[int] = deque()
        """Received descriptors, in the order of the frames that they came with."""

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    @property
    def has_backlog(self) -> bool:
        return bool(self._queue)

    def send(self, frame: Frame, *, state: bool = False, descriptor: int | None = None) -> None:
        """Queue a frame and send what goes; an unsent state of the same object is replaced. Raises ChannelLost."""
        key = (frame.kind, frame.key) if state else None
        if key is not None and self._queue:
            self._drop_unsent(key)
        data = frame.encode()
        self._queue.append((key, data, descriptor))
        self._backlog += len(data)
        if self._backlog > LARGEST_BACKLOG:
            raise ChannelLost(f"{self._backlog} bytes wait for a reader that does not read")
        self.flush()

    def _drop_unsent(self, key: tuple[int, str]) -> None:
        first = 1 if self._partly_sent else 0
        for index in range(first, len(self._queue)):
            if self._queue[index][0] == key:
                self._backlog -= len(self._queue[index][1])
                del self._queue[index]
                return

    def flush(self) -> None:
        """Send what the socket takes now. Raises ChannelLost."""
        while self._queue:
            key, data, descriptor = self._queue[0]
            try:
                sent = self._send_some(data, descriptor)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                raise ChannelLost(error.strerror or str(error)) from error
            self._backlog -= sent
            if sent == len(data):
                self._queue.popleft()
                self._partly_sent = False
            else:
                self._queue[0] = (key, data[sent:], None)
                self._partly_sent = True

    def flush_waiting(self) -> None:
        """Send all that is queued before the process leaves, waiting a second at most. Raises ChannelLost."""
        self._socket.settimeout(1.0)
        self.flush()

    def _send_some(self, data: bytes, descriptor: int | None) -> int:
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
            if not data:
                if frames:
                    return frames
                raise ChannelLost("end of file")
            frames += self._assembler.feed(data)
            if len(data) < _CHUNK:
                return frames

"""One attempt over TCP: connects, agrees on TLS, and lets a conversation speak; each step has its time."""

from __future__ import annotations

import os
from collections.abc import Callable

from kad.checker.background_match import Background, Task
from kad.checker.checker_api import Computation, Conversation, Ended, Outcome
from kad.checker.tcp_check import proxy_header
from kad.checker.tls import Layer, TlsFailed
from kad.linux.sockets import check_socket
from kad.linux.sockets.epoll_set import FAILED, ONCE, READABLE, WRITABLE, Sockets
from kad.model.checker import Connection

_CHUNK = 65536


class StreamAttempt:
    """Without a conversation it has succeeded when it is connected."""

    __slots__ = (
        "_background",
        "_connection",
        "_conversation",
        "_ended",
        "_is_connected",
        "_now",
        "_out",
        "_socket",
        "_sockets",
        "_step_began",
        "_task",
        "_timeout",
        "_tls",
        "_wanted",
        "deadline",
    )

    def __init__(
        self,
        now: Callable[[], float],
        sockets: Sockets,
        connection: Connection,
        ended: Ended,
        conversation: Conversation | None = None,
        tls: Layer | None = None,
        background: Background | None = None,
    ) -> None:
        """Raises Unreachable, Exhausted. Without `background` what is to be computed is computed at once."""
        self._now = now
        self._sockets = sockets
        self._connection = connection
        self._ended = ended
        self._conversation = conversation
        self._tls = tls
        self._background = background
        self._task: Task[bytes | Outcome] | None = None
        """While something is computed."""
        self._out = b""
        self._is_connected = False
        self._socket = check_socket.stream(connection, no_delay=tls is not None)
        self._timeout = connection.timeout
        self._step_began = now()
        self.deadline: float | None = self._step_began + self._timeout
        self._wanted = WRITABLE
        sockets.add(self._socket.fileno(), WRITABLE, self._ready)

    def expire(self) -> None:
        if self._task is not None:
            # One that still waits for the thread behind others says nothing of the server.
            reason = f"the body could not be searched within {self._timeout:g} s"
            self._end(Outcome(False, reason, is_void=not self._task.has_begun))
            return
        if not self._is_connected:
            missing = "no connection"
        elif self._tls is not None and not self._tls.is_ready:
            missing = "no TLS"
        else:
            assert self._conversation is not None
            missing = f"no {self._conversation.awaited.removeprefix('the ')}"
        self._end(Outcome(False, f"{missing} within {self._timeout:g} s"))

    def allow(self, timeout: float) -> None:
        self._timeout = timeout
        if self.deadline is not None:
            self.deadline = self._step_began + timeout

    def cancel(self) -> None:
        if self.deadline is None:
            return
        self.deadline = None
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self._sockets.forget(self._socket.fileno())
        self._socket.close()

    def _end(self, outcome: Outcome) -> None:
        if self.deadline is None:
            return
        if self._tls is not None:
            outcome = outcome._replace(expires=self._tls.expires)
        self.cancel()
        self._conversation = self._tls = None
        self._out = b""
        self._ended(outcome)

    def _ready(self, events: int) -> None:
        if self.deadline is None or self._task is not None:
            return
        if not self._is_connected:
            self._connected(events)
            return
        if events & WRITABLE:
            self._flush()
        if events & ~WRITABLE and self.deadline is not None:
            self._readable()

    def _connected(self, events: int) -> None:
        """The connection was made, or was not."""
        reason = check_socket.failure(self._socket) if events & FAILED else ""
        if reason:
            self._end(Outcome(False, reason))
            return
        try:
            self._out = proxy_header(self._connection.proxy_protocol, self._socket)
        except OSError as error:
            self._end(Outcome(False, os.strerror(error.errno or 0)))
            return
        if self._conversation is None:
            # The header is small, and the buffer of a new connection is empty.
            if self._out:
                self._socket.send(self._out)
            self._end(Outcome(True, "connected"))
            return
        self._is_connected = True
        if self._tls is not None:
            self._tls.begin()
            self._out += self._tls.outgoing()
        else:
            self._out += self._conversation.begin()
        self._step()
        self._flush()

    def _step(self) -> None:
        """The next step has its own time."""
        self._step_began = self._now()
        self.deadline = self._step_began + self._timeout

    def _flush(self) -> None:
        try:
            while self._out:
                sent = self._socket.send(self._out)
                self._out = self._out[sent:]
        except BlockingIOError:
            pass
        except OSError as error:
            self._broken(error)
            return
        wanted = READABLE | WRITABLE if self._out else READABLE
        if wanted != self._wanted:
            self._wanted = wanted
            self._sockets.change(self._socket.fileno(), wanted)

    def _readable(self) -> None:
        try:
            data = self._socket.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError as error:
            self._broken(error)
            return
        if self._tls is None:
            self._hear(data, ended=not data)
            return
        tls = self._tls
        was_ready = tls.is_ready
        try:
            if data:
                plain = tls.take(data)
            else:
                plain = b""
                tls.end()
        except TlsFailed as failed:
            self._end(Outcome(False, str(failed)))
            return
        if tls.is_ready and not was_ready:
            self._step()
            assert self._conversation is not None
            self._say(self._conversation.begin())
        self._hear(plain, ended=tls.has_ended or not data)

    def _hear(self, data: bytes, *, ended: bool) -> None:
        assert self._conversation is not None
        self._go_on(self._conversation.hear(data) if data else b"", ended=ended)

    def _go_on(self, said: bytes | Outcome | Computation, *, ended: bool) -> None:
        if ended and isinstance(said, bytes):
            assert self._conversation is not None
            said = self._conversation.end()
        if isinstance(said, Computation):
            self._compute(said, ended=ended)
            return
        if isinstance(said, Outcome):
            self._part()
            self._end(said)
            return
        if said:
            self._step()
            self._say(said)
        elif self._tls is not None:
            self._out += self._tls.outgoing()
        self._flush()

    def _compute(self, computation: Computation, *, ended: bool) -> None:
        """Nothing is read meanwhile."""
        if self._background is None:
            self._go_on(computation.compute(), ended=ended)
            return

        def computed(said: bytes | Outcome) -> None:
            self._task = None
            self._step()
            self._wanted = READABLE
            self._sockets.change(self._socket.fileno(), READABLE)
            self._go_on(said, ended=ended)

        self._wanted = ONCE
        self._sockets.change(self._socket.fileno(), ONCE)
        self._task = self._background.begin(computation.compute, computed)

    def _say(self, data: bytes) -> None:
        if self._tls is None:
            self._out += data
        else:
            self._tls.say(data)
            self._out += self._tls.outgoing()

    def _part(self) -> None:
        """End TLS in order, as far as the server still listens."""
        if self._tls is None:
            return
        self._tls.close()
        try:
            self._socket.send(self._out + self._tls.outgoing())
        except OSError:
            return

    def _broken(self, error: OSError) -> None:
        self._end(Outcome(False, os.strerror(error.errno or 0)))

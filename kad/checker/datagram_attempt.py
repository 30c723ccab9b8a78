"""One attempt by datagrams: one is sent, and what comes back, an error of the network or silence decides."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable

from kad.checker.checker_api import Ended, Outcome
from kad.child.multiplexer import Mux

_LARGEST = 65536
_MOST_AT_ONCE = 16


class Exchange:
    """`judge` says what a datagram means (None: it is not for us), `silence` what so many seconds without one mean."""

    __slots__ = ("_began", "_ended", "_judge", "_mux", "_silence", "_socket", "_timeout", "deadline")

    def __init__(
        self,
        mux: Mux,
        sock: socket.socket,
        timeout: float,
        judge: Callable[[bytes], Outcome | None],
        silence: Callable[[float], Outcome],
        ended: Ended,
    ) -> None:
        self._mux = mux
        self._socket = sock
        self._judge = judge
        self._silence = silence
        self._ended = ended
        self._began = mux.now()
        self._timeout = timeout
        self.deadline: float | None = self._began + timeout
        mux.watch(sock.fileno(), self._readable, "checking servers")

    def expire(self) -> None:
        self._end(self._silence(self._timeout))

    def allow(self, timeout: float) -> None:
        self._timeout = timeout
        if self.deadline is not None:
            self.deadline = self._began + timeout

    def cancel(self) -> None:
        if self.deadline is not None:
            self.deadline = None
            self._mux.unwatch(self._socket.fileno())
            self._socket.close()

    def _end(self, outcome: Outcome) -> None:
        if self.deadline is not None:
            self.cancel()
            self._ended(outcome)

    def _readable(self) -> None:
        for _ in range(_MOST_AT_ONCE):
            try:
                data = self._socket.recv(_LARGEST)
            except BlockingIOError:
                return
            except OSError as error:
                self._end(Outcome(False, os.strerror(error.errno or 0)))
                return
            outcome = self._judge(data)
            if outcome is not None:
                self._end(outcome)
                return

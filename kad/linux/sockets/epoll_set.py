"""Many sockets behind one descriptor: each costs a call to come, and none to leave."""

from __future__ import annotations

import select
from collections.abc import Callable

READABLE = select.EPOLLIN
WRITABLE = select.EPOLLOUT
ONCE = select.EPOLLONESHOT
"""Wanted beside one of these: told once, and not again before it is wanted anew by change()."""
FAILED = select.EPOLLERR | select.EPOLLHUP
"""Told of whether it is wanted or not; reading tells why."""
_MOST_AT_ONCE = 64

Ready = Callable[[int], None]
"""Told what the socket is: READABLE, WRITABLE, FAILED, or several of them."""


class Sockets:
    """An epoll of its own, readable while one of the sockets is ready: then serve() is to be called."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._told: dict[int, Ready] = {}

    def fileno(self) -> int:
        return self._epoll.fileno()

    def add(self, descriptor: int, wanted: int, ready: Ready) -> None:
        self._epoll.register(descriptor, wanted)
        self._told[descriptor] = ready

    def change(self, descriptor: int, wanted: int) -> None:
        self._epoll.modify(descriptor, wanted)

    def forget(self, descriptor: int) -> None:
        """It is closed now, and nobody else has it: with that the kernel forgets it too."""
        del self._told[descriptor]

    def serve(self) -> None:
        """Tell some of those that are ready; one that was forgotten meanwhile may still be told."""
        self._serve_some()

    def serve_all(self) -> None:
        """Tell each that is ready now."""
        # Whoever is ready again waits behind the others.
        for _ in range(len(self._told) // _MOST_AT_ONCE + 1):
            if self._serve_some() < _MOST_AT_ONCE:
                return

    def _serve_some(self) -> int:
        found = self._epoll.poll(0, _MOST_AT_ONCE)
        # The number of one that leaves may be that of one that comes, which is not meant.
        for ready, events in [(self._told[descriptor], events) for descriptor, events in found]:
            ready(events)
        return len(found)

"""Descriptors that the parent waits for, and the function that serves each of them."""

from __future__ import annotations

import select
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass


@dataclass(frozen=True, eq=False)
class _Watch:
    """One registration; another registration of the same number is another object."""

    callback: Callable[[], None]


class Poll:
    """Level-triggered: a callback is called in each turn in which its descriptor is ready."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._watches: dict[int, _Watch] = {}

    def watch(self, descriptor: int, callback: Callable[[], None], *, read: bool = True, write: bool = False) -> None:
        """Replaces what the descriptor was watched for. Raises OSError: it is not open, or cannot be waited for."""
        events = (select.EPOLLIN if read else 0) | (select.EPOLLOUT if write else 0)
        try:
            self._epoll.register(descriptor, events)
        except FileExistsError:
            self._epoll.modify(descriptor, events)
        self._watches[descriptor] = _Watch(callback)

    def unwatch(self, descriptor: int) -> None:
        """Does nothing for a descriptor that is not watched. To be called before the descriptor is closed."""
        if self._watches.pop(descriptor, None) is not None:
            # A descriptor that was closed first has left by itself.
            with suppress(OSError):
                self._epoll.unregister(descriptor)

    def ready(self, timeout: float | None) -> list[Callable[[], None]]:
        """Wait for so many seconds at most (None: without a limit); the calls that serve what is ready.

        A call does nothing when an earlier one of the batch has unwatched its descriptor or has it watched anew: the
        number may be that of another file by then.
        """
        found = [(descriptor, self._watches.get(descriptor)) for descriptor, _ in self._epoll.poll(timeout)]
        return [self._guarded(descriptor, watch) for descriptor, watch in found if watch is not None]

    def _guarded(self, descriptor: int, watch: _Watch) -> Callable[[], None]:
        def call() -> None:
            if self._watches.get(descriptor) is watch:
                watch.callback()

        return call

    def close(self) -> None:
        self._epoll.close()

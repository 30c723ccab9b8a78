"""The parent's event loop: descriptors and deadlines, each with the function that serves it."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

_LATE = 0.5
"""Seconds by which a turn may be late before that is reported."""
_LONGEST_WAIT = 3600.0
"""Seconds after which the loop turns, whatever it waits for."""


class Timed(Protocol):
    """Something with a deadline."""

    @property
    def deadline(self) -> float | None:
        """Monotonic seconds; None: it waits for no moment."""

    def fall_due(self, now: float) -> None:
        """Called in each turn, also before the deadline."""


@dataclass(frozen=True, eq=False)
class _Watch:
    """One registration; another registration of the same number is another object."""

    callback: Callable[[], None]


class SelectorLoop:
    """Level-triggered: a callback is called in each turn in which its descriptor is ready."""

    def __init__(self, on_late: Callable[[float], None]) -> None:
        """`on_late` is given the seconds by which the process slept longer than it wanted to."""
        self._epoll = select.epoll()
        self._watches: dict[int, _Watch] = {}
        self._timed: list[Timed] = []
        self._on_late = on_late

    def add(self, timed: Timed) -> None:
        """Serve its deadlines, in every turn after those that were added before."""
        self._timed.append(timed)

    def watch(
        self,
        descriptor: socket.socket | int,
        callback: Callable[[], None],
        *,
        read: bool = True,
        write: bool = False,
    ) -> None:
        """Replaces what the descriptor was watched for. Raises OSError: it is not open, or cannot be waited for."""
        number = _number(descriptor)
        events = (select.EPOLLIN if read else 0) | (select.EPOLLOUT if write else 0)
        try:
            self._epoll.register(number, events)
        except FileExistsError:
            self._epoll.modify(number, events)
        self._watches[number] = _Watch(callback)

    def unwatch(self, descriptor: socket.socket | int) -> None:
        """Does nothing for a descriptor that is not watched. To be called before the descriptor is closed."""
        number = _number(descriptor)
        if self._watches.pop(number, None) is not None:
            # A descriptor that was closed first has left by itself.
            with suppress(OSError):
                self._epoll.unregister(number)

    def turn(self) -> None:
        """Wait for what comes next, and serve it."""
        wait, begun = self.wait(), time.monotonic()
        calls = self.ready(wait)
        if wait is not None and (late := time.monotonic() - begun - wait) > _LATE:
            self._on_late(late)
        for serve in calls:
            serve()
        self.fall_due()

    def fall_due(self) -> None:
        """Serve every deadline that has come."""
        now = time.monotonic()
        for timed in self._timed:
            timed.fall_due(now)

    def wait(self) -> float | None:
        """Seconds until the next deadline; None: there is none."""
        deadlines = (timed.deadline for timed in self._timed)
        earliest = min((deadline for deadline in deadlines if deadline is not None), default=None)
        return None if earliest is None else min(max(0.0, earliest - time.monotonic()), _LONGEST_WAIT)

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


def _number(descriptor: socket.socket | int) -> int:
    return descriptor if isinstance(descriptor, int) else descriptor.fileno()

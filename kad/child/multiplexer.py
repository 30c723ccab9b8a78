"""The I/O multiplexer that serves every child: descriptors, moments and the end of the loop, on uvloop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import uvloop

from kad.linux.process.timerfd import Timer
from kad.shared.shared_page import Page, activity_bytes

T = TypeVar("T")


class Moment:
    """A callback that was asked for at some time; cancel() forgets it."""

    __slots__ = ("_handle", "_mux", "_noted", "when")

    def __init__(self, mux: Mux, when: float, callback: Callable[[], None]) -> None:
        self._mux = mux
        self.when = when
        self._handle: asyncio.TimerHandle | None = None
        self._noted = mux.noted(callback, "serving a moment")
        self.arm()

    def arm(self) -> None:
        self._handle = self._mux.loop.call_later(max(0.0, self.when - self._mux.now()), self._come)

    def cancel(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _come(self) -> None:
        # uvloop's timers fire up to 1.3 ms early; nobody is told before the moment.
        if self._mux.now() < self.when:
            self.arm()
        else:
            self._handle = None
            self._noted()


class Mux:
    """One uvloop loop; all times are seconds of CLOCK_MONOTONIC."""

    def __init__(self, page: Page | None = None) -> None:
        self.page = page or Page()
        self.loop = uvloop.new_event_loop()
        self.now: Callable[[], float] = time.monotonic
        self._tasks: set[asyncio.Task[Any]] = set()

    def watch(self, descriptor: int, callback: Callable[[], None], activity: str = "reading") -> None:
        """Call whenever the descriptor can be read; the page tells that this is what the process does then."""
        self.loop.add_reader(descriptor, self.noted(callback, activity))

    def noted(self, callback: Callable[[], None], activity: str) -> Callable[[], None]:
        """The callback, with a note on the page that it began."""
        note = self.sign_of_life(activity)

        def begin() -> None:
            note()
            callback()

        return begin

    def sign_of_life(self, activity: str) -> Callable[[], None]:
        """What to call in the midst of much work: the page tells that this process gets on with it."""
        turn, now, words = self.page.turn, self.now, activity_bytes(activity)
        return lambda: turn(now(), words)

    def unwatch(self, descriptor: int) -> None:
        self.loop.remove_reader(descriptor)

    def watch_writable(self, descriptor: int, callback: Callable[[], None]) -> None:
        """Call whenever the descriptor can be written."""
        self.loop.add_writer(descriptor, callback)

    def unwatch_writable(self, descriptor: int) -> None:
        self.loop.remove_writer(descriptor)

    def at(self, when: float, callback: Callable[[], None]) -> Moment:
        """Call once at that moment, never before it; a few ms late."""
        return Moment(self, when, callback)

    def alarm(self, callback: Callable[[], None]) -> Alarm:
        """A precise timer that is set again and again (one timerfd)."""
        return Alarm(self, callback)

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run a coroutine beside the callbacks; the loop keeps it alive."""
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def run(self) -> None:
        """Serve until stop()."""
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    def stop(self) -> None:
        self.loop.stop()


class Alarm:
    """One timerfd; set() moves its moment, None switches it off."""

    __slots__ = ("_callback", "_timer", "_when")

    def __init__(self, mux: Mux, callback: Callable[[], None]) -> None:
        self._timer = Timer()
        self._callback = callback
        self._when: float | None = None
        mux.watch(self._timer.fileno(), self._come, "serving deadlines")

    def set(self, when: float | None) -> None:
        if when != self._when:
            self._when = when
            self._timer.arm(when)

    def _come(self) -> None:
        self._when = None
        self._callback()
        if self._when is None:
            self._timer.clear()

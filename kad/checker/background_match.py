"""Computations that may take long, one after the other in a thread of their own, so that the loop serves others."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Generic, TypeVar

from kad.child.multiplexer import Mux

T = TypeVar("T")


class Task(Generic[T]):
    """One computation; `done` is called in the loop with its result, unless it was cancelled."""

    def __init__(self, compute: Callable[[], T], done: Callable[[T], None]) -> None:
        self._compute = compute
        self._done = done
        self.has_begun = False
        self._is_cancelled = False

    def cancel(self) -> None:
        self._is_cancelled = True

    def run(self, loop: asyncio.AbstractEventLoop) -> None:
        """In the thread."""
        if self._is_cancelled:
            return
        self.has_begun = True
        try:
            then = partial(self._finish, self._compute())
        except Exception as error:
            # It ends the process in the loop, as every error of kad's own does.
            then = partial(_raise, error)
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(then)

    def _finish(self, result: T) -> None:
        if not self._is_cancelled:
            self._done(result)


class Background:
    """The thread begins with the first task."""

    def __init__(self, mux: Mux) -> None:
        self._mux = mux
        self._executor = ThreadPoolExecutor(1, "computation", _without_real_time)

    def begin(self, compute: Callable[[], T], done: Callable[[T], None]) -> Task[T]:
        task = Task(compute, done)
        self._executor.submit(task.run, self._mux.loop)
        return task


def _raise(error: Exception) -> None:
    raise error


def _without_real_time() -> None:
    """Linux has a scheduler for each thread: the loop's stays as it is."""
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))

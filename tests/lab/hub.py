"""One thread watches every socket, pipe and process of a lab, and wakes whoever waits for something to come true."""

from __future__ import annotations

import contextlib
import selectors
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


BUSY = 5
"""A busy machine takes so many times longer than an idle one; bounds are asserted on what was seen, not by waiting."""


class Late(AssertionError):
    """What was awaited did not happen before its deadline."""


class Hub:
    """Callbacks run in the hub's thread with the lock held; `until` looks again after each of them."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._changed = threading.Condition()
        self._open = True
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._turn, name="hub", daemon=True)
        self._thread.start()

    def watch(self, source: Any, readable: Callable[[], None]) -> None:
        """Call `readable` whenever the source (a socket, a pipe, a pidfd) has something."""
        with self._changed:
            self._selector.register(source, selectors.EVENT_READ, readable)

    def forget(self, source: Any) -> None:
        """No callback runs for the source after this returned."""
        with self._changed, contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(source)

    def until(self, condition: Callable[[], T | None], seconds: float, what: str | Callable[[], str]) -> T:
        """The first true value of the condition; raises Late when there is none within BUSY times so many seconds."""
        return self._within(condition, seconds * BUSY, what)

    def _within(self, condition: Callable[[], T | None], seconds: float, what: str | Callable[[], str]) -> T:
        deadline = time.monotonic() + seconds
        with self._changed:
            while True:
                if self._failure is not None:
                    raise RuntimeError("the watching thread failed") from self._failure
                value = condition()
                if value:
                    return value
                left = deadline - time.monotonic()
                if left <= 0:
                    raise Late(f"not within {seconds:g} s: {what if isinstance(what, str) else what()}")
                # Conditions may also ask the kernel, which sends no event here: look at least so often.
                self._changed.wait(min(left, 0.05))

    def never(self, condition: Callable[[], Any], seconds: float, what: str) -> None:
        """The condition stays false for so many seconds."""
        with contextlib.suppress(Late):
            value = self._within(condition, seconds, what)
            raise AssertionError(f"{what}: {value}")

    def close(self) -> None:
        self._open = False
        self._thread.join(5)
        self._selector.close()

    def _turn(self) -> None:
        try:
            while self._open:
                for key, _ in self._selector.select(0.1):
                    with self._changed:
                        if key.fd in self._selector.get_map():
                            key.data()
                        self._changed.notify_all()
        except BaseException as error:
            with self._changed:
                self._failure = error
                self._changed.notify_all()

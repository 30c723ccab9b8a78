"""One timer for everything of this process that waits for a moment, served in small portions."""

from __future__ import annotations

from collections.abc import Callable

from kad.child.multiplexer import Moment, Mux
from kad.shared.state_machine import Deadlines, Timed

_LATE = 0.5
_PORTION = 0.004
"""Seconds that deadlines are served before other events of the loop have their turn."""


class Schedule:
    """Who is due is called with the moment; a machine whose deadline may have changed is watched again."""

    def __init__(self, mux: Mux) -> None:
        self._mux = mux
        self._deadlines: Deadlines[Timed] = Deadlines()
        self._due: dict[int, Callable[[float], None]] = {}
        self._timer: Moment | None = None
        self._slept: list[Callable[[], None]] = []

    def watch(self, machine: Timed, due: Callable[[float], None]) -> None:
        """Look at its deadline again."""
        self._due[id(machine)] = due
        self._deadlines.watch(machine)
        self._arm()

    def when_slept(self, callback: Callable[[], None]) -> None:
        """Call before anything is served so late that this process cannot have run meanwhile."""
        self._slept.append(callback)

    def forget(self, machine: Timed) -> None:
        """It no longer waits for anything."""
        self._deadlines.forget(machine)
        self._due.pop(id(machine), None)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _arm(self) -> None:
        wanted = self._deadlines.next()
        if self._timer is not None:
            if self._timer.when == wanted:
                return
            self._timer.cancel()
            self._timer = None
        if wanted is not None:
            self._timer = self._mux.at(wanted, self._fall_due)

    def _fall_due(self) -> None:
        self._timer = None
        begun, wanted = self._mux.now(), self._deadlines.next()
        if wanted is not None and begun - wanted > _LATE:
            for callback in self._slept:
                callback()
        for machine in self._deadlines.due(begun):
            self._due[id(machine)](begun)
            if self._mux.now() - begun > _PORTION:
                break
        self._arm()

"""Tracked processes: how many there are, judged by their quorum, told when the verdict changes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from kad.child.multiplexer import Moment, Mux
from kad.model.tracking import TrackedProcess
from kad.runner.process.deadline_timer import Schedule
from kad.runner.process.process_monitor import Census, Watch
from kad.shared.log import Logger
from kad.shared.messages import Message, Observation
from kad.shared.state_machine import DeadlineReached
from kad.tracking.process_quorum import Counted, Observe, ProcessQuorum, Reconfigured

_LOOK_EVERY = 1.0
"""Seconds, where the kernel tells of no births."""


@dataclass(slots=True)
class Watched:
    """A vrrp_track_process."""

    quorum: ProcessQuorum
    since: float
    """UNIX time at which the value last changed."""
    watch: Watch
    changed: Callable[[], None]


class Processes:
    """All vrrp_track_process blocks of a configuration."""

    def __init__(
        self, mux: Mux, say: Callable[[Message], None], log: Logger, census: Census, schedule: Schedule
    ) -> None:
        self._mux = mux
        self._say = say
        self._log = log
        self._census = census
        self._schedule = schedule
        self._processes: dict[str, Watched] = {}
        self._timer: Moment | None = None

    def configure(self, wanted: tuple[TrackedProcess, ...], earlier: dict[str, Observation]) -> None:
        """Count these alone; what is equal is not touched."""
        configured = {tracked.name: tracked for tracked in wanted}
        for name, watched in list(self._processes.items()):
            if name not in configured:
                self._remove(name)
            elif watched.quorum.tracked.pattern != configured[name].pattern:
                self._recount(watched, configured[name])
            elif watched.quorum.tracked != configured[name]:
                self._feed(watched, Reconfigured(configured[name]))
        added = [
            self._add(tracked, earlier.get(name)) for name, tracked in configured.items() if name not in self._processes
        ]
        if added:
            self._census.scan()  # once for all of them
        for watched in added:
            watched.changed()
        self._look()

    def stop(self) -> None:
        """Nothing is counted any more."""
        for name in list(self._processes):
            self._remove(name)
        if self._timer is not None:
            self._timer.cancel()

    def snapshot(self) -> list[dict[str, object]]:
        return [
            {
                "name": name,
                "process": str(watched.quorum.tracked.pattern),
                "number": watched.quorum.number,
                "quorum": watched.quorum.tracked.quorum,
                "quorum_max": watched.quorum.tracked.quorum_max,
                "fork_delay": watched.quorum.tracked.fork_delay,
                "terminate_delay": watched.quorum.tracked.terminate_delay,
                "value": watched.quorum.value,
                "since": watched.since,
                "reason": watched.quorum.reason,
            }
            for name, watched in self._processes.items()
        ]

    def _add(self, tracked: TrackedProcess, earlier: Observation | None) -> Watched:
        quorum, since = ProcessQuorum(tracked), time.time()
        if earlier is not None and earlier.value is not None:
            quorum.resume(earlier.value, earlier.reason)
            since = earlier.since

        def changed() -> None:
            self._feed(watched, Counted(len(watched.watch.pids)))

        watched = Watched(quorum, since, self._census.watch(tracked.pattern, changed), changed)
        self._processes[tracked.name] = watched
        if quorum.value is not None:
            self._tell(watched)
        return watched

    def _recount(self, watched: Watched, tracked: TrackedProcess) -> None:
        """Other processes are meant now; the old value stands until they are counted."""
        old = watched.watch
        watched.watch = self._census.watch(tracked.pattern, watched.changed)
        self._census.unwatch(old, watched.changed)
        watched.quorum.tracked = tracked
        watched.quorum.number = None
        self._census.scan()
        watched.changed()

    def _remove(self, name: str) -> None:
        watched = self._processes.pop(name)
        self._census.unwatch(watched.watch, watched.changed)
        self._schedule.forget(watched.quorum)
        self._say(
            Observation(
                kind="process", name=name, value=None, since=time.time(), reason="no longer configured", deleted=True
            )
        )

    def _feed(self, watched: Watched, event: Counted | Reconfigured | DeadlineReached) -> None:
        for observed in watched.quorum.handle(event, self._mux.now()):
            watched.since = time.time()
            self._report(watched, observed)
            self._tell(watched)
        self._schedule.watch(watched.quorum, lambda now: self._feed(watched, DeadlineReached()))

    def _report(self, watched: Watched, observed: Observe) -> None:
        name = watched.quorum.tracked.name
        self._log.info(f"Quorum {'gained' if observed.value else 'lost'} for tracked process {name}: {observed.reason}")

    def _tell(self, watched: Watched) -> None:
        quorum = watched.quorum
        death = watched.watch.death
        reason = f"{quorum.reason}, {death}" if death is not None and quorum.value == 0 else quorum.reason
        self._say(
            Observation(
                kind="process", name=quorum.tracked.name, value=quorum.value, since=watched.since, reason=reason
            )
        )

    def _look(self) -> None:
        """Where births are not told, look for them again and again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._processes:
            if not self._census.knows_births:
                self._census.scan()
            self._timer = self._mux.at(self._mux.now() + _LOOK_EVERY, self._look)

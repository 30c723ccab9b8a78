"""Which processes of this host match what is watched: deaths by pidfd, births by the kernel's events or by looking."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace

from kad.child.multiplexer import Moment, Mux
from kad.linux.netlink.process_events import Born, Ended, Executed, Listening, ProcessEvents, Renamed
from kad.linux.netlink.socket import Overrun
from kad.linux.process import proc_table
from kad.linux.process.proc_table import Process
from kad.linux.process.process import pidfd_open
from kad.linux.refused import Refused
from kad.model.program_end import ProcessEnd
from kad.model.tracking import Pattern
from kad.shared.log import Logger

_MOST_PIDFDS = 256
"""Of more processes the deaths are learned from events, or by looking."""
_FRESH = 0.02
"""Seconds for which what was seen still holds: checks that fall due together share one look."""
_BATCHES = 16
"""Of events that are read before others have their turn."""
_SETTLE = 0.1
"""Seconds between lost events and the look that makes up for them: they come in storms."""
_LAST_WORDS = 0.001
"""Seconds for which an end waits for the news how it came about."""
_EXEC = 0.1
"""Seconds for which a process without arguments may be in the middle of an exec; beyond that it has none."""
_EXEC_LOOK = 0.002
"""Seconds until it is looked at again."""
_TRUST = 5.0
"""Seconds for which the kernel's silence is believed when somebody asks for a process that is not there."""


@dataclass(frozen=True, slots=True)
class Death:
    """The last end of a process that matched."""

    pid: int
    at: float
    """UNIX time."""
    ending: ProcessEnd | None
    """None where the kernel did not tell."""

    def __str__(self) -> str:
        clock = time.strftime("%H:%M:%S", time.localtime(self.at)) + f".{int(self.at % 1 * 1000):03d}"
        return f"since {clock} (pid {self.pid} {self.ending or 'ended'})"


@dataclass(slots=True)
class Member:
    """A living process that matches."""

    started: int
    pidfd: int | None
    ending: ProcessEnd | None = None
    """Told before the end is seen."""


@dataclass(eq=False, slots=True)
class Watch:
    """What is known of one pattern."""

    pattern: Pattern
    pids: set[int] = field(default_factory=set)
    listeners: list[Callable[[], None]] = field(default_factory=list)
    """Called when the number of processes changed, also when it changed twice in one turn."""
    death: Death | None = None
    looked_at: float = -1.0
    """Monotonic: when the processes above were last seen to be there still."""


class Census:
    """All watches of this process; nothing is opened or read before the first one."""

    def __init__(self, mux: Mux, log: Logger) -> None:
        self._mux = mux
        self._log = log
        self._watches: dict[Pattern, Watch] = {}
        self._candidates: dict[str, tuple[Watch, ...]] = {}
        """By short name, so that most processes cost no comparison."""
        self._members: dict[int, Member] = {}
        self._events: ProcessEvents | None = None
        self._listening = False
        self._scanned_at = -1.0
        self._changed: set[Watch] = set()
        self._telling = False
        self._receive_buffer = 0
        self._seen: set[int] = set()
        """Who was there at the last look at all."""
        self._pidfds = 0
        self._missed: set[int] = set()
        """Who was gone before the news of it was read: what it left behind is looked at."""
        self._unfinished: dict[int, float] = {}
        """Who is perhaps in the middle of an exec, and since when."""
        self._unexplained: set[int] = set()
        """Who ended, and it is not known yet how."""
        self._second_look: Moment | None = None
        self.scans = 0
        self.overruns = 0

    @property
    def knows_births(self) -> bool:
        """The kernel tells of every new process; elsewhere they are found by looking."""
        return self._listening

    def configure(self, receive_buffer: int) -> None:
        """Bytes that may wait unread; 0 is as many as kad thinks fit."""
        if receive_buffer != self._receive_buffer:
            self._receive_buffer = receive_buffer
            if self._events is not None:
                self._stop_listening()
                self._listen()

    def watch(self, pattern: Pattern, changed: Callable[[], None]) -> Watch:
        """Count such processes from now on, and call at every change of the number."""
        if not self._watches:
            self._listen()
        watch = self._watches.get(pattern)
        if watch is None:
            watch = self._watches[pattern] = Watch(pattern)
            self._candidates.clear()
            self._scanned_at = -1.0
        watch.listeners.append(changed)
        return watch

    def unwatch(self, watch: Watch, changed: Callable[[], None]) -> None:
        """The counterpart of watch()."""
        watch.listeners.remove(changed)
        if watch.listeners:
            return
        del self._watches[watch.pattern]
        self._candidates.clear()
        for pid in list(watch.pids):
            self._leave(watch, pid)
        self._changed.discard(watch)
        if not self._watches:
            self._stop_listening()

    def look_again(self, watch: Watch) -> bool:
        """Whether there is any, made sure now: one that was seen is seen again, and without one all are looked at."""
        now = self._mux.now()
        if now - max(watch.looked_at, self._scanned_at) > _FRESH:
            for pid in list(watch.pids):
                self._examine(pid)
                if pid in watch.pids:
                    break
            watch.looked_at = now
        if not watch.pids and (not self._listening or self._scanned_at < 0 or now - self._scanned_at > _TRUST):
            self.scan()
        self._tell()
        return bool(watch.pids)

    def scan(self) -> None:
        """Look at every process, unless that was done a moment ago."""
        now = self._mux.now()
        if self._scanned_at >= 0 and now - self._scanned_at <= _FRESH:
            return
        self.scans += 1
        pids = proc_table.all_pids()
        for pid in self._members.keys() - set(pids):
            self._lose(pid)
        for pid in pids:
            self._examine(pid)
        self._seen = set(pids)
        self._scanned_at = self._mux.now()
        self._tell()

    def close(self) -> None:
        """Let go of everything."""
        for watch in self._watches.values():
            watch.listeners.clear()
        self._watches.clear()
        for pid in list(self._members):
            self._lose(pid)
        self._stop_listening()

    def snapshot(self) -> dict[str, object]:
        return {
            "births": "events" if self._listening else "scans" if self._watches else "nobody asks",
            "scans": self.scans,
            "overruns": self.overruns,
            "watches": {
                f"{type(pattern).__name__} {pattern}": sorted(watch.pids) for pattern, watch in self._watches.items()
            },
        }

    # what the kernel says

    def _listen(self) -> None:
        try:
            self._events = ProcessEvents.open(self._receive_buffer) if self._receive_buffer else ProcessEvents.open()
        except Refused as refused:
            self._log.info(f"New processes are found by looking each interval: {refused}")
            return
        self._mux.watch(self._events.fileno(), self._hear, "hearing of processes")

    def _stop_listening(self) -> None:
        self._listening = False
        self._unexplained.clear()
        if self._second_look is not None:
            self._second_look.cancel()
            self._second_look = None
        if self._events is not None:
            self._mux.unwatch(self._events.fileno())
            self._events.close()
            self._events = None

    def _hear(self) -> None:
        for _ in range(_BATCHES):
            if not self._take_events():
                break
        self._tell()

    def _take_events(self) -> int:
        """How many there were."""
        if self._events is None:
            return 0
        try:
            events = self._events.receive()
        except Overrun:
            self.overruns += 1
            if self._second_look is None:
                self._log.warning("process events were lost: looking at all processes again")
                self._second_look = self._mux.at(self._mux.now() + _SETTLE, self._look_at_all)
            return 0
        except Refused as refused:
            self._log.info(f"New processes are found by looking each interval: {refused}")
            self._stop_listening()
            return 0
        for event in events:
            match event:
                case Born(parent, pid) if parent in self._members or parent in self._missed:
                    self._examine(pid)
                case Executed(pid) | Renamed(pid):
                    self._examine(pid)
                case Ended(pid, ending) if pid in self._members:
                    self._members[pid].ending = ending
                    self._lose(pid)
                case Ended(pid, ending) if pid in self._unexplained:
                    self._explain(pid, ending)
                case Listening():
                    self._listening = True
                    self._look_at_all()
        if not events:
            self._missed.clear()
        return len(events)

    def _explain(self, pid: int, ending: ProcessEnd) -> None:
        """How a process ended whose end was told before."""
        self._unexplained.discard(pid)
        for watch in self._watches.values():
            if watch.death is not None and watch.death.pid == pid:
                watch.death = replace(watch.death, ending=ending)

    def _look_at_all(self) -> None:
        self._second_look = None
        self._scanned_at = -1.0
        self.scan()

    # who matches

    def _watches_for(self, name: str) -> tuple[Watch, ...]:
        found = self._candidates.get(name)
        if found is None:
            if len(self._candidates) > 4096:  # names may be anything
                self._candidates.clear()
            found = tuple(watch for watch in self._watches.values() if watch.pattern.may_mean(name))
            self._candidates[name] = found
        return found

    def _examine(self, pid: int) -> None:
        """Bring what is known of one process up to date."""
        known = pid in self._members
        name = proc_table.name_of(pid)
        if name is None:
            self._missed.add(pid)
            self._lose(pid)
            return
        if not known and not self._watches_for(name):
            return
        process = proc_table.look(pid)
        if process is None:
            self._missed.add(pid)
        if process is None or (known and process.started != self._members[pid].started):
            self._lose(pid)
        if process is not None:
            self._place(process)

    def _place(self, process: Process) -> None:
        matching = {watch for watch in self._watches_for(process.name) if watch.pattern.means(process)}
        if not process.is_unfinished:
            self._unfinished.pop(process.pid, None)
        elif self._is_soon_finished(process.pid):
            return
        if matching and process.pid not in self._members and not self._join(process):
            return
        for watch in self._watches.values():
            if watch in matching and process.pid not in watch.pids:
                watch.pids.add(process.pid)
                self._changed.add(watch)
            elif watch not in matching and process.pid in watch.pids:
                self._leave(watch, process.pid)

    def _is_soon_finished(self, pid: int) -> bool:
        """Its arguments may still come: they are looked at again in a moment, and nothing is concluded before."""
        now = self._mux.now()
        if pid not in self._unfinished:
            self._unfinished = {one: since for one, since in self._unfinished.items() if now - since < 2 * _EXEC}
        if now - self._unfinished.setdefault(pid, now) >= _EXEC:
            return False

        def look() -> None:
            if self._watches:
                self._examine(pid)
                self._tell()

        self._mux.at(now + _EXEC_LOOK, look)
        return True

    def _join(self, process: Process) -> bool:
        """Hear of its death; False when it has died already."""
        pidfd = None
        if self._pidfds < _MOST_PIDFDS:
            with suppress(Refused):
                pidfd = pidfd_open(process.pid)
        again = proc_table.look(process.pid)
        if again is None or again.started != process.started:
            if pidfd is not None:
                os.close(pidfd)
            return False
        member = self._members[process.pid] = Member(process.started, pidfd)
        if pidfd is not None:
            self._pidfds += 1
            self._mux.watch(pidfd, lambda: self._bury(process.pid, member), "burying a process")
        return True

    def _bury(self, pid: int, member: Member) -> None:
        """It ended; how, the kernel tells in an event that comes a moment later."""
        self._close(member)

        def end() -> None:
            if self._members.get(pid) is member:
                self._lose(pid)
            self._tell()

        if self._listening:
            self._mux.at(self._mux.now() + _LAST_WORDS, end)
        else:
            end()

    def _lose(self, pid: int) -> None:
        """The process is no more."""
        member = self._members.get(pid)
        if member is None:
            return
        death = Death(pid, time.time(), member.ending)
        if self._listening and member.ending is None:
            self._unexplained.add(pid)
        for watch in self._watches.values():
            if pid in watch.pids:
                watch.death = death
                watch.pids.discard(pid)
                self._changed.add(watch)
        self._forget(pid)

    def _leave(self, watch: Watch, pid: int) -> None:
        """It lives, but no longer under that name."""
        watch.pids.discard(pid)
        self._changed.add(watch)
        if not any(pid in other.pids for other in self._watches.values()):
            self._forget(pid)

    def _forget(self, pid: int) -> None:
        member = self._members.pop(pid, None)
        if member is not None:
            self._close(member)

    def _close(self, member: Member) -> None:
        if member.pidfd is not None:
            self._pidfds -= 1
            self._mux.unwatch(member.pidfd)
            os.close(member.pidfd)
            member.pidfd = None

    def _tell(self) -> None:
        """Call whom the changes concern; where births are not told, an empty place may have been taken meanwhile."""
        if self._telling:
            return
        self._telling = True
        try:
            if not self._listening and any(not watch.pids for watch in self._changed):
                self._look_at_new()
            while self._changed:
                for listener in list(self._changed.pop().listeners):
                    listener()
        finally:
            self._telling = False

    def _look_at_new(self) -> None:
        pids = set(proc_table.all_pids())
        for pid in pids - self._seen:
            self._examine(pid)
        self._seen |= pids

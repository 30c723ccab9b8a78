"""The dump of the whole daemon: snapshots of the children and what the parent knows, for clients and for signals."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from kad import VERSION
from kad.linux.files.runtime_directory import replace_file
from kad.linux.process.memfd import resident_memory
from kad.shared import messages
from kad.shared.log import Logger
from kad.watchdog import keepalived_formats
from kad.watchdog.children import Children
from kad.watchdog.journal import Journal
from kad.watchdog.parent_problems import all_problems
from kad.watchdog.process_registry import PROCESS_SPECS
from kad.watchdog.process_specs import Member
from kad.watchdog.snapshot_collector import Snapshot, Snapshots, Taken, opened
from kad.watchdog.supervision import Phase
from kad.watchdog.two_phase_commit import RunningConfiguration

_LATEST_EVENTS = 100
"""Of the journal, as a whole dump shows it; the section "events" has all that is kept."""
_MEMORY_AGE = 1.0
_SIG_JSON = signal.SIGRTMIN + 2
_SIG_STATS_CLEAR = signal.SIGRTMAX - 1

Plain = dict[str, Any]
_NOTHING: Plain = {"instances": [], "groups": []}
_ALL = frozenset(PROCESS_SPECS)
_ANSWERING = frozenset({Phase.STARTING, Phase.RUNNING})


class StateDump:
    """A Timed of the loop; never waits."""

    def __init__(
        self,
        children: Children,
        running: RunningConfiguration,
        journal: Journal,
        log: Logger,
        files: str,
        runtime_directory: Path,
    ) -> None:
        self._children = children
        self._running = running
        self._journal = journal
        self._log = log
        self._files = files
        """Of the configuration, as the command line names them."""
        self._runtime_directory = runtime_directory
        self._snapshots = Snapshots(children.members, children.send, log.error)
        self._started, self._started_at = time.time(), time.monotonic()
        self._memory: dict[str, dict[str, int]] = {}
        self._memory_at = -_MEMORY_AGE

    @property
    def deadline(self) -> float | None:
        return min(self._snapshots.deadlines, default=None)

    def fall_due(self, now: float) -> None:
        """Do with the snapshots that have come in time."""
        self._snapshots.fall_due(now)

    # children

    def take(self, member: Member, taken: messages.SnapshotTaken) -> None:
        """A child's answer. Raises BadFrame."""
        self._snapshots.take(member, taken)

    def configured(self, member: Member) -> None:
        """A child that was just replaced can be asked now."""
        self._snapshots.configured(member)

    def lose(self, name: str) -> None:
        """A child died; no dump waits for its answer."""
        self._snapshots.lose(name)

    # for clients

    def collect(self, section: str | None, done: Callable[[Plain], None]) -> None:
        """The dump, of which the client wants this section: it need not wait for children that have no part in it."""
        member = self._children.members.get(section or "")
        names = _ALL if member is None or member.configured_generation is None else frozenset({member.name})
        self._snapshots.collect(names, lambda taken: done(self._dump(taken, names)))

    def collect_status(self, done: Callable[[Plain], None]) -> None:
        """The dump as a status needs it: what is wrong, and the objects of snapshot_collector.WHOLE_FOR_STATUS."""
        names = self._expected()
        self._snapshots.collect_status(names, lambda taken: done(self._dump(taken, names)))

    def _expected(self) -> frozenset[str]:
        """The children that the running configuration needs, but those that wait for their next start."""
        phases = {name: member.supervision.phase for name, member in self._children.members.items()}
        slices = self._running.slices
        return frozenset(name for name, phase in phases.items() if name in slices and phase in _ANSWERING)

    def _dump(self, taken: Taken, names: frozenset[str]) -> Plain:
        """Everything about the daemon and the children that were asked, as JSON can print it."""
        members, last_reload, current = self._children.members, self._running.last_reload, self._running.current
        processes, sections = self._processes(taken, names)
        return {
            "version": VERSION,
            "schema": messages.SCHEMA,
            "generation": current.generation if current else 0,
            "configuration": self._files,
            "last_reload": last_reload,
            "problems": all_problems(
                last_reload,
                [members[name] for name in names & self._expected()],
                members.values(),
                taken,
                time.monotonic(),
            ),
            "events": [messages.to_plain(entry) for entry in self._journal.latest(_LATEST_EVENTS)],
            "processes": processes,
            "memory": {name: process.get("memory", {}) for name, process in processes.items()},
            **sections,
        }

    def _processes(self, taken: Taken, names: frozenset[str]) -> tuple[dict[str, Plain], dict[str, Snapshot]]:
        """What is said of each process, and the objects of each child."""
        resident = self._resident_memory()
        processes: dict[str, Plain] = {
            "watchdog": {
                "name": "watchdog",
                "pid": os.getpid(),
                "started": self._started,
                "uptime": time.monotonic() - self._started_at,
                "memory": resident["watchdog"],
                "log_lines_dropped": self._log.dropped,
            }
        }
        sections: dict[str, Snapshot] = {}
        for name, snapshot in taken.items():
            process: Plain = msgspec.json.decode(snapshot["process"])
            memory = {**resident.get(name, {}), **process["memory"]}
            restarts = self._children.members[name].supervision.restarts
            processes[name] = {**process, "memory": memory, "restarts": restarts}
            sections[name] = {key: value for key, value in snapshot.items() if key != "process"}
        for name, member in self._children.members.items():
            configured = name in self._running.slices
            if name in names and name not in processes and (member.pid is not None or configured):
                restarts = member.supervision.restarts
                processes[name] = {"name": name, "pid": member.pid, "restarts": restarts, "silent": True}
        return processes, sections

    def _resident_memory(self) -> dict[str, dict[str, int]]:
        """Of every process, looked at once a second at most: the kernel walks all their pages for it."""
        now = time.monotonic()
        if now - self._memory_at >= _MEMORY_AGE:
            pids = {name: member.pid for name, member in self._children.members.items() if member.pid is not None}
            pids["watchdog"] = os.getpid()
            self._memory = {name: resident_memory(pid) for name, pid in pids.items()}
            self._memory_at = now
        return self._memory

    # for signals

    def log_everything(self) -> None:
        """What SIGUSR1 writes to a file, to the log."""
        self._snapshots.collect(_ALL, lambda taken: self._log.info(keepalived_formats.data(*_routing(taken))))

    def write_for_signal(self, number: int) -> None:
        """The files that keepalived writes for this signal, in the runtime directory."""
        clear = number == _SIG_STATS_CLEAR
        self._snapshots.collect(_ALL, lambda taken: self._write_files(number, taken), clear_statistics=clear)

    def _write_files(self, number: int, taken: Taken) -> None:
        vrrp, runner = _routing(taken)
        match number:
            case signal.SIGUSR1:
                files = {"kad.data": msgspec.json.format(msgspec.json.encode(self._dump(taken, _ALL))).decode() + "\n"}
                files["keepalived.data"] = keepalived_formats.data(vrrp, runner)
            case signal.SIGUSR2:
                files = {"keepalived.stats": keepalived_formats.stats(vrrp)}
            case number if number == _SIG_STATS_CLEAR:
                files = {"keepalived.stats": keepalived_formats.stats(vrrp)}
            case number if number == _SIG_JSON:
                files = {"keepalived.json": keepalived_formats.json_dump(vrrp, runner)}
            case _:
                files = {}
        for name, text in files.items():
            self._write_file(self._runtime_directory / name, text)

    def _write_file(self, path: Path, text: str) -> None:
        try:
            replace_file(path, text.encode())
        except OSError as error:
            self._log.error(f"cannot write {path}: {error.strerror}")


def _routing(taken: Taken) -> tuple[Plain, Plain | None]:
    """What keepalived's own files are made of: the vrrp process, and the runner where there is one."""
    vrrp, runner = taken.get("vrrp"), taken.get("runner")
    return opened(vrrp) if vrrp else _NOTHING, opened(runner) if runner else None

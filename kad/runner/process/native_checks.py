"""Questions that need no program, answered from the table of processes and from the file system."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple, Protocol

from kad.child.multiplexer import Mux
from kad.linux.process import proc_table
from kad.linux.process.process import pidfd_open
from kad.linux.refused import Refused
from kad.model.tracking import FileExists, Probe, ProcessesRun, ProcessOfFileRuns
from kad.runner.process.file_monitor import Folders
from kad.runner.process.process_monitor import Census, Watch


class Answer(NamedTuple):
    """What a probe found."""

    good: bool
    reason: str


class Source(Protocol):
    """One question of a running configuration; `ask` costs microseconds."""

    def ask(self) -> tuple[bool, str]:
        """Whether it is so now, and the sentence that says it."""

    def close(self) -> None:
        """Nobody asks any more."""


class OpenProbe:
    """A probe that can be asked."""

    def __init__(self, probe: Probe, source: Source) -> None:
        self._probe = probe
        self._source = source

    def ask(self) -> Answer:
        truth, sentence = self._source.ask()
        return Answer(truth == self._probe.good_if, sentence)

    def close(self) -> None:
        self._source.close()


class Probes:
    """Opens probes."""

    def __init__(self, mux: Mux, census: Census, folders: Folders) -> None:
        self._mux = mux
        self._census = census
        self._folders = folders

    def open(self, probe: Probe, changed: Callable[[], None] | None) -> OpenProbe:
        """Ready to be asked; `changed` is called when the answer may be another one; close() it afterwards."""
        source: Source
        match probe.asks:
            case ProcessesRun() as asks:
                source = _Processes(asks, self._census, changed)
            case ProcessOfFileRuns(path=path):
                source = _ProcessOfFile(path, self._mux, changed)
            case FileExists() as asks:
                source = _File(asks, self._folders, changed)
        return OpenProbe(probe, source)


class _Processes:
    def __init__(self, asks: ProcessesRun, census: Census, changed: Callable[[], None] | None) -> None:
        self._each = asks.each
        self._census = census
        self._changed = changed or (lambda: None)
        self._watches = [census.watch(pattern, self._changed) for pattern in asks.patterns]

    def ask(self) -> tuple[bool, str]:
        there = [watch for watch in self._watches if self._census.look_again(watch)]
        gone = [watch for watch in self._watches if watch not in there]
        if gone and (self._each or not there):
            return False, " and ".join(f"no process {watch.pattern}{_since(watch)}" for watch in gone)
        return True, " and ".join(f"process {watch.pattern} runs (pid {min(watch.pids)})" for watch in there)

    def close(self) -> None:
        for watch in self._watches:
            self._census.unwatch(watch, self._changed)


def _since(watch: Watch) -> str:
    return "" if watch.death is None else f" {watch.death}"


class _ProcessOfFile:
    """As `kill -0 $(cat FILE)`, but a zombie is dead, and 0 and negative numbers are nobody."""

    def __init__(self, path: str, mux: Mux, changed: Callable[[], None] | None) -> None:
        self._path = path
        self._mux = mux
        self._changed = changed
        self._pid = 0
        self._pidfd: int | None = None

    def ask(self) -> tuple[bool, str]:
        try:
            words = _read(self._path).split()
        except OSError as error:
            self._follow(0)
            return False, f"{self._path}: {error.strerror}"
        if len(words) != 1 or not words[0].isdigit() or not 0 < int(words[0]) < 1 << 31:
            self._follow(0)
            return False, f"{self._path} holds no process number"
        pid = int(words[0])
        if proc_table.look(pid) is None:
            self._follow(0)
            return False, f"process {pid} of {self._path} is gone"
        self._follow(pid)
        return True, f"process {pid} of {self._path} runs"

    def _follow(self, pid: int) -> None:
        """Hear of its death."""
        if pid == self._pid:
            return
        self.close()
        self._pid = pid
        if pid and self._changed is not None:
            with suppress(Refused):
                self._pidfd = pidfd_open(pid)
                self._mux.watch(self._pidfd, self._end, "burying a process")

    def _end(self) -> None:
        self.close()
        if self._changed is not None:
            self._changed()

    def close(self) -> None:
        self._pid = 0
        if self._pidfd is not None:
            self._mux.unwatch(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = None


def _read(path: str) -> bytes:
    """The beginning of a file, without waiting for whoever writes to a FIFO; raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return os.read(descriptor, 4096)
    finally:
        os.close(descriptor)


class _File:
    def __init__(self, asks: FileExists, folders: Folders, changed: Callable[[], None] | None) -> None:
        self._asks = asks
        self._folders = folders
        self._changed = changed
        if changed is not None:
            folders.watch(asks.path, changed)

    def ask(self) -> tuple[bool, str]:
        path, kind = self._asks.path, self._asks.kind
        try:
            mode = os.stat(path).st_mode
        except (OSError, ValueError) as error:
            why = "" if isinstance(error, FileNotFoundError) else f": {error}"
            return False, f"there is no {path}{why}"
        if kind == "anything" or (stat.S_ISREG if kind == "file" else stat.S_ISDIR)(mode):
            return True, f"there is a {path}"
        return False, f"{path} is no {'plain file' if kind == 'file' else 'directory'}"

    def close(self) -> None:
        if self._changed is not None:
            self._folders.unwatch(self._asks.path, self._changed)

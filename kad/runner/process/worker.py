"""The runner: observes the host for the other processes and runs the programs of the operator; nobody else does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import msgspec

from kad.child.multiplexer import Mux
from kad.model import secret
from kad.model.problem import Problem
from kad.model.runner import RunnerSlice
from kad.runner.process.deadline_timer import Schedule
from kad.runner.process.fifo_writers import Fifos
from kad.runner.process.file_monitor import Folders
from kad.runner.process.mail import Mails
from kad.runner.process.native_checks import Probes
from kad.runner.process.notify_programs import Notifications
from kad.runner.process.process_monitor import Census
from kad.runner.process.program_runner import Programs
from kad.runner.process.tracked_files import Files
from kad.runner.process.tracked_processes import Processes
from kad.runner.process.tracked_scripts import Scripts
from kad.shared.log import Logger
from kad.shared.messages import FifoKept, FifoLine, FifoOpened, Mail, MailKept, Message, Notify, NotifyKept, Observation

FAREWELL = 1.0
"""Seconds that notify programs get when kad ends."""


class Room:
    """What child.py drives in the runner's process."""

    def __init__(self, mux: Mux, say: Callable[[Message], None], log: Logger) -> None:
        self._say = say
        self._log = log
        self._prepared: tuple[int, RunnerSlice] | None = None
        self._generation = 0
        self._earlier: dict[str, dict[str, Observation]] = {"script": {}, "process": {}, "file": {}}
        """What the life before this one said, by kind and name; nothing after the first commit."""
        self._quiet: asyncio.Event | None = None
        self._schedule = Schedule(mux)
        self._programs = Programs(mux, log)
        self._census = Census(mux, log)
        self._folders = Folders(mux, log)
        probes = Probes(mux, self._census, self._folders)
        self._notifications = Notifications(mux, say, log, self._programs, probes, self._schedule, self._look_for_quiet)
        self._fifos = Fifos(mux, say, log, self._programs, self._schedule)
        self._mails = Mails(mux, say, log, self._schedule)
        self._scripts = Scripts(mux, say, log, self._programs, probes, self._schedule, self._look_for_quiet)
        self._processes = Processes(mux, say, log, self._census, self._schedule)
        self._files = Files(say, log, self._folders)

    def prepare(self, generation: int, slice_bytes: bytes) -> None:
        """Decode and check; raises ValueError to refuse."""
        try:
            wanted = secret.decode(slice_bytes, RunnerSlice)
        except msgspec.DecodeError as error:
            raise ValueError(f"the runner's configuration cannot be read: {error}") from error
        _refuse_twins("scripts", (entry.name for entry in wanted.scripts))
        _refuse_twins("processes", (entry.name for entry in wanted.processes))
        _refuse_twins("files", (entry.name for entry in wanted.files))
        self._prepared = (generation, wanted)

    def commit(self, generation: int) -> None:
        """What is equal in both generations is not touched."""
        if self._prepared is None or self._prepared[0] != generation:
            raise ValueError(f"generation {generation} was not prepared")
        starting = self._generation == 0 and generation == 1
        (self._generation, wanted), self._prepared = self._prepared, None
        self._notifications.configure(generation, wanted.programs)
        self._fifos.configure(wanted.fifos)
        self._mails.configure(wanted.mailing)
        self._census.configure(wanted.process_events_buffer)
        self._files.configure(wanted.files, self._earlier["file"], starting=starting)
        self._processes.configure(wanted.processes, self._earlier["process"])
        self._scripts.configure(wanted.scripts, self._earlier["script"])
        for known in self._earlier.values():
            known.clear()

    def abandon(self) -> None:
        """Forget what was prepared."""
        self._prepared = None

    def receive(self, message: Message) -> None:
        """A message from another child."""
        match message:
            case Observation(kind=kind, name=name, deleted=False) if self._generation == 0:
                self._earlier.setdefault(kind, {})[name] = message
            case Observation():
                return
            case Notify():
                self._notifications.ask(message)
            case NotifyKept():
                self._notifications.remember(message)
            case FifoLine():
                self._fifos.write(message)
            case FifoOpened() | FifoKept():
                self._fifos.remember(message)
            case Mail():
                self._mails.take(message)
            case MailKept():
                self._mails.remember(message)
            case _:
                self._log.warning(f"a {type(message).__name__} is nothing for the runner")

    def snapshot(self, clear_statistics: bool) -> dict[str, object]:
        """Plain values for JSON."""
        return {
            "generation": self._generation,
            "scripts": self._scripts.snapshot(clear_statistics),
            "processes": self._processes.snapshot(),
            "files": self._files.snapshot(),
            "census": self._census.snapshot(),
            "programs": {name: program.argv for name, program in self._notifications.known.items()},
            "notifications": self._notifications.snapshot(),
            "fifos": self._fifos.snapshot(),
            "mail": self._mails.snapshot(),
        }

    def problems(self) -> list[Problem]:
        """What this process watches is no problem of its own."""
        return []

    async def stop(self, release: bool, handover: float) -> None:
        """End the scripts; what is asked for in farewell gets a second."""
        self._quiet = asyncio.Event()
        self._scripts.stop()
        self._processes.stop()
        self._files.stop()
        self._look_for_quiet()
        await asyncio.gather(self._fifos.stop(), self._mails.stop(), self._wait_for(self._quiet))
        self._scripts.kill()
        self._programs.close()
        self._census.close()
        self._folders.close()
        self._schedule.close()

    async def _wait_for(self, quiet: asyncio.Event) -> None:
        try:
            async with asyncio.timeout(FAREWELL):
                await quiet.wait()
        except TimeoutError:
            self._log.info(f"not every program ended within {FAREWELL:g} s")

    async def orphaned(self) -> None:
        """The parent is gone: nobody asks any more, and what was asked for gets its second."""
        await self.stop(release=True, handover=0.0)

    def _look_for_quiet(self) -> None:
        if self._quiet is not None and not self._scripts.leaving and not self._notifications.awaited:
            self._quiet.set()


def _refuse_twins(what: str, names: Iterable[str]) -> None:
    """Raises ValueError where one name is given twice."""
    listed = list(names)
    if len(set(listed)) < len(listed):
        raise ValueError(f"two {what} of one name among {', '.join(sorted(listed))}")

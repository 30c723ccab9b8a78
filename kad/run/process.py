"""The runner: joins the schedules of vrrp_scripts and notify programs to real programs; nothing else executes any."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from kad.linux.refused import Refused
from kad.linux.spawn import Spawned, kill_group, reap, spawn
from kad.log import Logger
from kad.machine import Deadlines
from kad.messages import Message, Notified, Notify, Observation
from kad.mux import Moment, Mux
from kad.run import notify, script
from kad.run.keywords import Program, RunnerSlice, VrrpScript
from kad.run.notify import NotifyQueue
from kad.run.script import DeadlineReached, Report, ScriptCheck, Signal

KEPT_OUTPUT = 2048
"""Bytes: the end of what a program prints says why it failed."""
LINGERING = 64
"""Pipes that outlive their program, held by a daemon it left behind; the oldest is closed beyond that."""
FAREWELL = 1.0
"""Seconds that notify programs get when kad ends."""
SIGNALS = {Signal.TERM: signal.SIGTERM, Signal.KILL: signal.SIGKILL}

Ended = Callable[[int | None, str], None]


@dataclass(slots=True)
class Execution:
    """One program that runs."""

    spawned: Spawned
    ended: Ended
    output_fd: int | None
    """Open as long as something may still print there."""
    tail: bytearray = field(default_factory=bytearray)


class Programs:
    """Runs programs, collects the end of their output, and says when they end."""

    def __init__(self, mux: Mux) -> None:
        self._mux = mux
        self._lingering: deque[int] = deque()

    def start(
        self, program: Program, arguments: tuple[str, ...], environment: dict[str, str], ended: Ended
    ) -> Execution | None:
        """Start it; None when that failed, and `ended(None, text)` follows in the next turn of the loop."""
        try:
            spawned = spawn(
                [*program.argv, *arguments],
                os.environ | environment,
                user=program.user,
                group=program.group,
                output=True,
            )
        except Refused as error:
            # Not at once: whoever starts a program is not yet ready for its end.
            self._mux.loop.call_soon(ended, None, str(error))
            return None
        execution = Execution(spawned, ended, spawned.output_fd)
        if execution.output_fd is not None:
            self._mux.watch(execution.output_fd, lambda: self._read(execution))
        self._mux.watch(spawned.pidfd, lambda: self._end(execution))
        return execution

    def close(self) -> None:
        """Forget the pipes of what earlier programs left behind."""
        while self._lingering:
            self._drop(self._lingering.popleft())

    def _read(self, execution: Execution) -> None:
        """Take what is there."""
        fd = execution.output_fd
        for _ in range(16):  # A program that prints without end must not hold the loop.
            if fd is None:
                return
            try:
                data = os.read(fd, 65536)
            except BlockingIOError:
                return
            if data:
                execution.tail += data
                del execution.tail[:-KEPT_OUTPUT]
            else:
                self._drop(fd)
                execution.output_fd = fd = None

    def _end(self, execution: Execution) -> None:
        pidfd = execution.spawned.pidfd
        status = reap(pidfd)
        if status is None:
            return
        self._mux.unwatch(pidfd)
        os.close(pidfd)
        self._read(execution)
        if execution.output_fd is not None:
            self._linger(execution.output_fd)
        execution.ended(status, execution.tail.decode(errors="replace"))

    def _linger(self, fd: int) -> None:
        """A daemon that the program left behind still writes there; a closed pipe would kill it."""
        self._mux.unwatch(fd)
        self._mux.watch(fd, lambda: self._discard(fd))
        self._lingering.append(fd)
        if len(self._lingering) > LINGERING:
            self._drop(self._lingering.popleft())

    def _discard(self, fd: int) -> None:
        try:
            if os.read(fd, 65536):
                return
        except BlockingIOError:
            return
        self._lingering.remove(fd)
        self._drop(fd)

    def _drop(self, fd: int) -> None:
        self._mux.unwatch(fd)
        os.close(fd)


@dataclass(slots=True)
class Watched:
    """A configured script and the program of its present run."""

    check: ScriptCheck
    since: float
    """UNIX time at which the value last changed."""
    execution: Execution | None = None
    runs: int = 0


class Room:
    """What child.py drives in the runner's process."""

    TITLE = "kad: runner"
    IDENT = "Keepalived_runner"

    def __init__(self, mux: Mux, say: Callable[[Message], None], log: Logger) -> None:
        self._mux = mux
        self._say = say
        self._log = log
        self._programs = Programs(mux)
        self._known: dict[str, Program] = {}
        self._known_before: dict[str, Program] = {}
        """Of the generation before this one: what a reload removed still says farewell."""
        self._prepared: tuple[int, RunnerSlice] | None = None
        self._generation = 0
        self._scripts: dict[str, Watched] = {}
        self._earlier: dict[str, Observation] = {}
        """What the life before this one said of each script; nothing after the first commit."""
        self._leaving: list[Watched] = []
        self._queue = NotifyQueue()
        self._jobs: dict[int, Execution] = {}
        self._deadlines: Deadlines[ScriptCheck | NotifyQueue] = Deadlines()
        self._timer: Moment | None = None
        self._quiet: asyncio.Event | None = None

    def prepare(self, generation: int, slice_bytes: bytes) -> None:
        """Decode and check; raises ValueError to refuse."""
        try:
            wanted = msgspec.msgpack.decode(slice_bytes, type=RunnerSlice)
        except msgspec.DecodeError as error:
            raise ValueError(f"the runner's configuration cannot be read: {error}") from error
        names = [entry.name for entry in wanted.scripts]
        if len(set(names)) < len(names):
            raise ValueError(f"two scripts of one name among {', '.join(sorted(names))}")
        self._prepared = (generation, wanted)

    def commit(self, generation: int) -> None:
        """What is equal in both generations is not touched."""
        if self._prepared is None or self._prepared[0] != generation:
            raise ValueError(f"generation {generation} was not prepared")
        (self._generation, wanted), self._prepared = self._prepared, None
        self._known_before, self._known = self._known, {program.id: program for program in wanted.programs}
        scripts = {entry.name: entry for entry in wanted.scripts}
        for name in self._scripts.keys() - scripts.keys():
            self._remove(name)
        for name, entry in scripts.items():
            watched = self._scripts.get(name)
            if watched is None:
                self._add(entry)
            elif watched.check.script != entry:
                self._feed(watched, script.Reconfigured(entry))
        self._earlier = {}

    def abandon(self) -> None:
        """Forget what was prepared."""
        self._prepared = None

    def receive(self, message: Message) -> None:
        """A message from another child."""
        if isinstance(message, Observation):
            if self._generation == 0 and message.kind == "script":
                self._earlier[message.name] = message
        elif not isinstance(message, Notify):
            self._log.warning(f"a {type(message).__name__} is nothing for the runner")
        elif self._program(message) is not None:
            self._do(self._queue.handle(notify.Asked(message), self._mux.now()))
        else:
            text = f"{message.program} is not configured"
            self._log.warning(text)
            self._say(
                Notified(
                    program=message.program,
                    object=message.object,
                    sequence=message.sequence,
                    status=None,
                    output=text,
                    duration=0.0,
                )
            )

    def tell_all(self) -> None:
        """Say the value of every script again."""
        for name in self._scripts:
            self._tell(name)

    def snapshot(self, clear_statistics: bool) -> dict[str, object]:
        """Plain values for JSON."""
        scripts = [self._script_snapshot(name, watched) for name, watched in self._scripts.items()]
        if clear_statistics:
            for watched in self._scripts.values():
                watched.runs = 0
        waiting = [
            {
                "object": name,
                "running": [job.message.program for job in line.running.values()],
                "waiting": [entry.message.program for entry in line.waiting],
                "last_sequence": line.last_sequence,
            }
            for name, line in self._queue.lines.items()
        ]
        return {
            "generation": self._generation,
            "scripts": scripts,
            "programs": {name: program.argv for name, program in self._known.items()},
            "notifications": waiting,
        }

    async def stop(self, release: bool, handover: float) -> None:
        """End the scripts; what is asked for in farewell gets a second."""
        self._quiet = asyncio.Event()
        for name in list(self._scripts):
            self._remove(name)
        self._look_for_quiet()
        try:
            async with asyncio.timeout(FAREWELL):
                await self._quiet.wait()
        except TimeoutError:
            self._log.info(f"not every program ended within {FAREWELL:g} s")
        for watched in self._leaving:
            self._signal(watched.execution, Signal.KILL)
        self._programs.close()
        if self._timer is not None:
            self._timer.cancel()

    async def orphaned(self) -> None:
        """The parent is gone: nobody asks any more, and what was asked for gets its second."""
        await self.stop(release=True, handover=0.0)

    def _add(self, entry: VrrpScript) -> None:
        watched = self._scripts[entry.name] = Watched(ScriptCheck(entry), time.time())
        earlier = self._earlier.get(entry.name)
        if earlier is not None and earlier.value is not None and not earlier.deleted:
            watched.since = earlier.since
            watched.check.handle(script.Resumed(earlier.value, earlier.reason, earlier.output), self._mux.now())
        self._tell(entry.name)
        self._feed(watched, script.Started())

    def _remove(self, name: str) -> None:
        watched = self._scripts.pop(name)
        self._leaving.append(watched)
        self._feed(watched, script.Stopped())
        self._say(
            Observation(
                kind="script", name=name, value=None, since=time.time(), reason="no longer configured", deleted=True
            )
        )

    def _tell(self, name: str) -> None:
        watched = self._scripts[name]
        check = watched.check
        self._say(
            Observation(
                kind="script",
                name=name,
                value=check.value,
                since=watched.since,
                reason=check.reason,
                output="" if check.value == 1 else check.output,
            )
        )

    def _script_snapshot(self, name: str, watched: Watched) -> dict[str, object]:
        check = watched.check
        return {
            "name": name,
            "command": check.script.program.argv,
            "interval": check.script.interval,
            "timeout": check.script.timeout,
            "weight": check.script.weight,
            "rise": check.script.rise,
            "fall": check.script.fall,
            "value": check.value,
            "since": watched.since,
            "reason": check.reason,
            "output": check.output,
            "last_status": check.last_status,
            "counter": check.counter,
            "phase": type(check.phase).__name__.lower(),
            "pid": None if watched.execution is None else watched.execution.spawned.pid,
            "runs": watched.runs,
        }

    def _feed(self, watched: Watched, event: script.Event, now: float | None = None) -> None:
        for action in watched.check.handle(event, self._mux.now() if now is None else now):
            match action:
                case script.StartProgram(program):
                    watched.runs += 1
                    watched.execution = self._programs.start(program, (), {}, self._script_ended(watched))
                case script.SignalProgram(which):
                    self._signal(watched.execution, which)
                case script.Observe():
                    watched.since = time.time()
                    if self._scripts.get(watched.check.script.name) is watched:
                        self._tell(watched.check.script.name)
                case Report(text):
                    self._log.info(text)
        if watched.check.finished:
            self._deadlines.forget(watched.check)
            self._leaving = [other for other in self._leaving if other is not watched]
            self._look_for_quiet()
        else:
            self._deadlines.watch(watched.check)
        self._arm()

    def _script_ended(self, watched: Watched) -> Ended:
        def ended(status: int | None, output: str) -> None:
            watched.execution = None
            self._feed(watched, script.ProgramEnded(status, output))

        return ended

    def _do(self, actions: list[notify.Action]) -> None:
        for action in actions:
            match action:
                case notify.RunProgram(job, message):
                    self._run(job, message)
                case notify.SignalProgram(job, which):
                    self._signal(self._jobs.get(job), which)
                case notify.Answer(message):
                    self._say(message)
                case Report(text):
                    self._log.warning(text)
        self._deadlines.watch(self._queue)
        self._look_for_quiet()
        self._arm()

    def _program(self, message: Notify) -> Program | None:
        """As the configuration has it that the asker ran."""
        now = self._known.get(message.program)
        return self._known_before.get(message.program, now) if message.generation < self._generation else now

    def _run(self, job: int, message: Notify) -> None:
        program = self._program(message)

        def ended(status: int | None, output: str) -> None:
            self._jobs.pop(job, None)
            self._do(self._queue.handle(notify.ProgramEnded(job, status, output), self._mux.now()))

        if program is None:
            self._mux.loop.call_soon(ended, None, "no longer configured")
            return
        execution = self._programs.start(program, message.arguments, message.environment, ended)
        if execution is not None:
            self._jobs[job] = execution

    def _signal(self, execution: Execution | None, which: Signal) -> None:
        if execution is None:
            return
        try:
            kill_group(execution.spawned.pid, SIGNALS[which])
        except Refused as error:
            self._log.warning(str(error))

    def _look_for_quiet(self) -> None:
        if self._quiet is not None and not self._leaving and not self._queue.awaited:
            self._quiet.set()

    def _arm(self) -> None:
        """One timer for all deadlines."""
        wanted = self._deadlines.next()
        if self._timer is not None:
            if self._timer.when == wanted:
                return
            self._timer.cancel()
            self._timer = None
        if wanted is not None:
            self._timer = self._mux.at(wanted, self._deadline_reached)

    def _deadline_reached(self) -> None:
        self._timer = None
        now = self._mux.now()
        for machine in list(self._deadlines.due(now)):
            if isinstance(machine, NotifyQueue):
                self._do(machine.handle(DeadlineReached(), now))
                continue
            for watched in [*self._scripts.values(), *self._leaving]:
                if watched.check is machine:
                    self._feed(watched, DeadlineReached(), now)
        self._arm()

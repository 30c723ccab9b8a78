"""Notify programs as they are asked for: joins their queue to real programs."""

from __future__ import annotations

import time
from collections.abc import Callable

from kad.log import Logger
from kad.messages import Event, Message, Notified, Notify
from kad.mux import Mux
from kad.run import notify
from kad.run.keywords import Program
from kad.run.notify import NotifyQueue
from kad.run.process.probes import OpenProbe, Probes
from kad.run.process.programs import Execution, Programs
from kad.run.process.schedule import Schedule
from kad.run.script import DeadlineReached, Report
from kad.track.native import Probe


class Notifications:
    """Runs what may be run, in the order of the queue; `advanced` is called after each step."""

    def __init__(
        self,
        mux: Mux,
        say: Callable[[Message], None],
        log: Logger,
        programs: Programs,
        probes: Probes,
        schedule: Schedule,
        advanced: Callable[[], None],
    ) -> None:
        self._mux = mux
        self._say = say
        self._log = log
        self._programs = programs
        self._probes = probes
        self._schedule = schedule
        self._advanced = advanced
        self._queue = NotifyQueue()
        self._jobs: dict[int, Execution] = {}
        self.known: dict[str, Program] = {}
        """By id: no other program is ever run."""
        self._known_before: dict[str, Program] = {}
        """Of the generation before this one: what a reload removed still says farewell."""
        self._generation = 0
        self._open: dict[Probe, OpenProbe] = {}

    @property
    def awaited(self) -> bool:
        """Somebody waits for the end of a program."""
        return self._queue.awaited

    def configure(self, generation: int, programs: tuple[Program, ...]) -> None:
        """These may be run from now on."""
        self._generation = generation
        self._known_before, self.known = self.known, {program.id: program for program in programs}
        kept = {program.probe for known in (self._known_before, self.known) for program in known.values()}
        for probe in self._open.keys() - kept:
            self._open.pop(probe).close()

    def ask(self, message: Notify) -> None:
        """Run it when its turn comes."""
        if self._program(message) is not None:
            self._do(self._queue.handle(notify.Asked(message), self._mux.now()))
            return
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

    def snapshot(self) -> list[dict[str, object]]:
        return [
            {
                "object": name,
                "running": [job.message.program for job in line.running.values()],
                "waiting": [entry.message.program for entry in line.waiting],
                "last_sequence": line.last_sequence,
            }
            for name, line in self._queue.lines.items()
        ]

    def _do(self, actions: list[notify.Action]) -> None:
        for action in actions:
            match action:
                case notify.RunProgram(job, message):
                    self._run(job, message)
                case notify.SignalProgram(job, which):
                    self._programs.signal(self._jobs.get(job), which)
                case notify.Answer(message):
                    self._say(message)
                case Report(text):
                    self._log.warning(text)
                    self._say(Event(when=time.time(), kind="notify", object="notify", text=text))
        self._schedule.watch(self._queue, lambda now: self._do(self._queue.handle(DeadlineReached(), now)))
        self._advanced()

    def _program(self, message: Notify) -> Program | None:
        """As the configuration has it that the asker ran."""
        now = self.known.get(message.program)
        return self._known_before.get(message.program, now) if message.generation < self._generation else now

    def _run(self, job: int, message: Notify) -> None:
        program = self._program(message)

        def ended(status: int | None, output: str) -> None:
            self._jobs.pop(job, None)
            self._do(self._queue.handle(notify.ProgramEnded(job, status, output), self._mux.now()))

        if program is None:
            self._mux.loop.call_soon(ended, None, "no longer configured")
            return
        if program.probe is not None and message.timeout is not None:
            if program.probe not in self._open:
                self._open[program.probe] = self._probes.open(program.probe, None)
            answer = self._open[program.probe].ask()
            self._mux.loop.call_soon(ended, 0 if answer.good else 1, answer.reason)
            return
        execution = self._programs.start(program, message.arguments, message.environment, ended)
        if execution is not None:
            self._jobs[job] = execution

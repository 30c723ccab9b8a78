"""Notify programs as they are asked for: joins their queue to real programs."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from errno import EAGAIN, EMFILE, ENFILE, ENOMEM

from kad.child.multiplexer import Mux
from kad.linux.refused import Refused
from kad.model.notification import CheckDue, CheckSubject
from kad.model.program_end import Exited, NotStarted, ProgramEnd
from kad.model.runner import Program
from kad.model.tracking import Probe
from kad.runner import notify_queue
from kad.runner.notify_call import FactRefused, call
from kad.runner.notify_queue import NotifyLine
from kad.runner.process.deadline_timer import Schedule
from kad.runner.process.native_checks import OpenProbe, Probes
from kad.runner.process.program_runner import Execution, Programs
from kad.runner.script_check import Report
from kad.shared.log import Logger
from kad.shared.messages import Event, Message, Notified, Notify, NotifyKept
from kad.shared.state_machine import DeadlineReached

_PASSING = (EAGAIN, ENOMEM, EMFILE, ENFILE)
"""This host lacks something at the moment."""
_SHOWN = 200
"""Characters of an id that is logged."""


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
        self._lines: dict[str, NotifyLine] = {}
        """By the object that programs are told of."""
        self._jobs: dict[tuple[str, int], Execution] = {}
        self._checks: dict[str, str] = {}
        """The program by the object, of the checks that run or wait."""
        self._runs: Counter[str] = Counter()
        """How many of them have that program."""
        self._kept: list[Notify] = []
        """What the life before this one had not started."""
        self.known: dict[str, Program] = {}
        """By id: no other program is ever run."""
        self._known_before: dict[str, Program] = {}
        """Of the generation before this one: what a reload removed still says farewell."""
        self._generation = 0
        self._open: dict[Probe, OpenProbe] = {}

    @property
    def awaited(self) -> bool:
        """Somebody waits for the end of a program."""
        return any(line.awaited for line in self._lines.values())

    def remember(self, message: NotifyKept) -> None:
        """An earlier life of this process had not started it yet."""
        self._kept.append(message.notify)

    def configure(self, generation: int, programs: tuple[Program, ...]) -> None:
        """These may be run from now on."""
        self._generation = generation
        self._known_before, self.known = self.known, {program.id: program for program in programs}
        kept = {program.probe for known in (self._known_before, self.known) for program in known.values()}
        for probe in self._open.keys() - kept:
            self._open.pop(probe).close()
        inherited, self._kept = self._kept, []
        for message in sorted(inherited, key=lambda one: one.sequence):
            self._say(NotifyKept(notify=message, deleted=True))
            self.ask(message)

    def ask(self, message: Notify) -> None:
        """Run it when its turn comes."""
        refusal = self._why_not(message)
        if not refusal:
            self._feed(message.object, notify_queue.Asked(message))
            return
        self._log.warning(refusal)
        self._say(
            Notified(
                program=message.program,
                object=message.object,
                sequence=message.sequence,
                ending=NotStarted(refusal, transient=True),
                output="",
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
            for name, line in self._lines.items()
        ]

    def _why_not(self, message: Notify) -> str:
        """Why it is not run; empty: it is."""
        program = self._program(message)
        if program is None:
            return f"{message.program[:_SHOWN]} is not configured"
        try:
            call(program, message.fact)
        except FactRefused as refused:
            return str(refused)
        if isinstance(message.fact, CheckDue) and message.object not in self._checks:
            runs = self._runs[program.id]
            if runs >= self._most_runs(program):
                return f"{program.id} runs {runs} times already"
        return ""

    def _most_runs(self, program: Program) -> int:
        """As many as there are checks with that program; those of the generation before may not have ended."""
        subjects = [known[program.id].subject for known in (self.known, self._known_before) if program.id in known]
        return sum(len(each.timeouts) for each in subjects if isinstance(each, CheckSubject))

    def _feed(self, name: str, event: notify_queue.Event) -> None:
        line = self._lines.get(name)
        if line is None:
            line = self._lines[name] = NotifyLine()
            if isinstance(event, notify_queue.Asked) and isinstance(event.message.fact, CheckDue):
                self._checks[name] = event.message.program
                self._runs[event.message.program] += 1
        for action in line.handle(event, self._mux.now()):
            match action:
                case notify_queue.RunProgram(job, message):
                    self._run(job, message)
                case notify_queue.SignalProgram(job, which):
                    self._programs.signal(self._jobs.get((name, job)), which)
                case notify_queue.Answer(message):
                    self._say(message)
                case notify_queue.Keep(message, wanted):
                    self._say(NotifyKept(notify=message, deleted=not wanted))
                case Report(text):
                    self._log.warning(text)
                    self._say(Event(when=time.time(), kind="notify", object="notify", text=text))
        if line.is_idle and self._forget_check(name):
            self._schedule.forget(line)
        else:
            self._schedule.watch(line, lambda _now: self._feed(name, DeadlineReached()))
        self._advanced()

    def _forget_check(self, name: str) -> bool:
        """The runs of a check have ended; False: it is a line of something else, whose last number counts."""
        program = self._checks.pop(name, None)
        if program is None:
            return False
        self._runs[program] -= 1
        if not self._runs[program]:
            del self._runs[program]
        del self._lines[name]
        return True

    def _program(self, message: Notify) -> Program | None:
        """As the configuration has it that the asker ran."""
        now = self.known.get(message.program)
        return self._known_before.get(message.program, now) if message.generation < self._generation else now

    def _run(self, job: int, message: Notify) -> None:
        program, name = self._program(message), message.object

        def ended(ending: ProgramEnd, output: str = "") -> None:
            self._jobs.pop((name, job), None)
            self._feed(name, notify_queue.ProgramEnded(job, ending, output))

        if program is None:
            self._mux.loop.call_soon(ended, NotStarted("no longer configured", transient=True))
            return
        if program.probe is not None and message.timeout is not None:
            if program.probe not in self._open:
                self._open[program.probe] = self._probes.open(program.probe, None)
            answer = self._open[program.probe].ask()
            self._mux.loop.call_soon(ended, Exited(0 if answer.good else 1), answer.reason)
            return
        try:
            made = call(program, message.fact)
            self._jobs[name, job] = self._programs.try_start(program, made.arguments, made.environment, ended)
        except FactRefused as refused:
            self._mux.loop.call_soon(ended, NotStarted(str(refused), transient=True))
        except Refused as refused:
            self._mux.loop.call_soon(ended, NotStarted(str(refused), refused.errno in _PASSING))

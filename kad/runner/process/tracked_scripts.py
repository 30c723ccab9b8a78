"""The vrrp_scripts of a configuration: joins their schedules to real programs, or to probes that need none."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from kad.child.multiplexer import Mux
from kad.model.program_end import Exited, ProgramEnd
from kad.model.runner import VrrpScript
from kad.runner import script_check
from kad.runner.process.deadline_timer import Schedule
from kad.runner.process.native_checks import OpenProbe, Probes
from kad.runner.process.program_runner import Ended, Execution, Programs
from kad.runner.script_check import Report, ScriptCheck, Signal
from kad.shared.log import Logger
from kad.shared.messages import Message, Observation
from kad.shared.state_machine import DeadlineReached

CROWD = 20
"""So many programs that are started together are spread over their interval."""


@dataclass(slots=True)
class Watched:
    """A configured script, and what is under way for it."""

    check: ScriptCheck
    since: float
    """UNIX time at which the value last changed."""
    execution: Execution | None = None
    probe: OpenProbe | None = None
    runs: int = 0
    answers: int = 0


class Scripts:
    """All scripts; `advanced` is called when one that was to end has ended."""

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
        self._scripts: dict[str, Watched] = {}
        self._leaving: list[Watched] = []
        schedule.when_slept(self._forgive)

    @property
    def leaving(self) -> bool:
        """Some program still has to end."""
        return bool(self._leaving)

    def configure(self, wanted: tuple[VrrpScript, ...], earlier: dict[str, Observation]) -> None:
        """Run these alone; what is equal is not touched."""
        configured = {entry.name: entry for entry in wanted}
        for name in self._scripts.keys() - configured.keys():
            self._remove(name)
        new = [entry for name, entry in configured.items() if name not in self._scripts]
        early = _spread(new)
        added = [self._add(entry, earlier, early.get(entry.name, 0.0)) for entry in new]
        for watched in added:
            self._feed(watched, script_check.Started())
        for name, entry in configured.items():
            if self._scripts[name].check.script != entry:
                self._reconfigure(self._scripts[name], entry)

    def _forgive(self) -> None:
        """Whoever did not run cannot say that a program took too long."""
        for watched in self._scripts.values():
            self._feed(watched, script_check.Slept())

    def stop(self) -> None:
        """End all of them."""
        for name in list(self._scripts):
            self._remove(name)

    def kill(self) -> None:
        """No more patience with those that have not ended."""
        for watched in self._leaving:
            self._programs.signal(watched.execution, Signal.KILL)

    def snapshot(self, clear_statistics: bool) -> list[dict[str, object]]:
        plain = [_plain(name, watched) for name, watched in self._scripts.items()]
        if clear_statistics:
            for watched in self._scripts.values():
                watched.runs = watched.answers = 0
        return plain

    def _add(self, entry: VrrpScript, earlier: dict[str, Observation], early: float) -> Watched:
        watched = self._scripts[entry.name] = Watched(ScriptCheck(entry, early), time.time())
        known = earlier.get(entry.name)
        if known is not None and known.value is not None:
            watched.since = known.since
            watched.check.handle(script_check.Resumed(known.value, known.reason, known.output), self._mux.now())
        self._open(watched)
        self._tell(entry.name)
        return watched

    def _reconfigure(self, watched: Watched, entry: VrrpScript) -> None:
        old = watched.check.script
        if (old.program.probe, old.immediate) != (entry.program.probe, entry.immediate):
            self._close(watched)
            watched.check.script = entry
            self._open(watched)
            watched.check.script = old
        self._feed(watched, script_check.Reconfigured(entry))

    def _open(self, watched: Watched) -> None:
        """Have its probe at hand, if it has one."""
        entry = watched.check.script
        if entry.program.probe is not None:
            changed = (lambda: self._ask(watched, unasked=True)) if entry.immediate else None
            watched.probe = self._probes.open(entry.program.probe, changed)

    def _close(self, watched: Watched) -> None:
        if watched.probe is not None:
            watched.probe.close()
            watched.probe = None

    def _remove(self, name: str) -> None:
        watched = self._scripts.pop(name)
        self._close(watched)
        self._leaving.append(watched)
        self._feed(watched, script_check.Stopped())
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

    def _feed(self, watched: Watched, event: script_check.Event, now: float | None = None) -> None:
        for action in watched.check.handle(event, self._mux.now() if now is None else now):
            match action:
                case script_check.StartProgram(program):
                    watched.runs += 1
                    watched.execution = self._programs.start(program, (), {}, self._ended(watched))
                case script_check.AskProbe():
                    self._ask(watched)
                case script_check.SignalProgram(which):
                    self._programs.signal(watched.execution, which)
                case script_check.Observe():
                    watched.since = time.time()
                    if self._scripts.get(watched.check.script.name) is watched:
                        self._tell(watched.check.script.name)
                case Report(text):
                    self._log.info(text)
        if watched.check.finished:
            self._schedule.forget(watched.check)
            self._leaving = [other for other in self._leaving if other is not watched]
            self._advanced()
        else:
            self._schedule.watch(watched.check, lambda now: self._feed(watched, DeadlineReached(), now))

    def _ask(self, watched: Watched, *, unasked: bool = False) -> None:
        if watched.probe is not None:
            watched.answers += 1
            answer = watched.probe.ask()
            self._feed(watched, script_check.Answered(answer.good, answer.reason, unasked))

    def _ended(self, watched: Watched) -> Ended:
        def ended(ending: ProgramEnd, output: str) -> None:
            watched.execution = None
            self._feed(watched, script_check.ProgramEnded(ending, output))

        return ended


def _spread(scripts: Sequence[VrrpScript]) -> dict[str, float]:
    """Seconds by which one run of each comes early: a crowd that is born together does not run together for ever."""
    crowd = [entry for entry in scripts if entry.program.probe is None]
    if len(crowd) < CROWD:
        return {}
    return {entry.name: entry.interval * place / len(crowd) for place, entry in enumerate(crowd)}


def _plain(name: str, watched: Watched) -> dict[str, object]:
    """For JSON."""
    check = watched.check
    probe = check.script.program.probe
    return {
        "name": name,
        "command": check.script.program.argv,
        "native": None if probe is None else str(probe),
        "immediate": check.script.immediate,
        "interval": check.script.interval,
        "timeout": check.script.timeout,
        "weight": check.script.weight,
        "rise": check.script.rise,
        "fall": check.script.fall,
        "value": check.value,
        "since": watched.since,
        "reason": check.reason,
        "output": check.output,
        "last_status": check.last_ending.status if isinstance(check.last_ending, Exited) else None,
        "last_ending": msgspec.to_builtins(check.last_ending),
        "counter": check.counter,
        "phase": type(check.phase).__name__.lower(),
        "pid": None if watched.execution is None else watched.execution.spawned.pid,
        "runs": watched.runs,
        "answers": watched.answers,
    }

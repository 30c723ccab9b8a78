"""From files to running children, at the start and at each reload: analyzed apart, judged, rolled out whole or not."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from kad.child.scheduling import Scheduling, of_slice
from kad.linux.files.own_files import Foreign, replace_findings
from kad.model.daemon import WatchdogSlice
from kad.shared import messages
from kad.shared.exit_codes import EXIT_CONFIGURATION, EXIT_SOFTWARE, describe
from kad.shared.log import Level, Logger
from kad.shared.messages import Analyzed
from kad.watchdog import supervision
from kad.watchdog.analyzer_process import AnalyzerProcess
from kad.watchdog.children import Children
from kad.watchdog.installed_version import Installation
from kad.watchdog.journal import Journal
from kad.watchdog.process_registry import PROCESS_SPECS
from kad.watchdog.process_specs import Member
from kad.watchdog.reload_triggers import ReloadTriggers
from kad.watchdog.selector_loop import SelectorLoop
from kad.watchdog.service_manager import ServiceManager
from kad.watchdog.supervision import Phase
from kad.watchdog.two_phase_commit import (
    Configuration,
    MemoryFiles,
    Refusal,
    Rollout,
    RunningConfiguration,
    Stage,
    refusal,
)

_LEVELS = {"error": Level.ERROR, "warning": Level.WARNING, "note": Level.NOTICE}
_PREPARE_PATIENCE = 120.0
"""Seconds that the children have to understand a new configuration; one that hangs is replaced much sooner."""


def _close(files: MemoryFiles) -> None:
    for descriptor in files.descriptors:
        os.close(descriptor)


@dataclass(frozen=True, kw_only=True)
class ReloadCallbacks:
    """What the reload asks of the rest of the parent, and reports to it."""

    is_stopping: Callable[[], bool]
    before_first: Callable[[WatchdogSlice, Callable[[], None]], None]
    """The first configuration is accepted: do what precedes its rollout, then call."""
    add_slices: Callable[[dict[str, int]], None]
    """The first rollout begins: children may be given work that the configuration has not."""
    on_in_force: Callable[[], None]
    """The children run another configuration."""
    on_started: Callable[[], None]
    """That was the first one."""
    stop: Callable[[int, str, str], None]
    """There is none to run: exit status, reason, and lines that precede it on the console."""


class Reload:
    """The way of the next configuration, which it writes to `running`; a Timed of the loop."""

    def __init__(
        self,
        loop: SelectorLoop,
        children: Children,
        running: RunningConfiguration,
        journal: Journal,
        service: ServiceManager,
        log: Logger,
        runtime_directory: Path,
        analyze: Callable[[], tuple[Analyzed, dict[str, bytes]]],
        callbacks: ReloadCallbacks,
    ) -> None:
        self._children = children
        self._running = running
        self._journal = journal
        self._service = service
        self._log = log
        self._callbacks = callbacks
        self.analyzer = AnalyzerProcess(loop, log, analyze, self._take_analysis)
        self._analyzed: Analyzed | None = None
        self._accepting = False
        """What comes before the first rollout is at work."""
        self._rollout: Rollout | None = None
        self._again = False
        self._waiting: list[Callable[[str], None]] = []
        self._generation = 0
        self._triggers = ReloadTriggers(loop, log, runtime_directory, self.ask)
        self._installation: Installation | None = None

    def look_at_installation(self) -> None:
        """These are the files that this daemon is made of; later a reload is not read with others."""
        self._installation = Installation()

    def hindrance(self) -> str:
        """Why no file can be read at all; empty where nothing is in the way."""
        return self._installation.other() if self._installation is not None else ""

    @property
    def deadline(self) -> float | None:
        moments = [self._triggers.deadline, self.analyzer.deadline]
        if self._rollout is not None and self._rollout.stage is Stage.PREPARING:
            moments.append(self._rollout.deadline)
        return min((moment for moment in moments if moment is not None), default=None)

    def fall_due(self, now: float) -> None:
        """Give up on whoever takes too long; reload at the moment that was ordered."""
        self._triggers.fall_due()
        self.analyzer.fall_due(now)
        if self._rollout is not None and self._rollout.stage is Stage.PREPARING and now >= self._rollout.deadline:
            self._abandon("the children were not ready in time")

    def configuration_for(self, name: str) -> Configuration | None:
        """What a new life of this child is given."""
        rollout = self._rollout
        if rollout is not None and rollout.stage is Stage.PREPARING and name in rollout.configuration.slices:
            return rollout.configuration
        return self._running.current

    def scheduling(self, name: str) -> Scheduling:
        """How a new life of this child is scheduled."""
        configuration = self.configuration_for(name)
        scheduling = configuration.watchdog.scheduling.get(name) if configuration is not None else None
        return of_slice(scheduling) if scheduling is not None else Scheduling()

    def _is_busy(self) -> bool:
        """A child that has to wait for its next life holds up no other configuration: that may be what it needs."""
        if self.analyzer.pid is not None or self._accepting:
            return True
        match self._rollout:
            case Rollout(stage=Stage.PREPARING):
                return True
            case Rollout(stage=Stage.COMMITTING) as rollout:
                members = [self._children.members[name] for name in rollout.waiting]
                return not any(member.supervision.phase is Phase.WAITING for member in members)
            case _:
                return False

    # analysis

    def ask(self) -> None:
        """Read the files again, unless the daemon ends; once more afterwards when that is asked for meanwhile."""
        if self._callbacks.is_stopping():
            return
        if self._is_busy():
            self._again = True
            return
        self._log.info("Reloading the configuration")
        self._service.notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
        if hindrance := self.hindrance():
            self._analyzed = None
            self._end("refused", Refusal(reasons=(hindrance,)))
            return
        self.analyze()

    def wait(self, done: Callable[[str], None]) -> Callable[[], None]:
        """`done` is given why the next reload is refused, empty: it is applied; the result withdraws it."""
        self._waiting.append(done)
        return lambda: self._forget(done)

    def _forget(self, done: Callable[[str], None]) -> None:
        self._waiting = [each for each in self._waiting if each is not done]

    def analyze(self) -> None:
        """Start an analyzer."""
        self._triggers.begin()
        try:
            self.analyzer.start()
        except OSError as error:
            self._triggers.end()
            self._log.error(f"cannot start the analyzer: {error.strerror}")
            self._judge(None, MemoryFiles({}), EXIT_SOFTWARE)

    def _take_analysis(self, analyzed: Analyzed | None, files: MemoryFiles, status: int) -> None:
        self._triggers.end()
        self._judge(analyzed, files, status)

    def _judge(self, analyzed: Analyzed | None, files: MemoryFiles, status: int) -> None:
        findings = analyzed.findings if analyzed else ()
        for finding in findings:
            self._log.write(_LEVELS[finding.severity], finding.whole)
        if analyzed is None:
            # A status below zero is a signal.
            text = f"the analyzer {describe(status if status >= 0 else 128 - status)}, see the log"
            refused: Refusal | None = Refusal(reasons=(text,))
        else:
            refused = refusal(
                findings,
                self._running.current.refusals if self._running.current else analyzed.refusals,
                unusable=bool(analyzed.fatal),
                runs_something=self._running.current is not None and bool(self._running.current.slices),
                has_work=bool(files.slices),
            )
        self._analyzed = analyzed
        if analyzed is not None and refused is None:
            self._accept(analyzed, files)
            return
        assert refused is not None
        _close(files)
        if self._running.current is not None:
            self._end("refused", refused)
        elif analyzed is None:
            self._callbacks.stop(EXIT_SOFTWARE, refused.text, "")
        else:
            errors = [finding for finding in findings if finding.severity == "error"]
            summary = f"the configuration cannot be used: {len(errors)} error{'s' * (len(errors) != 1)}"
            self._callbacks.stop(analyzed.fatal, summary, "".join(finding.whole for finding in findings))

    def _accept(self, analyzed: Analyzed, files: MemoryFiles) -> None:
        words = msgspec.msgpack.decode(analyzed.watchdog, type=WatchdogSlice)
        self._accepting = True
        if self._running.current is None:
            self._callbacks.before_first(words, lambda: self._roll_out(analyzed, words, files))
        else:
            self._roll_out(analyzed, words, files)

    # rollout

    def _roll_out(self, analyzed: Analyzed, words: WatchdogSlice, files: MemoryFiles) -> None:
        self._accepting = False
        if self._callbacks.is_stopping():
            return
        self._generation += 1
        slices = files.slices
        if self._running.current is None:
            self._callbacks.add_slices(slices)
        configuration = Configuration(self._generation, files, words, analyzed.refusals)
        self._rollout = Rollout(configuration, deadline=time.monotonic() + _PREPARE_PATIENCE)
        for name in PROCESS_SPECS:
            member = self._children.members[name]
            if name not in slices:
                continue
            if member.channel is None:
                self._children.supervise(member, supervision.Wanted())
            elif member.configured_generation is not None and member.supervision.phase is not Phase.STOPPING:
                self.send_prepare(member, configuration)
            # One that leaves comes again; a newborn first runs what the others run.
        if not slices:
            self._log.warning("the configuration gives nothing to do")
            self._commit(self._rollout)

    def send_prepare(self, member: Member, configuration: Configuration) -> None:
        """Hand the child its part of the configuration, in place of one that it does not run yet."""
        member.offered_generation = configuration.generation
        message = messages.Prepare(generation=configuration.generation)
        self._children.send(member, message, descriptor=configuration.slices[member.name])

    def take(self, member: Member, message: messages.Message) -> None:
        """What a child says of a generation."""
        rollout = self._rollout
        match message:
            case messages.Ready() if self._callbacks.is_stopping():
                pass
            case messages.Ready(generation=generation):
                if rollout is not None and rollout.prepares(generation):
                    if rollout.ready(member.name):
                        self._commit(rollout)
                elif (
                    self._running.current is not None
                    and generation == self._running.current.generation == member.offered_generation
                ):
                    self._children.send(member, messages.Commit(generation=generation))
            case messages.Refused(generation=generation, text=text):
                if rollout is not None and rollout.prepares(generation):
                    self._abandon(f"{member.name}: {text}")
            case messages.Configured(generation=generation):
                self._children.configured(member, generation)
                if rollout is not None and rollout.stage is Stage.PREPARING and rollout.waits_for(member.name):
                    self.send_prepare(member, rollout.configuration)
                elif rollout is not None and rollout.configured(member.name):
                    self._be_ready()
            case _:
                pass

    def child_died(self, member: Member) -> None:
        """A running child that died while it prepared takes the rollout with it; a newborn is simply replaced."""
        if self._running.current is not None and member.supervision.phase is Phase.RUNNING:
            self._abandon(f"the {member.name} process died while the configuration was prepared")

    def child_left(self, member: Member) -> None:
        """It was told to; a configuration that has come meanwhile may want it again."""
        rollout, stopping = self._rollout, self._callbacks.is_stopping()
        if not stopping and rollout is not None and rollout.stage is Stage.PREPARING and rollout.waits_for(member.name):
            self._children.supervise(member, supervision.Wanted())

    def child_waits(self) -> None:
        """A child died, and may have to wait for its next life."""
        if self._again and not self._is_busy():
            self._ask_again()

    def _commit(self, rollout: Rollout) -> None:
        previous, self._running.current = self._running.current, rollout.configuration
        text = f"generation {rollout.configuration.generation} of the configuration is in force"
        self._journal.note("reload", "reload", text)
        words = rollout.configuration.watchdog
        self._service.guard_by(words.watchdog_device)
        self._triggers.follow(words)
        for name, member in self._children.members.items():
            if name != "vrrp":
                member.supervision.listen_closer(words.deaf_after)
            if name in rollout.configuration.slices:
                self._children.send(member, messages.Commit(generation=rollout.configuration.generation))
            else:
                self._children.supervise(member, supervision.Unwanted(words.child_wait_time))
        if previous is not None:
            _close(previous.files)
        if not rollout.configuration.slices:
            rollout.stage = Stage.DONE
            self._be_ready()

    def _abandon(self, reason: str) -> None:
        rollout = self._rollout
        if rollout is None or not rollout.abandon(reason):
            return
        self._rollout = None
        if self._running.current is None:
            self._callbacks.stop(EXIT_CONFIGURATION, reason, "")
            return
        for name, member in self._children.members.items():
            if name not in self._running.current.slices:
                self._children.supervise(member, supervision.Unwanted(self._running.words.child_wait_time))
            elif member.channel is None or member.offered_generation != rollout.configuration.generation:
                continue
            elif member.configured_generation is None:
                self.send_prepare(member, self._running.current)
            else:
                self._children.send(member, messages.Abandon(generation=rollout.configuration.generation))
        _close(rollout.configuration.files)
        self._end("refused", Refusal(reasons=(reason,)))

    def _be_ready(self) -> None:
        self._callbacks.on_in_force()
        if self._running.current is None or self._running.current.generation > 1:
            self._end("applied", Refusal())
            self._reschedule()
            return
        self._log.info("Startup complete")
        self._callbacks.on_started()
        self._ask_again()

    def _reschedule(self) -> None:
        """A child has given up what it would need for that; another life of it has not."""
        for member in self._children.members.values():
            if member.configured_generation is not None and member.scheduling != self.scheduling(member.name):
                self._children.replace(member, "it is to be scheduled in another way")

    def _write_findings(self, verdict: str) -> None:
        """reload_check_config LOG FILE: replace the earlier findings, without waiting for a reader."""
        path = self._running.words.reload_check_log
        if path is None:
            return
        findings = "".join(finding.whole for finding in self._analyzed.findings) if self._analyzed else ""
        try:
            replace_findings(path, f"{findings}{verdict}\n")
        except Foreign as foreign:
            self._log.warning(f"reload_check_config: {foreign}")
        except OSError as error:
            self._log.warning(f"reload_check_config {path}: {error.strerror}")

    def _end(self, outcome: str, refusal: Refusal) -> None:
        self._running.last_reload = {
            "when": time.time(),
            "outcome": outcome,
            "reason": refusal.text,
            "diagnostics": [finding.summary for finding in self._analyzed.findings] if self._analyzed else [],
        }
        because = f": {refusal.text}" if refusal.text else ""
        self._write_findings(f"the reload is {outcome}" + (f": {refusal.brief}" if refusal.brief else ""))
        self._journal.note("reload", "reload", f"the reload is {outcome}{because}")
        if outcome == "applied":
            self._log.info("Reload complete")
        else:
            self._log.error(f"Reload refused, the running configuration stays: {refusal.brief}")
        self._service.notify("READY=1")
        if not self._again:
            waiting, self._waiting = self._waiting, []
            for done in waiting:
                done(refusal.lines if outcome == "refused" else "")
        self._ask_again()

    def _ask_again(self) -> None:
        if self._again:
            self._again = False
            self.ask()

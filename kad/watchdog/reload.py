"""From files to running children, at the start and at each reload: analyzed apart, judged, rolled out whole or not."""

from __future__ import annotations

import os
import signal
import time
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from kad.child.scheduling import Scheduling, of_slice
from kad.linux.files.own_files import Foreign, replace_findings
from kad.linux.process.fork import Birth
from kad.linux.process.process import processor_time
from kad.linux.sockets.channel import Channel, ChannelLost
from kad.model.daemon import WatchdogSlice
from kad.shared import messages
from kad.shared.exit_codes import EXIT_CONFIGURATION, EXIT_OK, EXIT_SOFTWARE, describe
from kad.shared.framing import BadFrame
from kad.shared.log import Level
from kad.shared.messages import Analyzed
from kad.watchdog import process_specs, supervision
from kad.watchdog.installed_version import Installation
from kad.watchdog.process_registry import PROCESS_SPECS
from kad.watchdog.process_specs import Member
from kad.watchdog.reload_triggers import ReloadSchedule
from kad.watchdog.supervision import Phase
from kad.watchdog.two_phase_commit import Configuration, MemoryFiles, Refusal, Rollout, Stage, refusal

if TYPE_CHECKING:
    from kad.watchdog.daemon import Watchdog

_LEVELS = {"error": Level.ERROR, "warning": Level.WARNING, "note": Level.NOTICE}
_PREPARE_PATIENCE = 120.0
"""Seconds that the children have to understand a new configuration; one that hangs is replaced much sooner."""
_ANALYZE_PATIENCE = 60.0
"""Seconds in which an analyzer must have worked; one that waits for a file for so long is given up."""
_ANALYZE_WORK = 0.1
"""Seconds of a processor that count as work: on a busy host a large file takes minutes."""
_ANALYZE_LONGEST = 600.0
"""Seconds after which it is given up, whatever it does."""


@dataclass
class Analysis:
    """An analyzer at work."""

    birth: Birth
    channel: Channel
    deadline: float | None
    """None: it was killed."""
    descriptors: dict[str, int]
    """Memory files that have come, by the name of the child or messages.RELEASE."""
    until: float
    """Not even work counts after this moment."""
    worked: float = 0.0
    """Seconds of a processor that it had when it was last looked at."""

    @property
    def files(self) -> MemoryFiles:
        """What has come."""
        slices = {name: descriptor for name, descriptor in self.descriptors.items() if name in PROCESS_SPECS}
        return MemoryFiles(slices, self.descriptors.get(messages.RELEASE))

    def works(self, now: float) -> bool:
        """Whether it has got on since the last look, and may go on."""
        before, self.worked = self.worked, processor_time(self.birth.pid, asleep=True) or 0.0
        return now < self.until and self.worked - before >= _ANALYZE_WORK


def _close(files: MemoryFiles) -> None:
    for descriptor in files.descriptors:
        os.close(descriptor)


class Reload:
    """For the watchdog: which configuration runs, and the way of the next one."""

    def __init__(self, watchdog: Watchdog) -> None:
        self._watchdog = watchdog
        self._log = watchdog.log
        self.current: Configuration | None = None
        self.last: dict[str, object] | None = None
        """When the last reload was, what became of it, and its diagnostics."""
        self._analysis: Analysis | None = None
        self._analyzed: Analyzed | None = None
        self._accepting = False
        """What comes before the first rollout is at work."""
        self._rollout: Rollout | None = None
        self._again = False
        self._generation = 0
        self._schedule = ReloadSchedule(watchdog)
        self._installation: Installation | None = None

    def look_at_installation(self) -> None:
        """These are the files that this daemon is made of; later a reload is not read with others."""
        self._installation = Installation()

    def hindrance(self) -> str:
        """Why no file can be read at all; empty where nothing is in the way."""
        return self._installation.other() if self._installation is not None else ""

    @property
    def words(self) -> WatchdogSlice:
        """What the running configuration says of the parent."""
        return self.current.watchdog if self.current else WatchdogSlice()

    @property
    def deadline(self) -> float | None:
        moments = [self._schedule.deadline]
        if self._analysis is not None:
            moments.append(self._analysis.deadline)
        if self._rollout is not None and self._rollout.stage is Stage.PREPARING:
            moments.append(self._rollout.deadline)
        return min((moment for moment in moments if moment is not None), default=None)

    def fall_due(self, now: float) -> None:
        """Give up on whoever takes too long; reload at the moment that was ordered."""
        self._schedule.fall_due()
        analysis = self._analysis
        if analysis is not None and analysis.deadline is not None and now >= analysis.deadline:
            if analysis.works(now):
                analysis.deadline = now + _ANALYZE_PATIENCE
            else:
                self.cancel_analysis()
        if self._rollout is not None and self._rollout.stage is Stage.PREPARING and now >= self._rollout.deadline:
            self._abandon("the children were not ready in time")

    def configuration_for(self, name: str) -> Configuration | None:
        """What a new life of this child is given."""
        rollout = self._rollout
        if rollout is not None and rollout.stage is Stage.PREPARING and name in rollout.configuration.slices:
            return rollout.configuration
        return self.current

    @property
    def analyzer(self) -> int | None:
        """Pid of the analyzer at work."""
        return self._analysis.birth.pid if self._analysis is not None else None

    def scheduling(self, name: str) -> Scheduling:
        """How a new life of this child is scheduled."""
        configuration = self.configuration_for(name)
        scheduling = configuration.watchdog.scheduling.get(name) if configuration is not None else None
        return of_slice(scheduling) if scheduling is not None else Scheduling()

    def _is_busy(self) -> bool:
        """A child that has to wait for its next life holds up no other configuration: that may be what it needs."""
        if self._analysis is not None or self._accepting:
            return True
        match self._rollout:
            case Rollout(stage=Stage.PREPARING):
                return True
            case Rollout(stage=Stage.COMMITTING) as rollout:
                members = [self._watchdog.members[name] for name in rollout.waiting]
                return not any(member.supervision.phase is Phase.WAITING for member in members)
            case _:
                return False

    # analysis

    def ask(self) -> None:
        """Read the files again; once more afterwards when that is asked for meanwhile."""
        if self._is_busy():
            self._again = True
            return
        self._log.info("Reloading the configuration")
        self._watchdog.inquiries.tell_systemd(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
        if hindrance := self.hindrance():
            self._analyzed = None
            self._end("refused", Refusal(reasons=(hindrance,)))
            return
        self.analyze()

    def analyze(self) -> None:
        """Start an analyzer."""
        self._schedule.begin()
        try:
            birth = process_specs.fork_analyzer(self._watchdog.options.analyze, self._log)
        except OSError as error:
            self._schedule.end()
            self._log.error(f"cannot start the analyzer: {error.strerror}")
            self._judge(None, MemoryFiles({}), EXIT_SOFTWARE)
            return
        now = time.monotonic()
        self._analysis = Analysis(birth, Channel(birth.end), now + _ANALYZE_PATIENCE, {}, now + _ANALYZE_LONGEST)
        self._watchdog.watch(birth.end, self._read_analyzer)

    def cancel_analysis(self) -> None:
        """Its end of file will say the rest."""
        if self._analysis is not None:
            os.kill(self._analysis.birth.pid, signal.SIGKILL)
            self._analysis.deadline = None

    def _read_analyzer(self) -> None:
        analysis = self._analysis
        if analysis is None:
            return
        try:
            analyzed = self._take(analysis)
            if analyzed is None:
                return
        except ChannelLost:
            analyzed = None
        except Exception:
            # What it was given to read may have led it to anything.
            self._log.error(traceback.format_exc())
            analyzed = None
        self._watchdog.unwatch(analysis.birth.end)
        analysis.channel.close()
        # It has said all that it will say; one that cannot even exit must not keep us.
        os.kill(analysis.birth.pid, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(analysis.birth.pid, 0)[1])
        os.close(analysis.birth.pidfd)
        self._analysis = None
        self._schedule.end()
        self._judge(analyzed, analysis.files, status)

    def _take(self, analysis: Analysis) -> Analyzed | None:
        for frame in analysis.channel.receive():
            match messages.from_frame(frame):
                case messages.Slice(name=name):
                    if name not in (*PROCESS_SPECS, messages.RELEASE) or name in analysis.descriptors:
                        raise BadFrame(f"a slice for {name!r}")
                    analysis.descriptors[name] = analysis.channel.take_descriptor()
                case Analyzed() as analyzed:
                    return analyzed
                case _:
                    pass
        return None

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
                self.current.refusals if self.current else analyzed.refusals,
                unusable=bool(analyzed.fatal),
                runs_something=self.current is not None and bool(self.current.slices),
                has_work=bool(files.slices),
            )
        self._analyzed = analyzed
        if analyzed is not None and refused is None:
            self._accept(analyzed, files)
            return
        assert refused is not None
        _close(files)
        if self.current is not None:
            self._end("refused", refused)
        elif analyzed is None:
            self._watchdog.stop(EXIT_SOFTWARE, refused.text)
        else:
            errors = [finding for finding in findings if finding.severity == "error"]
            summary = f"the configuration cannot be used: {len(errors)} error{'s' * (len(errors) != 1)}"
            self._watchdog.stop(analyzed.fatal, summary, "".join(finding.whole for finding in findings))

    def _accept(self, analyzed: Analyzed, files: MemoryFiles) -> None:
        words = msgspec.msgpack.decode(analyzed.watchdog, type=WatchdogSlice)
        self._accepting = True

        def go_on() -> None:
            if self.current is None:
                self._watchdog.sweep.clear(lambda: self._roll_out(analyzed, words, files))
            else:
                self._roll_out(analyzed, words, files)

        if self.current is None:
            self._watchdog.run_program(words.startup_script, words.startup_script_timeout, go_on)
        else:
            go_on()

    # rollout

    def _roll_out(self, analyzed: Analyzed, words: WatchdogSlice, files: MemoryFiles) -> None:
        self._accepting = False
        if self._watchdog.stopping:
            return
        self._generation += 1
        slices = files.slices
        if self.current is None:
            self._watchdog.left_behind.appoint(slices)
        configuration = Configuration(self._generation, files, words, analyzed.refusals)
        self._rollout = Rollout(configuration, deadline=time.monotonic() + _PREPARE_PATIENCE)
        for name in PROCESS_SPECS:
            member = self._watchdog.members[name]
            if name not in slices:
                continue
            if member.channel is None:
                self._watchdog.supervise(member, supervision.Wanted())
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
        self._watchdog.send(member, message, descriptor=configuration.slices[member.name])

    def hear(self, member: Member, message: messages.Message) -> None:
        """What a child says of a generation."""
        rollout = self._rollout
        match message:
            case messages.Ready() if self._watchdog.stopping:
                pass
            case messages.Ready(generation=generation):
                if rollout is not None and rollout.prepares(generation):
                    if rollout.ready(member.name):
                        self._commit(rollout)
                elif self.current is not None and generation == self.current.generation == member.offered_generation:
                    self._watchdog.send(member, messages.Commit(generation=generation))
            case messages.Refused(generation=generation, text=text):
                if rollout is not None and rollout.prepares(generation):
                    self._abandon(f"{member.name}: {text}")
            case messages.Configured(generation=generation):
                self._watchdog.configured(member, generation)
                if rollout is not None and rollout.stage is Stage.PREPARING and rollout.waits_for(member.name):
                    self.send_prepare(member, rollout.configuration)
                elif rollout is not None and rollout.configured(member.name):
                    self._be_ready()
            case _:
                pass

    def child_died(self, member: Member) -> None:
        """A running child that died while it prepared takes the rollout with it; a newborn is simply replaced."""
        if self.current is not None and member.supervision.phase is Phase.RUNNING:
            self._abandon(f"the {member.name} process died while the configuration was prepared")

    def child_left(self, member: Member) -> None:
        """It was told to; a configuration that has come meanwhile may want it again."""
        rollout, stopping = self._rollout, self._watchdog.stopping
        if not stopping and rollout is not None and rollout.stage is Stage.PREPARING and rollout.waits_for(member.name):
            self._watchdog.supervise(member, supervision.Wanted())

    def child_waits(self) -> None:
        """A child died, and may have to wait for its next life."""
        if self._again and not self._is_busy():
            self._ask_again()

    def _commit(self, rollout: Rollout) -> None:
        previous, self.current = self.current, rollout.configuration
        text = f"generation {rollout.configuration.generation} of the configuration is in force"
        self._watchdog.journal.note("reload", "reload", text)
        words = rollout.configuration.watchdog
        self._watchdog.inquiries.guard_by(words.watchdog_device)
        self._schedule.follow(words)
        for name, member in self._watchdog.members.items():
            if name != "vrrp":
                member.supervision.listen_closer(words.deaf_after)
            if name in rollout.configuration.slices:
                self._watchdog.send(member, messages.Commit(generation=rollout.configuration.generation))
            else:
                self._watchdog.supervise(member, supervision.Unwanted(words.child_wait_time))
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
        if self.current is None:
            self._watchdog.stop(EXIT_CONFIGURATION, reason)
            return
        for name, member in self._watchdog.members.items():
            if name not in self.current.slices:
                self._watchdog.supervise(member, supervision.Unwanted(self.words.child_wait_time))
            elif member.channel is None or member.offered_generation != rollout.configuration.generation:
                continue
            elif member.configured_generation is None:
                self.send_prepare(member, self.current)
            else:
                self._watchdog.send(member, messages.Abandon(generation=rollout.configuration.generation))
        _close(rollout.configuration.files)
        self._end("refused", Refusal(reasons=(reason,)))

    def _be_ready(self) -> None:
        watchdog = self._watchdog
        watchdog.sweep.remember()
        if self.current is not None:
            watchdog.left_behind.dismiss(self.current.slices)
        watchdog.left_behind.remember()
        if self.current is None or self.current.generation > 1:
            self._end("applied", Refusal())
            self._reschedule()
            return
        self._log.info("Startup complete")
        watchdog.options.say_started(EXIT_OK, "")
        watchdog.inquiries.tell_systemd(f"READY=1\nMAINPID={os.getpid()}")
        if watchdog.options.dump_configuration:
            watchdog.inquiries.log_everything()
        self._ask_again()

    def _reschedule(self) -> None:
        """A child has given up what it would need for that; another life of it has not."""
        for member in self._watchdog.members.values():
            if member.configured_generation is not None and member.scheduling != self.scheduling(member.name):
                self._watchdog.replace(member, "it is to be scheduled in another way")

    def _write_findings(self, verdict: str) -> None:
        """reload_check_config LOG FILE: replace the earlier findings, without waiting for a reader."""
        path = self.words.reload_check_log
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
        self.last = {
            "when": time.time(),
            "outcome": outcome,
            "reason": refusal.text,
            "diagnostics": [finding.summary for finding in self._analyzed.findings] if self._analyzed else [],
        }
        because = f": {refusal.text}" if refusal.text else ""
        self._write_findings(f"the reload is {outcome}" + (f": {refusal.brief}" if refusal.brief else ""))
        self._watchdog.journal.note("reload", "reload", f"the reload is {outcome}{because}")
        if outcome == "applied":
            self._log.info("Reload complete")
        else:
            self._log.error(f"Reload refused, the running configuration stays: {refusal.brief}")
        self._watchdog.inquiries.tell_systemd("READY=1")
        if not self._again:
            self._watchdog.inquiries.reload_ended(refusal.lines if outcome == "refused" else "")
        self._ask_again()

    def _ask_again(self) -> None:
        if self._again:
            self._again = False
            self._watchdog.ask_reload()

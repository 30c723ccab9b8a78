"""The parent: forks and supervises the children, relays what they say, obeys signals; no event loop but selectors."""

from __future__ import annotations

import contextlib
import os
import select
import selectors
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from kad import VERSION, child, control, errand, family, messages, supervision
from kad.config.daemon import WatchdogSlice
from kad.errand import Errand
from kad.family import KINDS, Member
from kad.inquiry import Inquiries
from kad.linux.channel import Channel, ChannelLost
from kad.linux.pidfile import PidFile, write_child_pid
from kad.linux.spawn import reap
from kad.log import Logger
from kad.machine import Deadlines
from kad.messages import BadFrame, Frame
from kad.rollout import Configuration, Rollout, Stage
from kad.run.keywords import Program
from kad.supervision import EXIT_CONFIGURATION, EXIT_OK, EXIT_SOFTWARE, Phase, Supervision

_PREPARE_PATIENCE = 30.0
"""Seconds that the children have to understand a new configuration."""
_ANALYZE_PATIENCE = 60.0
_TRACE_PATIENCE = 0.02
"""Seconds that a child that does not answer has to say where it is."""


@dataclass(frozen=True)
class Options:
    """What the command line says of this run."""

    files: str
    runtime_directory: Path
    analyze: Callable[[], tuple[messages.Analyzed, dict[str, bytes]]]
    """Reads the configuration; called in a process of its own."""
    child_pid_files: dict[str, Path]
    release_at_stop: bool = True
    respawn: bool = True
    ignore_interrupt: bool = False
    dump_configuration: bool = False
    """Log everything about the children once they are configured."""
    say_started: Callable[[int, str], None] = lambda status, text: None
    """Tells whoever waits for the start: 0, or the exit status and why."""


class Watchdog:
    """The parent process; run() serves until the daemon ends and returns the exit status."""

    def __init__(self, options: Options, log: Logger, pid_file: PidFile) -> None:
        self.options = options
        self.log = log
        self._pid_file = pid_file
        self._selector = selectors.DefaultSelector()
        self._deadlines: Deadlines[Supervision] = Deadlines()
        self.members = {name: Member(kind) for name, kind in KINDS.items()}
        self.started = time.time()
        self.current: Configuration | None = None
        self.rollout: Rollout | None = None
        self.last_reload: dict[str, object] | None = None
        self._analysis: tuple[family.Birth, Channel, float] | None = None
        self._analyzed_slices: dict[str, int] = {}
        self._reload_again = False
        self._errand: Errand | None = None
        self._last_analyzed: messages.Analyzed | None = None
        self._exit_status = EXIT_OK
        self._generation = 0
        self.deaf_after = family.DEAF_AFTER
        self._ping = 0
        self._latest: dict[tuple[int, str], Frame] = {}
        self._stopping = False
        self._status: int | None = None
        self.inquiries = Inquiries(self)

    def run(self) -> int:
        """Start, serve, stop; returns the exit status."""
        self._take_signals()
        self.log.info(f"Starting kad v{VERSION} with configuration {self.options.files}")
        listener = control.listen(self.options.runtime_directory)
        self._selector.register(listener, selectors.EVENT_READ, lambda: self.inquiries.accept(listener))
        self._begin_analysis()
        self._preload()
        while self._status is None:
            self._serve_once()
        self._clean_up(listener)
        return self._status

    def _preload(self) -> None:
        """Import, while the analyzer works, what the children share; a fork is then all that a new life costs."""
        for name in ("runner", "vrrp"):
            family.factory(KINDS[name])

    def _take_signals(self) -> None:
        reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        for number in (
            signal.SIGTERM,
            signal.SIGINT,
            signal.SIGHUP,
            signal.SIGUSR1,
            signal.SIGUSR2,
            signal.SIGRTMIN + 2,
            signal.SIGRTMAX - 1,
            signal.SIGRTMAX,
        ):
            signal.signal(number, lambda _number, _frame: None)
        if self.options.ignore_interrupt:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        self._selector.register(reader, selectors.EVENT_READ, lambda: self._read_signals(reader))

    def _read_signals(self, reader: int) -> None:
        for number in os.read(reader, 512):
            match number:
                case signal.SIGTERM | signal.SIGINT:
                    self.stop(EXIT_OK, "")
                case signal.SIGHUP:
                    self.reload()
                case _:
                    self.inquiries.write_for_signal(number)

    def _serve_once(self) -> None:
        for key, _ in self._selector.select(self._wait()):
            if key.fileobj in self._selector.get_map():
                key.data()
        now = time.monotonic()
        for machine in self._deadlines.due(now):
            self._doubt(self.members[machine.name], now)
        self.inquiries.fall_due(now)
        if self._errand is not None:
            self._errand.fall_due(now)
        if self.rollout is not None and self.rollout.stage is Stage.PREPARING and now >= self.rollout.deadline:
            self._abandon("the children were not ready in time")
        if self._analysis is not None and now >= self._analysis[2]:
            os.kill(self._analysis[0].pid, signal.SIGKILL)

    def _wait(self) -> float | None:
        moments = [self._deadlines.next(), self.inquiries.deadline]
        if self.rollout is not None and self.rollout.stage is Stage.PREPARING:
            moments.append(self.rollout.deadline)
        if self._analysis is not None:
            moments.append(self._analysis[2])
        if self._errand is not None:
            moments.append(self._errand.deadline)
        earliest = min((moment for moment in moments if moment is not None), default=None)
        return None if earliest is None else max(0.0, earliest - time.monotonic())

    def watch(self, descriptor: socket.socket | int, events: int, callback: Callable[[], None]) -> None:
        """Call when the descriptor is ready; replaces what was asked for it before."""
        with contextlib.suppress(KeyError):
            self._selector.unregister(descriptor)
        self._selector.register(descriptor, events, callback)

    def unwatch(self, descriptor: socket.socket | int) -> None:
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(descriptor)

    # configuration

    def reload(self) -> None:
        """Read the files again; once more afterwards when that is asked for meanwhile."""
        if self._stopping:
            return
        if self._analysis is not None or (self.rollout is not None and self.rollout.stage is not Stage.DONE):
            self._reload_again = True
            return
        self.log.info("Reloading the configuration")
        self.inquiries.tell_systemd(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
        self._begin_analysis()

    def _begin_analysis(self) -> None:
        birth = family.fork_analyzer(self.options.analyze)
        channel = Channel(birth.end)
        self._analysis = (birth, channel, time.monotonic() + _ANALYZE_PATIENCE)
        self._analyzed_slices = {}
        self.watch(birth.end, selectors.EVENT_READ, self._read_analyzer)

    def _read_analyzer(self) -> None:
        assert self._analysis is not None
        birth, channel, _ = self._analysis
        analyzed: messages.Analyzed | None = None
        try:
            for frame in channel.receive():
                match messages.from_frame(frame):
                    case messages.Slice(name=name):
                        self._analyzed_slices[name] = channel.descriptors.popleft()
                    case messages.Analyzed() as analyzed:
                        break
                    case _:
                        pass
            if analyzed is None:
                return
        except (ChannelLost, BadFrame) as error:
            self.log.error(f"the analyzer died: {error}")
        self.unwatch(birth.end)
        channel.close()
        os.waitpid(birth.pid, 0)
        os.close(birth.pidfd)
        self._analysis = None
        self._judge(analyzed)

    def _judge(self, analyzed: messages.Analyzed | None) -> None:
        slices, self._analyzed_slices = self._analyzed_slices, {}
        for text in analyzed.diagnostics if analyzed else ():
            self.log.warning(text)
        if self.current is None:
            if analyzed is None or analyzed.fatal:
                status = analyzed.fatal if analyzed else EXIT_SOFTWARE
                self.stop(status, "\n".join(analyzed.diagnostics) if analyzed else "the analyzer died")
                return
        else:
            running = self.current.refusals
            news = [text for text in analyzed.refusals if text not in running] if analyzed else ["the analyzer died"]
            if analyzed is None or analyzed.fatal or news:
                for descriptor in slices.values():
                    os.close(descriptor)
                self._end_reload("refused", "; ".join(news) or "the file cannot be used", analyzed)
                return
        assert analyzed is not None
        words = msgspec.msgpack.decode(analyzed.watchdog, type=WatchdogSlice)
        if self.current is None:
            timeout = words.startup_script_timeout
            self._run(words.startup_script, timeout, lambda: self._roll_out(analyzed, slices))
        else:
            self._roll_out(analyzed, slices)

    def _run(self, program: Program | None, timeout: float, then: Callable[[], None]) -> None:
        """A program of the daemon itself, and what follows it."""

        def done() -> None:
            self._errand = None
            then()

        self._errand = errand.begin(self, program, timeout, done)

    def _roll_out(self, analyzed: messages.Analyzed, slices: dict[str, int]) -> None:
        if self._stopping:
            return
        self._generation += 1
        configuration = Configuration(
            generation=self._generation,
            slices=slices,
            watchdog=msgspec.msgpack.decode(analyzed.watchdog, type=WatchdogSlice),
            refusals=frozenset(analyzed.refusals),
        )
        self.rollout = Rollout(configuration, deadline=time.monotonic() + _PREPARE_PATIENCE)
        self._last_analyzed = analyzed
        for name in KINDS:
            if name in slices:
                self._prepare(self.members[name], configuration)
        if not slices:
            self.log.warning("the configuration gives nothing to do")
            self._commit()

    def _prepare(self, member: Member, configuration: Configuration) -> None:
        if member.channel is None:
            self._supervise(member, supervision.Wanted())
        else:
            self._send_prepare(member, configuration)

    def _send_prepare(self, member: Member, configuration: Configuration) -> None:
        message = messages.Prepare(generation=configuration.generation)
        self.send(member, message, descriptor=configuration.slices[member.name])

    def _configuration_for(self, name: str) -> Configuration | None:
        """What a new life of this child is given."""
        rollout = self.rollout
        if rollout is not None and rollout.stage is Stage.PREPARING and name in rollout.configuration.slices:
            return rollout.configuration
        return self.current

    def _commit(self) -> None:
        assert self.rollout is not None
        previous, self.current = self.current, self.rollout.configuration
        self.deaf_after = self.current.watchdog.deaf_after
        self.inquiries.guard_by(self.current.watchdog.watchdog_device)
        for name, member in self.members.items():
            if name != "vrrp":
                member.supervision.listen_closer(self.deaf_after)
            if name in self.current.slices:
                self.send(member, messages.Commit(generation=self.current.generation))
            else:
                self._supervise(member, supervision.Unwanted(self.current.watchdog.child_wait_time))
        for descriptor in previous.slices.values() if previous else ():
            os.close(descriptor)
        if not self.current.slices:
            self.rollout.stage = Stage.DONE
            self._be_ready()

    def _abandon(self, reason: str) -> None:
        rollout = self.rollout
        if rollout is None or not rollout.abandon(reason):
            return
        generation = rollout.configuration.generation
        self.rollout = None
        if self.current is None:
            self.stop(EXIT_CONFIGURATION, reason)
            return
        for name, member in self.members.items():
            if name not in self.current.slices:
                self._supervise(member, supervision.Unwanted(self.current.watchdog.child_wait_time))
            elif member.channel is not None:
                self.send(member, messages.Abandon(generation=generation))
        for descriptor in rollout.configuration.slices.values():
            os.close(descriptor)
        self._end_reload("refused", reason, self._last_analyzed)

    def _be_ready(self) -> None:
        assert self.current is not None
        if self.current.generation == 1:
            self.log.info("Startup complete")
            self.options.say_started(EXIT_OK, "")
            self.inquiries.tell_systemd(f"READY=1\nMAINPID={os.getpid()}")
            if self.options.dump_configuration:
                self.inquiries.log_everything()
        else:
            self._end_reload("applied", "", self._last_analyzed)

    def _end_reload(self, outcome: str, reason: str, analyzed: messages.Analyzed | None) -> None:
        self.last_reload = {
            "when": time.time(),
            "outcome": outcome,
            "reason": reason,
            "diagnostics": list(analyzed.diagnostics) if analyzed else [],
        }
        if outcome == "applied":
            self.log.info("Reload complete")
        else:
            self.log.error(f"Reload refused, the running configuration stays: {reason}")
        self.inquiries.tell_systemd("READY=1")
        if self._reload_again:
            self._reload_again = False
            self.reload()

    # children

    def send(self, member: Member, message: messages.Message, descriptor: int | None = None) -> None:
        """Say something to a child; one that cannot be reached is about to be buried."""
        self._pass_on(member, messages.to_frame(message), message.IS_STATE, descriptor)

    def _pass_on(self, member: Member, frame: Frame, state: bool, descriptor: int | None = None) -> None:
        if member.channel is None:
            return
        try:
            member.channel.send(frame, state=state, descriptor=descriptor)
        except ChannelLost as error:
            self.log.debug(f"{member.name} cannot be reached: {error}")
            return
        if member.channel.has_backlog:
            events = selectors.EVENT_READ | selectors.EVENT_WRITE
            self.watch(member.channel.fileno(), events, lambda: self._read_child(member))

    def _read_child(self, member: Member) -> None:
        if member.channel is None:
            return
        try:
            self._flush(member, member.channel)
            frames = member.channel.receive()
        except ChannelLost:
            self.unwatch(member.channel.fileno())
            return
        for frame in frames:
            try:
                self._hear(member, frame)
            except BadFrame as error:
                self.log.error(f"{member.name}: {error}")

    def _flush(self, member: Member, channel: Channel) -> None:
        """Send what waited; then nobody asks for room any more. Raises ChannelLost."""
        if channel.has_backlog:
            channel.flush()
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if channel.has_backlog else 0)
            self.watch(channel.fileno(), events, lambda: self._read_child(member))

    def _hear(self, member: Member, frame: Frame) -> None:
        now = time.monotonic()
        match frame.kind:
            case messages.Pong.KIND:
                member.supervision.handle(supervision.Answered(), now)
            case messages.SnapshotTaken.KIND:
                taken = messages.from_frame(frame)
                assert isinstance(taken, messages.SnapshotTaken)
                self.inquiries.take(member.name, taken)
            case messages.Ready.KIND | messages.Refused.KIND | messages.Configured.KIND:
                self._hear_configuration(member, messages.from_frame(frame))
            case _:
                self._relay(member, frame)

    def _relay(self, speaker: Member, frame: Frame) -> None:
        state = messages.KINDS[frame.kind].IS_STATE
        if state:
            self._latest[frame.kind, frame.key] = frame
        for other in self.members.values():
            if other is not speaker and frame.kind in other.kind.hears:
                self._pass_on(other, frame, state)
        if frame.kind == messages.RouterState.KIND:
            self.inquiries.router_changed(frame)

    def _hear_configuration(self, member: Member, message: messages.Message) -> None:
        rollout, now = self.rollout, time.monotonic()
        match message:
            case messages.Ready(generation=generation):
                if rollout is not None and rollout.prepares(generation):
                    if rollout.ready(member.name):
                        self._commit()
                elif self.current is not None and generation == self.current.generation:
                    self.send(member, messages.Commit(generation=generation))
            case messages.Refused(text=text):
                self._abandon(f"{member.name}: {text}")
            case messages.Configured(generation=generation):
                member.supervision.handle(supervision.Configured(), now)
                self._deadlines.watch(member.supervision)
                member.configured_generation = generation
                if rollout is not None and rollout.configured(member.name):
                    self._be_ready()
            case _:
                pass

    def is_well(self, now: float) -> bool:
        """Every child that is wanted runs and answers, or has been gone for a moment only."""
        return not self._stopping and all(member.supervision.is_well(now) for member in self.members.values())

    def _supervise(self, member: Member, event: supervision.Event) -> None:
        for action in member.supervision.handle(event, time.monotonic()):
            match action:
                case supervision.Fork():
                    self._fork(member)
                case supervision.TellStop():
                    self.send(member, self._farewell())
                case supervision.AskAlive():
                    self._ping += 1
                    self.send(member, messages.Ping(number=self._ping))
                case supervision.Kill(reason):
                    self._kill(member, reason)
                case supervision.GiveUp(status, reason):
                    self.stop(status, reason)
                case supervision.Complain(level, text):
                    getattr(self.log, level)(text)
                case supervision.Gone():
                    pass
        self._deadlines.watch(member.supervision)
        if self._stopping:
            self._stop_next()

    def _farewell(self) -> messages.Stop:
        """Addresses stay until another router has them, but not so long that this child would be killed."""
        watchdog = self.current.watchdog if self.current else WatchdogSlice()
        handover = 0.8 * watchdog.child_wait_time if watchdog.handover else 0.0
        return messages.Stop(release=self.options.release_at_stop, handover=handover)

    def doubt_again(self, machine: Supervision) -> None:
        """Its deadline may be an earlier one now."""
        self._deadlines.watch(machine)

    def _doubt(self, member: Member, now: float) -> None:
        """A child whose loop was seen to turn need not answer."""
        turned_at = member.page.turned_at
        if turned_at:
            member.supervision.handle(supervision.Answered(turned_at), now)
        self._supervise(member, supervision.DeadlineReached())

    def _kill(self, member: Member, reason: str) -> None:
        """Ask where it is, then end it."""
        if member.pidfd is None:
            return
        doing = member.page.activity or "starting"
        self.log.error(f"killing the {member.name} process {member.pid}: {reason}; it was last {doing}")
        with contextlib.suppress(ProcessLookupError):
            if member.supervision.phase is Phase.RUNNING and member.trace is not None:
                signal.pidfd_send_signal(member.pidfd, child.TRACE_SIGNAL)
                if select.select([member.trace], [], [], _TRACE_PATIENCE)[0]:
                    self.log.error(os.read(member.trace, 16384).decode(errors="replace"))
            signal.pidfd_send_signal(member.pidfd, signal.SIGKILL)

    def _fork(self, member: Member) -> None:
        earlier = self.inquiries.earlier_lives(member.page) if member.name == "vrrp" else ()
        configuration = self._configuration_for(member.name)
        titles = configuration.watchdog.process_names if configuration else {}
        family.fork_member(member, self.log, titles.get(member.name))
        assert member.channel is not None
        assert member.pidfd is not None
        self.log.info(f"Starting the {member.name} process, pid={member.pid}")
        self.watch(member.channel.fileno(), selectors.EVENT_READ, lambda: self._read_child(member))
        self.watch(member.pidfd, selectors.EVENT_READ, lambda: self._bury(member))
        self._write_child_pid(member)
        for (kind, _), frame in self._latest.items():
            if kind in member.kind.hears:
                self._pass_on(member, frame, state=True)
        if configuration is not None and member.name in configuration.slices:
            self._send_prepare(member, configuration)
            if earlier:
                self.send(member, messages.Resume(routers=earlier))

    def _write_child_pid(self, member: Member) -> None:
        path = self.options.child_pid_files[member.name]
        try:
            write_child_pid(path, member.pid or 0)
        except OSError as error:
            self.log.warning(f"pid file {path}: {error.strerror}")

    def _bury(self, member: Member) -> None:
        assert member.pidfd is not None
        assert member.channel is not None
        self._read_child(member)
        self.unwatch(member.pidfd)
        self.unwatch(member.channel.fileno())
        status = reap(member.pidfd) or EXIT_OK
        os.close(member.pidfd)
        member.channel.close()
        if member.trace is not None:
            os.close(member.trace)
        member.pid = member.trace = member.pidfd = member.channel = None
        self.options.child_pid_files[member.name].unlink(missing_ok=True)
        self.inquiries.lose(member.name)
        rollout = self.rollout
        if self.current is not None and rollout is not None and member.supervision.phase is Phase.RUNNING:
            self._abandon(f"the {member.name} process died while it was prepared")
        if not self.options.respawn and not self._stopping:
            self.stop(EXIT_SOFTWARE, f"the {member.name} process {supervision.describe(status)}")
        self._supervise(member, supervision.Died(status))

    # the end

    def stop(self, status: int, reason: str) -> None:
        """Let all children leave in order, then end with this status."""
        if self._stopping:
            return
        self._stopping = True
        self._exit_status = status
        if reason:
            self.log.error(reason)
            if self.current is None:
                self.options.say_started(status, reason)
        self.log.info("Stopping")
        self.inquiries.tell_systemd("STOPPING=1")
        if self._analysis is not None:
            os.kill(self._analysis[0].pid, signal.SIGKILL)
        self._stop_next()

    def _stop_next(self) -> None:
        """vrrp and checker leave first; the runner last, because it runs what the others ask for on leaving."""
        alive = [member for member in self.members.values() if member.supervision.phase is not Phase.ABSENT]
        if not alive:
            self._end()
            return
        patience = self.current.watchdog.child_wait_time if self.current else 1.0
        first = min(member.kind.leaves for member in alive)
        for member in alive:
            if member.kind.leaves == first and member.supervision.phase is not Phase.STOPPING:
                self._supervise(member, supervision.Unwanted(patience))

    def _end(self) -> None:
        """The children have left; shutdown_script is the last that happens."""
        words = self.current.watchdog if self.current else WatchdogSlice()
        self.current = None

        def end() -> None:
            self._status = self._exit_status

        self._run(words.shutdown_script, words.shutdown_script_timeout, end)

    def _clean_up(self, listener: socket.socket) -> None:
        listener.close()
        self.inquiries.guard_by(None)
        control.socket_path(self.options.runtime_directory).unlink(missing_ok=True)
        self._pid_file.remove()
        self.log.info(f"Stopped kad v{VERSION}")

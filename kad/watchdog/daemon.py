"""The parent process: forks and supervises the children and relays their messages; its loop is kad.shared.poll."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kad import VERSION
from kad.child import main as child
from kad.child import privileges
from kad.linux.files.fifo import HeldFifos
from kad.linux.process.pid_file import PidFile, write_child_pid
from kad.linux.process.process import processor_time
from kad.linux.process.spawn import identity, reap, reap_strangers
from kad.linux.sockets.channel import Channel, ChannelFull, ChannelLost
from kad.model.program_end import shell_status
from kad.model.runner import Program
from kad.shared import control_protocol, exit_codes, messages
from kad.shared.exit_codes import EXIT_OK, EXIT_SOFTWARE
from kad.shared.framing import BadFrame, Frame
from kad.shared.log import Logger
from kad.shared.poll import Poll
from kad.shared.state_machine import Deadlines
from kad.watchdog import control_socket, lifecycle_scripts, process_specs, supervision
from kad.watchdog.address_cleanup import Sweep
from kad.watchdog.control_server import Inquiries
from kad.watchdog.ipvs_cleanup import LeftBehind
from kad.watchdog.journal import Journal
from kad.watchdog.latest_states import States
from kad.watchdog.lifecycle_scripts import Errand
from kad.watchdog.process_registry import PROCESS_SPECS
from kad.watchdog.process_specs import Member, Order
from kad.watchdog.reload import Reload
from kad.watchdog.supervision import Phase, Supervision

_PAUSE = 0.5
"""Seconds by which this loop may be late before it is worth remembering."""
_LONGEST_WAIT = 3600.0
"""Seconds after which this loop turns, whatever it waits for."""
_TRACE_PATIENCE = 0.02
"""Seconds that a child that does not answer has to say where it is."""
_LONGEST_TRACE = 64 * 1024
_MOST_ORDERED = 32 * 1024 * 1024
"""Bytes of orders that may wait for a child; who orders still more is replaced."""


def _read_trace(descriptor: int) -> str:
    """What comes within a moment, in small pieces: no more than a trace can have, and not for long."""
    trace, patience = b"", _TRACE_PATIENCE
    end = time.monotonic() + 5 * _TRACE_PATIENCE
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    while len(trace) < _LONGEST_TRACE and time.monotonic() < end and poll.poll(patience * 1000):
        piece = os.read(descriptor, 16384)
        trace, patience = trace + piece, _TRACE_PATIENCE / 10
        if not piece:
            break
    return trace[:_LONGEST_TRACE].decode(errors="replace")


def _number(descriptor: socket.socket | int) -> int:
    return descriptor if isinstance(descriptor, int) else descriptor.fileno()


@dataclass(frozen=True)
class Options:
    """What the command line says of this run."""

    files: str
    runtime_directory: Path
    analyze: Callable[[], tuple[messages.Analyzed, dict[str, bytes]]]
    """Reads the configuration; called in a process of its own."""
    child_pid_files: dict[str, Path]
    release_at_stop: bool = True
    release_ipvs_at_stop: bool = True
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
        self.pid_file = pid_file
        self._poll = Poll()
        self._deadlines: Deadlines[Supervision] = Deadlines()
        self.members = {name: Member(spec) for name, spec in PROCESS_SPECS.items()}
        self.started, self.born_at = time.time(), time.monotonic()
        self._errand: Errand | None = None
        self._exit_status = EXIT_OK
        self._ping = 0
        self._states = States()
        self.stopping = False
        self._ended = False
        self._status: int | None = None
        self.journal = Journal(time.time)
        self.inquiries = Inquiries(self)
        self.reload = Reload(self)
        self.sweep = Sweep(self)
        self.left_behind = LeftBehind(self)
        self._fifos = HeldFifos()

    def run(self) -> int:
        """Start, serve, stop; returns the exit status."""
        self._take_signals()
        self.log.info(f"Starting kad v{VERSION} with configuration {self.options.files}")
        try:
            identity(privileges.UNPRIVILEGED_USER, None)
        except LookupError:
            self.log.info(f"there is no user {privileges.UNPRIVILEGED_USER}: children keep their user, with less to do")
        listener = self._listen()
        try:
            self.reload.analyze()
            self._preload()
            while self._status is None:
                self._serve_once()
        except Exception:
            # The children see that nobody leads them, hand over and leave.
            self.log.error(traceback.format_exc())
            raise
        self._clean_up(listener)
        return self._status

    def _listen(self) -> socket.socket | None:
        """None: there is no room for it, or the place cannot be written; the service goes on without."""
        try:
            listener = control_socket.listen(self.options.runtime_directory)
        except OSError as error:
            path = control_protocol.socket_path(self.options.runtime_directory)
            self.log.error(f"control socket {path}: {error.strerror}: nobody can ask this daemon anything")
            return None
        self.watch(listener, lambda: self.inquiries.accept(listener))
        return listener

    def close(self) -> None:
        """Let go of what it waits with."""
        self._poll.close()

    def _preload(self) -> None:
        """Import, while the analyzer works, what the children share; a fork is then all that a new life costs."""
        for spec in PROCESS_SPECS.values():
            if spec.is_imported_early:
                process_specs.worker_factory(spec)
        self.reload.look_at_installation()

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
        if os.getpid() == 1:
            signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        if self.options.ignore_interrupt:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        self.watch(reader, lambda: self._read_signals(reader))

    def _read_signals(self, reader: int) -> None:
        for number in os.read(reader, 512):
            match number:
                case signal.SIGTERM | signal.SIGINT:
                    self.stop(EXIT_OK, "")
                case signal.SIGHUP:
                    self.ask_reload()
                case signal.SIGCHLD:
                    reap_strangers(self._own_processes())
                case _:
                    self.inquiries.write_for_signal(number)

    def _own_processes(self) -> set[int]:
        """Those that somebody here waits for; process 1 of a container is given others to bury."""
        found = {member.pid for member in self.members.values()}
        found |= {self.reload.analyzer, self.sweep.process, self._errand.process if self._errand else None}
        return {pid for pid in found if pid is not None}

    def _serve_once(self) -> None:
        for serve in self._ready():
            serve()
        self._fall_due()

    def _fall_due(self) -> None:
        now = time.monotonic()
        for machine in self._deadlines.due(now):
            self._doubt(self.members[machine.name], now)
        self.inquiries.fall_due(now)
        self.reload.fall_due(now)
        self.sweep.fall_due(now)
        if self._errand is not None:
            self._errand.fall_due(now)

    def _ready(self) -> list[Callable[[], None]]:
        """What is to be served; a sleep that was not asked for is remembered."""
        wait, begun = self._wait(), time.monotonic()
        calls = self._poll.ready(wait)
        if wait is not None and (late := time.monotonic() - begun - wait) > _PAUSE:
            self.journal.note("pause", "child/watchdog", f"the parent process did not run for {late:.2f} s")
        return calls

    def _wait(self) -> float | None:
        moments = [self._deadlines.next(), self.inquiries.deadline, self.reload.deadline, self.sweep.deadline]
        if self._errand is not None:
            moments.append(self._errand.deadline)
        earliest = min((moment for moment in moments if moment is not None), default=None)
        return None if earliest is None else min(max(0.0, earliest - time.monotonic()), _LONGEST_WAIT)

    def watch(
        self,
        descriptor: socket.socket | int,
        callback: Callable[[], None],
        *,
        read: bool = True,
        write: bool = False,
    ) -> None:
        """Call when the descriptor is ready; replaces what was asked for it before."""
        self._poll.watch(_number(descriptor), callback, read=read, write=write)

    def unwatch(self, descriptor: socket.socket | int) -> None:
        self._poll.unwatch(_number(descriptor))

    def ask_reload(self) -> None:
        """Read the configuration again, unless the daemon ends."""
        if not self.stopping:
            self.reload.ask()

    def run_program(self, program: Program | None, timeout: float, then: Callable[[], None]) -> None:
        """A program of the daemon itself, and what follows it."""

        def done() -> None:
            self._errand = None
            then()
            self.go_on_stopping()

        self._errand = lifecycle_scripts.begin(self, program, timeout, done)

    # children

    def send(self, member: Member, message: messages.Message, descriptor: int | None = None) -> None:
        """Say something to a child; one that cannot be reached is about to be buried."""
        self._pass_on(member, messages.to_frame(message), message.IS_STATE, descriptor)

    def _pass_on(self, member: Member, frame: Frame, state: bool, descriptor: int | None = None) -> None:
        if member.channel is None:
            return
        try:
            # What waits may leave after the caller has closed its descriptor.
            own = os.dup(descriptor) if descriptor is not None else None
            member.channel.send(frame, state=state, descriptor=own, given=True)
        except ChannelFull as error:
            self._kill(member, f"it does not read what it is sent ({error})")
            return
        except ChannelLost as error:
            self.log.debug(f"{member.name} cannot be reached: {error}")
            return
        member.sent += not state

    def _read_child(self, member: Member) -> None:
        channel = member.channel
        if channel is None or member.is_refused:
            return
        try:
            channel.flush()
            for frame in channel.receive():
                self._hear(member, frame)
            channel.drop_unclaimed()
        except ChannelLost:
            self.unwatch(channel.fileno())
            self.supervise(member, supervision.Unreachable())
        except Exception as error:
            self._refuse(member, error)

    def _refuse(self, member: Member, error: Exception) -> None:
        """Ignore everything else from this process; its replacement starts afresh."""
        member.is_refused = True
        if member.channel is not None:
            self.unwatch(member.channel.fileno())
        if isinstance(error, BadFrame):
            reason = f"it breaks the protocol ({str(error)[:500]})"
        else:
            reason = f"what it says cannot be served ({type(error).__name__})"
            self.log.error("".join(traceback.format_exception(error)))
        self._states.forget_sender(member.name)
        self.journal.forget_states(member.spec)
        self.supervise(member, supervision.Refused())
        self._kill(member, reason, trace=False)

    def _watch_child(self, member: Member, channel: Channel) -> None:
        """For reading, and for writing exactly as long as something waits to be written."""

        def follow(backlog: bool) -> None:
            self.watch(channel.fileno(), lambda: self._read_child(member), write=backlog)

        follow(False)
        channel.follow_backlog(follow)

    def _hear(self, member: Member, frame: Frame) -> None:
        """Raises BadFrame: the child may not say that, or not in this form."""
        message = messages.from_child(frame)
        member.spec.check(message)
        match message:
            case messages.Pong():
                member.supervision.handle(supervision.Answered(), time.monotonic())
            case messages.SnapshotTaken():
                self.inquiries.take(member, message)
            case messages.DrainAnswered():
                self.inquiries.drained(message)
            case messages.Ready() | messages.Refused() | messages.Configured():
                if not 0 < message.generation <= (member.offered_generation or 0):
                    raise BadFrame(f"generation {message.generation} was not offered")
                self.reload.hear(member, message)
            case _:
                self._relay(member, frame, message)

    def _relay(self, speaker: Member, frame: Frame, message: messages.Message) -> None:
        state = message.IS_STATE
        if state and getattr(message, "deleted", False):
            self._states.forget(speaker.name, frame)
        elif state:
            self._states.keep(speaker.name, frame)
        self.journal.take(message)
        for other in self.members.values():
            if other is speaker or not other.spec.takes(message):
                continue
            if state:
                self._pass_on(other, frame, state)
            else:
                self._order(other, Order(frame))
        match message:
            case messages.RouterState():
                self.inquiries.router_changed(message)
            case messages.IpvsMemory():
                self.left_behind.keep(frame.body)
            case messages.FifoOpened(path=path, deleted=deleted):
                (self._fifos.let_go if deleted else self._fifos.hold)(path)
            case _:
                pass

    def _order(self, member: Member, order: Order) -> None:
        """An order waits for a process that can carry it out, and goes to the replacement if this one did not.

        Raises BadFrame: too much waits already.
        """
        member.orders.append(order)
        if member.channel is not None and member.channel.backlog > _MOST_ORDERED:
            raise BadFrame(f"more is ordered than the {member.name} process can do")
        if member.configured_generation is not None:
            member.forget_what_was_obeyed()
            order.number = member.sent + 1
            self._pass_on(member, order.frame, state=False)

    def configured(self, member: Member, generation: int) -> None:
        """A child runs what it was given."""
        first, member.configured_generation = member.configured_generation is None, generation
        self.supervise(member, supervision.Configured())
        if member.name == "vrrp":
            self.sweep.cancel()
        if first:
            self.inquiries.configured(member)
            for order in member.orders.take_all():
                self._order(member, order)

    def is_well(self, now: float) -> bool:
        """Every child that is wanted runs and answers, or has been gone for a moment only."""
        return not self.stopping and all(member.supervision.is_well(now) for member in self.members.values())

    def supervise(self, member: Member, event: supervision.Event) -> None:
        """Tell the child's supervision, and do what it decides."""
        for action in member.supervision.handle(event, time.monotonic()):
            match action:
                case supervision.Fork():
                    self._fork(member)
                case supervision.TellStop():
                    self.send(member, self._farewell(member))
                case supervision.AskAlive():
                    self._ping += 1
                    self.send(member, messages.Ping(number=self._ping))
                case supervision.Kill(reason):
                    self._kill(member, reason)
                case supervision.GiveUp(status, reason):
                    self.stop(status, reason)
                case supervision.Complain(level, text, what):
                    getattr(self.log, level)(text)
                    self.journal.note("child", f"child/{member.name}", text, what=what)
                case supervision.Gone():
                    if member.name == "vrrp":
                        self.inquiries.forget_routers()
                    self.reload.child_left(member)
        self._deadlines.watch(member.supervision)
        self.go_on_stopping()

    def go_on_stopping(self) -> None:
        """One more has left, or something else has ended that the end waits for."""
        if self.stopping:
            self._stop_next()

    def _farewell(self, member: Member) -> messages.Stop:
        """Addresses stay until another router has them, but not so long that this child would be killed."""
        words = self.reload.words
        handover = 0.8 * words.child_wait_time if words.handover else 0.0
        options = self.options
        release = options.release_ipvs_at_stop if member.name == "ipvs" else options.release_at_stop
        return messages.Stop(release=release, handover=handover)

    def doubt_again(self, machine: Supervision) -> None:
        """Its deadline may be an earlier one now."""
        self._deadlines.watch(machine)

    def _doubt(self, member: Member, now: float) -> None:
        """A child whose loop was seen to turn need not answer."""
        turned_at, cpu = min(member.page.turned_at, now), None
        if now - turned_at >= member.supervision.deaf_after / 2 and member.pid is not None:
            cpu = processor_time(member.pid)
            # Read once more: a child that turned in between is heard.
            turned_at = min(member.page.turned_at, now)
        if turned_at:
            member.supervision.handle(supervision.Answered(turned_at), now)
        self.supervise(member, supervision.DeadlineReached(cpu))

    def _kill(self, member: Member, reason: str, *, trace: bool = True) -> None:
        """Ask where it is, then end it."""
        if member.pidfd is None:
            return
        doing = member.page.activity or "starting"
        text = f"killing the {member.name} process {member.pid}: {reason}; it was last {doing}"
        self.log.error(text)
        self.journal.note("child", f"child/{member.name}", text, what="killed")
        with contextlib.suppress(ProcessLookupError):
            if trace and member.supervision.phase is Phase.RUNNING and member.trace is not None:
                signal.pidfd_send_signal(member.pidfd, child.TRACE_SIGNAL)
                if text := _read_trace(member.trace):
                    self.log.error(text)
            signal.pidfd_send_signal(member.pidfd, signal.SIGKILL)

    def replace(self, member: Member, reason: str) -> None:
        """By another life of the same child, as after a crash: what it holds stays."""
        if member.pidfd is not None:
            text = f"replacing the {member.name} process {member.pid}: {reason}"
            self.log.info(text)
            self.journal.note("child", f"child/{member.name}", text, what="replaced")
            self.supervise(member, supervision.Dismissed())
            signal.pidfd_send_signal(member.pidfd, signal.SIGKILL)

    def _fork(self, member: Member) -> None:
        configuration = self.reload.configuration_for(member.name)
        titles = configuration.watchdog.process_names if configuration else {}
        try:
            scheduling = self.reload.scheduling(member.name)
            held = self.sweep.held if member.name == "vrrp" else None
            process_specs.fork_member(member, self.log, titles.get(member.name), scheduling, held)
        except OSError as error:
            self.log.error(f"cannot start the {member.name} process: {error.strerror}")
            self.supervise(member, supervision.Died(EXIT_SOFTWARE))
            return
        assert member.channel is not None
        assert member.pidfd is not None
        text = f"Starting the {member.name} process, pid={member.pid}"
        self.log.info(text)
        self.journal.note("child", f"child/{member.name}", text, what="started")
        self._watch_child(member, member.channel)
        self.watch(member.pidfd, lambda: self._bury(member))
        self._write_child_pid(member)
        for frame in self._states.of_kinds(member.spec.wanted_kinds):
            self._pass_on(member, frame, state=True)
        self.left_behind.tell(member)
        if configuration is not None and member.name in configuration.slices:
            # The page tells of the life before for as long as this one has not committed.
            earlier = self.inquiries.earlier_lives(member.page) if member.name == "vrrp" else ()
            if earlier:
                self.send(member, messages.Resume(routers=earlier))
            self.reload.send_prepare(member, configuration)
        if member.name in ("vrrp", "runner"):
            self.sweep.tell_runner()

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
        member.lose_life()
        self.unwatch(member.pidfd)
        self.unwatch(member.channel.fileno())
        ending = reap(member.pidfd)
        status = EXIT_OK if ending is None else shell_status(ending)
        os.close(member.pidfd)
        member.channel.close()
        if member.trace is not None:
            os.close(member.trace)
        member.pid = member.trace = member.pidfd = member.channel = None
        member.configured_generation = member.offered_generation = None
        with contextlib.suppress(OSError):
            self.options.child_pid_files[member.name].unlink()
        if member.name == "vrrp" and not (member.supervision.phase is Phase.STOPPING and status == EXIT_OK):
            self.sweep.begin(self.inquiries.states)
        if member.name == "vrrp":
            self.sweep.tell_runner()
        self.inquiries.lose(member.name)
        self.reload.child_died(member)
        if not self.options.respawn and not self.stopping and not member.supervision.is_sent_away:
            self.stop(EXIT_SOFTWARE, f"the {member.name} process {exit_codes.describe(status)}")
        self.supervise(member, supervision.Died(status))
        self.reload.child_waits()

    # the end

    def stop(self, status: int, reason: str, told: str = "") -> None:
        """Let all children leave in order, then end with this status.

        `told`: lines that precede the reason in what the starting command prints.
        """
        if self.stopping:
            return
        self.stopping = True
        self._exit_status = status
        if reason:
            self.log.error(reason)
            if self.reload.current is None:
                self.options.say_started(status, f"{told}kad: {reason}")
        self.log.info("Stopping")
        self.inquiries.tell_systemd("STOPPING=1")
        self.reload.cancel_analysis()
        if self._errand is not None:
            self._errand.hurry()
        self._stop_next()

    def _stop_next(self) -> None:
        """vrrp and checker leave first; the runner last, because it runs what the others ask for on leaving."""
        alive = [member for member in self.members.values() if member.supervision.phase is not Phase.ABSENT]
        if self._errand is not None:
            return
        if self.members["vrrp"].supervision.phase is Phase.ABSENT and not self.sweep.end():
            return
        if not alive:
            self._end()
            return
        patience = self.reload.words.child_wait_time
        first = min(member.spec.stop_order for member in alive)
        for member in alive:
            if member.spec.stop_order == first and member.supervision.phase is not Phase.STOPPING:
                self.supervise(member, supervision.Unwanted(patience))

    def _end(self) -> None:
        """The children have left; shutdown_script is the last that happens."""
        if self._ended:
            return
        self._ended = True
        words = self.reload.words

        def end() -> None:
            self._status = self._exit_status

        self.run_program(words.shutdown_script, words.shutdown_script_timeout, end)

    def _clean_up(self, listener: socket.socket | None) -> None:
        if listener is not None:
            listener.close()
        self.inquiries.guard_by(None)
        self.sweep.forget()
        self.left_behind.forget()
        with contextlib.suppress(OSError):
            control_protocol.socket_path(self.options.runtime_directory).unlink()
        self.pid_file.remove()
        self.log.info(f"Stopped kad v{VERSION}")

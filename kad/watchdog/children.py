"""The child processes as the parent runs them: forked, sent messages, read, relayed between, checked, and reaped."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from kad.child import main as child
from kad.child.scheduling import Scheduling
from kad.linux.process.pid_file import write_child_pid
from kad.linux.process.process import processor_time
from kad.linux.process.spawn import reap
from kad.linux.sockets.channel import Channel, ChannelFull, ChannelLost
from kad.model.program_end import shell_status
from kad.shared import messages
from kad.shared.exit_codes import EXIT_OK, EXIT_SOFTWARE
from kad.shared.framing import BadFrame, Frame
from kad.shared.log import Logger
from kad.shared.state_machine import Deadlines
from kad.watchdog import process_specs, supervision
from kad.watchdog.journal import Journal
from kad.watchdog.latest_states import States
from kad.watchdog.process_registry import PROCESS_SPECS
from kad.watchdog.process_specs import Member, Order
from kad.watchdog.selector_loop import SelectorLoop
from kad.watchdog.supervision import Phase, Supervision

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


class ForkSettings(NamedTuple):
    """How the next process of a child is forked."""

    title: str | None
    scheduling: Scheduling
    held: int | None
    """A memory file with what its predecessor held."""


@dataclass(frozen=True, kw_only=True)
class ChildCallbacks:
    """What the children ask of the rest of the parent, and report to it."""

    fork_settings: Callable[[Member], ForkSettings]
    stop_message: Callable[[Member], messages.Stop]
    on_message: Callable[[Member, Frame, messages.Message], None]
    """A message of the child; raises BadFrame: it may not say that."""
    on_start: Callable[[Member], None]
    """It was forked, and was sent the states that it wants."""
    on_configured: Callable[[Member, bool], None]
    """It runs a generation; True: its first one."""
    on_exit: Callable[[Member, int], None]
    """It was reaped, with this exit status or 128 + the signal; what follows is not decided yet."""
    on_exit_handled: Callable[[], None]
    """It was replaced, or has to wait, or has left."""
    on_gone: Callable[[Member], None]
    """It has left for good."""
    on_supervised: Callable[[], None]
    """After every event: one more may have left."""
    on_give_up: Callable[[int, str], None]
    """It cannot run here: exit status, and why."""


class Children:
    """All of them, by name, in the order in which they are started; never waits."""

    def __init__(
        self,
        loop: SelectorLoop,
        log: Logger,
        journal: Journal,
        pid_files: Mapping[str, Path],
        callbacks: ChildCallbacks,
    ) -> None:
        self.members = {name: Member(spec) for name, spec in PROCESS_SPECS.items()}
        self._loop = loop
        self._log = log
        self._journal = journal
        self._pid_files = pid_files
        self._callbacks = callbacks
        self._deadlines: Deadlines[Supervision] = Deadlines()
        self._states = States()
        self._ping = 0

    @property
    def pids(self) -> set[int]:
        """Of those that live."""
        return {member.pid for member in self.members.values() if member.pid is not None}

    @property
    def alive(self) -> list[Member]:
        """Those that have not left, or are to be started again."""
        return [member for member in self.members.values() if member.supervision.phase is not Phase.ABSENT]

    def are_well(self, now: float) -> bool:
        """Every child that is wanted runs and answers, or has been gone for a moment only."""
        return all(member.supervision.is_well(now) for member in self.members.values())

    @property
    def deadline(self) -> float | None:
        return self._deadlines.next()

    def fall_due(self, now: float) -> None:
        """Check the liveness of those that were silent for some time."""
        for machine in self._deadlines.due(now):
            self._check_liveness(self.members[machine.name], now)

    def deadline_changed(self, member: Member) -> None:
        """The deadline of its supervision may be an earlier one now."""
        self._deadlines.watch(member.supervision)

    # messages

    def send(self, member: Member, message: messages.Message, descriptor: int | None = None) -> None:
        """Does nothing for a child that cannot be reached: it is about to be reaped."""
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
            self._log.debug(f"{member.name} cannot be reached: {error}")
            return
        member.sent += not state

    def _read(self, member: Member) -> None:
        channel = member.channel
        if channel is None or member.is_refused:
            return
        try:
            channel.flush()
            for frame in channel.receive():
                self._handle_frame(member, frame)
            channel.drop_unclaimed()
        except ChannelLost:
            self._loop.unwatch(channel.fileno())
            self.supervise(member, supervision.Unreachable())
        except Exception as error:
            self._refuse(member, error)

    def _refuse(self, member: Member, error: Exception) -> None:
        """Ignore everything else from this process; its replacement starts afresh."""
        member.is_refused = True
        if member.channel is not None:
            self._loop.unwatch(member.channel.fileno())
        if isinstance(error, BadFrame):
            reason = f"it breaks the protocol ({str(error)[:500]})"
        else:
            reason = f"what it says cannot be served ({type(error).__name__})"
            self._log.error("".join(traceback.format_exception(error)))
        self._states.forget_sender(member.name)
        self._journal.forget_states(member.spec)
        self.supervise(member, supervision.Refused())
        self._kill(member, reason, trace=False)

    def _watch(self, member: Member, channel: Channel) -> None:
        """For reading, and for writing exactly as long as something waits to be written."""

        def follow(backlog: bool) -> None:
            self._loop.watch(channel.fileno(), lambda: self._read(member), write=backlog)

        follow(False)
        channel.follow_backlog(follow)

    def _handle_frame(self, member: Member, frame: Frame) -> None:
        """Raises BadFrame: the child may not say that, or not in this form."""
        message = messages.from_child(frame)
        member.spec.check(message)
        match message:
            case messages.Pong():
                member.supervision.handle(supervision.Answered(), time.monotonic())
            case messages.Ready() | messages.Refused() | messages.Configured():
                if not 0 < message.generation <= (member.offered_generation or 0):
                    raise BadFrame(f"generation {message.generation} was not offered")
            case messages.SnapshotTaken() | messages.DrainAnswered():
                pass
            case _:
                self._relay(member, frame, message)
        self._callbacks.on_message(member, frame, message)

    def _relay(self, sender: Member, frame: Frame, message: messages.Message) -> None:
        state = message.IS_STATE
        if state and getattr(message, "deleted", False):
            self._states.forget(sender.name, frame)
        elif state:
            self._states.keep(sender.name, frame)
        self._journal.take(message)
        for other in self.members.values():
            if other is sender or not other.spec.takes(message):
                continue
            if state:
                self._pass_on(other, frame, state)
            else:
                self._order(other, Order(frame))

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
        self._callbacks.on_configured(member, first)
        if first:
            for order in member.orders.take_all():
                self._order(member, order)

    # supervision

    def supervise(self, member: Member, event: supervision.Event) -> None:
        """Give its supervision the event, and do what that decides."""
        for action in member.supervision.handle(event, time.monotonic()):
            match action:
                case supervision.Fork():
                    self._fork(member)
                case supervision.TellStop():
                    self.send(member, self._callbacks.stop_message(member))
                case supervision.AskAlive():
                    self._ping += 1
                    self.send(member, messages.Ping(number=self._ping))
                case supervision.Kill(reason):
                    self._kill(member, reason)
                case supervision.GiveUp(status, reason):
                    self._callbacks.on_give_up(status, reason)
                case supervision.Complain(level, text, what):
                    getattr(self._log, level)(text)
                    self._note(member, text, what)
                case supervision.Gone():
                    self._callbacks.on_gone(member)
        self._deadlines.watch(member.supervision)
        self._callbacks.on_supervised()

    def _note(self, member: Member, text: str, what: str) -> None:
        self._journal.note("child", f"child/{member.name}", text, what=what)

    def _check_liveness(self, member: Member, now: float) -> None:
        """A child whose loop was seen to turn need not answer."""
        turned_at, cpu = min(member.page.turned_at, now), None
        if now - turned_at >= member.supervision.deaf_after / 2 and member.pid is not None:
            cpu = processor_time(member.pid)
            # Read once more: a child that turned in between is alive.
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
        self._log.error(text)
        self._note(member, text, "killed")
        with contextlib.suppress(ProcessLookupError):
            if trace and member.supervision.phase is Phase.RUNNING and member.trace is not None:
                signal.pidfd_send_signal(member.pidfd, child.TRACE_SIGNAL)
                if text := _read_trace(member.trace):
                    self._log.error(text)
            signal.pidfd_send_signal(member.pidfd, signal.SIGKILL)

    def replace(self, member: Member, reason: str) -> None:
        """By another process of the same child, as after a crash: what it holds stays."""
        if member.pidfd is not None:
            text = f"replacing the {member.name} process {member.pid}: {reason}"
            self._log.info(text)
            self._note(member, text, "replaced")
            self.supervise(member, supervision.Dismissed())
            signal.pidfd_send_signal(member.pidfd, signal.SIGKILL)

    def _fork(self, member: Member) -> None:
        try:
            title, scheduling, held = self._callbacks.fork_settings(member)
            process_specs.fork_member(member, self._log, title, scheduling, held)
        except OSError as error:
            self._log.error(f"cannot start the {member.name} process: {error.strerror}")
            self.supervise(member, supervision.Died(EXIT_SOFTWARE))
            return
        assert member.channel is not None
        assert member.pidfd is not None
        text = f"Starting the {member.name} process, pid={member.pid}"
        self._log.info(text)
        self._note(member, text, "started")
        self._watch(member, member.channel)
        self._loop.watch(member.pidfd, lambda: self._reap(member))
        self._write_pid_file(member)
        for frame in self._states.of_kinds(member.spec.wanted_kinds):
            self._pass_on(member, frame, state=True)
        self._callbacks.on_start(member)

    def _write_pid_file(self, member: Member) -> None:
        path = self._pid_files[member.name]
        try:
            write_child_pid(path, member.pid or 0)
        except OSError as error:
            self._log.warning(f"pid file {path}: {error.strerror}")

    def _reap(self, member: Member) -> None:
        assert member.pidfd is not None
        assert member.channel is not None
        self._read(member)
        member.lose_life()
        self._loop.unwatch(member.pidfd)
        self._loop.unwatch(member.channel.fileno())
        ending = reap(member.pidfd)
        status = EXIT_OK if ending is None else shell_status(ending)
        os.close(member.pidfd)
        member.channel.close()
        if member.trace is not None:
            os.close(member.trace)
        member.pid = member.trace = member.pidfd = member.channel = None
        member.configured_generation = member.offered_generation = None
        with contextlib.suppress(OSError):
            self._pid_files[member.name].unlink()
        self._callbacks.on_exit(member, status)
        self.supervise(member, supervision.Died(status))
        self._callbacks.on_exit_handled()

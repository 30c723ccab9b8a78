"""The life of any child: its loop, its channel to the parent, its configuration by prepare and commit, its end."""

from __future__ import annotations

import faulthandler
import gc
import os
import signal
import time
import traceback
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from errno import EACCES, EPERM
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, TypeAlias

from kad.child.privileges import UNPRIVILEGED_USER, give_up_signals
from kad.child.scheduling import Scheduling
from kad.linux.process import capabilities as privilege
from kad.linux.process.memfd import read_memory_file, write_memory_file
from kad.linux.process.process import set_title
from kad.linux.refused import Refused
from kad.linux.sockets.channel import Channel, ChannelLost
from kad.model import secret
from kad.model.problem import Problem
from kad.shared import messages
from kad.shared.exit_codes import EXIT_NO_PERMISSION, EXIT_OK, EXIT_SOFTWARE
from kad.shared.framing import BadFrame, Frame
from kad.shared.log import Logger
from kad.shared.messages import Message
from kad.shared.shared_page import Page

if TYPE_CHECKING:
    from kad.child.last_release import LastRelease
    from kad.child.multiplexer import Mux

_IGNORED_SIGNALS = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGPIPE,
    signal.SIGRTMIN + 2,
    signal.SIGRTMAX - 1,
    signal.SIGRTMAX,
)
"""Ctrl-C and `systemctl stop` reach the whole group; a child obeys the channel alone."""


_LARGE = 32 * 1024
"""Bytes of a snapshot that does not go through the channel itself: it would hold up what is behind it."""
TRACE_SIGNAL = signal.SIGRTMIN + 10


class Room(Protocol):
    """What every process.py offers; all of it is called on the child's loop and must not wait."""

    def prepare(self, generation: int, slice_bytes: bytes) -> None:
        """Understand a configuration without any effect; raises ValueError to refuse it."""

    def commit(self, generation: int) -> None:
        """Run what was prepared; touch only what changed."""

    def abandon(self) -> None:
        """Forget what was prepared."""

    def receive(self, message: Message) -> None:
        """Any other message that the parent routes here."""

    def snapshot(self, clear_statistics: bool) -> dict[str, object]:
        """Everything about this room, as JSON can print it."""

    def problems(self) -> Sequence[Problem]:
        """What is wrong now."""

    async def stop(self, release: bool, handover: float) -> None:
        """Leave in order; `handover` seconds at most until another router has the addresses."""

    async def orphaned(self) -> None:
        """The parent is gone: leave in order, without being told."""


RoomFactory: TypeAlias = "Callable[[Mux, Callable[[Message], None], Logger], Room]"


class Collector:
    """What Python's garbage collector costs this process."""

    def __init__(self) -> None:
        self._runs = 0
        self._began = 0.0
        self._longest = 0.0
        gc.callbacks.append(self._note)

    def _note(self, phase: str, _info: dict[str, int]) -> None:
        if phase == "start":
            self._began = time.perf_counter()
        else:
            self._runs += 1
            self._longest = max(self._longest, time.perf_counter() - self._began)

    def figures(self) -> dict[str, float]:
        """Objects that it watches and that it no longer looks at, its runs, and its longest pause in seconds."""
        return {
            "objects": len(gc.get_objects()),
            "frozen_objects": gc.get_freeze_count(),
            "collector_runs": self._runs,
            "longest_pause": round(self._longest, 6),
        }


class Child:
    """Joins one Room to the channel."""

    def __init__(self, name: str, channel: Channel, factory: RoomFactory, log: Logger, page: Page) -> None:
        self.name = name
        self._log = log
        # Not before: the parent has no event loop, and analyzes before it imports one for its children.
        from kad.child.multiplexer import Mux

        self._mux = Mux(page)
        self._channel = channel
        self._room = factory(self._mux, self.say, log)
        self._last_release: LastRelease | None = None
        self._started, self._born_at = time.time(), time.monotonic()
        self._generation = 0
        self._leaving = False
        self._obeyed = 0
        self._collector = Collector()
        self.status = EXIT_OK
        self.is_unconfigured_orphan = False
        """The parent is gone before this process received anything: what its predecessor held is still there."""

    def run(self) -> int:
        """Serve until told to stop; returns the exit status."""
        self._mux.loop.set_exception_handler(self._fail)
        self._mux.watch(self._channel.fileno(), self._read, "obeying the parent")
        self._channel.follow_backlog(self._follow_backlog)
        self._mux.run()
        return self.status

    def say(self, message: Message) -> None:
        """Send to the parent, who passes it on to whom it concerns."""
        self._send(message)

    def _send(self, message: Message, descriptor: int | None = None) -> None:
        """A descriptor is given away."""
        frame = messages.to_frame(message)
        try:
            self._channel.send(frame, state=message.IS_STATE, descriptor=descriptor, given=True)
        except ChannelLost:
            self._orphaned()

    def _follow_backlog(self, backlog: bool) -> None:
        """The loop is asked for room exactly as long as something waits for it."""
        if backlog:
            self._mux.watch_writable(self._channel.fileno(), self._flush)
        else:
            self._mux.unwatch_writable(self._channel.fileno())

    def _flush(self) -> None:
        try:
            self._channel.flush()
        except ChannelLost:
            # Nothing will ever leave, and the loop would find room for it without end.
            self._mux.unwatch_writable(self._channel.fileno())
            self._orphaned()

    def _read(self) -> None:
        try:
            frames = self._channel.receive()
        except ChannelLost:
            # An end of file can be read without end, and leaving takes its time.
            self._mux.unwatch(self._channel.fileno())
            self._orphaned()
            return
        for frame in frames:
            try:
                self._obey(frame)
            finally:
                # Not before: what was obeyed by half when this process is killed is obeyed again by the next life.
                if not messages.KINDS[frame.kind].IS_STATE:
                    self._obeyed += 1
                    self._mux.page.obey(self._obeyed)

    def _obey(self, frame: Frame) -> None:
        match messages.from_frame(frame):
            case messages.Prepare() if self._leaving:
                os.close(self._channel.descriptors.popleft())
            case messages.Commit() | messages.Abandon() if self._leaving:
                # Told to go before it had begun: nothing is taken up that nobody would release.
                pass
            case messages.Prepare(generation=generation):
                self._prepare(generation)
            case messages.Commit(generation=generation):
                self._room.commit(generation)
                self._generation = generation
                gc.collect()
                gc.freeze()
                self._send(messages.Configured(generation=generation))
            case messages.Abandon():
                self._room.abandon()
            case messages.Ping(number=number):
                self._send(messages.Pong(number=number))
            case messages.SnapshotWanted() as wanted:
                self._tell_snapshot(wanted.number, self._snapshot(wanted))
            case messages.VrrpProcess() as told:
                self._take_vrrp_process(told)
            case messages.Stop(release=release, handover=handover):
                self._leave(self._room.stop(release, handover))
            case message:
                self._room.receive(message)

    def _take_vrrp_process(self, told: messages.VrrpProcess) -> None:
        if self._last_release is None:
            from kad.child.last_release import LastRelease

            self._last_release = LastRelease(self._mux, self._log)
        self._last_release.take(told, self._channel.descriptors.popleft() if told.pid else None)

    def _prepare(self, generation: int) -> None:
        descriptor = self._channel.descriptors.popleft()
        try:
            self._room.prepare(generation, read_memory_file(descriptor))
        except (ValueError, Refused) as error:
            self._send(messages.Refused(generation=generation, text=str(error)))
        else:
            self._send(messages.Ready(generation=generation))
        finally:
            os.close(descriptor)

    def _snapshot(self, wanted: messages.SnapshotWanted) -> bytes:
        plain = {
            "process": {
                "name": self.name,
                "pid": os.getpid(),
                "started": self._started,
                "uptime": time.monotonic() - self._born_at,
                "generation": self._generation,
                "memory": self._collector.figures(),
                "log_lines_dropped": self._log.dropped,
            },
            "problems": self._room.problems(),
            **({} if wanted.problems_only else self._room.snapshot(wanted.clear_statistics)),
        }
        return secret.to_json(plain)

    def _tell_snapshot(self, number: int, json: bytes) -> None:
        descriptor = None
        if len(json) > _LARGE:
            with suppress(OSError):
                descriptor = write_memory_file("snapshot", json)
        taken = messages.SnapshotTaken(number=number, json=json if descriptor is None else None)
        self._send(taken, descriptor)

    def _orphaned(self) -> None:
        if not self._leaving:
            self._log.error("the parent process is gone: leaving")
            self.is_unconfigured_orphan = not self._generation
            self._leave(self._orphan_leaves())

    async def _orphan_leaves(self) -> None:
        release = self._last_release
        waiting = self._mux.start(release.orphaned()) if release is not None else None
        await self._room.orphaned()
        if waiting is not None:
            await waiting

    def _leave(self, farewell: Coroutine[Any, Any, None]) -> None:
        if self._leaving:
            farewell.close()
            return
        self._leaving = True
        self._mux.start(self._finish(farewell))

    async def _finish(self, farewell: Coroutine[Any, Any, None]) -> None:
        try:
            await farewell
        except Exception:
            self._log.error(traceback.format_exc())
            self.status = EXIT_SOFTWARE
        with suppress(ChannelLost):
            self._channel.flush_waiting()
        self._mux.stop()

    def _fail(self, _loop: object, context: dict[str, Any]) -> None:
        """An exception in a callback is a fault of ours: say it, leave, be replaced."""
        error = context.get("exception")
        if isinstance(error, BaseException):
            self._log.error("".join(traceback.format_exception(error)))
        else:
            self._log.error(str(context.get("message")))
        self.status = EXIT_NO_PERMISSION if _is_permission(error) else EXIT_SOFTWARE
        self._mux.stop()


def _is_permission(error: object) -> bool:
    return isinstance(error, OSError | Refused) and error.errno in (EPERM, EACCES)


def live(
    name: str,
    channel: Channel,
    factory: RoomFactory,
    log: Logger,
    *,
    process_title: str,
    capabilities: Sequence[privilege.Capability] | None,
    scheduling: Scheduling,
    page: Page,
    trace: int,
    before: Callable[[], None] | None = None,
    unconfigured_orphan: Callable[[], None] | None = None,
) -> NoReturn:
    """What a freshly forked process does until it exits; `capabilities` None keeps every privilege.

    `before` is done while it still has them all, `unconfigured_orphan` at the end of a child whose parent was gone
    before it had given it anything.

    TRACE_SIGNAL makes it write to `trace` where it is, even from inside an endless loop.
    """
    status = EXIT_SOFTWARE
    try:
        signal.set_wakeup_fd(-1)
        for number in _IGNORED_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        faulthandler.register(TRACE_SIGNAL, file=trace, all_threads=False)
        set_title(process_title)
        log.open()
        for complaint in scheduling.apply():
            log.warning(complaint)
        if before is not None:
            before()
        if capabilities is not None:
            privilege.drop_to((*capabilities, *scheduling.capabilities), UNPRIVILEGED_USER)
            give_up_signals(log)
        served = Child(name, channel, factory, log, page)
        status = served.run()
        if served.is_unconfigured_orphan and unconfigured_orphan is not None:
            unconfigured_orphan()
    except BadFrame as error:
        log.error(f"the parent sent rubbish: {error}")
    except Refused as error:
        log.error(str(error))
        status = EXIT_NO_PERMISSION if _is_permission(error) else EXIT_SOFTWARE
    except BaseException:
        log.error(traceback.format_exc())
    finally:
        os._exit(status)

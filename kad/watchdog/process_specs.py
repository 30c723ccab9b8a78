"""The processes of kad: how each is forked, what it may do, and what the parent keeps of it."""

from __future__ import annotations

import os
import signal
import socket
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import NoReturn, cast

from kad.child import main as child
from kad.child.process_spec import ProcessSpec, imported
from kad.child.scheduling import Scheduling
from kad.linux.process.fork import Birth, fork
from kad.linux.process.memfd import read_memory_file, write_memory_file
from kad.linux.process.process import set_title
from kad.linux.refused import Refused
from kad.linux.sockets.channel import Channel
from kad.linux.sockets.packet_sockets import PacketSockets
from kad.shared import messages
from kad.shared.exit_codes import EXIT_OK, EXIT_SOFTWARE
from kad.shared.framing import LARGEST_OF_CHILD, Frame
from kad.shared.log import Logger
from kad.shared.shared_page import Page
from kad.watchdog.supervision import Supervision

_MOST_ORDERS = 10_000
_MOST_ORDERED_BYTES = 32 * 1024 * 1024
DEAF_AFTER = 2.0
"""Seconds without a sign of life after which a child is replaced."""


def worker_factory(spec: ProcessSpec, sockets: PacketSockets | None = None) -> child.RoomFactory:
    """Import the worker; the parent does so before the fork, so that every such process shares it."""
    worker = imported(spec.worker)
    return cast(child.RoomFactory, worker if sockets is None else partial(worker, kept=sockets))


@dataclass(slots=True, eq=False)
class Order:
    """A message that is no state, from one child to another."""

    frame: Frame
    number: int = 0
    """Which one of all such messages to this life; 0: it was not sent yet."""


class Orders:
    """Of other children, as long as they may not have been obeyed; the oldest goes where there are too many."""

    def __init__(self) -> None:
        self._orders: deque[Order] = deque()
        self._bytes = 0

    def __iter__(self) -> Iterator[Order]:
        return iter(self._orders)

    def __bool__(self) -> bool:
        return bool(self._orders)

    @property
    def first(self) -> Order:
        return self._orders[0]

    def append(self, order: Order) -> None:
        self._orders.append(order)
        self._bytes += len(order.frame.body)
        while len(self._orders) > _MOST_ORDERS or self._bytes > _MOST_ORDERED_BYTES:
            self.popleft()

    def appendleft(self, order: Order) -> None:
        self._orders.appendleft(order)
        self._bytes += len(order.frame.body)

    def popleft(self) -> Order:
        order = self._orders.popleft()
        self._bytes -= len(order.frame.body)
        return order

    def take_all(self) -> list[Order]:
        orders, self._bytes = list(self._orders), 0
        self._orders.clear()
        return orders


class Member:
    """One child as the parent sees it."""

    def __init__(self, spec: ProcessSpec) -> None:
        self.spec = spec
        self.supervision = Supervision(spec.name, DEAF_AFTER)
        self.pid: int | None = None
        self.pidfd: int | None = None
        self.channel: Channel | None = None
        self.configured_generation: int | None = None
        self.offered_generation: int | None = None
        """The last one that it was told to prepare."""
        self.scheduling = Scheduling()
        self.page = Page()
        self.kept: PacketSockets | None = None
        """Shared with every life of the child."""
        self.trace: int | None = None
        """Where a child that does not answer writes what it is doing."""
        self.sent = 0
        """Messages that are no state which this life was sent."""
        self.is_refused = False
        """This process has broken the protocol and is about to be ended."""
        self.orders = Orders()
        self._doubtful: Order | None = None
        """A life died before it had obeyed this one, perhaps of it."""

    @property
    def name(self) -> str:
        return self.spec.name

    def forget_what_was_obeyed(self) -> None:
        """What this life was sent and has done."""
        obeyed = self.page.obeyed
        while self.orders and 0 < self.orders.first.number <= obeyed:
            self.orders.popleft()

    def lose_life(self) -> None:
        """What this life has not done is for the next one; but none is given to a third."""
        self.forget_what_was_obeyed()
        if self.orders and self.orders.first.number:
            first = self.orders.popleft()
            if first is not self._doubtful:
                first.number = 0
                self._doubtful = first
                self.orders.appendleft(first)
        for order in self.orders:
            order.number = 0


def fork_member(
    member: Member, log: Logger, process_title: str | None, scheduling: Scheduling, held: int | None = None
) -> None:
    """Fork this child. Raises OSError.

    `held` is a memory file with what its predecessor held (vrrp): if the parent is gone before this process receives
    anything, the process releases that and exits.
    """
    spec = member.spec
    if spec.sockets and member.kept is None:
        # What the parent cannot have the child cannot either, and says so.
        with suppress(Refused):
            member.kept = imported(spec.sockets)()
    worker = worker_factory(spec, member.kept)
    setup = imported(spec.setup) if spec.setup else None
    own_log = log.named(spec.ident)
    member.page.clear()
    member.sent = 0
    reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def live(end: socket.socket) -> NoReturn:
        child.live(
            spec.name,
            Channel(end),
            worker,
            own_log,
            process_title=process_title or spec.title,
            capabilities=spec.capabilities,
            scheduling=scheduling,
            page=member.page,
            trace=writer,
            before=setup,
            unconfigured_orphan=partial(_release_held, held, own_log) if held is not None else None,
        )

    kept = {writer, *(member.kept.filenos() if member.kept is not None else ())}
    if held is not None:
        kept.add(held)
    try:
        with member.page.shared_with_forks():
            birth = fork(live, frozenset(kept), inherit=member.page.take_frames)
    except OSError:
        os.close(reader)
        raise
    finally:
        os.close(writer)
    member.trace = reader
    member.pid, member.pidfd, member.channel = birth.pid, birth.pidfd, Channel(birth.end, LARGEST_OF_CHILD)
    member.is_refused = False
    member.configured_generation = None
    member.scheduling = scheduling


def _release_held(held: int, log: Logger) -> None:
    imported("kad.child.last_release:release_here")(read_memory_file(held), None, log)


def fork_analyzer(analyze: Callable[[], tuple[messages.Analyzed, dict[str, bytes]]], log: Logger) -> Birth:
    """Read the configuration in a process of its own, whose memory goes with it. Raises OSError."""

    def live(end: socket.socket) -> NoReturn:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        set_title("kad: analyzer")
        end.setblocking(True)
        channel = Channel(end)
        try:
            analyzed, files = analyze()
        except Exception:
            log.error(traceback.format_exc())
            os._exit(EXIT_SOFTWARE)
        for name, content in files.items():
            descriptor = write_memory_file(name, content)
            channel.send(messages.to_frame(messages.Slice(name=name)), descriptor=descriptor)
        channel.send(messages.to_frame(analyzed))
        os._exit(EXIT_OK)

    return fork(live)

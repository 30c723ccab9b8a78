"""The bfd process: joins sessions to their sockets, and tells everybody which neighbours answer."""

from __future__ import annotations

import random
import socket
import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from functools import partial

import msgspec

from kad.bfd.packet import Discard, Reason, State, decode
from kad.bfd.session import (
    Action,
    ChangeState,
    Event,
    Neighbor,
    Received,
    Reconfigured,
    Resumed,
    Send,
    Session,
    Started,
    Stopped,
)
from kad.child.multiplexer import Mux
from kad.linux.refused import Refused
from kad.linux.sockets import bfd_socket
from kad.linux.sockets.bfd_socket import Arrived
from kad.model import secret
from kad.model.bfd import BfdInstance, BfdSlice
from kad.model.problem import Problem
from kad.shared.log import Logger
from kad.shared.log_limit import ComplaintLimit
from kad.shared.messages import BfdKept, Message, Observation
from kad.shared.state_machine import DeadlineReached, Deadlines

_DRAINS = 32
"""Reads of a socket, of 64 packets each, before anything expires."""
_LAST_DISCRIMINATOR = 0xFFFFFFFF


class Watched:
    """A session, its socket, and what was told of it."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.sock: socket.socket | None = None
        self.up: bool | None = None
        """What everybody was told; None: nothing yet."""
        self.since = time.time()
        self.added_at = 0.0
        """Monotonic seconds."""
        self.sent = 0
        self.received = 0

    @property
    def deadline(self) -> float | None:
        return self.session.deadline


class Room:
    """A kad.child.main.Room."""

    def __init__(self, mux: Mux, say: Callable[[Message], None], log: Logger) -> None:
        self._mux = mux
        self._say = say
        self._log = log
        self._chance = random.SystemRandom().random
        self._prepared: BfdSlice | None = None
        self._committed = False
        self._watched: dict[str, Watched] = {}
        self._kept: dict[str, BfdKept] = {}
        self._earlier: dict[str, Observation] = {}
        """What the life before this one said; nothing after the first commit."""
        self._listening: dict[tuple[int, int], socket.socket] = {}
        self._deadlines: Deadlines[Watched] = Deadlines()
        self._alarm = mux.alarm(self._fall_due)
        self._discarded: Counter[Reason] = Counter()
        self._neighbors: dict[int, dict[str, int]] = {}
        """By port: whose packets count, and the lowest TTL that they may have."""
        self._complaints = ComplaintLimit()

    # configuration

    def prepare(self, generation: int, slice_bytes: bytes) -> None:
        """Decode; raises ValueError to refuse."""
        try:
            self._prepared = secret.decode(slice_bytes, BfdSlice)
        except msgspec.DecodeError as error:
            raise ValueError(f"the configuration of BFD cannot be read: {error}") from error

    def abandon(self) -> None:
        self._prepared = None

    def commit(self, generation: int) -> None:
        """A session whose neighbour and addresses stay the same goes on."""
        assert self._prepared is not None
        wanted, self._prepared = {one.name: one for one in self._prepared.instances}, None
        self._listen({(_family(one), one.port) for one in wanted.values()})
        self._hear_only(wanted.values())
        for name, watched in list(self._watched.items()):
            if name not in wanted or not _is_same_path(watched.session.instance, wanted[name]):
                self._remove(name)
            elif watched.session.instance != wanted[name]:
                self._feed(watched, Reconfigured(wanted[name]))
                self._wait_in_vain(watched)
        for name, instance in wanted.items():
            if name not in self._watched:
                self._add(instance)
        self._committed = True
        self._kept = {}
        self._earlier = {}

    def _listen(self, wanted: set[tuple[int, int]]) -> None:
        for key in self._listening.keys() - wanted:
            sock = self._listening.pop(key)
            self._mux.unwatch(sock.fileno())
            sock.close()
        for family, port in wanted - self._listening.keys():
            try:
                sock = bfd_socket.listen(family, port)
            except Refused as refused:
                self._log.error(f"{refused}; sessions of this kind stay down")
                continue
            self._listening[family, port] = sock
            self._mux.watch(sock.fileno(), partial(self._read, sock, port), "hearing of BFD")

    def _hear_only(self, wanted: Iterable[BfdInstance]) -> None:
        """Source and TTL are looked at in the kernel, and again here, before anything else of a packet."""
        self._neighbors = {}
        families: dict[tuple[int, int], dict[str, int]] = {key: {} for key in self._listening}
        for one in wanted:
            for known in (self._neighbors.setdefault(one.port, {}), families.get((_family(one), one.port), {})):
                address = one.neighbor.partition("%")[0]
                known[address] = min(one.least_ttl, known.get(address, 255))
        for key, neighbors in families.items():
            try:
                bfd_socket.hear_only(self._listening[key], neighbors)
            except Refused as refused:
                self._log.warning(f"{refused}: what is no BFD of a neighbour is discarded in this process")

    def _add(self, instance: BfdInstance) -> None:
        kept, earlier = self._kept.get(instance.name), self._earlier.get(instance.name)
        is_same = kept is not None and (kept.neighbor, kept.port) == (instance.neighbor, instance.port)
        discriminator = kept.discriminator if kept is not None and is_same else self._new_discriminator()
        watched = self._watched[instance.name] = Watched(Session(instance, discriminator, self._chance))
        if earlier is not None and earlier.value is not None:
            watched.up, watched.since = bool(earlier.value), earlier.since
        if kept is not None and is_same and kept.remote_discriminator:
            neighbor = Neighbor(
                discriminator=kept.remote_discriminator,
                state=State.UP,
                min_rx=kept.min_rx,
                min_tx=kept.min_tx,
                multiplier=kept.multiplier,
            )
            self._feed(watched, Resumed(neighbor))
        self._open(watched)
        self._feed(watched, Started())
        if watched.session.state is State.UP:
            self._tell(watched, up=True)
        elif watched.up is not None:
            self._tell(watched, up=watched.up, again=True)
        else:
            self._say_of(watched)
            watched.added_at = self._mux.now()
            self._wait_in_vain(watched)

    def _open(self, watched: Watched) -> None:
        """Without a socket the session stays down, and it is tried again with each packet that is due."""
        instance = watched.session.instance
        try:
            watched.sock = bfd_socket.speak(
                instance.neighbor, instance.port, instance.source, instance.ttl, self._chance
            )
        except Refused as refused:
            self._complain((instance.name, refused.errno), f"({instance.name}) {refused}")

    def _remove(self, name: str) -> None:
        watched = self._watched.pop(name)
        self._feed(watched, Stopped())
        self._deadlines.forget(watched)
        if watched.sock is not None:
            watched.sock.close()
        self._keep(watched, deleted=True)
        gone = Observation(
            kind="bfd", name=name, value=None, since=time.time(), reason="no longer configured", deleted=True
        )
        self._say(gone)

    def _new_discriminator(self) -> int:
        used = {watched.session.discriminator for watched in self._watched.values()}
        while True:
            number = 1 + int(self._chance() * _LAST_DISCRIMINATOR)
            if number <= _LAST_DISCRIMINATOR and number not in used:
                return number

    # what others say

    def receive(self, message: Message) -> None:
        match message:
            case BfdKept() if not self._committed and not message.deleted:
                self._kept[message.name] = message
            case Observation(kind="bfd", deleted=False) if not self._committed:
                self._earlier[message.name] = message

    def snapshot(self, clear_statistics: bool) -> dict[str, object]:
        sessions = []
        for name, watched in self._watched.items():
            session = watched.session
            sessions.append(
                {
                    "name": name,
                    "neighbor": session.instance.neighbor,
                    "port": session.instance.port,
                    "state": session.state.name,
                    "told": {None: "nothing", True: "up", False: "down"}[watched.up],
                    "since": watched.since,
                    "reason": session.reason,
                    "diagnostic": session.diagnostic.name,
                    "neighbor_state": session.neighbor.state.name,
                    "discriminator": session.discriminator,
                    "neighbor_discriminator": session.neighbor.discriminator,
                    "interval": session.interval,
                    "detection_time": session.detection_time,
                    "sent": watched.sent,
                    "received": watched.received,
                }
            )
            if clear_statistics:
                watched.sent = watched.received = 0
        return {"sessions": sessions, "discarded": {reason.value: times for reason, times in self._discarded.items()}}

    def problems(self) -> list[Problem]:
        """What this process watches is no problem of its own."""
        return []

    async def stop(self, release: bool, handover: float) -> None:
        """The neighbours are told that this is no failure."""
        for watched in self._watched.values():
            self._feed(watched, Stopped())
        self._alarm.set(None)

    async def orphaned(self) -> None:
        await self.stop(release=True, handover=0.0)

    # packets

    def _read(self, sock: socket.socket, port: int) -> None:
        self._hear(sock, port)

    def _hear(self, sock: socket.socket, port: int) -> int:
        """How many packets there were."""
        packets = bfd_socket.receive(sock)
        for arrived in packets:
            try:
                self._take(arrived, port)
            except Discard as discard:
                self._discarded[discard.reason] += 1
                # Sources that are no neighbours share one line: there may be any number of them.
                known = arrived.source if arrived.source in self._neighbors.get(port, {}) else ""
                text = f"a BFD packet of {arrived.source} is discarded: {discard}"
                self._complain((known, discard.reason), text)
        return len(packets)

    def _take(self, arrived: Arrived, port: int) -> None:
        """Raises Discard."""
        least = self._neighbors.get(port, {}).get(arrived.source)
        if least is None:
            raise Discard(Reason.SOURCE)
        if arrived.ttl is not None and arrived.ttl < least:
            raise Discard(Reason.TTL)
        control = decode(arrived.data)
        watched = self._find(arrived, port, control.your_discriminator)
        if watched is None:
            raise Discard(Reason.NO_SESSION)
        if arrived.ttl is not None and arrived.ttl < watched.session.instance.least_ttl:
            raise Discard(Reason.TTL)
        watched.received += 1
        self._feed(watched, Received(control))

    def _find(self, arrived: Arrived, port: int, discriminator: int) -> Watched | None:
        for watched in self._watched.values():
            instance = watched.session.instance
            if instance.port != port:
                continue
            if discriminator:
                if watched.session.discriminator == discriminator:
                    return watched
            elif instance.neighbor == arrived.source and instance.source in (None, arrived.destination):
                return watched
        return None

    def _fall_due(self) -> None:
        now = self._mux.now()
        for sock, port in [(sock, port) for (_, port), sock in self._listening.items()]:
            # What has arrived while this process was busy is read before anything expires.
            for _ in range(_DRAINS):
                if self._hear(sock, port) < bfd_socket.RECEIVES:
                    break
        for watched in list(self._deadlines.due(now)):
            self._feed(watched, DeadlineReached(), now)
        self._alarm.set(self._deadlines.next())

    def _feed(self, watched: Watched, event: Event, now: float | None = None) -> None:
        state = watched.session.state, watched.session.neighbor
        for action in watched.session.handle(event, self._mux.now() if now is None else now):
            self._do(watched, action)
        if state != (watched.session.state, watched.session.neighbor) and not isinstance(event, Stopped):
            self._keep(watched)
        self._deadlines.watch(watched)
        self._alarm.set(self._deadlines.next())

    def _do(self, watched: Watched, action: Action) -> None:
        match action:
            case Send(control):
                if watched.sock is None:
                    self._open(watched)
                if watched.sock is None:
                    return
                try:
                    bfd_socket.send(watched.sock, control.encode())
                    watched.sent += 1
                except Refused as refused:
                    name = watched.session.instance.name
                    self._complain((name, refused.errno), f"({name}) {refused}")
            case ChangeState(old, new, reason, told):
                if State.UP in (old, new):
                    name = watched.session.instance.name
                    self._log.notice(f"({name}) Entering {new.name.capitalize()} state: {reason}")
                    if told:
                        self._tell(watched, up=new is State.UP)

    def _wait_in_vain(self, watched: Watched) -> None:
        """A session that was never up is down after as many packets as end one that is."""
        if watched.up is None:
            self._mux.at(_given_up_at(watched), lambda: self._give_up(watched))

    def _give_up(self, watched: Watched) -> None:
        # Later than that moment where a reload has moved it.
        if self._mux.now() < _given_up_at(watched):
            return
        if watched.up is None and self._watched.get(watched.session.instance.name) is watched:
            self._tell(watched, up=False)

    def _tell(self, watched: Watched, *, up: bool, again: bool = False) -> None:
        if watched.up is up and not again:
            return
        if watched.up is not up:
            watched.up, watched.since = up, time.time()
        self._say_of(watched)

    def _say_of(self, watched: Watched) -> None:
        session = watched.session
        word = "up" if watched.up else "down"
        self._say(
            Observation(
                kind="bfd",
                name=session.instance.name,
                value=None if watched.up is None else int(watched.up),
                since=watched.since,
                reason=f"BFD session {session.instance.name} is {word}: {session.reason}",
            )
        )

    def _keep(self, watched: Watched, *, deleted: bool = False) -> None:
        """What the next life of this process needs to go on."""
        session = watched.session
        is_up = session.state is State.UP
        self._say(
            BfdKept(
                name=session.instance.name,
                neighbor=session.instance.neighbor,
                port=session.instance.port,
                discriminator=session.discriminator,
                remote_discriminator=session.neighbor.discriminator if is_up else 0,
                min_rx=session.neighbor.min_rx,
                min_tx=session.neighbor.min_tx,
                multiplier=session.neighbor.multiplier,
                deleted=deleted,
            )
        )

    def _complain(self, cause: Hashable, text: str) -> None:
        if self._complaints.is_due(cause, self._mux.now()):
            self._log.warning(text)


def _given_up_at(watched: Watched) -> float:
    instance = watched.session.instance
    return watched.added_at + instance.idle_tx * instance.multiplier


def _family(instance: BfdInstance) -> int:
    return 6 if ":" in instance.neighbor else 4


def _is_same_path(old: BfdInstance, new: BfdInstance) -> bool:
    return (old.neighbor, old.source, old.port, old.ttl) == (new.neighbor, new.source, new.port, new.ttl)

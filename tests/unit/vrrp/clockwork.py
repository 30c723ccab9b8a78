"""The process's room on a clock that only the test moves, with a network that only remembers what it was asked."""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable, Mapping
from itertools import chain
from typing import Any

import pytest

from kad.linux.netlink.address import Address
from kad.linux.netlink.link import Link
from kad.linux.netlink.network_table import Change, lowest
from kad.linux.netlink.routes import Key, Loss, Losses
from kad.linux.sockets.arp_listener import Claim
from kad.linux.sockets.epoll_set import ONCE, READABLE, Ready
from kad.linux.sockets.packet_sockets import PacketSockets
from kad.linux.sockets.sendmmsg import Datagram, Unsent
from kad.linux.sockets.vrrp_interface import Outbox
from kad.model import secret
from kad.model.routing import RoutingEntry
from kad.model.vrrp import NetlinkBuffers, SyncGroup, VrrpInstance, VrrpSlice
from kad.shared.log import Destination, Logger
from kad.shared.messages import Message
from kad.shared.shared_page import Page
from kad.vrrp.process import worker as process
from kad.vrrp.process.instance import Instance
from kad.vrrp.process.kernel import routes
from kad.vrrp.process.wire import address_conflicts, advert_sockets
from kad.vrrp.process.worker import Room


class Alarm:
    """What the loop would be woken for."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback = callback
        self.when: float | None = None
        self.settings = 0

    def set(self, when: float | None) -> None:
        self.when = when
        self.settings += 1


class Clockwork:
    """A kad.child.multiplexer.Mux whose time stands still until run() moves it."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.page = Page()
        self.loop = self
        self.alarms: list[Alarm] = []
        self.moments: list[tuple[float, Callable[[], None]]] = []
        self.soon: list[Callable[[], None]] = []
        self.watched: dict[int, Callable[[], None]] = {}

    def now(self) -> float:
        return self.time

    def alarm(self, callback: Callable[[], None]) -> Alarm:
        self.alarms.append(Alarm(callback))
        return self.alarms[-1]

    def at(self, when: float, callback: Callable[[], None]) -> None:
        self.moments.append((when, callback))

    def noted(self, callback: Callable[[], None], activity: str) -> Callable[[], None]:
        return callback

    def call_soon(self, callback: Callable[[], None]) -> None:
        self.soon.append(callback)

    def watch(self, descriptor: int, callback: Callable[[], None], activity: str = "") -> None:
        assert descriptor not in self.watched
        self.watched[descriptor] = callback

    def unwatch(self, descriptor: int) -> None:
        del self.watched[descriptor]

    def run(self, until: float) -> None:
        """Let the time pass and serve every alarm and moment at its own time, as a loop does."""
        for _ in range(100_000):
            if self._serve():
                continue
            alarms = [alarm.when for alarm in self.alarms if alarm.when is not None]
            first = min([*alarms, *(when for when, _ in self.moments)], default=until + 1)
            if first > until:
                self.time = max(self.time, until)
                return
            self.time = max(self.time, first)
        raise AssertionError("the time does not pass")

    def _serve(self) -> bool:
        """One turn of the loop; whether there was anything to do."""
        soon, self.soon = self.soon, []
        alarms = [alarm for alarm in self.alarms if alarm.when is not None and alarm.when <= self.time]
        moments = [each for each in self.moments if each[0] <= self.time]
        self.moments = [each for each in self.moments if each[0] > self.time]
        for callback in soon:
            callback()
        for alarm in alarms:
            alarm.when = None
            alarm.callback()
        for _, callback in moments:
            callback()
        return bool(soon or alarms or moments)


class Segment:
    """A kad.linux.sockets.vrrp_interface.Segment without sockets."""

    capacity = 64

    def __init__(self, link: Link, family: int, *, ah: bool = False, receive_buffer: int = 0) -> None:
        self.link = link
        self.receive_buffer = receive_buffer
        self.ah = ah
        self.family = family
        self.groups: set[str] = set()
        self.outbox = {True: Outbox(), False: Outbox()}
        self.waiting: list[bytes] = []
        self.sent: list[list[Datagram]] = []
        """What left together."""
        self.moments: list[float] = []
        """When something left."""
        self.now: Callable[[], float] = lambda: 0.0
        self.readings = 0
        self.closed = False

    def fileno(self) -> int:
        return 1000 + self.link.index * 10 + self.family

    def filenos(self) -> list[int]:
        return [self.fileno()]

    def size(self, receive_buffer: int) -> None:
        self.receive_buffer = receive_buffer

    def listen_to(self, groups: set[str]) -> None:
        self.groups = set(groups)

    def speak_as(self, source: str) -> None:
        pass

    def receive(self) -> list[bytes]:
        self.readings += 1
        taken, self.waiting = self.waiting[:64], self.waiting[64:]
        return taken

    def flush(self) -> list[Unsent]:
        for outbox in self.outbox.values():
            together = [*chain.from_iterable(volley.datagrams for volley in outbox.volleys), *outbox.datagrams]
            if together:
                self.sent.append(together)
                self.moments.append(self.now())
                outbox.volleys.clear()
                outbox.datagrams.clear()
        return []

    def close(self) -> None:
        self.closed = True


class Sockets:
    """A kad.linux.sockets.epoll_set.Sockets that only the test serves."""

    def __init__(self) -> None:
        self.wanted: dict[int, int] = {}
        """What each descriptor waits for; 0 for nothing more."""
        self._told: dict[int, Ready] = {}

    def fileno(self) -> int:
        return 997

    def add(self, descriptor: int, wanted: int, ready: Ready) -> None:
        assert descriptor not in self.wanted
        self.wanted[descriptor], self._told[descriptor] = wanted, ready

    def change(self, descriptor: int, wanted: int) -> None:
        assert descriptor in self.wanted
        self.wanted[descriptor] = wanted

    def forget(self, descriptor: int) -> None:
        del self.wanted[descriptor], self._told[descriptor]

    def serve(self) -> None:
        """Nothing comes but by tell()."""

    def tell(self, descriptor: int) -> None:
        """There is something to read."""
        if wanted := self.wanted.get(descriptor, 0):
            self.wanted[descriptor] = 0 if wanted & ONCE else wanted
            self._told[descriptor](READABLE)


class Network:
    """A kad.linux.netlink.network_table.Network that the test fills."""

    def __init__(self) -> None:
        self.by_name: dict[str, Link] = {}
        self.held: dict[int, list[Address]] = {}
        self.asked: list[list[bytes]] = []
        self.read_later: Callable[[], object] = lambda: None
        """What each request put to the kernel."""
        self.changes: list[Change] = []
        self.overruns = 0
        self.refuses: dict[bytes, int] = {}
        """The answer to each message that is not done."""
        self.takes: Callable[[], None] = lambda: None
        """Called for every message: the kernel takes its time."""

    def fileno(self) -> int:
        return 999

    def size(self, buffers: NetlinkBuffers) -> None:
        pass

    def link(self, name: str) -> Link | None:
        return self.by_name.get(name)

    def link_at(self, index: int) -> Link | None:
        return next((link for link in self.by_name.values() if link.index == index), None)

    def lowest(self, link: Link, kinds: Container[str]) -> Link:
        return lowest(link, kinds, self.link_at)

    def links(self) -> list[Link]:
        return list(self.by_name.values())

    def addresses(self, index: int) -> list[Address]:
        return self.held.get(index, [])

    def has(self, address: Address) -> bool:
        return any(
            (each.address, each.prefix) == (address.address, address.prefix) for each in self.addresses(address.index)
        )

    def has_anywhere(self, address: str) -> bool:
        return any(each.address == address for held in self.held.values() for each in held)

    def request(self, batch: list[bytes]) -> list[int]:
        self.asked.append(list(batch))
        for _ in batch:
            self.takes()
        return [self.refuses.get(message, 0) for message in batch]

    def catch_up(self) -> bool:
        if self.changes:
            self.read_later()
        return bool(self.changes)

    def read(self) -> list[Change]:
        changes, self.changes = self.changes, []
        return changes


class RoutingMonitor:
    """A kad.linux.netlink.routes.RoutingMonitor whose kernel is the test."""

    def __init__(self) -> None:
        self.removed: Losses | None = {}
        self.closed = False

    def fileno(self) -> int:
        return 998

    def size(self, buffers: NetlinkBuffers) -> None:
        pass

    def look_after(self, entries: Collection[RoutingEntry]) -> None:
        pass

    def read(self) -> Losses | None:
        removed, self.removed = self.removed, {}
        return removed

    def close(self) -> None:
        self.closed = True


class Frames:
    """A kad.linux.sockets.ethernet_sender.FrameSender."""

    def __init__(self) -> None:
        self.sent: list[Datagram] = []

    def send(self, frames: list[Datagram]) -> list[Unsent]:
        self.sent += frames
        return []


class Listener:
    """A kad.linux.sockets.arp_listener listener."""

    def __init__(self, family: int) -> None:
        self.family = family
        self.addresses: set[str] = set()
        self.waiting: list[Claim] = []

    def fileno(self) -> int:
        return 990 + self.family

    def listen_for(self, addresses: Iterable[str]) -> None:
        self.addresses = set(addresses)

    def receive(self) -> list[Claim]:
        heard, self.waiting = self.waiting, []
        return heard


def link(name: str, index: int, *, up: bool = True, enabled: bool | None = None, mac: str = "020000000001") -> Link:
    flags = 0x1043 if up else 0x1002
    return Link(
        index=index,
        name=name,
        flags=flags,
        up=up,
        enabled=up if enabled is None else enabled,
        arp=True,
        loopback=False,
        hardware=1,
        mac=bytes.fromhex(mac),
        mtu=1500,
        kind="veth",
        master=0,
        lower=0,
    )


def address(text: str, prefix: int, index: int, *, scope: int = 0, flags: int = 0x80) -> Address:
    family = 6 if ":" in text else 4
    return Address(index=index, family=family, address=text, prefix=prefix, scope=scope, flags=flags)


class House:
    """A room that runs: eth0 (index 1, 10.77.0.1/24) exists."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, network: Network | None = None) -> None:
        self.mux = Clockwork()
        self.network = network or Network()
        self.network.by_name["eth0"] = link("eth0", 1)
        self.network.held[1] = [address("10.77.0.1", 24, 1)]
        self.frames = Frames()
        self.said: list[Message] = []
        self.lines: list[str] = []
        self.routing = RoutingMonitor()
        monkeypatch.setattr(process, "Network", lambda: self.network)
        monkeypatch.setattr(routes, "RoutingMonitor", lambda: self.routing)
        nothing: Any = None
        monkeypatch.setattr(process.PacketSockets, "open", lambda: PacketSockets(nothing, nothing))
        monkeypatch.setattr(process, "FrameSender", lambda sock: self.frames)
        monkeypatch.setattr(advert_sockets, "Segment", Segment)
        self.sockets = Sockets()
        monkeypatch.setattr(advert_sockets, "Sockets", lambda: self.sockets)
        self.listeners = {4: Listener(4), 6: Listener(6)}
        monkeypatch.setattr(address_conflicts, "ArpListener", lambda sock: self.listeners[4])
        monkeypatch.setattr(address_conflicts, "NeighbourListener", lambda: self.listeners[6])
        self.log = Logger("test", Destination(syslog=False))
        monkeypatch.setattr(self.log, "write", lambda level, text: self.lines.append(text))
        mux: Any = self.mux
        self.room = Room(mux, self.said.append, self.log)
        self._generation = 0

    def commit(self, *instances: VrrpInstance, groups: tuple[SyncGroup, ...] = (), **fields: Any) -> None:
        """Run this configuration."""
        self._generation += 1
        configuration = VrrpSlice(instances=instances, groups=groups, **fields)
        self.room.prepare(self._generation, secret.encode(configuration))
        self.room.commit(self._generation)

    def run(self, seconds: float) -> None:
        self.mux.run(self.mux.time + seconds)

    @property
    def instances(self) -> list[Instance]:
        return self.room.instances

    def segment(self, name: str = "eth0", family: int = 4) -> Segment:
        found = self.room._conversations._conversations[name, family].segment
        assert isinstance(found, Segment)
        found.now = self.mux.now
        return found

    def arrive(self, *packets: bytes, name: str = "eth0", family: int = 4) -> None:
        """Packets come, and the loop sees it where it looks."""
        segment = self.segment(name, family)
        segment.waiting += packets
        self.sockets.tell(segment.fileno())

    def claim(self, address: str, mac: str, index: int = 1) -> None:
        """Another host says that it has that address."""
        listener = self.listeners[6 if ":" in address else 4]
        if address in listener.addresses:
            listener.waiting.append(Claim(index, address, bytes.fromhex(mac.replace(":", ""))))
            self.mux.watched[listener.fileno()]()

    def tell(self, *changes: Change) -> None:
        """The kernel says that something changed; the network has it already."""
        self.network.changes += changes
        self.mux.watched[self.network.fileno()]()

    def tell_removed(self, removed: set[Key] | None) -> None:
        """The kernel says that routes and rules went; None: it lost count."""
        self.routing.removed = None if removed is None else dict.fromkeys(removed, Loss())
        self.mux.watched[self.routing.fileno()]()

    def tell_replaced(self, replaced: Mapping[Key, bytes], *, is_preceded: bool = False) -> None:
        """The kernel says that others took the place of these routes, or stand before them."""
        self.routing.removed = {key: Loss(body, is_preceded) for key, body in replaced.items()}
        self.mux.watched[self.routing.fileno()]()

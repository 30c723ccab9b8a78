"""The room on a clock that only the test moves, and a kernel that reads requests as Linux does."""

from __future__ import annotations

import errno
import heapq
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any

import msgspec

from kad.ipvs import plan
from kad.ipvs.process.worker import Room
from kad.linux.netlink import ipvs
from kad.linux.netlink.socket import attributes
from kad.linux.refused import Refused
from kad.model.ipvs import IpvsSlice, Member, RealServer, VirtualServer
from kad.model.ipvs_table import (
    Connections,
    DestinationKey,
    DestinationSettings,
    Entry,
    ServiceKey,
    ServiceSettings,
    SyncDaemonSettings,
    Table,
    TimeoutSettings,
)
from kad.shared.log import Destination, Logger
from kad.shared.messages import Message, ServerHealth

WEB = ServiceKey(4, "TCP", "192.0.2.9", 80)
A, B = DestinationKey("10.0.0.1", 80), DestinationKey("10.0.0.2", 80)


class Kernel:
    """What stays when the room dies. It stands in the place of kad.linux.netlink.ipvs.Ipvs."""

    def __init__(self) -> None:
        self.table: Table = {}
        self.connections: dict[DestinationKey, Connections] = {}
        self.refused: dict[int, int] = {}
        """The errno of each command (IPVS_CMD_ of linux/ip_vs.h) that it refuses."""
        self.running: dict[str, SyncDaemonSettings] = {}
        self.session = TimeoutSettings(900, 120, 300)
        self.schedulers = {"rr", "wrr", "wlc"}
        self.is_there = True
        self.commands: list[int] = []
        """Of every request, in its order."""

    def open(self) -> Kernel:
        if not self.is_there:
            raise Refused("IPVS", errno.ENOENT)
        return self

    def close(self) -> None: ...

    def request(self, batch: Sequence[bytes]) -> list[int]:
        return [self._do(one[16], attributes(one[20:])) for one in batch]

    def _do(self, command: int, found: dict[int, bytes]) -> int:
        if command in self.refused:
            return self.refused[command]
        self.commands.append(command)
        try:
            if command in (9, 10):
                return self._daemon(command, ipvs.decode_daemon(found[3]))
            if command == 12:
                wanted = [int.from_bytes(found[kind], "little") for kind in (4, 5, 6)]
                self.session = TimeoutSettings(*(new or old for new, old in zip(wanted, self.session, strict=True)))
            elif command == 17:
                self.table.clear()
            else:
                plan.apply(self.table, self._decode(command, found))
        except KeyError as error:
            there = command in (1, 5)
            return errno.EEXIST if there and error.args[0] != "none" else errno.ENOENT if command > 5 else errno.ESRCH
        except LookupError:
            return errno.ENOENT
        return 0

    def _daemon(self, command: int, daemon: SyncDaemonSettings) -> int:
        if command == 9:
            self.running[daemon.state] = daemon
        else:
            del self.running[daemon.state]
        return 0

    def _decode(self, command: int, found: dict[int, bytes]) -> plan.Command:
        decoded = ipvs.decode_service(found[1])
        assert decoded is not None
        key, settings = decoded
        if command in (1, 2):
            if settings.scheduler not in self.schedulers:
                raise LookupError(settings.scheduler)
            return plan.AddService(key, settings) if command == 1 else plan.SetService(key, settings)
        if command == 3:
            return plan.DeleteService(key)
        if key not in self.table:
            raise KeyError("none")
        destination, placed, _ = ipvs.decode_destination(found[2], key.family)
        if command == 7:
            return plan.DeleteDestination(key, destination)
        return (plan.AddDestination if command == 5 else plan.SetDestination)(key, destination, placed)

    def services(self) -> Iterator[tuple[ServiceKey, ServiceSettings]]:
        return iter([(key, entry.settings) for key, entry in self.table.items()])

    def service(self, key: ServiceKey) -> ServiceSettings | None:
        return self.table[key].settings if key in self.table else None

    def destinations(self, key: ServiceKey) -> Iterator[tuple[DestinationKey, DestinationSettings, Connections]]:
        entry = self.table.get(key, Entry(ServiceSettings()))
        for each, settings in entry.destinations.items():
            yield each, settings, self.connections.get(each, Connections())

    def daemons(self) -> Iterator[SyncDaemonSettings]:
        return iter(list(self.running.values()))

    def timeouts(self) -> TimeoutSettings:
        return self.session

    def weights(self, key: ServiceKey = WEB) -> dict[str, int]:
        """Of the destinations, by address."""
        return {each.address: settings.weight for each, settings in self.table[key].destinations.items()}


class Moment:
    """Of the clock."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class Clockwork:
    """A kad.child.multiplexer.Mux whose time stands still until run() moves it."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.loop = self
        self._moments: list[tuple[float, int, Moment]] = []
        self._order = count()

    def now(self) -> float:
        return self.time

    def at(self, when: float, callback: Callable[[], None]) -> Moment:
        moment = Moment(callback)
        heapq.heappush(self._moments, (when, next(self._order), moment))
        return moment

    def call_soon(self, callback: Callable[[], None]) -> None:
        self.at(self.time, callback)

    def noted(self, callback: Callable[[], None], activity: str) -> Callable[[], None]:
        return callback

    def sign_of_life(self, activity: str) -> Callable[[], None]:
        return lambda: None

    def run(self, seconds: float = 0.0) -> None:
        """Let so much time pass."""
        end = self.time + seconds
        while self._moments and self._moments[0][0] <= end:
            when, _, moment = heapq.heappop(self._moments)
            self.time = max(self.time, when)
            if moment.callback is not None:
                moment.callback()
        self.time = end


class Log(Logger):
    """Keeps the lines."""

    def __init__(self) -> None:
        super().__init__("test", Destination(syslog=False))
        self.lines: list[str] = []

    def write(self, level: object, text: str) -> None:
        self.lines.append(text)


class Stage:
    """One life of the room after the other, and what each said; messages of state reach the next one."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.said: list[Message] = []
        self._health: dict[str, Message] = {}
        self._generation = 0
        self._slice = IpvsSlice()
        self.live()

    def live(self) -> None:
        """A room is born, and told what the one before it said."""
        self.mux = Clockwork()
        self.log = Log()
        mux: Any = self.mux
        self.room = Room(mux, self.said.append, self.log)
        latest = {(one.KIND, one.key): one for one in self.said if one.IS_STATE}
        for message in [*latest.values(), *self._health.values()]:
            self.room.receive(message)

    def die(self) -> None:
        """Of SIGKILL; the next life is given the same configuration."""
        self.live()
        self._run(self._slice)

    def configure(self, *servers: VirtualServer, **settings: Any) -> None:
        self._generation += 1
        self._slice = IpvsSlice(virtual_servers=servers, **settings)
        self._run(self._slice)

    def _run(self, wanted: IpvsSlice) -> None:
        self.room.prepare(self._generation, msgspec.msgpack.encode(wanted))
        self.room.commit(self._generation)
        self.mux.run()

    def health(
        self, key: DestinationKey, healthy: bool, service: str = "192.0.2.9 80", known: bool = True, **more: Any
    ) -> None:
        """The checker says so; `more` are other fields of ServerHealth."""
        told = ServerHealth(
            service=service,
            address=key.address,
            port=key.port,
            healthy=healthy,
            known=known,
            since=0.0,
            reason="because",
            **more,
        )
        self._health[told.key] = told
        self.room.receive(told)

    def last(self, kind: type[Message]) -> Any:
        return [one for one in self.said if isinstance(one, kind)][-1]


def web(*servers: RealServer, address: str = "192.0.2.9", **changes: Any) -> VirtualServer:
    """A virtual server of port 80."""
    members = (Member(first=address, last=address, port=80),)
    real_servers = servers or tuple(RealServer(address=key.address, port=80) for key in (A, B))
    whole = {"members": members, "real_servers": real_servers, **changes}
    return VirtualServer(name=f"{address} 80", address=address, port=80, **whole)

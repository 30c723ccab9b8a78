"""Decides which destinations a virtual server has: from its configuration, its servers' health, and its quorum."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import NamedTuple, TypeAlias

from kad.ipvs.notifications import Occasion
from kad.model.ipvs import Member, RealServer, VirtualServer
from kad.model.ipvs_table import (
    LARGEST_WEIGHT,
    MASK_OF_ALL,
    PERSISTENT,
    Connections,
    DestinationKey,
    Destinations,
    DestinationSettings,
    ServiceKey,
    ServiceSettings,
)
from kad.shared.state_machine import DeadlineReached

ALONE = {4: MASK_OF_ALL, 6: 128}
"""Netmask by family where clients are kept apart."""


@dataclass(frozen=True, slots=True)
class HealthTold:
    """What the checks say of one server."""

    server: DestinationKey
    healthy: bool
    known: bool
    reason: str
    weight: int | None = None
    """What a program has set; None: as configured."""
    weight_change: int = 0


@dataclass(frozen=True, slots=True)
class Started:
    """It is served from now on; `quorum` is what an earlier life of this process last said, if anything."""

    quorum: bool | None = None


@dataclass(frozen=True, slots=True)
class Reconfigured:
    """Another configuration of the same virtual server is in force."""

    configured: VirtualServer


@dataclass(frozen=True, slots=True)
class DrainAsked:
    """The server shall get no new connections, and leave when it has none or at that moment."""

    server: DestinationKey
    until: float | None


@dataclass(frozen=True, slots=True)
class UndrainAsked:
    """The server shall serve again."""

    server: DestinationKey


@dataclass(frozen=True, slots=True)
class ConnectionsSeen:
    """What the destinations have now, over all addresses of the service."""

    connections: Mapping[DestinationKey, Connections]


@dataclass(frozen=True, slots=True)
class Stopped:
    """kad ends, or the service does (`removed`)."""

    removed: bool = False


@dataclass(frozen=True, slots=True)
class ServerChanged:
    """Tell that a server is up or down."""

    server: RealServer
    up: bool
    reason: str
    occasion: Occasion = Occasion.CHANGE


@dataclass(frozen=True, slots=True)
class QuorumChanged:
    """Tell that the quorum is reached or lost; `weight` is that of all living servers."""

    up: bool
    weight: int
    reason: str
    occasion: Occasion = Occasion.CHANGE


@dataclass(frozen=True, slots=True)
class Said:
    """For the log."""

    text: str


@dataclass(frozen=True, slots=True)
class DrainEnded:
    """A server that was drained is out of the table, and why now; the drain itself goes on."""

    server: DestinationKey
    reason: str


Event: TypeAlias = (
    HealthTold | Started | Reconfigured | DrainAsked | UndrainAsked | ConnectionsSeen | DeadlineReached | Stopped
)
Action: TypeAlias = ServerChanged | QuorumChanged | Said | DrainEnded


class Drain(NamedTuple):
    """A server is being emptied, or is out."""

    until: float | None
    """Monotonic seconds; None: as long as there are connections."""
    out: bool = False


@dataclass(slots=True)
class Server:
    """A real server as it is now."""

    configured: RealServer
    up: bool
    known: bool = False
    reason: str = "not checked yet"
    weight: int | None = None
    weight_change: int = 0
    drain: Drain | None = None

    @property
    def effective_weight(self) -> int:
        """What the kernel gets while it serves."""
        weight = self.configured.weight if self.weight is None else self.weight
        if not self.weight_change:
            return weight
        return min(max(weight + self.weight_change, 0), LARGEST_WEIGHT)

    @property
    def share(self) -> int:
        """What it adds to the weight of its service."""
        return self.effective_weight if self.up and self.drain is None else 0


class Service:
    """One virtual server: loses its quorum with the weight of its servers, and regains it with some more."""

    __slots__ = ("_init_notifies", "configured", "keeps_apart", "quorum_up", "servers", "weight")

    def __init__(self, configured: VirtualServer, *, init_notifies: bool = False) -> None:
        self.configured = configured
        self._init_notifies = init_notifies
        self.servers = {key_of(server): Server(server, up=not server.alpha) for server in configured.real_servers}
        self.quorum_up = True
        self._sum_up()

    @property
    def deadline(self) -> float | None:
        """When the next server is out that is being drained."""
        moments = [one.drain.until for one in self.servers.values() if one.drain and not one.drain.out]
        return min((moment for moment in moments if moment is not None), default=None)

    def _sum_up(self) -> None:
        """What is cheap to keep and dear to find again for each word on one of very many servers.

        weight: of all servers that live, and are not being drained.
        keeps_apart: no two servers can be the same destination of the kernel.
        """
        self.weight = sum(server.share for server in self.servers.values())
        everybody = self.configured.everybody
        if all(server.method == "NAT" for server in everybody):
            self.keeps_apart = len({*map(key_of, everybody)}) == len(everybody)
        else:
            self.keeps_apart = len({server.address for server in everybody}) == len(everybody)

    @property
    def is_draining(self) -> bool:
        return any(server.drain is not None and not server.drain.out for server in self.servers.values())

    @property
    def is_sorry(self) -> bool:
        """The sorry server serves, and the real servers do not."""
        return self.configured.sorry_server is not None and not self.quorum_up

    def handle(self, event: Event, now: float) -> list[Action]:
        """The actions are to be done in their order, once the table is as wanted."""
        match event:
            case HealthTold():
                return self._take(event)
            case Started(quorum):
                return self._start(quorum)
            case Reconfigured(configured):
                return self._reconfigure(configured)
            case DrainAsked(key, until):
                return self._drain(key, until)
            case UndrainAsked(key):
                return self._undrain(key)
            case ConnectionsSeen(connections):
                return self._look_at(connections)
            case DeadlineReached():
                return self._late(now)
            case Stopped(removed):
                return self._stop(removed)

    # health

    def resume(self, told: HealthTold) -> None:
        """What was known before this service was begun; nobody is told again."""
        self._learn(self.servers[told.server], told)

    def _learn(self, server: Server, told: HealthTold) -> None:
        before = server.share
        server.up, server.known, server.reason = told.healthy, told.known, told.reason
        server.weight, server.weight_change = told.weight, told.weight_change
        self.weight += server.share - before

    def _take(self, told: HealthTold) -> list[Action]:
        server = self.servers.get(told.server)
        if server is None:
            return []
        was_up, was_known, weight = server.up, server.known, server.effective_weight
        self._learn(server, told)
        actions: list[Action] = []
        if server.up is not was_up:
            actions += [Said(self._moved(server)), ServerChanged(server.configured, server.up, told.reason)]
        elif told.known and not was_known and (server.configured.alpha or self._init_notifies):
            actions.append(ServerChanged(server.configured, server.up, told.reason, Occasion.START))
        if server.effective_weight != weight:
            state = "active" if server.up else "inactive"
            text = f"Changing weight from {weight} to {server.effective_weight} for {state} service"
            actions.append(Said(f"{text} {self._name(server.configured)} of VS {self.configured.label}"))
        return actions + self._weigh()

    def _moved(self, server: Server) -> str:
        """keepalived's words."""
        inhibit, name = server.configured.inhibit, self._name(server.configured)
        if server.up:
            return f"{'Enabling' if inhibit else 'Adding'} service {name} to VS {self.configured.label}"
        return f"{'Disabling' if inhibit else 'Removing'} service {name} from VS {self.configured.label}"

    def _name(self, server: RealServer) -> str:
        return server.label_in(self.configured)

    # quorum

    def _weigh(self) -> list[Action]:
        """Look whether the quorum is gained or lost."""
        configured, weight = self.configured, self.weight
        quorum, hysteresis = configured.quorum, configured.hysteresis
        if not self.quorum_up and weight >= quorum + hysteresis:
            self.quorum_up = True
            reason = f"Gained quorum {quorum}+{hysteresis}={quorum + hysteresis} <= {weight}"
            actions: list[Action] = [Said(f"{reason} for VS {configured.label}")]
            if configured.sorry_server is not None:
                actions += [Said(text) for text in self._relieved(configured.sorry_server)]
        elif self.quorum_up and (not weight or weight < quorum - hysteresis):
            self.quorum_up = False
            reason = f"Lost quorum {quorum}-{hysteresis}={quorum - hysteresis} > {weight}"
            actions = [Said(f"{reason} for VS {configured.label}"), *self._sorry()]
        else:
            return []
        return [*actions, QuorumChanged(self.quorum_up, weight, reason)]

    def _sorry(self) -> list[Action]:
        sorry = self.configured.sorry_server
        if sorry is None:
            return []
        word, label = "Enabling" if sorry.inhibit else "Adding", self.configured.label
        return [
            Said(f"{word} sorry server {self._name(sorry)} to VS {label}"),
            Said(f"Removing alive servers from the pool for VS {label}"),
        ]

    def _relieved(self, sorry: RealServer) -> Iterator[str]:
        word, label = "Disabling" if sorry.inhibit else "Removing", self.configured.label
        yield f"Adding alive servers to the pool for VS {label}"
        yield f"{word} sorry server {self._name(sorry)} from VS {label}"

    def _start(self, quorum: bool | None) -> list[Action]:
        """What an earlier life has told is not told again."""
        if quorum is not None:
            self.quorum_up = quorum
            return self._weigh()
        configured, weight = self.configured, self.weight
        self.quorum_up = weight >= configured.quorum + configured.hysteresis
        if self.quorum_up:
            return []
        needed = configured.quorum + configured.hysteresis
        reason = f"Starting with quorum down: {weight} of {needed}"
        said = Said(f"{reason} for VS {configured.label}")
        return [said, *self._sorry(), QuorumChanged(False, weight, reason, Occasion.START)]

    # configuration

    def _reconfigure(self, configured: VirtualServer) -> list[Action]:
        """A server that stays keeps what is known of it."""
        kept = {*map(key_of, configured.real_servers)}
        gone = [server for key, server in self.servers.items() if key not in kept]
        actions: list[Action] = []
        for server in gone:
            text = f"Removing service {self._name(server.configured)} from VS {self.configured.label}"
            actions.append(Said(f"{text}: no longer configured"))
            if server.up:
                reason = "no longer configured"
                actions.append(ServerChanged(server.configured, False, reason, Occasion.REMOVAL))
        before, self.servers, self.configured = self.servers, {}, configured
        for real in configured.real_servers:
            known = before.get(key_of(real))
            if known is None:
                known = Server(real, up=not real.alpha)
            known.configured = real
            self.servers[key_of(real)] = known
        self._sum_up()
        return actions + self._weigh()

    def _stop(self, removed: bool) -> list[Action]:
        """Who is still up goes down; at the end of kad only omega lets that be told."""
        if not removed and not self.configured.omega:
            return []
        occasion = Occasion.REMOVAL if removed else Occasion.STOP
        reason = "no longer configured" if removed else "kad stops"
        up = [server for server in self.servers.values() if server.up]
        actions: list[Action] = [ServerChanged(server.configured, False, reason, occasion) for server in up]
        if self.quorum_up:
            actions.append(QuorumChanged(False, self.weight, reason, occasion))
        return actions

    # draining

    def _drain(self, key: DestinationKey, until: float | None) -> list[Action]:
        server = self.servers.get(key)
        if server is None or (server.drain is not None and server.drain.out):
            return []
        said = Said(f"Draining service {self._name(server.configured)} of VS {self.configured.label}")
        is_new = server.drain is None
        self.weight -= server.share
        server.drain = Drain(until)
        return [said, *self._weigh()] if is_new else []

    def _undrain(self, key: DestinationKey) -> list[Action]:
        server = self.servers.get(key)
        if server is None or server.drain is None:
            return []
        server.drain = None
        self.weight += server.share
        text = f"No longer draining service {self._name(server.configured)} of VS {self.configured.label}"
        return [Said(text), *self._weigh()]

    def _look_at(self, connections: Mapping[DestinationKey, Connections]) -> list[Action]:
        actions: list[Action] = []
        for key, server in self.servers.items():
            if server.drain is None or server.drain.out:
                continue
            found = connections.get(key, Connections())
            # TCP's inactive ones are closing; where there is no handshake, every connection counts as inactive.
            waits_for = found.active + (0 if self.configured.protocol == "TCP" else found.inactive)
            if not waits_for:
                actions += self._put_out(key, server, "it has no connection left")
        return actions

    def _late(self, now: float) -> list[Action]:
        actions: list[Action] = []
        for key, server in self.servers.items():
            drain = server.drain
            if drain is not None and not drain.out and drain.until is not None and drain.until <= now:
                actions += self._put_out(key, server, "its time is over")
        return actions

    def _put_out(self, key: DestinationKey, server: Server, reason: str) -> list[Action]:
        assert server.drain is not None
        server.drain = Drain(server.drain.until, out=True)
        text = f"Drained service {self._name(server.configured)} is removed from VS {self.configured.label}: {reason}"
        return [Said(text), DrainEnded(key, reason)]

    # the table

    def service_keys(self) -> Iterator[ServiceKey]:
        """Each service of the kernel that belongs to it."""
        for member in self.configured.members:
            yield from _keys(member, self.configured.protocol)

    def settings(self, key: ServiceKey) -> ServiceSettings:
        """How the kernel shall serve that one."""
        configured = self.configured
        timeout = configured.persistence_timeout
        netmask = configured.netmask if key.family == configured.family else None
        return ServiceSettings(
            scheduler=configured.scheduler,
            flags=configured.flags | (PERSISTENT if timeout else 0),
            timeout=timeout,
            netmask=ALONE[key.family] if netmask is None else netmask,
            engine=configured.engine,
        )

    def destinations(self, port: int = 0) -> Destinations:
        """Whom the kernel shall send clients to who come to that port of the service."""
        wanted: Destinations = {}
        for server in self.servers.values():
            weight = self.weight_in_table(server)
            if weight is not None:
                wanted[_placed(server.configured, port)] = _settings(server.configured, weight)
        sorry = self.configured.sorry_server
        if sorry is not None and (self.is_sorry or sorry.inhibit):
            wanted[_placed(sorry, port)] = _settings(sorry, sorry.weight if self.is_sorry else 0)
        return wanted

    def destination(self, key: DestinationKey, port: int) -> tuple[DestinationKey, DestinationSettings | None]:
        """What destinations() says of that server, where all are kept apart."""
        server = self.servers[key]
        weight = self.weight_in_table(server)
        settings = None if weight is None else _settings(server.configured, weight)
        return _placed(server.configured, port), settings

    def picture(self, about: DestinationKey | None = None) -> tuple[object, ...]:
        """What destinations() follows from: while this is the same, they are.

        about: as far as an event that concerns that server alone can change it.
        """
        if about is None:
            return self.is_sorry, *(self.weight_in_table(server) for server in self.servers.values())
        server = self.servers.get(about)
        return self.is_sorry, None if server is None else self.weight_in_table(server)

    def named(self, port: int = 0) -> set[DestinationKey]:
        """Every destination that the configuration names, whether it serves now or not."""
        return {_placed(server, port) for server in self.configured.everybody}

    def placed(self, key: DestinationKey, port: int) -> DestinationKey:
        """Where that server stands in the kernel's service of that port."""
        return _placed(self.servers[key].configured, port)

    def weight_in_table(self, server: Server) -> int | None:
        """What the kernel shall have of it; None: nothing."""
        if server.drain is not None:
            return None if server.drain.out else 0
        if server.up and not self.is_sorry:
            return server.effective_weight
        return 0 if server.configured.inhibit else None


def key_of(server: RealServer) -> DestinationKey:
    """By which a server is known within its virtual server."""
    return DestinationKey(server.address, server.port)


def _placed(server: RealServer, port: int) -> DestinationKey:
    """Only NAT can lead to another port than the client's; by a mark or without a port each client's stays."""
    if server.method != "NAT":
        return DestinationKey(server.address, port)
    return DestinationKey(server.address, server.port)


def _settings(server: RealServer, weight: int) -> DestinationSettings:
    return DestinationSettings(
        weight=weight,
        method=server.method,
        upper=server.upper,
        lower=server.lower,
        tunnel=server.tunnel,
        tunnel_port=server.tunnel_port,
        checksum=server.checksum,
    )


def _keys(member: Member, protocol: str) -> Iterator[ServiceKey]:
    if member.fwmark:
        yield ServiceKey(member.family, fwmark=member.fwmark)
    elif member.first == member.last:
        yield ServiceKey(member.family, protocol, member.first, member.port)
    else:
        start, end = ip_address(member.first), ip_address(member.last)
        for offset in range(int(end) - int(start) + 1):
            yield ServiceKey(member.family, protocol, str(start + offset), member.port)

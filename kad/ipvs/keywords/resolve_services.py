"""What joins several words of a virtual_server: defaults that are said, servers that cannot be, quorum and ports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from kad.config.build import Scope
from kad.config.diagnostics import Place
from kad.config.programs import Programs
from kad.config.remark import Remark
from kad.config.values import family_of
from kad.ipvs.keywords import resolve_fields
from kad.ipvs.keywords.codes import IpvsCode
from kad.ipvs.keywords.line_values import Forwarding, ServerName, ServiceName
from kad.ipvs.keywords.service_words import DestinationWords, ServiceGroupBlock, ServiceWords
from kad.model.ipvs import RealServer, VirtualServer

NAT = Forwarding(method="NAT")
_OF_SCHEDULER = {"hashed": "sh", "sh_port": "sh", "sh_fallback": "sh", "mh_port": "mh", "mh_fallback": "mh"}


class Defaults(Protocol):
    """What it says of mail and failure."""

    @property
    def smtp_alert(self) -> bool | None: ...
    @property
    def inhibit_on_failure(self) -> bool | None: ...


class Destination(Protocol):
    """A real_server block."""

    @property
    def name(self) -> ServerName: ...
    @property
    def destination(self) -> DestinationWords: ...
    @property
    def defaults(self) -> Defaults: ...


class Service(Protocol):
    """A virtual_server block."""

    @property
    def name(self) -> ServiceName: ...
    @property
    def service(self) -> ServiceWords: ...
    @property
    def defaults(self) -> Defaults: ...
    @property
    def real_server(self) -> Sequence[Destination]: ...


@dataclass
class ServiceResolver:
    """Resolves the virtual servers of one configuration."""

    scope: Scope
    programs: Programs
    groups: dict[str, ServiceGroupBlock]
    alerts: bool | None = None
    """smtp_alert_checker, else smtp_alert."""
    marking: bool = False
    """nftables_ipvs is said: a group is served by a mark."""
    mails: bool = False
    """There is somebody to send mail to."""
    members: Counter[str] = field(default_factory=Counter)
    """Services of each group so far."""
    judged: set[str] = field(default_factory=set)
    """Names of the services so far."""
    servers: dict[ServerName, RealServer] = field(default_factory=dict)
    """Those of the service that was resolved last, by their names as written."""

    def resolve(self, service: Service) -> VirtualServer | None:
        """The service as the kernel shall have it; None when it cannot be served, which has then been said."""
        name, words = service.name, service.service
        place = self.scope.places.of(service)
        family = self._family(service)
        label = self._unique(name, words, family)
        if label in self.judged:
            remark = IpvsCode.SERVICE_LISTED_TWICE(label=label)
            self.scope.report.note(place, remark, proposal="put all real servers into one block")
            return None
        if name.group is not None and name.group not in self.groups:
            remark = IpvsCode.NO_SUCH_GROUP(group=name.group)
            self.scope.report.note(place, remark)
            return None
        identity = f"service:{label}"
        notifies = self._make_programs(identity, words, ("quorum_up", "quorum_down"))
        self._tell_conflict(name, words, family)
        kept = self._servers(service, family, identity)
        if not kept:
            remark = IpvsCode.NO_REAL_SERVER(name=name.text)
            self._warn(place, remark, "add real_server IP PORT { }")
            return None
        kept = self._apart(name, place)
        self._tell_defaults(name, words, place)
        self._tell_options(name, words)
        quorum, hysteresis = self._quorum(words, kept)
        place_in_group = self.members[name.group] if name.group is not None else 0
        if name.group is not None:
            self.members[name.group] += 1
        protocol = words.protocol or "UDP"
        is_marked = name.fwmark is not None or self._is_marked(name)
        self.judged.add(label)
        return VirtualServer(
            name=label,
            address=name.address,
            port=name.port,
            fwmark=name.fwmark,
            group=name.group,
            protocol=protocol,
            family=family or 4,
            members=resolve_fields.members(name, self.groups.get(name.group or ""), family or 4),
            scheduler=words.lb_algo or "wlc",
            flags=resolve_fields.flags(words, protocol, is_marked=is_marked),
            persistence_timeout=resolve_fields.persistence_timeout(words, has_every_port=self._has_every_port(name)),
            netmask=resolve_fields.netmask(words, family or 4),
            engine=words.persistence_engine or "",
            quorum=quorum,
            hysteresis=hysteresis,
            omega=words.omega,
            sorry_server=self._sorry_server(name, words, kept, family),
            real_servers=tuple(kept),
            notifies=notifies,
            smtp_alert=self._alerts(service.defaults, False),
            by_mark=self._is_by_mark(name),
            place_in_group=place_in_group,
        )

    def _apart(self, name: ServiceName, place: Place) -> list[RealServer]:
        """Where ports are not translated, two ports of one host are one server."""
        found: dict[tuple[str, int], RealServer] = {}
        for written, real in list(self.servers.items()):
            if (real.address, real.port) in found:
                remark = IpvsCode.SAME_REAL_SERVER(written=written, address=real.address, port=real.port)
                self._warn(place.about(written), remark)
                del self.servers[written]
            else:
                found[real.address, real.port] = real
        return list(found.values())

    def _unique(self, name: ServiceName, words: ServiceWords, family: int | None) -> str:
        """The text, and what else tells it from others: DNS is served by UDP and TCP at one address."""
        has_address = name.address is not None or bool(self._members(name))
        protocol = f" {words.protocol or 'UDP'}" if has_address and words.protocol != "TCP" else ""
        return f"{name.text}{protocol}{' inet6' if name.address is None and family == 6 else ''}"

    def _sorry_server(
        self, name: ServiceName, words: ServiceWords, real_servers: Sequence[RealServer], family: int | None
    ) -> RealServer | None:
        """None where there is none, or it cannot serve, which has then been said."""
        sorry = words.sorry_server
        if sorry is None:
            return None
        place = self.scope.places.of(words, "sorry_server")
        forwarding = words.sorry_server_lvs_method or words.lb_kind or NAT
        if family is not None and family_of(sorry.address) != family and forwarding.method != "TUN":
            self._warn(place, IpvsCode.SORRY_SERVER_OF_OTHER_FAMILY(sorry=sorry, name=name.text))
            return None
        port = self._port(name, sorry.port, forwarding, place)
        same = next((each for each in real_servers if (each.address, each.port) == (sorry.address, port)), None)
        inhibit = words.sorry_server_inhibit
        if same is not None and same.inhibit is not inhibit:
            # One destination of the kernel cannot both stay with weight 0 and leave.
            inhibit = same.inhibit
            code = IpvsCode.SORRY_SERVER_INHIBIT_SET if inhibit else IpvsCode.SORRY_SERVER_INHIBIT_IGNORED
            self._warn(place, code(sorry=sorry))
        return _placed(sorry.address, port, forwarding, inhibit=inhibit)

    def _port(self, name: ServiceName, port: int, forwarding: Forwarding, place: Place) -> int:
        """Where packets are only passed on, their port stays."""
        if forwarding.method == "NAT":
            return port
        if name.group is not None:
            if self._is_by_mark(name):
                return 0
            self._tell_group_port(name, port, forwarding, place)
            return port
        if port not in (0, name.port):
            kept = f"the port stays {name.port}" if name.port else "the client's port stays"
            self._warn(place, IpvsCode.PORT_IGNORED(method=forwarding.method, kept=kept, port=port))
        return name.port

    def _tell_group_port(self, name: ServiceName, port: int, forwarding: Forwarding, place: Place) -> None:
        group = self.groups.get(name.group or "")
        others = [member for member in group.members if member.port != port] if group is not None and port else []
        if others:
            members = ", ".join(map(str, others[:3])) + (" ..." if len(others) > 3 else "")
            remark = IpvsCode.GROUP_PORT_IGNORED(method=forwarding.method, port=port, members=members)
            self._warn(place, remark)

    def _make_programs(
        self, identity: str, words: ServiceWords | DestinationWords, names: tuple[str, ...]
    ) -> tuple[str, ...]:
        """Those of the names that lead to a program."""
        written = [(name, command) for name in names if (command := getattr(words, name)) is not None]
        return tuple(
            name
            for name, command in written
            if self.programs.make(command, f"{identity}/{name}", self.scope.places.of(words, name)) is not None
        )

    def _alerts(self, words: Defaults, unsaid: bool) -> bool:
        """The nearest word counts."""
        nearest = self.alerts if words.smtp_alert is None else words.smtp_alert
        return self.mails and (unsaid if nearest is None else nearest)

    def _warn(self, place: Place, remark: Remark, proposal: str = "") -> None:
        self.scope.report.warning(place, remark, proposal=proposal)

    def _family(self, service: Service) -> int | None:
        name, asked = service.name, service.service.ip_family
        if name.address is not None:
            return family_of(name.address)
        if asked is not None:
            return 6 if asked == "inet6" else 4
        first = self._members(name)[:1] or [server.name.address for server in service.real_server[:1]]
        return family_of(first[0]) if first else None

    def _members(self, name: ServiceName) -> list[str]:
        group = self.groups.get(name.group or "")
        return [member.first for member in group.members if member.first is not None] if group else []

    def _tell_conflict(self, name: ServiceName, words: ServiceWords, family: int | None) -> None:
        if words.ip_family is not None and family is not None and (words.ip_family == "inet6") is not (family == 6):
            place = self.scope.places.of(words, "ip_family")
            self._warn(place, IpvsCode.FAMILY_CONTRADICTS_ADDRESS(ip_family=words.ip_family, address=name.address))

    def _servers(self, service: Service, family: int | None, identity: str) -> list[RealServer]:
        name, words, places = service.name, service.service, self.scope.places
        kept: dict[ServerName, RealServer] = {}
        for server in service.real_server:
            place, said = places.of(server), server.destination
            forwarding = said.lvs_method or words.lb_kind or NAT
            version = family_of(server.name.address)
            if server.name in kept:
                self._warn(place, IpvsCode.REAL_SERVER_LISTED_TWICE(name=server.name))
                continue
            if family is not None and version != family and forwarding.method != "TUN":
                self._warn(place, IpvsCode.REAL_SERVER_OF_OTHER_FAMILY(name=server.name, service=name.text))
                continue
            if words.lb_kind is not None and said.lvs_method is None and place < places.of(words, "lb_kind"):
                remark = IpvsCode.METHOD_AFTER_REAL_SERVER()
                proposal = "write lb_kind before the first real_server"
                self.scope.report.note(places.of(words, "lb_kind"), remark, proposal=proposal)
            port = self._port(name, server.name.port, forwarding, place)
            weight = said.weight if said.weight is not None else words.weight
            address = server.name.address
            kept[server.name] = msgspec.structs.replace(
                _placed(address, port, forwarding, inhibit=self._inhibits(service, server)),
                weight=1 if weight is None else weight,
                upper=said.uthreshold or 0,
                lower=said.lthreshold or 0,
                notifies=self._make_programs(f"{identity}/{address} {port}", said, ("notify_up", "notify_down")),
                smtp_alert=self._alerts(server.defaults, True),
            )
        self.servers = kept
        return list(kept.values())

    def _tell_defaults(self, name: ServiceName, words: ServiceWords, place: Place) -> None:
        has_address = name.address is not None or bool(self._members(name))
        if words.protocol is None and has_address:
            self._warn(place, IpvsCode.NO_PROTOCOL(name=name.text), "add protocol TCP")
        if words.protocol is not None and not has_address:
            remark = IpvsCode.MARK_HAS_NO_PROTOCOL(protocol=words.protocol)
            self._warn(self.scope.places.of(words, "protocol"), remark)
        if words.lb_algo is None:
            self._warn(place, IpvsCode.NO_SCHEDULER(name=name.text), "add lb_algo rr")
        if words.lb_kind is None:
            self._warn(place, IpvsCode.NO_METHOD(name=name.text), "add lb_kind NAT, DR or TUN")
        if self._has_every_port(name) and words.persistence_timeout is None:
            remark = IpvsCode.NO_PORT_NEEDS_PERSISTENCE(name=name.text)
            self._warn(place, remark)

    def _has_every_port(self, name: ServiceName) -> bool:
        """Some address of it is served without a port."""
        group = self.groups.get(name.group or "")
        if group is not None:
            return any(not member.port for member in group.members if member.fwmark is None)
        return name.address is not None and not name.port

    def _is_by_mark(self, name: ServiceName) -> bool:
        """As keepalived: a group that has a mark of its own already stays as it is."""
        group = self.groups.get(name.group or "")
        return self.marking and group is not None and all(member.fwmark is None for member in group.members)

    def _is_marked(self, name: ServiceName) -> bool:
        group = self.groups.get(name.group or "")
        return group is not None and any(
            member.fwmark is not None and member.family is None for member in group.members
        )

    def _tell_options(self, name: ServiceName, words: ServiceWords) -> None:
        places = self.scope.places
        for option, scheduler in _OF_SCHEDULER.items():
            if not getattr(words, option):
                continue
            place = places.of(words, option)
            word = option.replace("_", "-")
            if words.lb_algo != scheduler:
                self._warn(place, IpvsCode.NEEDS_SCHEDULER(word=word, scheduler=scheduler))
            elif place.file == places.of(words, "lb_algo").file and place < places.of(words, "lb_algo"):
                self._warn(place, IpvsCode.BEFORE_SCHEDULER(word=word), f"write it behind lb_algo {scheduler}")
        if words.ops and name.fwmark is None and words.protocol not in (None, "UDP"):
            self._warn(places.of(words, "ops"), IpvsCode.OPS_FOR_UDP_ALONE())
        for option in ("sorry_server_inhibit", "sorry_server_lvs_method"):
            if getattr(words, option) and words.sorry_server is None:
                self._warn(places.of(words, option), IpvsCode.NEEDS_SORRY_SERVER(option=option))

    def _quorum(self, words: ServiceWords, servers: list[RealServer]) -> tuple[int, int]:
        """Quorum and hysteresis, as far as the weights allow them."""
        total = sum(server.weight for server in servers)
        quorum = words.quorum if words.quorum is not None else 1
        if quorum > total and words.quorum is not None:
            remark = IpvsCode.QUORUM_TOO_LARGE(quorum=quorum, total=total)
            self._warn(self.scope.places.of(words, "quorum"), remark)
            quorum = total
        if words.hysteresis is not None and words.hysteresis >= quorum:
            remark = IpvsCode.HYSTERESIS_TOO_LARGE(hysteresis=words.hysteresis, quorum=quorum)
            self._warn(self.scope.places.of(words, "hysteresis"), remark)
            return quorum, 0
        return quorum, words.hysteresis or 0

    def _inhibits(self, service: Service, server: Destination) -> bool:
        own = server.defaults.inhibit_on_failure
        return bool(service.defaults.inhibit_on_failure if own is None else own)


def _placed(address: str, port: int, forwarding: Forwarding, *, inhibit: bool) -> RealServer:
    return RealServer(
        address=address,
        port=port,
        method=forwarding.method,
        tunnel=forwarding.tunnel or "ipip",
        tunnel_port=forwarding.port or 0,
        checksum="" if forwarding.checksum in (None, "nocsum") else forwarding.checksum,
        inhibit=inhibit,
    )

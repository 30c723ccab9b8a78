"""Settings of this host that defeat what is configured: each is told once, where it first matters."""

from __future__ import annotations

from dataclasses import dataclass, field

from kad.config.build import Scope
from kad.config.diagnostics import Place
from kad.config.remark import Remark
from kad.config.values import family_of
from kad.ipvs.keywords.codes import IpvsCode
from kad.model.ipvs import RealServer, VirtualServer

_FORWARDING = {4: "net.ipv4.ip_forward", 6: "net.ipv6.conf.all.forwarding"}


@dataclass
class Prerequisites:
    """Looks at the kernel's settings for the virtual servers of one configuration."""

    scope: Scope
    _said: set[str] = field(default_factory=set)
    _local: frozenset[str] | None = None
    _values: dict[str, int | None] = field(default_factory=dict)
    """Each setting is read once, however many servers there are."""

    def look(self, service: VirtualServer, place: Place, *, is_checked: bool) -> None:
        """`is_checked`: some server of it may be taken out."""
        inhibits = False
        for server in service.real_servers:
            inhibits |= server.inhibit
            match server.method:
                case "NAT":
                    self._need(place, _FORWARDING[family_of(server.address)], 1, IpvsCode.NOT_FORWARDED())
                case "DR":
                    self._look_at_real_server(server, place)
                case _:
                    self._look_at_tunnel(server, place)
            if server.method != "NAT" and self._value("net.ipv4.vs.conntrack"):
                remark = IpvsCode.CONNECTION_TRACKING(method=server.method)
                self._say(place, "net.ipv4.vs.conntrack", remark, 0)
        if is_checked and not inhibits:
            remark = IpvsCode.NO_EXPIRE_NODEST()
            self._need(place, "net.ipv4.vs.expire_nodest_conn", 1, remark)
        if service.persistence_timeout:
            remark = IpvsCode.NO_EXPIRE_QUIESCENT()
            self._need(place, "net.ipv4.vs.expire_quiescent_template", 1, remark)

    def _look_at_real_server(self, server: RealServer, place: Place) -> None:
        """Two directors that are each other's real servers: whoever is not MASTER must keep silent."""
        if family_of(server.address) != 4 or not self._is_here(server):
            return
        remark = IpvsCode.ANSWERS_ARP(address=server.address)
        self._need(place, "net.ipv4.conf.all.arp_ignore", 1, remark)
        self._need(place, "net.ipv4.conf.all.arp_announce", 2, remark)

    def _look_at_tunnel(self, server: RealServer, place: Place) -> None:
        if family_of(server.address) != 4 or not self._is_here(server):
            return
        for interface in ("all", "tunl0"):
            if self._value(name := f"net.ipv4.conf.{interface}.rp_filter") == 1:
                self._say(place, name, IpvsCode.DROPS_TUNNELLED(address=server.address), 0)

    def _is_here(self, server: RealServer) -> bool:
        if self._local is None:
            interfaces = self.scope.host.interfaces.values()
            self._local = frozenset(one.partition("/")[0] for each in interfaces for one in each.addresses)
        return server.address in self._local

    def _need(self, place: Place, name: str, least: int, remark: Remark) -> None:
        value = self._value(name)
        if value is not None and value < least:
            self._say(place, name, remark, least)

    def _value(self, name: str) -> int | None:
        """None: it cannot be seen, as where the module is not loaded."""
        if name not in self._values:
            self._values[name] = self._read(name)
        return self._values[name]

    def _read(self, name: str) -> int | None:
        try:
            text = self.scope.host.files.read(f"/proc/sys/{name.replace('.', '/')}")
            return int(text)
        except (OSError, ValueError):
            return None

    def _say(self, place: Place, name: str, remark: Remark, better: int) -> None:
        if name not in self._said:
            self._said.add(name)
            remark = remark.of(f"{name} is {self._value(name)}")
            self.scope.report.note(place, remark, proposal=f"sysctl -w {name}={better}", about_host=True)

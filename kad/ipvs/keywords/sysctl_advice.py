"""Settings of this host that defeat what is configured: each is told once, where it first matters."""

from __future__ import annotations

from dataclasses import dataclass, field

from kad.config.build import Scope
from kad.config.tree import Place
from kad.config.values import family_of
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
                    self._need(place, _FORWARDING[family_of(server.address)], 1, "replies of NAT are not forwarded")
                case "DR":
                    self._look_at_real_server(server, place)
                case _:
                    self._look_at_tunnel(server, place)
            if server.method != "NAT" and self._value("net.ipv4.vs.conntrack"):
                text = f"connection tracking of IPVS sees half of each connection by {server.method}"
                self._say(place, "net.ipv4.vs.conntrack", text, 0)
        if is_checked and not inhibits:
            text = "clients of a server that is taken out wait until their connections time out"
            self._need(place, "net.ipv4.vs.expire_nodest_conn", 1, text)
        if service.persistence_timeout:
            text = "persistent clients of a server that is drained or inhibited still reach it"
            self._need(place, "net.ipv4.vs.expire_quiescent_template", 1, text)

    def _look_at_real_server(self, server: RealServer, place: Place) -> None:
        """Two directors that are each other's real servers: whoever is not MASTER must keep silent."""
        if family_of(server.address) != 4 or not self._is_here(server):
            return
        text = f"this host is the real server {server.address}, and answers ARP for the address of the service"
        self._need(place, "net.ipv4.conf.all.arp_ignore", 1, text)
        self._need(place, "net.ipv4.conf.all.arp_announce", 2, text)

    def _look_at_tunnel(self, server: RealServer, place: Place) -> None:
        if family_of(server.address) != 4 or not self._is_here(server):
            return
        for interface in ("all", "tunl0"):
            if self._value(name := f"net.ipv4.conf.{interface}.rp_filter") == 1:
                self._say(place, name, f"this host is the real server {server.address}, and drops what is tunnelled", 0)

    def _is_here(self, server: RealServer) -> bool:
        if self._local is None:
            interfaces = self.scope.host.interfaces.values()
            self._local = frozenset(one.partition("/")[0] for each in interfaces for one in each.addresses)
        return server.address in self._local

    def _need(self, place: Place, name: str, least: int, consequence: str) -> None:
        value = self._value(name)
        if value is not None and value < least:
            self._say(place, name, consequence, least)

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

    def _say(self, place: Place, name: str, consequence: str, better: int) -> None:
        if name not in self._said:
            self._said.add(name)
            text = f"{name} is {self._value(name)}: {consequence}"
            self.scope.report.note(place, text, proposal=f"sysctl -w {name}={better}", about_host=True)

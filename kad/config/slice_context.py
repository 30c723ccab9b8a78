"""What the slices of one configuration are made with: its scope, and the facts that one package finds for others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from kad.config.build import Scope
from kad.config.diagnostics import Place
from kad.config.programs import Programs
from kad.model.bfd import BfdInstance, BfdSlice
from kad.model.checker import Check, CheckedServers, Credentials
from kad.model.ipvs import IpvsSlice, RealServer, VirtualServer
from kad.model.routing import Route, Rule
from kad.model.runner import Fifo, Mailing, RunnerSlice, VrrpScript
from kad.model.tracking import Weight
from kad.model.vrrp import Filtering, VrrpSlice

EncodeRoute = Callable[[Route], tuple[bytes, bytes, tuple[tuple[int, str], ...]]]
EncodeRule = Callable[[Rule], tuple[bytes, bytes]]


class DaemonFacts(NamedTuple):
    """What the words of the daemon itself mean for the packages."""

    router_id: str = ""
    umask: int = 0o177
    default_interface: str = "eth0"
    """Of addresses that name none, where the instance has none."""
    iproute_directories: tuple[str, str] = ("/etc/iproute2", "/usr/share/iproute2")
    """Of the files that name tables and scopes: this host's, and the vendor's."""
    process_events_buffer: int = 0
    """Bytes; 0: as many as kad thinks fit."""


class VirtualRouters(Protocol):
    """The instances that can run, before anything is known of other packages."""

    @property
    def ids(self) -> Mapping[str, int]:
        """The VRID of each, by name."""

    @property
    def sync_interfaces(self) -> Mapping[str, str]:
        """By name of a vrrp_instance: where it says that the IPVS sync daemon speaks."""

    @property
    def filtering(self) -> Filtering: ...

    def slice(self, served: ServedAddresses | None, *, feeds_fifo: bool) -> VrrpSlice:
        """All of them, whether or not their process is wanted."""


class ServerChecks(NamedTuple):
    """The checks of one real_server block that can be made."""

    checks: tuple[Check, ...] = ()
    alpha: bool = False
    """Until some of them has succeeded it is down."""


class Checks(Protocol):
    """The checks of all real servers; those of a virtual server are resolved when they are asked for."""

    @property
    def credentials(self) -> Sequence[Credentials]:
        """All that were needed so far."""

    def of_service(self, index: int) -> Sequence[ServerChecks]:
        """By real_server block of that virtual_server block."""


class ServedBlock(NamedTuple):
    """What one virtual_server block has become."""

    service: VirtualServer | None = None
    """None: it cannot be served."""
    real_servers: tuple[RealServer | None, ...] = ()
    """By real_server block; None: it is not one of the service, or another block has its name."""


class ServedAddresses(Protocol):
    """The addresses of all virtual servers."""

    def first_of(self, addresses: Iterable[str]) -> str:
        """The first of these that a virtual server has; empty: none."""


@dataclass
class SliceContext:
    """The fields behind `refused_files` are filled in their order; what stands above is known to those below.

    A slice is None where there is nothing to do for its process, or the process is not wanted.
    """

    scope: Scope
    programs: Programs
    encode_route: EncodeRoute
    encode_rule: EncodeRule
    wants_vrrp: bool = True
    wants_checker: bool = True
    """And ipvs."""
    umask: int | None = None
    """Of the command line, which overrides the file's."""
    refused_files: frozenset[tuple[str, str]] = frozenset()
    """Keywords, each with the name of the block around it, whose file kad must leave alone."""
    daemon: DaemonFacts = field(default_factory=DaemonFacts)
    scripts: Mapping[str, VrrpScript] = field(default_factory=dict)
    sessions: Mapping[str, BfdInstance] = field(default_factory=dict)
    """BFD sessions that can be watched."""
    checked_sessions: Sequence[str] = ()
    """Those of them that a BFD_CHECK may name."""
    weights: Mapping[str, Mapping[str, Weight]] = field(default_factory=dict)
    """What can be tracked, by kind and name: the weight that it has by itself."""
    definitions: Mapping[tuple[str, str], Place] = field(default_factory=dict)
    """Where each thing that can be tracked is defined first, by kind and name."""
    routers: VirtualRouters | None = None
    fifos: tuple[Fifo, ...] = ()
    mailing: Mailing | None = None
    group_addresses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By virtual_server_group, a range as FIRST-LAST."""
    checks: Checks | None = None
    served: tuple[ServedBlock, ...] = ()
    """By virtual_server block."""
    served_addresses: ServedAddresses | None = None
    """None: no instance depends on IPVS."""
    vrrp: VrrpSlice | None = None
    ipvs: IpvsSlice | None = None
    checker: CheckedServers | None = None
    bfd: BfdSlice | None = None
    runner: RunnerSlice | None = None

    @property
    def services(self) -> list[VirtualServer]:
        """Those that can be served."""
        return [block.service for block in self.served if block.service is not None]

    def feeds_fifo(self, source: str) -> bool:
        """Whether some FIFO gets the events of `source`: vrrp or lvs."""
        return any(source in fifo.sources for fifo in self.fifos)

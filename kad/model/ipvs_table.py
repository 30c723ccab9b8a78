"""The values of the kernel's IPVS table: services and destinations, as they are there or shall be."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

PERSISTENT = 0x1
ONE_PACKET = 0x4
FLAG_1 = 0x8
FLAG_2 = 0x10
FLAG_3 = 0x20
MASK_OF_ALL = 0xFFFFFFFF
"""An IPv4 netmask that keeps each client apart."""
LARGEST_WEIGHT = 2147483647


class ServiceKey(NamedTuple):
    """What a service is recognised by: a firewall mark, or protocol, address and port."""

    family: int
    """4 or 6."""
    protocol: str = ""
    """TCP, UDP or SCTP; empty for a firewall mark."""
    address: str = ""
    """Canonical text; empty for a firewall mark."""
    port: int = 0
    """0: every port."""
    fwmark: int = 0

    def __str__(self) -> str:
        if self.fwmark:
            return f"FWM {self.fwmark}{' (IPv6)' if self.family == 6 else ''}"
        return f"[{self.address}]:{self.protocol.lower()}:{self.port}"


class ServiceSettings(NamedTuple):
    """How a service works."""

    scheduler: str = "wlc"
    flags: int = 0
    timeout: int = 0
    """Seconds of persistence."""
    netmask: int = MASK_OF_ALL
    """IPv4: the mask as a number; IPv6: the length of the prefix."""
    engine: str = ""
    """Of persistence."""


class DestinationKey(NamedTuple):
    """What a destination is recognised by within its service."""

    address: str
    port: int = 0

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}"


class DestinationSettings(NamedTuple):
    """How a destination is served."""

    weight: int = 1
    method: str = "NAT"
    """NAT, DR or TUN; in a table that was read also LOCAL or BYPASS."""
    upper: int = 0
    """Connections beyond which it gets no new ones; 0: any number."""
    lower: int = 0
    """Connections below which it gets new ones again."""
    tunnel: str = "ipip"
    """ipip, gue or gre."""
    tunnel_port: int = 0
    """Of gue."""
    checksum: str = ""
    """Of gue and gre: csum, remcsum, or empty for none."""


class Connections(NamedTuple):
    """What a destination has now."""

    active: int = 0
    inactive: int = 0
    persistent: int = 0


Destinations: TypeAlias = dict[DestinationKey, DestinationSettings]


@dataclass(slots=True)
class Entry:
    """One service and its destinations."""

    settings: ServiceSettings
    destinations: Destinations = field(default_factory=dict)


Table: TypeAlias = dict[ServiceKey, Entry]


@dataclass(frozen=True, slots=True)
class SyncDaemonSettings:
    """A daemon of the kernel that tells or hears connections; None: the kernel's own choice."""

    state: str
    """master or backup."""
    interface: str
    id: int = 0
    maxlen: int | None = None
    group: str | None = None
    port: int | None = None
    ttl: int | None = None


class TimeoutSettings(NamedTuple):
    """Seconds that connections live; 0: as they are."""

    tcp: int = 0
    tcpfin: int = 0
    udp: int = 0

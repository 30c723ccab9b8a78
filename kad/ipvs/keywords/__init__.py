"""What the ipvs process is given: the services that shall stand in the kernel's table."""

from __future__ import annotations

import msgspec


class RealServer(msgspec.Struct, frozen=True, kw_only=True):
    """A destination of a service."""

    address: str
    port: int = 0
    weight: int = 1


class VirtualServer(msgspec.Struct, frozen=True, kw_only=True):
    """One service: by address and port, by firewall mark, or by group."""

    name: str
    """As written: `ADDRESS PORT`, `fwmark N` or `group NAME`."""
    address: str | None = None
    port: int = 0
    fwmark: int | None = None
    group: str | None = None
    protocol: str = "TCP"
    real_servers: tuple[RealServer, ...] = ()


class IpvsSlice(msgspec.Struct, frozen=True, kw_only=True):
    """All that the ipvs process needs of the configuration."""

    virtual_servers: tuple[VirtualServer, ...] = ()

"""What the ipvs process is given: the services that shall stand in the kernel's table."""

from __future__ import annotations

import msgspec


class RealServer(msgspec.Struct, frozen=True, kw_only=True):
    """A destination of a service."""

    address: str
    port: int = 0
    weight: int = 1
    notifies: tuple[str, ...] = ()
    """Of notify_up and notify_down those that lead to a program."""
    smtp_alert: bool = False

    def label_in(self, service: VirtualServer) -> str:
        """keepalived's name of it, for FIFO, mail and log."""
        return label(self.address, service.protocol_word, self.port)


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
    notifies: tuple[str, ...] = ()
    """Of quorum_up and quorum_down those that lead to a program."""
    smtp_alert: bool = False
    place_in_group: int = 0
    """How many services of the same group stand before it."""

    @property
    def protocol_word(self) -> str:
        """As keepalived writes it in names."""
        return "none" if self.fwmark is not None else self.protocol.lower()

    @property
    def label(self) -> str:
        """keepalived's name of it, for FIFO, mail and log."""
        if self.group is not None:
            return f"[{self.group}]:{self.place_in_group}"
        if self.fwmark is not None:
            return f"FWM {self.fwmark}"
        return label(self.address or "", self.protocol_word, self.port)


class IpvsSlice(msgspec.Struct, frozen=True, kw_only=True):
    """All that the ipvs process needs of the configuration."""

    virtual_servers: tuple[VirtualServer, ...] = ()
    feeds_fifo: bool = False
    """Some FIFO gets what is told of services and servers."""


def label(address: str, protocol: str, port: int) -> str:
    """An address as keepalived writes it in names."""
    return f"[{address}]:{protocol}:{port}"

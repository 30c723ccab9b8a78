"""What the ipvs process is given: the services that shall stand in the kernel's table."""

from __future__ import annotations

import msgspec


class RealServer(msgspec.Struct, frozen=True, kw_only=True):
    """A destination of a service."""

    address: str
    port: int = 0
    """0: that to which the client came."""
    weight: int = 1
    method: str = "NAT"
    """NAT, DR or TUN."""
    tunnel: str = "ipip"
    tunnel_port: int = 0
    checksum: str = ""
    upper: int = 0
    """uthreshold."""
    lower: int = 0
    inhibit: bool = False
    """Where it shall not serve it stays with weight 0."""
    alpha: bool = False
    """It is down until its checks say otherwise."""
    notifies: tuple[str, ...] = ()
    """Of notify_up and notify_down those that lead to a program."""
    smtp_alert: bool = False

    def label_in(self, service: VirtualServer) -> str:
        """keepalived's name of it, for FIFO, mail and log."""
        return label(self.address, service.protocol_word, self.port)


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """Addresses of a group that follow one another, or a firewall mark."""

    first: str = ""
    last: str = ""
    port: int = 0
    fwmark: int = 0
    family: int = 4


class VirtualServer(msgspec.Struct, frozen=True, kw_only=True):
    """One service: by address and port, by firewall mark, or by group."""

    name: str
    """As written: `ADDRESS PORT`, `fwmark N` or `group NAME`; then the protocol if it is not TCP, and inet6 where no
    address says so."""
    address: str | None = None
    port: int = 0
    fwmark: int | None = None
    group: str | None = None
    protocol: str = "TCP"
    family: int = 4
    members: tuple[Member, ...] = ()
    """What the kernel shall serve: one service for each address and mark."""
    scheduler: str = "wlc"
    flags: int = 0
    """Bits of kad.model.ipvs_table."""
    persistence_timeout: int = 0
    netmask: int | None = None
    """persistence_granularity, for services of `family`: the IPv4 mask as a number, or the length of the IPv6 prefix;
    None: each client alone."""
    engine: str = ""
    quorum: int = 1
    hysteresis: int = 0
    omega: bool = False
    sorry_server: RealServer | None = None
    real_servers: tuple[RealServer, ...] = ()
    notifies: tuple[str, ...] = ()
    """Of quorum_up and quorum_down those that lead to a program."""
    smtp_alert: bool = False
    by_mark: bool = False
    """nftables mark what comes to its addresses, and the kernel serves the mark."""
    place_in_group: int = 0
    """How many services of the same group stand before it."""

    @property
    def everybody(self) -> tuple[RealServer, ...]:
        """The real servers, and the sorry server where there is one."""
        return (*self.real_servers, *([self.sorry_server] if self.sorry_server else []))

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


class Timeouts(msgspec.Struct, frozen=True, kw_only=True):
    """lvs_timeouts; seconds, 0 leaves the kernel's value."""

    tcp: int = 0
    tcpfin: int = 0
    udp: int = 0


class SyncDaemon(msgspec.Struct, frozen=True, kw_only=True):
    """lvs_sync_daemon; None: the kernel's choice."""

    interface: str
    instance: str | None = None
    """MASTER tells connections, any other state hears them; None: both at once."""
    id: int = 0
    maxlen: int | None = None
    port: int | None = None
    ttl: int | None = None
    group: str | None = None


class Marking(msgspec.Struct, frozen=True, kw_only=True):
    """nftables_ipvs: the table that marks packets, and the marks that are free for it."""

    table: str
    priority: int = -1
    start: int = 1000
    """The first mark."""
    counters: bool = False
    """Rules count packets and bytes."""


class IpvsSlice(msgspec.Struct, frozen=True, kw_only=True):
    """All that the ipvs process needs of the configuration."""

    virtual_servers: tuple[VirtualServer, ...] = ()
    timeouts: Timeouts | None = None
    flush: bool = False
    """The start of kad clears the table."""
    flush_on_stop: str = ""
    """all: the stop clears the table; VS: services are deleted without their destinations one by one."""
    sync_daemon: SyncDaemon | None = None
    marking: Marking | None = None
    init_notifies: bool = False
    """rs_init_notifies: the first state of a server is told too."""
    feeds_fifo: bool = False
    """Some FIFO gets what is told of services and servers."""


def label(address: str, protocol: str, port: int) -> str:
    """An address as keepalived writes it in names."""
    return f"[{address}]:{protocol}:{port}"

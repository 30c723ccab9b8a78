"""Routes and rules in numbers, and the requests by which the vrrp process adds and removes them; values only."""

from __future__ import annotations

import msgspec

PROTOCOL_KEEPALIVED = 18
"""By which routes and rules are known to be ours, also by those that an earlier life left behind."""


class RoutingEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One route or rule as the vrrp process is given it: encoded, but for the indexes of interfaces."""

    kind: str
    """route or rule."""
    text: str
    """As the operator wrote it."""
    keepalived: str = ""
    """As keepalived prints it in the files that exporters read."""
    add: bytes
    delete: bytes
    indexes: tuple[tuple[int, str], ...] = ()
    """Where an interface's index belongs: its place in `add` and in `delete`, and the name of the interface."""
    device: str | None = None
    """The interface without which it is worth nothing."""
    tracked: bool = True
    """Somebody who removes it is answered, and its interface must be up."""
    dependents: tuple[str, ...] = ()
    """Instances that cannot take part without it: the track_group of a static one."""


class Encap(msgspec.Struct, frozen=True, kw_only=True):
    """Lightweight tunnel: what is put around each packet."""

    kind: str
    """ip, ip6, mpls or ila."""
    id: int | None = None
    destination: str | None = None
    source: str | None = None
    tos: int | None = None
    """Traffic class for ip6."""
    ttl: int | None = None
    """Hop limit for ip6."""
    flags: int | None = None
    labels: tuple[int, ...] = ()
    locator: int | None = None


class Nexthop(msgspec.Struct, frozen=True, kw_only=True):
    """One of several ways."""

    gateway: str | None = None
    device: str | None = None
    weight: int = 1
    onlink: bool = False
    realms: int | None = None
    encap: Encap | None = None


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One line of virtual_routes or static_routes; numbers are those of rtnetlink(7)."""

    family: int
    type: int
    destination: str | None = None
    """None: everything."""
    prefix: int = 0
    source: str | None = None
    source_prefix: int = 0
    preferred_source: str | None = None
    gateway: str | None = None
    device: str | None = None
    table: int = 254
    tos: int = 0
    protocol: int = PROTOCOL_KEEPALIVED
    scope: int = 0
    metric: int = 0
    onlink: bool = False
    metrics: tuple[tuple[str, int], ...] = ()
    """By the word of ip-route; times in the units of the kernel."""
    locked: tuple[str, ...] = ()
    """Metrics that the kernel must not adapt."""
    congestion: str | None = None
    realms: int | None = None
    preference: int | None = None
    expires: int | None = None
    """Seconds."""
    ttl_propagate: bool | None = None
    encap: Encap | None = None
    nexthops: tuple[Nexthop, ...] = ()
    placement: str = "prepend"
    """Beside equal routes: prepend, append, or add (not at all)."""


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One line of virtual_rules or static_rules; numbers are those of the kernel's fib_rules."""

    family: int
    action: int
    preference: int
    table: int = 0
    goto: int | None = None
    inverted: bool = False
    source: str | None = None
    source_prefix: int = 0
    destination: str | None = None
    destination_prefix: int = 0
    tos: int = 0
    mark: int | None = None
    mask: int | None = None
    realms: int | None = None
    suppress_prefixlength: int | None = None
    suppress_group: int | None = None
    incoming: str | None = None
    outgoing: str | None = None
    tunnel_id: int | None = None
    users: tuple[int, int] | None = None
    l3mdev: bool = False
    protocol: int = PROTOCOL_KEEPALIVED
    ip_protocol: int | None = None
    source_ports: tuple[int, int] | None = None
    destination_ports: tuple[int, int] | None = None

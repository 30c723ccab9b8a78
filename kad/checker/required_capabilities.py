"""Which privileges the configured checks cannot do without."""

from __future__ import annotations

from collections.abc import Callable

from kad.linux.process.capabilities import Capability
from kad.linux.sockets import icmp
from kad.model.checker import CheckerSlice, Followed, MiscCheck, PingCheck


def needed(wanted: CheckerSlice, may_ping: Callable[[int], bool] = icmp.is_allowed) -> frozenset[Capability]:
    """`may_ping` tells of a family, 4 or 6, whether everybody may open the kernel's ping sockets."""
    found: set[Capability] = set()
    pings: set[int] = set()
    for server in wanted.servers:
        for check in server.checks:
            if isinstance(check, Followed | MiscCheck):
                continue
            connection = check.connection
            if connection.fwmark:
                found.add(Capability.NET_ADMIN)
            if 0 < connection.bind_port < 1024:
                found.add(Capability.NET_BIND_SERVICE)
            if isinstance(check, PingCheck):
                pings.add(6 if ":" in connection.address else 4)
    if any(not may_ping(family) for family in pings):
        found.add(Capability.NET_RAW)
    return frozenset(found)

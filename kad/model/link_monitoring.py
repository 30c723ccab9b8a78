"""How the state of single interfaces is found out and when it counts; values only."""

from __future__ import annotations

import msgspec


class InterfaceDelay(msgspec.Struct, frozen=True, kw_only=True):
    """IFNAME DOWN [UP]: a change counts when it has lasted so many seconds."""

    name: str
    down: float
    up: float


class Linkbeat(msgspec.Struct, frozen=True, kw_only=True):
    """IFNAME [MII or ETHTOOL or IOCTL]: it is asked each second whether it has a link."""

    name: str
    kind: str | None = None
    """None: the first that the interface answers."""

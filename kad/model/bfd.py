"""What the bfd process is given: the neighbours that it watches."""

from __future__ import annotations

import msgspec


class BfdInstance(msgspec.Struct, frozen=True, kw_only=True):
    """One session (RFC 5880 6.8.1); times in seconds."""

    name: str
    neighbor: str
    source: str | None = None
    """None: the kernel chooses."""
    min_rx: float = 0.01
    """The neighbour may not send faster."""
    min_tx: float = 0.01
    """Between our packets while the session is up."""
    idle_tx: float = 1.0
    """The same while it is not."""
    multiplier: int = 5
    """So many packets in a row must be missing."""
    passive: bool = False
    """Nothing is sent before the neighbour has spoken."""
    ttl: int = 255
    least_ttl: int = 255
    """Of received packets; 0: any."""
    multihop: bool = False

    @property
    def port(self) -> int:
        """RFC 5881 4, RFC 5883 5."""
        return 4784 if self.multihop else 3784


class BfdSlice(msgspec.Struct, frozen=True, kw_only=True):
    """All that the bfd process needs of the configuration."""

    instances: tuple[BfdInstance, ...] = ()
    """Only those that somebody follows."""
    priority: int | None = None
    rt_priority: int | None = None
    rlimit_rttime: int = 10000
    no_swap: bool = False
    cpu_affinity: tuple[int, ...] = ()
    """As kad.child.scheduling understands them."""

"""How a child is scheduled, as its part of the configuration says: applied at its birth, while it still may."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from kad.linux.process import scheduling
from kad.linux.process.capabilities import Capability
from kad.linux.refused import Refused

_SHORTEST_RTTIME = 1.0
"""Seconds: keepalived's 10 ms stop a loop in C that runs wild; a whole reload of ours may take longer than that."""


class Scheduling(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of a slice that speak of its process; whatever else is in the slice is passed over."""

    priority: int | None = None
    """Nice value; None: inherited."""
    rt_priority: int | None = None
    """SCHED_RR priority 1..99; None: not real-time."""
    rlimit_rttime: int = 10000
    """Microseconds of CPU without a blocking system call."""
    no_swap: bool = False
    cpu_affinity: tuple[int, ...] = ()

    @property
    def capabilities(self) -> tuple[Capability, ...]:
        """What the process goes on to need: each page that it locks later is beyond what others may lock."""
        return (Capability.IPC_LOCK,) if self.no_swap else ()

    def apply(self) -> list[str]:
        """For this process, before it gives up its privileges; what was refused, in words."""
        complaints = []
        for wish in self._wishes():
            try:
                wish()
            except Refused as refused:
                complaints.append(str(refused))
        return complaints

    def _wishes(self) -> list[Callable[[], None]]:
        wishes: list[Callable[[], None]] = []
        if self.cpu_affinity:
            wishes.append(lambda: scheduling.set_affinity(self.cpu_affinity))
        if self.priority is not None:
            wishes.append(lambda: scheduling.set_nice(self.priority or 0))
        if self.rt_priority:
            limit = max(self.rlimit_rttime / 1_000_000, _SHORTEST_RTTIME)
            wishes.append(lambda: scheduling.set_realtime(self.rt_priority or 0, limit))
        if self.no_swap:
            wishes.append(scheduling.lock_memory)
        return wishes


def of_slice(slice_bytes: bytes) -> Scheduling:
    """Raises ValueError for bytes that are no slice."""
    return msgspec.msgpack.decode(slice_bytes, type=Scheduling)

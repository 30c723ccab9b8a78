"""One tracked thing as an instance or a group names it."""

from __future__ import annotations

import msgspec


class TrackItem(msgspec.Struct, frozen=True, kw_only=True):
    """What is tracked, and what its failure does to the priority."""

    kind: str
    """interface, script, process, file or bfd."""
    name: str
    weight: int = 0
    """0: a failure is a fault; above 0 added while good; below 0 subtracted while failing. Already resolved."""
    reverse: bool = False
    """Good and failing change places."""

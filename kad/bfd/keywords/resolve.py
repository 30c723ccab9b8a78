"""From the words of bfd_instance to what the bfd process is given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from kad.bfd.keywords.codes import BfdCode
from kad.config.build import Scope
from kad.config.process_words import ProcessWords, placement
from kad.config.slice_context import SliceContext
from kad.config.values import family_of
from kad.model.bfd import BfdInstance, BfdSlice
from kad.tracking.block_words import BfdBlock

_GENERALIZED_TTL = 255
_OF_KEEPALIVED_IPV6 = 64
"""What keepalived sends over IPv6; RFC 5881 asks for 255."""


class Globals(Protocol):
    """The words of global_defs that speak of BFD."""

    @property
    def bfd_process(self) -> ProcessWords: ...


class Blocks(Protocol):
    """The part of a file that speaks of BFD."""

    @property
    def bfd_instance(self) -> Sequence[BfdBlock]: ...
    @property
    def defaults(self) -> Globals: ...


def sessions(file: Blocks, context: SliceContext) -> dict[str, BfdInstance]:
    """Those that can be watched, by name; what is wrong with the others is reported."""
    scope = context.scope
    made: dict[str, BfdInstance] = {}
    neighbors: dict[tuple[str, bool], str] = {}
    for block in file.bfd_instance:
        if block.neighbor_ip is None or block.name in made:
            continue
        place = scope.places.of(block)
        other = neighbors.setdefault((block.neighbor_ip, bool(block.multihop)), block.name)
        if other != block.name:
            remark = BfdCode.SAME_NEIGHBOUR(name=block.name, other=other, neighbor_ip=block.neighbor_ip)
            scope.report.warning(place, remark)
            continue
        made[block.name] = _instance(block, scope)
    return made


def checked_sessions(file: Blocks, context: SliceContext) -> list[str]:
    """Those that a BFD_CHECK may name."""
    return [one.name for one in file.bfd_instance if one.name in context.sessions and (one.checker or not one.vrrp)]


def slice(file: Blocks, context: SliceContext) -> BfdSlice | None:
    """The sessions that an instance or a real server follows; None: there are none."""
    followed: set[str] = set()
    if context.vrrp is not None:
        followed |= {item.name for each in context.vrrp.instances for item in each.tracks if item.kind == "bfd"}
    if context.checker is not None:
        checks = (check for server in context.checker.servers for check in server.checks)
        followed |= {item[1] for check in checks if (item := check.followed) is not None and item[0] == "bfd"}
    scope = context.scope
    for block in file.bfd_instance:
        if block.name in context.sessions and block.name not in followed:
            scope.report.note(scope.places.of(block), BfdCode.BFD_NOT_TRACKED(name=block.name))
    wanted = tuple(one for name, one in context.sessions.items() if name in followed)
    if not wanted:
        return None
    return BfdSlice(instances=wanted, **placement(file.defaults.bfd_process, scope))


def _instance(block: BfdBlock, scope: Scope) -> BfdInstance:
    assert block.neighbor_ip is not None
    source = block.source_ip
    if source is not None and family_of(source) != family_of(block.neighbor_ip):
        remark = BfdCode.BFD_SOURCE_OF_OTHER_FAMILY(source=source, neighbor_ip=block.neighbor_ip)
        scope.report.warning(scope.places.of(block, "source_ip"), remark)
        source = None
    expected = _OF_KEEPALIVED_IPV6 if family_of(block.neighbor_ip) == 6 else _GENERALIZED_TTL
    hops = block.max_hops or 0
    return BfdInstance(
        name=block.name,
        neighbor=block.neighbor_ip,
        source=source,
        min_rx=(block.min_rx or 10) / 1000,
        min_tx=(block.min_tx or 10) / 1000,
        idle_tx=(block.idle_tx or 1000) / 1000,
        multiplier=block.multiplier or 5,
        passive=block.passive,
        ttl=block.ttl or _GENERALIZED_TTL,
        least_ttl=0 if hops < 0 else max(0, (block.ttl or expected) - hops),
        multihop=bool(block.multihop),
    )

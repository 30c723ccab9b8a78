"""nftables_ipvs: which firewall mark stands for the addresses of which virtual server, and which packets bear it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping
from ipaddress import ip_address
from itertools import count
from typing import NamedTuple

import msgspec

from kad.model.ipvs import Member, VirtualServer

Marks = dict[str, int]
"""By the name of the virtual server."""


class Marked(NamedTuple):
    """Packets to these addresses and this port bear this mark; as numbers, since many are compared."""

    family: int
    protocol: str
    first: int
    last: int
    port: int
    """0: every port that nobody else names."""
    mark: int


def allot(servers: Collection[VirtualServer], known: Mapping[str, int], start: int) -> Marks:
    """Who has a mark keeps it; whoever is new gets the lowest that is free, from `start` on."""
    taken = {member.fwmark for server in servers for member in server.members if member.fwmark}
    wanting = [server.name for server in servers if server.by_mark]
    kept = {name: known[name] for name in wanting if name in known and known[name] not in taken}
    taken |= set(kept.values())
    free = (mark for mark in count(start) if mark not in taken)
    return {name: kept[name] if name in kept else next(free) for name in wanting}


def marked(server: VirtualServer, marks: Mapping[str, int]) -> VirtualServer:
    """As the kernel serves it: one service by its mark for each family of its addresses."""
    mark = marks.get(server.name)
    if mark is None:
        return server
    families = dict.fromkeys(member.family for member in server.members)
    return msgspec.structs.replace(server, members=tuple(Member(fwmark=mark, family=one) for one in families))


def packets(servers: Iterable[VirtualServer], marks: Mapping[str, int]) -> tuple[list[Marked], list[str]]:
    """What is to be marked, no address twice for the same port; and what of it a server before has already."""
    found: list[Marked] = []
    taken: dict[tuple[int, str, int], list[tuple[int, int]]] = {}
    said: list[str] = []
    for server in servers:
        mark = marks.get(server.name)
        if mark is None:
            continue
        for member in server.members:
            first, last = int(ip_address(member.first)), int(ip_address(member.last))
            key = member.family, server.protocol, member.port
            free = list(_take(taken.setdefault(key, []), first, last))
            found += [Marked(*key[:2], *part, member.port, mark) for part in free]
            if free != [(first, last)]:
                text = member.first if member.first == member.last else f"{member.first}-{member.last}"
                said.append(
                    f"of {text} port {member.port} of virtual_server {server.name} another one has some already"
                )
    return found, said


def _take(taken: list[tuple[int, int]], first: int, last: int) -> Iterator[tuple[int, int]]:
    """The parts of the range that are free; they are not any more. `taken` is in order."""
    at = bisect_left(taken, (first, first))
    if at and taken[at - 1][1] >= first:
        at -= 1
    begin, parts, end = first, [], at
    while end < len(taken) and taken[end][0] <= last:
        low, high = taken[end]
        if begin < low:
            parts.append((begin, low - 1))
        begin = max(begin, high + 1)
        end += 1
    if begin <= last:
        parts.append((begin, last))
    taken[at:end] = sorted([*taken[at:end], *parts])
    yield from parts

"""From the words of a virtual_server to what the kernel is given: members, flags, persistence, netmask."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network
from typing import Protocol

from kad.config.build import Scope
from kad.config.values import family_of
from kad.ipvs.keywords.codes import IpvsCode
from kad.ipvs.keywords.line_values import ServiceName
from kad.ipvs.keywords.line_values import SyncDaemon as SyncDaemonLine
from kad.ipvs.keywords.line_values import Timeouts as TimeoutsLine
from kad.ipvs.keywords.service_words import IpvsGlobals, ServiceGroupBlock, ServiceWords
from kad.model.ipvs import Marking, Member, SyncDaemon, Timeouts
from kad.model.ipvs_table import FLAG_1, FLAG_2, FLAG_3, ONE_PACKET

PERSISTENCE = 360
"""Seconds, where persistence is asked for without a number."""
_FLAGS = {
    "flag_1": (FLAG_1, None),
    "flag_2": (FLAG_2, None),
    "flag_3": (FLAG_3, None),
    "sh_fallback": (FLAG_1, "sh"),
    "sh_port": (FLAG_2, "sh"),
    "mh_fallback": (FLAG_1, "mh"),
    "mh_port": (FLAG_2, "mh"),
}
"""The bit of each word, and the scheduler without which it means nothing."""


def members(name: ServiceName, group: ServiceGroupBlock | None, family: int) -> tuple[Member, ...]:
    """Everything that the kernel shall serve under this name."""
    if name.fwmark is not None:
        return (Member(fwmark=name.fwmark, family=family),)
    if name.address is not None:
        return (Member(first=name.address, last=name.address, port=name.port, family=family_of(name.address)),)
    found = []
    for line in group.members if group is not None else ():
        if line.fwmark is not None:
            own = family if line.family is None else 6 if line.family == "inet6" else 4
            found.append(Member(fwmark=line.fwmark, family=own))
        elif line.first is not None and line.last is not None:
            found.append(Member(first=line.first, last=line.last, port=line.port, family=family_of(line.first)))
    return tuple(found)


def flags(words: ServiceWords, protocol: str, *, is_marked: bool) -> int:
    """Bits of kad.model.ipvs_table."""
    found = ONE_PACKET if words.ops and (is_marked or protocol == "UDP") else 0
    for word, (bit, scheduler) in _FLAGS.items():
        if getattr(words, word) and scheduler in (None, words.lb_algo):
            found |= bit
    return found


def persistence_timeout(words: ServiceWords, *, has_every_port: bool) -> int:
    """Seconds; 0: none. A service without a port needs it, and a granularity asks for it."""
    if words.persistence_timeout is not None:
        return words.persistence_timeout
    return PERSISTENCE if has_every_port or words.persistence_granularity is not None else 0


def netmask(words: ServiceWords, family: int) -> int | None:
    """persistence_granularity as the kernel takes it; None where nothing of that family is said."""
    text = words.persistence_granularity
    if text is None:
        return None
    if family == 6:
        return int(text) if text.isdecimal() else None
    if text.isdecimal():
        return int(IPv4Network(f"0.0.0.0/{text}").netmask) if int(text) <= 32 else None
    return int(IPv4Address(text))


def to_timeouts(line: TimeoutsLine | None) -> Timeouts | None:
    """lvs_timeouts for the ipvs process."""
    if line is None:
        return None
    return Timeouts(tcp=line.tcp or 0, tcpfin=line.tcpfin or 0, udp=line.udp or 0)


class Filtering(Protocol):
    """What the words about nftables say for VRRP."""

    @property
    def table(self) -> str: ...
    @property
    def counters(self) -> bool: ...


def to_marking(words: IpvsGlobals, filtering: Filtering, scope: Scope) -> Marking | None:
    """nftables_ipvs for the ipvs process."""
    table = words.nftables_ipvs
    if table is None:
        return None
    if table == filtering.table:
        remark = IpvsCode.TABLE_OF_VRRP(table=table)
        scope.report.warning(scope.places.of(words, "nftables_ipvs"), remark)
        table = f"{table}_ipvs"
    return Marking(
        table=table,
        priority=-1 if words.nftables_ipvs_priority is None else words.nftables_ipvs_priority,
        start=words.nftables_ipvs_start_fwmark or 1000,
        counters=filtering.counters,
    )


def to_sync_daemon(line: SyncDaemonLine | None, ids: Mapping[str, int], old: Mapping[str, str]) -> SyncDaemon | None:
    """lvs_sync_daemon for the ipvs process; its id is that of the instance where none is given.

    `ids`: the VRID of each instance that runs. `old`: the interface of each instance that says
    lvs_sync_daemon_interface; the first that runs counts.
    """
    if line is None:
        first = next((name for name in ids if name in old), None)
        if first is None:
            return None
        line = SyncDaemonLine(interface=old[first], instance=first)
    number = line.id if line.id is not None else ids.get(line.instance or "", 0)
    return SyncDaemon(
        interface=line.interface,
        instance=line.instance,
        id=number,
        maxlen=line.maxlen,
        port=line.port,
        ttl=line.ttl,
        group=line.group,
    )

"""Routes and rules in the kernel: prebuilt requests with the indexes of interfaces put in, and word of removals."""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Sequence

from kad.linux.bpf import ALL, EQUAL, LOAD_BYTE, LOAD_HALF, RETURN
from kad.linux.netlink import (
    RTNLGRP_IPV4_ROUTE,
    RTNLGRP_IPV4_RULE,
    RTNLGRP_IPV6_ROUTE,
    RTNLGRP_IPV6_RULE,
    Netlink,
    Overrun,
    attributes,
)
from kad.linux.network import Network
from kad.vrrp.keywords.routing import PROTOCOL_KEEPALIVED, RoutingEntry

_RTM_NEWROUTE = 24
_RTM_DELROUTE = 25
_RTM_NEWRULE = 32
_RTM_DELRULE = 33

_HEADER = struct.Struct("=IHHII")
_MESSAGE = struct.Struct("=BBBBBBBBI")  # struct rtmsg, struct fib_rule_hdr
_PROTOCOL_AT = _HEADER.size + 5
_U32 = struct.Struct("=I")
_IPV6_METRIC = 1024
"""What the kernel makes of none."""
_INVERTED = 2

_RTA_DST, _RTA_SRC, _RTA_PRIORITY, _RTA_TABLE = 1, 2, 6, 15
_FRA_PRIORITY, _FRA_TABLE = 6, 15
_FRA_SELECTORS = (1, 2, 3, 4, 10, 12, 17, 19, 20, 22, 23, 24)
"""DST SRC IIFNAME GOTO FWMARK TUN_ID OIFNAME L3MDEV UID_RANGE IP_PROTO SPORT_RANGE DPORT_RANGE"""

_NOT_THERE = (errno.ESRCH, errno.ENOENT, errno.ENODEV, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
_IMPOSSIBLE = (errno.EINVAL, errno.EOPNOTSUPP)
"""What a deletion answers when there is nothing to delete, or could never have been."""

Key = tuple[object, ...]
"""What tells a route or rule from every other one that an operator would call another."""


def key(message: bytes) -> Key:
    """Of a request that adds or deletes."""
    _, kind, _, _, _ = _HEADER.unpack_from(message)
    return _key(kind, message[_HEADER.size :])


def _key(kind: int, body: bytes) -> Key:
    family, prefix, source_prefix, tos, table, _, _, action, flags = _MESSAGE.unpack_from(body)
    found = attributes(body[_MESSAGE.size :])
    if kind in (_RTM_NEWRULE, _RTM_DELRULE):
        selectors = tuple(found.get(each, b"").rstrip(b"\0") for each in _FRA_SELECTORS)
        table = _number(found, _FRA_TABLE) or table
        preference = _number(found, _FRA_PRIORITY)
        inverted = flags & _INVERTED
        return ("rule", family, preference, action, table, tos, inverted, prefix, source_prefix, *selectors)
    metric = _number(found, _RTA_PRIORITY) or (_IPV6_METRIC if family == socket.AF_INET6 else 0)
    destination = found.get(_RTA_DST, b"") if prefix else b""
    source = found.get(_RTA_SRC, b"") if source_prefix else b""
    table = _number(found, _RTA_TABLE) or table
    return ("route", family, table, prefix, destination, source_prefix, source, tos, metric)


def _number(found: dict[int, bytes], kind: int) -> int:
    payload = found.get(kind, b"")
    return int(_U32.unpack(payload)[0]) if len(payload) == _U32.size else 0


def hold(network: Network, entries: Sequence[RoutingEntry]) -> list[str]:
    """Add what is not there; what went wrong, in words."""
    return _request(network, entries, True, (errno.EEXIST,))


def release(network: Network, entries: Sequence[RoutingEntry]) -> list[str]:
    """Remove what is there; what went wrong, in words."""
    return _request(network, entries, False, (*_NOT_THERE, *_IMPOSSIBLE))


def _request(network: Network, entries: Sequence[RoutingEntry], adds: bool, harmless: tuple[int, ...]) -> list[str]:
    complaints, requests, asked = [], [], []
    for entry in entries:
        missing = [name for _, name in entry.indexes if network.link(name) is None]
        if missing and adds:
            complaints.append(f"cannot add the {entry.kind} {entry.text}: interface {missing[0]} does not exist")
        elif not missing:
            asked.append(entry)
            requests.append(_filled(network, entry, adds))
    doing = "adding" if adds else "removing"
    return complaints + [
        f"{doing} the {entry.kind} {entry.text}: {os.strerror(answer)}"
        for entry, answer in zip(asked, network.request(requests), strict=True)
        if answer not in (0, *harmless)
    ]


def _filled(network: Network, entry: RoutingEntry, adds: bool) -> bytes:
    if not entry.indexes:
        return entry.add if adds else entry.delete
    message = bytearray(entry.add if adds else entry.delete)
    for place, name in entry.indexes:
        link = network.link(name)
        assert link is not None
        _U32.pack_into(message, place, link.index)
    return bytes(message)


class RoutingMonitor:
    """Hears of rules, and of those routes alone that are ours by their protocol."""

    def __init__(self) -> None:
        self._netlink = Netlink.open((RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE))
        # A host that speaks BGP changes a thousand routes a second; none of them must wake this process.
        self._netlink.attach(
            (
                (LOAD_HALF, 0, 0, 4),
                (EQUAL, 1, 0, socket.htons(_RTM_NEWROUTE)),
                (EQUAL, 0, 2, socket.htons(_RTM_DELROUTE)),
                (LOAD_BYTE, 0, 0, _PROTOCOL_AT),
                (EQUAL, 0, 1, PROTOCOL_KEEPALIVED),
                (RETURN, 0, 0, ALL),
                (RETURN, 0, 0, 0),
            )
        )

    def fileno(self) -> int:
        return self._netlink.fileno()

    def close(self) -> None:
        self._netlink.close()

    def read(self) -> set[Key] | None:
        """What was removed since the last look and not added again; None when that is not known."""
        try:
            told = self._netlink.receive()
        except Overrun:
            return None
        last = {_key(each.kind, each.body): each.kind for each in told if len(each.body) >= _MESSAGE.size}
        return {each for each, kind in last.items() if kind in (_RTM_DELROUTE, _RTM_DELRULE)}

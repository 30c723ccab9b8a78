"""Routes and rules in the kernel: prebuilt requests with the indexes of interfaces put in, and word of removals."""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import msgspec

from kad.linux.netlink.network_table import Network
from kad.linux.netlink.socket import (
    NLM_F_APPEND,
    NLM_F_EXCL,
    NLM_F_REPLACE,
    RTNLGRP_IPV4_ROUTE,
    RTNLGRP_IPV4_RULE,
    RTNLGRP_IPV6_ROUTE,
    RTNLGRP_IPV6_RULE,
    Message,
    Netlink,
    Overrun,
    attributes,
)
from kad.linux.sockets.bpf import ALL, ANY_BIT, EQUAL, JUMP, LOAD_BYTE, LOAD_HALF, RETURN, Program, one_of
from kad.model.routing import PROTOCOL_KEEPALIVED, RoutingEntry
from kad.model.vrrp import NetlinkBuffers

_RTM_NEWROUTE = 24
_RTM_DELROUTE = 25
_RTM_NEWRULE = 32
_RTM_DELRULE = 33

_HEADER = struct.Struct("=IHHII")
_MESSAGE = struct.Struct("=BBBBBBBBI")  # struct rtmsg, struct fib_rule_hdr
_FLAGS_AT = 6
_PREFIX_AT, _PROTOCOL_AT = _HEADER.size + 1, _HEADER.size + 5
_DESTINATION_AT = _HEADER.size + _MESSAGE.size + 8 + 4
"""Behind RTA_TABLE and the head of RTA_DST, the first two attributes of a route as the kernel tells it."""
_MOST_TOLD_APART = 1000
_BEHIND = NLM_F_EXCL | NLM_F_APPEND
"""What the kernel says of a new route that stands before no other one of its key."""
_U32 = struct.Struct("=I")
_IPV6_METRIC = 1024
"""What the kernel makes of none."""
_INVERTED = 2

_RTA_DST, _RTA_SRC, _RTA_PRIORITY, _RTA_TABLE = 1, 2, 6, 15
_RTA_OIF, _RTA_MULTIPATH = 4, 9
_RTA_WAY = (5, 7, 18)
"""GATEWAY PREFSRC VIA"""
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


class NotDone(NamedTuple):
    """What the kernel did not do."""

    entry: RoutingEntry
    errno: int
    """0: it was not asked, since an interface does not exist."""
    text: str
    """In words."""


def hold(network: Network, entries: Sequence[RoutingEntry]) -> list[NotDone]:
    """Add what is not there; what went wrong."""
    return _request(network, entries, True, (errno.EEXIST,))


def release(network: Network, entries: Sequence[RoutingEntry]) -> list[NotDone]:
    """Remove what is there; what went wrong."""
    return _request(network, entries, False, (*_NOT_THERE, *_IMPOSSIBLE))


def retake(network: Network, entries: Sequence[RoutingEntry]) -> list[NotDone]:
    """Put routes in the place of those that replaced them; what went wrong."""
    replacing = [msgspec.structs.replace(each, add=_replacing(each.add)) for each in entries]
    original = dict(zip(replacing, entries, strict=True))
    return [each._replace(entry=original[each.entry]) for each in _request(network, replacing, True, ())]


def _replacing(add: bytes) -> bytes:
    length, kind, flags, sequence, port = _HEADER.unpack_from(add)
    flags = flags & ~(NLM_F_EXCL | NLM_F_APPEND) | NLM_F_REPLACE
    return _HEADER.pack(length, kind, flags, sequence, port) + add[_HEADER.size :]


def comes_first(entry: RoutingEntry) -> bool:
    """Whether the route is to stand before others with its key."""
    _, _, flags, _, _ = _HEADER.unpack_from(entry.add)
    return not flags & _BEHIND


def is_told_of(network: Network, entry: RoutingEntry, body: bytes) -> bool:
    """Whether what the kernel tells of a route with the key of this entry is this very route."""
    wanted = _filled(network, entry, True)[_HEADER.size :]
    ours, theirs = attributes(wanted[_MESSAGE.size :]), attributes(body[_MESSAGE.size :])
    if _RTA_OIF in ours and ours[_RTA_OIF] != theirs.get(_RTA_OIF):
        return False
    # Protocol, scope and type; the scope of IPv6 routes is the kernel's.
    same = slice(5, 8) if wanted[0] == socket.AF_INET else slice(5, 8, 2)
    return (
        wanted[same] == body[same]
        and all(ours.get(kind) == theirs.get(kind) for kind in _RTA_WAY)
        and (_RTA_MULTIPATH in ours) == (_RTA_MULTIPATH in theirs)
    )


def _request(network: Network, entries: Sequence[RoutingEntry], adds: bool, harmless: tuple[int, ...]) -> list[NotDone]:
    not_done, requests, asked = [], [], []
    for entry in entries:
        missing = [name for _, name in entry.indexes if network.link(name) is None]
        if missing and adds:
            text = f"cannot add the {entry.kind} {entry.text}: interface {missing[0]} does not exist"
            not_done.append(NotDone(entry, 0, text))
        elif not missing:
            asked.append(entry)
            requests.append(_filled(network, entry, adds))
    doing = "adding" if adds else "removing"
    return not_done + [
        NotDone(entry, answer, f"{doing} the {entry.kind} {entry.text}: {os.strerror(answer)}")
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


class Loss(NamedTuple):
    """What became of one of ours."""

    body: bytes = b""
    """Of the route that took its place, or stands before it; empty where none does."""
    is_preceded: bool = False
    """It is there, but another one with its key stands before it, and packets follow that one."""


Losses = Mapping[Key, Loss]
"""What is no longer there, or of no use."""


class RoutingMonitor:
    """Hears of rules, and of those routes alone that are ours by their protocol, or take the place of ours."""

    def __init__(self) -> None:
        self._netlink = Netlink.open((RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE))

    def size(self, buffers: NetlinkBuffers) -> None:
        """Of the receive buffer."""
        self._netlink.size(buffers.events, forced=buffers.events_forced)

    def look_after(self, entries: Collection[RoutingEntry]) -> None:
        """Be told when somebody puts a route of his own in the place of one of these."""
        routes = [each.delete[_HEADER.size :] for each in entries if each.kind == "route"]
        self._netlink.attach(_program([attributes(each[_MESSAGE.size :]).get(_RTA_DST, b"") for each in routes]))

    def fileno(self) -> int:
        return self._netlink.fileno()

    def close(self) -> None:
        self._netlink.close()

    def read(self) -> Losses | None:
        """What was removed, replaced or preceded since the last look and not added again; None: it is not known."""
        try:
            told = self._netlink.receive()
        except Overrun:
            return None
        last = {_key(each.kind, each.body): each for each in told if len(each.body) >= _MESSAGE.size}
        losses = {key: loss_of(each) for key, each in last.items()}
        return {key: loss for key, loss in losses.items() if loss is not None}


def loss_of(told: Message) -> Loss | None:
    """What this message says of the route or rule of ours that has its key; None: nothing that hurts it."""
    if told.kind in (_RTM_DELROUTE, _RTM_DELRULE):
        return Loss()
    if told.kind != _RTM_NEWROUTE:
        return None
    if told.flags & NLM_F_REPLACE:
        return Loss(told.body)
    # A first one of its key has EXCL, one behind others APPEND. IPv6 knows no order.
    if told.flags & _BEHIND or told.body[0] != socket.AF_INET or told.body[5] == PROTOCOL_KEEPALIVED:
        return None
    return Loss(told.body, is_preceded=True)


def _program(destinations: Collection[bytes]) -> Program:
    """A host that speaks BGP changes a thousand routes a second; none of them must wake this process."""
    words = {int.from_bytes(each[:4]) for each in destinations if each}
    known = one_of(_DESTINATION_AT, words) if len(words) <= _MOST_TOLD_APART else [(RETURN, 0, 0, ALL)]
    return (
        (LOAD_HALF, 0, 0, 4),
        (EQUAL, 2, 0, socket.htons(_RTM_NEWROUTE)),
        (EQUAL, 1, 0, socket.htons(_RTM_DELROUTE)),
        (RETURN, 0, 0, ALL),
        (LOAD_BYTE, 0, 0, _PROTOCOL_AT),
        (EQUAL, 8, 0, PROTOCOL_KEEPALIVED),
        (LOAD_HALF, 0, 0, 4),
        (EQUAL, 0, 7, socket.htons(_RTM_NEWROUTE)),
        (LOAD_HALF, 0, 0, _FLAGS_AT),
        (ANY_BIT, 1, 0, socket.htons(NLM_F_REPLACE)),
        (ANY_BIT, 4, 0, socket.htons(_BEHIND)),
        (LOAD_BYTE, 0, 0, _PREFIX_AT),
        (EQUAL, 1, 0, 0),
        (JUMP, 0, 0, 2),
        (RETURN, 0, 0, ALL),
        (RETURN, 0, 0, 0),
        *known,
    )

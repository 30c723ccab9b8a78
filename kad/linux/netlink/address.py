"""Addresses of interfaces as rtnetlink takes and tells them."""

from __future__ import annotations

import errno
import socket
import struct

import msgspec

from kad.linux.netlink.socket import (
    NLM_F_ACK,
    NLM_F_CREATE,
    NLM_F_DUMP,
    NLM_F_EXCL,
    Message,
    Netlink,
    attribute,
    attributes,
    message,
)

RTM_NEWADDR = 20
RTM_DELADDR = 21
_RTM_GETADDR = 22

ALREADY_THERE = errno.EEXIST
"""What an addition answers when the interface has the address already."""
NOT_THERE = errno.EADDRNOTAVAIL
"""What a deletion answers when the interface does not have the address."""
NO_INTERFACE = errno.ENODEV

PROTOCOL_KEEPALIVED = 18
"""IFA_PROTO, by which addresses that a crashed daemon left behind are recognised."""

IFA_F_NODAD = 0x02
IFA_F_OPTIMISTIC = 0x04
IFA_F_DADFAILED = 0x08
IFA_F_HOMEADDRESS = 0x10
IFA_F_DEPRECATED = 0x20
IFA_F_TENTATIVE = 0x40
IFA_F_PERMANENT = 0x80
IFA_F_MANAGETEMPADDR = 0x100
IFA_F_NOPREFIXROUTE = 0x200
IFA_F_MCAUTOJOIN = 0x400

_IFADDRMSG = struct.Struct("=BBBBI")  # family, prefix, flags, scope, index
_CACHEINFO = struct.Struct("=IIII")  # preferred, valid, created, updated
_U32 = struct.Struct("=I")
FOREVER = 0xFFFFFFFF
"""A lifetime in seconds that never ends."""

_IFA_ADDRESS = 1
_IFA_LOCAL = 2
_IFA_LABEL = 3
_IFA_BROADCAST = 4
_IFA_CACHEINFO = 6
_IFA_FLAGS = 8
_IFA_PROTO = 11


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """One address of one interface; `family` is 4 or 6, addresses are text."""

    index: int
    family: int
    address: str
    prefix: int
    peer: str | None = None
    broadcast: str | None = None
    label: str | None = None
    scope: int = 0
    protocol: int = 0
    flags: int = 0
    """IFA_F_ bits."""


def encode_add(
    index: int,
    address: str,
    prefix: int,
    *,
    broadcast: str | None = None,
    label: str | None = None,
    scope: int = 0,
    peer: str | None = None,
    flags: int | None = None,
    protocol: int = PROTOCOL_KEEPALIVED,
    preferred_lft: int | None = None,
) -> bytes:
    """The request that adds an address; ALREADY_THERE is the answer when it exists.

    flags None: no duplicate address detection for IPv6, nothing for IPv4. preferred_lft in seconds, None: for ever,
    but 0 for an IPv6 /128, so that it is never chosen as a source. A prefix belongs to the peer where there is one.
    """
    family, packed = _pack(address)
    if flags is None:
        flags = IFA_F_NODAD if family == socket.AF_INET6 else 0
    if preferred_lft is None and family == socket.AF_INET6 and prefix == 128:
        preferred_lft = 0
    parts = [_IFADDRMSG.pack(family, prefix, flags & 0xFF, scope, index), *_names(packed, peer)]
    if broadcast is not None:
        parts.append(attribute(_IFA_BROADCAST, _pack(broadcast)[1]))
    if label is not None:
        parts.append(attribute(_IFA_LABEL, label.encode() + b"\0"))
    if flags:
        parts.append(attribute(_IFA_FLAGS, _U32.pack(flags)))
    if preferred_lft is not None:
        parts.append(attribute(_IFA_CACHEINFO, _CACHEINFO.pack(preferred_lft, FOREVER, 0, 0)))
    if protocol:
        parts.append(attribute(_IFA_PROTO, bytes([protocol])))
    return message(RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, b"".join(parts))


def encode_delete(index: int, address: str, prefix: int, *, peer: str | None = None) -> bytes:
    """The request that deletes an address; NOT_THERE is the answer when it does not exist."""
    family, packed = _pack(address)
    parts = [_IFADDRMSG.pack(family, prefix, 0, 0, index), *_names(packed, peer)]
    return message(RTM_DELADDR, NLM_F_ACK, b"".join(parts))


def parse_address(told: Message) -> tuple[Address, bool] | None:
    """The address, and whether it was deleted; None for a message that is about something else."""
    if told.kind not in (RTM_NEWADDR, RTM_DELADDR) or len(told.body) < _IFADDRMSG.size:
        return None
    family, prefix, flags, scope, index = _IFADDRMSG.unpack_from(told.body)
    if family not in (socket.AF_INET, socket.AF_INET6):
        return None
    found = attributes(told.body[_IFADDRMSG.size :])
    other = found.get(_IFA_ADDRESS)
    local = found.get(_IFA_LOCAL, other)
    if local is None:
        return None
    address = Address(
        index=index,
        family=4 if family == socket.AF_INET else 6,
        address=socket.inet_ntop(family, local),
        prefix=prefix,
        peer=socket.inet_ntop(family, other) if other is not None and other != local else None,
        broadcast=socket.inet_ntop(family, found[_IFA_BROADCAST]) if _IFA_BROADCAST in found else None,
        label=found[_IFA_LABEL].rstrip(b"\0").decode(errors="replace") if _IFA_LABEL in found else None,
        scope=scope,
        protocol=found[_IFA_PROTO][0] if found.get(_IFA_PROTO) else 0,
        flags=_U32.unpack(found[_IFA_FLAGS])[0] if _IFA_FLAGS in found else flags,
    )
    return address, told.kind == RTM_DELADDR


def dump_addresses(netlink: Netlink) -> list[Address]:
    """All addresses of the namespace, both families."""
    request = message(_RTM_GETADDR, NLM_F_DUMP, _IFADDRMSG.pack(0, 0, 0, 0, 0))
    parsed = (parse_address(answer) for answer in netlink.dump(request))
    return [found[0] for found in parsed if found is not None]


def _pack(address: str) -> tuple[int, bytes]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return family, socket.inet_pton(family, address)


def _names(local: bytes, peer: str | None) -> list[bytes]:
    """IFA_LOCAL is the interface's own end; IFA_ADDRESS the other end, or the same where there is no other."""
    other = local if peer is None else _pack(peer)[1]
    return [attribute(_IFA_LOCAL, local), attribute(_IFA_ADDRESS, other)]

"""Interfaces on top of others, made and unmade by rtnetlink: macvlan and ipvlan."""

from __future__ import annotations

import struct

from kad.linux.netlink.socket import NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, attribute, message

_RTM_NEWLINK = 16
_RTM_DELLINK = 17

_IFINFOMSG = struct.Struct("=BxHiII")  # family, type, index, flags, change
_U32 = struct.Struct("=I")
_U16 = struct.Struct("=H")

_IFF_UP = 0x1
_NESTED = 0x8000

_IFLA_ADDRESS = 1
_IFLA_IFNAME = 3
_IFLA_LINK = 5
_IFLA_MASTER = 10
_IFLA_LINKINFO = 18
_IFLA_IFALIAS = 20
_IFLA_GROUP = 27
_IFLA_INFO_KIND = 1
_IFLA_INFO_DATA = 2
_IFLA_MACVLAN_MODE = 1
_IFLA_IPVLAN_MODE = 1
_IFLA_IPVLAN_FLAGS = 2

MACVLAN_MODE_PRIVATE = 1
"""Frames of other macvlans of the same interface never reach it."""
_IPVLAN_MODE_L2 = 0
_IPVLAN_FLAGS = {"bridge": 0, "private": 1, "vepa": 2}

LONGEST_ALIAS = 255
"""Bytes (IFALIASZ, less the final zero)."""


def encode_macvlan(name: str, base: int, mac: bytes, *, group: int = 0, master: int = 0) -> bytes:
    """The request that makes a macvlan in private mode on the interface of index `base`; it is down at first."""
    return _encode_new(
        name,
        base,
        "macvlan",
        attribute(_IFLA_MACVLAN_MODE, _U32.pack(MACVLAN_MODE_PRIVATE)),
        group,
        (
            attribute(_IFLA_ADDRESS, mac),
            *((attribute(_IFLA_MASTER, _U32.pack(master)),) if master else ()),
        ),
    )


def encode_ipvlan(name: str, base: int, mode: str, *, group: int = 0) -> bytes:
    """The same for an ipvlan of layer 2; `mode` is bridge, private or vepa."""
    data = attribute(_IFLA_IPVLAN_MODE, _U16.pack(_IPVLAN_MODE_L2))
    data += attribute(_IFLA_IPVLAN_FLAGS, _U16.pack(_IPVLAN_FLAGS[mode]))
    return _encode_new(name, base, "ipvlan", data, group, ())


def encode_alias(index: int, alias: str) -> bytes:
    """Have the kernel keep this text with the interface; at most LONGEST_ALIAS bytes."""
    return _encode(_RTM_NEWLINK, 0, index, 0, attribute(_IFLA_IFALIAS, alias.encode()))


def encode_up(index: int) -> bytes:
    """Switch the interface on."""
    return _encode(_RTM_NEWLINK, 0, index, _IFF_UP, b"")


def encode_rename(index: int, name: str) -> bytes:
    """Give the interface another name; before Linux 6.2 EBUSY is the answer while it is on."""
    return _encode(_RTM_NEWLINK, 0, index, 0, attribute(_IFLA_IFNAME, name.encode() + b"\0"))


def encode_delete(index: int) -> bytes:
    return _encode(_RTM_DELLINK, 0, index, 0, b"")


def encode_group(index: int, group: int) -> bytes:
    return _encode(_RTM_NEWLINK, 0, index, 0, attribute(_IFLA_GROUP, _U32.pack(group)))


def encode_delete_group(group: int) -> bytes:
    """The request that deletes every interface of the group at once: one by one the kernel takes 15 ms for each."""
    return _encode(_RTM_DELLINK, 0, 0, 0, attribute(_IFLA_GROUP, _U32.pack(group)))


def _encode_new(name: str, base: int, kind: str, data: bytes, group: int, more: tuple[bytes, ...]) -> bytes:
    linkinfo = attribute(_IFLA_INFO_KIND, kind.encode()) + attribute(_IFLA_INFO_DATA | _NESTED, data)
    parts = (
        attribute(_IFLA_IFNAME, name.encode() + b"\0"),
        attribute(_IFLA_LINK, _U32.pack(base)),
        attribute(_IFLA_GROUP, _U32.pack(group)),
        *more,
        attribute(_IFLA_LINKINFO | _NESTED, linkinfo),
    )
    return _encode(_RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0, 0, b"".join(parts))


def _encode(kind: int, flags: int, index: int, up: int, attributes: bytes) -> bytes:
    return message(kind, NLM_F_ACK | flags, _IFINFOMSG.pack(0, 0, index, up, up) + attributes)

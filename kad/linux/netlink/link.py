"""Network interfaces as rtnetlink tells of them."""

from __future__ import annotations

import struct

import msgspec

from kad.linux.netlink.socket import NLM_F_DUMP, Message, Netlink, attributes, message

RTM_NEWLINK = 16
RTM_DELLINK = 17
_RTM_GETLINK = 18

_IFINFOMSG = struct.Struct("=BxHiII")  # family, type, index, flags, change
_U32 = struct.Struct("=I")
_S32 = struct.Struct("=i")

_IFF_UP = 0x1
_IFF_LOOPBACK = 0x8
_IFF_RUNNING = 0x40
_IFF_NOARP = 0x80

_IFLA_ADDRESS = 1
_IFLA_IFNAME = 3
_IFLA_MTU = 4
_IFLA_LINK = 5
_IFLA_MASTER = 10
_IFLA_LINKINFO = 18
_IFLA_IFALIAS = 20
_IFLA_GROUP = 27
_IFLA_LINK_NETNSID = 37
_IFLA_INFO_KIND = 1
_IFLA_INFO_DATA = 2
_IFLA_MACVLAN_MODE = 1

ETHERNET = 1
"""`Link.hardware` of what carries Ethernet frames (ARPHRD_ETHER)."""


class Elsewhere(msgspec.Struct, frozen=True):
    """An interface of another namespace: its index means nothing in this one."""

    index: int
    namespace: int
    """The kernel's number of that namespace (IFLA_LINK_NETNSID); -1 where it has none yet."""


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """One interface; `flags` are IFF_ bits, `mac` its hardware address (empty where it has none)."""

    index: int
    name: str
    flags: int
    up: bool
    """Administratively up and with carrier: IFF_UP and IFF_RUNNING."""
    enabled: bool
    """Administratively up."""
    arp: bool
    loopback: bool
    hardware: int
    mac: bytes
    mtu: int
    kind: str
    """"veth", "macvlan", "vlan", …; empty for a physical one."""
    master: int
    """Index of the bridge, bond or VRF that it belongs to; 0 for none."""
    lower: int
    """Index of the interface below it (of a macvlan or VLAN), or of a veth's peer, in this namespace; 0 for none."""
    lower_elsewhere: Elsewhere | None = None
    """The same where that interface is in another namespace; `lower` is 0 then."""
    mode: int = 0
    """Of a macvlan: MACVLAN_MODE_."""
    group: int = 0
    alias: str = ""
    """Free text that the kernel keeps with it."""


ANYWHERE = Link(
    index=0,
    name="",
    flags=0,
    up=True,
    enabled=True,
    arp=False,
    loopback=False,
    hardware=0,
    mac=b"",
    mtu=0,
    kind="",
    master=0,
    lower=0,
)
"""No interface: a socket on it speaks where routes lead, and hears on all of them."""


def parse_link(told: Message) -> tuple[Link, bool] | None:
    """The interface, and whether it was deleted; None for a message that is about something else."""
    if told.kind not in (RTM_NEWLINK, RTM_DELLINK) or len(told.body) < _IFINFOMSG.size:
        return None
    family, hardware, index, flags, _ = _IFINFOMSG.unpack_from(told.body)
    if family != 0:
        return None  # a bridge speaking of one of its ports: RTM_DELLINK is then no deletion
    found = attributes(told.body[_IFINFOMSG.size :])
    linkinfo = attributes(found.get(_IFLA_LINKINFO, b""))
    kind = linkinfo.get(_IFLA_INFO_KIND, b"").rstrip(b"\0").decode(errors="replace")
    data = attributes(linkinfo.get(_IFLA_INFO_DATA, b"")) if kind == "macvlan" else {}
    lower, lower_elsewhere = _lower(found)
    link = Link(
        index=index,
        name=found.get(_IFLA_IFNAME, b"").rstrip(b"\0").decode(errors="replace"),
        flags=flags,
        up=flags & (_IFF_UP | _IFF_RUNNING) == _IFF_UP | _IFF_RUNNING,
        enabled=bool(flags & _IFF_UP),
        arp=not flags & _IFF_NOARP,
        loopback=bool(flags & _IFF_LOOPBACK),
        hardware=hardware,
        mac=found.get(_IFLA_ADDRESS, b""),
        mtu=_number(found, _IFLA_MTU),
        kind=kind,
        master=_number(found, _IFLA_MASTER),
        lower=lower,
        lower_elsewhere=lower_elsewhere,
        mode=_number(data, _IFLA_MACVLAN_MODE),
        group=_number(found, _IFLA_GROUP),
        alias=found.get(_IFLA_IFALIAS, b"").rstrip(b"\0").decode(errors="replace"),
    )
    return link, told.kind == RTM_DELLINK


def _lower(found: dict[int, bytes]) -> tuple[int, Elsewhere | None]:
    """`lower` and `lower_elsewhere`: the kernel names the namespace of IFLA_LINK only where that is another one."""
    index, namespace = _number(found, _IFLA_LINK), found.get(_IFLA_LINK_NETNSID)
    if namespace is None:
        return index, None
    return 0, Elsewhere(index, _S32.unpack(namespace)[0] if len(namespace) == _S32.size else -1)


def dump_links(netlink: Netlink) -> list[Link]:
    """All interfaces of the namespace."""
    request = message(_RTM_GETLINK, NLM_F_DUMP, _IFINFOMSG.pack(0, 0, 0, 0, 0))
    parsed = (parse_link(answer) for answer in netlink.dump(request))
    return [found[0] for found in parsed if found is not None]


def _number(found: dict[int, bytes], kind: int) -> int:
    payload = found.get(kind, b"")
    return int(_U32.unpack(payload)[0]) if len(payload) == _U32.size else 0

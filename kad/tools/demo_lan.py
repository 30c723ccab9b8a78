"""A LAN out of nothing: namespaces, a bridge as switch, and a cable to each host; it vanishes with its processes."""

from __future__ import annotations

import ctypes
import os
import struct
from pathlib import Path

from kad.linux.libc import LIBC, call
from kad.linux.netlink.address import encode_add
from kad.linux.netlink.link import dump_links
from kad.linux.netlink.socket import NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, Netlink, attribute, message
from kad.linux.refused import Refused

_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_PR_SET_PDEATHSIG = 1
_RTM_NEWLINK = 16
_IFINFOMSG = struct.Struct("=BxHiII")  # family, type, index, flags, change
_U32 = struct.Struct("=I")
_IFF_UP = 1
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MASTER, _IFLA_LINKINFO, _IFLA_NET_NS_PID = 1, 3, 10, 18, 19
_INFO_KIND, _INFO_DATA = 1, 2
_VETH_PEER = 1
_BRIDGE_MCAST_SNOOPING = 23

BRIDGE = "switch"


class Forbidden(Exception):
    """This kernel lets us have no namespaces, or none in which we may do anything."""


def enter_own_world() -> None:
    """A network namespace for this process, and a user namespace where it is not root; raises Forbidden."""
    uid, gid = os.geteuid(), os.getegid()
    try:
        if uid != 0:
            _unshare(_CLONE_NEWUSER)
            Path("/proc/self/setgroups").write_text("deny")
            Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
            Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
        _unshare(_CLONE_NEWNET)
        # Some systems grant a user namespace and take its capabilities away: only a try tells.
        with Lan() as lan:
            lan.create_bridge("try")
    except (Refused, OSError) as error:
        raise Forbidden(str(error)) from error


def enter_own_network() -> None:
    """A network namespace of its own for this process; raises Refused."""
    _unshare(_CLONE_NEWNET)


def die_with_parent(signal_number: int) -> None:
    """Let the kernel send us this signal when our parent is gone, whatever it died of."""
    prctl = LIBC["prctl"]
    call("prctl", prctl, _PR_SET_PDEATHSIG, ctypes.c_ulong(signal_number), 0, 0, 0)


def _unshare(flags: int) -> None:
    call("unshare", LIBC["unshare"], flags)


class Lan:
    """The interfaces of the network namespace that this process is in; all calls raise Refused."""

    def __init__(self) -> None:
        self._netlink = Netlink.open()

    def __enter__(self) -> Lan:
        return self

    def __exit__(self, *_: object) -> None:
        self._netlink.close()

    def create_bridge(self, name: str) -> None:
        """A switch that floods multicast, as a simple one does."""
        data = attribute(_INFO_DATA, attribute(_BRIDGE_MCAST_SNOOPING, b"\0"))
        info = attribute(_IFLA_LINKINFO, attribute(_INFO_KIND, b"bridge") + data)
        self._create(f"creating bridge {name}", _name(name) + info)
        self.set_up(name)

    def create_cable(self, port: str, interface: str, mac: bytes, pid: int) -> None:
        """A veth pair: `port` here, `interface` with that hardware address in the namespace of the process."""
        peer = _IFINFOMSG.pack(0, 0, 0, 0, 0) + _name(interface)
        peer += attribute(_IFLA_ADDRESS, mac) + attribute(_IFLA_NET_NS_PID, _U32.pack(pid))
        data = attribute(_INFO_DATA, attribute(_VETH_PEER, peer))
        info = attribute(_IFLA_LINKINFO, attribute(_INFO_KIND, b"veth") + data)
        self._create(f"creating cable {port}", _name(port) + info)
        self.set_up(port)

    def plug(self, port: str) -> None:
        """Into the switch."""
        self._change(f"plugging {port}", port, attribute(_IFLA_MASTER, _U32.pack(self._index(BRIDGE))))

    def unplug(self, port: str) -> None:
        """Off the switch; the host at the other end sees its link stay up, and hears nobody."""
        self._change(f"unplugging {port}", port, attribute(_IFLA_MASTER, _U32.pack(0)))

    def set_up(self, interface: str) -> None:
        header = _IFINFOMSG.pack(0, 0, self._index(interface), _IFF_UP, _IFF_UP)
        self._ask(f"setting {interface} up", message(_RTM_NEWLINK, NLM_F_ACK, header))

    def add_address(self, interface: str, address: str, prefix: int) -> None:
        self._ask(f"adding {address} to {interface}", encode_add(self._index(interface), address, prefix, protocol=0))

    def _create(self, what: str, body: bytes) -> None:
        flags = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL
        self._ask(what, message(_RTM_NEWLINK, flags, _IFINFOMSG.pack(0, 0, 0, 0, 0) + body))

    def _change(self, what: str, interface: str, body: bytes) -> None:
        header = _IFINFOMSG.pack(0, 0, self._index(interface), 0, 0)
        self._ask(what, message(_RTM_NEWLINK, NLM_F_ACK, header + body))

    def _ask(self, what: str, request: bytes) -> None:
        [errno] = self._netlink.request([request])
        if errno:
            raise Refused(what, errno)

    def _index(self, name: str) -> int:
        for link in dump_links(self._netlink):
            if link.name == name:
                return link.index
        raise Refused(f"interface {name}", 19)


def _name(name: str) -> bytes:
    return attribute(_IFLA_IFNAME, name.encode() + b"\0")

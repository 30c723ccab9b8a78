"""Raw sockets of VRRP: one that receives for an interface and family, one that sends whole IP packets."""

from __future__ import annotations

import socket
import struct
from contextlib import suppress

from kad.linux.netlink.socket import enlarge_receive_buffer, set_receive_buffer
from kad.linux.refused import closed_on_failure, refusing

VRRP = 112
AH = 51

_SO_BINDTODEVICE = 25
_SO_SNDBUFFORCE = 32
_SEND_BUFFER = 4 * 1024 * 1024
"""Bytes: the adverts of a thousand routers leave at once, and each counts until the network card has sent it."""
_RECEIVE_BUFFER = 4 * 1024 * 1024
_IP_MULTICAST_ALL = 49
_IPV6_FREEBIND = 78
_SO_PRIORITY = 12
_PRIORITY_INTERNETWORK_CONTROL = 6
_MOST_HEARD_BEFORE = 10_000
_MREQN = struct.Struct("=4s4si")  # group, local address, interface
_MREQ6 = struct.Struct("=16sI")  # group, interface


def open_receiver(
    ifindex: int,
    ifname: str,
    family: int,
    group: str | None,
    *,
    protocol: int = VRRP,
    receive_buffer: int = 0,
) -> socket.socket:
    """A non-blocking socket for the packets of a protocol that reach an interface; family 4 or 6.

    It hears unicast and the groups that it joined: one socket serves all instances of the interface. An IPv6 raw
    socket also hears what others on the interface joined; the destination tells. `receive_buffer`: see size().
    """
    raw = _raw_socket(family, protocol)
    with refusing(f"VRRP receive socket on {ifname}"), closed_on_failure(raw) as sock:
        _bind_to_device(sock, ifname)
        size(sock, receive_buffer)
        if family == 4:
            sock.setsockopt(socket.IPPROTO_IP, _IP_MULTICAST_ALL, 0)
        else:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        if group is not None:
            join(sock, ifindex, group)
        _empty(sock)
    return sock


def size(receiver: socket.socket, receive_buffer: int) -> None:
    """Have so many bytes wait, as far as the kernel lets anybody; 0: as many as serve any number of routers."""
    if receive_buffer:
        set_receive_buffer(receiver, receive_buffer)
    else:
        enlarge_receive_buffer(receiver, _RECEIVE_BUFFER)


def _empty(sock: socket.socket) -> None:
    """Before it was bound it heard every interface."""
    with suppress(BlockingIOError):
        for _ in range(_MOST_HEARD_BEFORE):
            sock.recv(1)


def join(receiver: socket.socket, ifindex: int, group: str) -> None:
    """Hear a multicast group too."""
    _membership(receiver, ifindex, group, socket.IP_ADD_MEMBERSHIP, socket.IPV6_JOIN_GROUP)


def leave(receiver: socket.socket, ifindex: int, group: str) -> None:
    """No longer hear a multicast group."""
    _membership(receiver, ifindex, group, socket.IP_DROP_MEMBERSHIP, socket.IPV6_LEAVE_GROUP)


def open_sender(ifindex: int, ifname: str, family: int, *, multicast: bool) -> socket.socket:
    """A non-blocking socket that takes whole IP packets and hears nothing; family 4 or 6.

    Multicast packets are not routed and never come back to this host.
    """
    raw = _raw_socket(family, socket.IPPROTO_RAW)
    with refusing(f"VRRP send socket on {ifname}"), closed_on_failure(raw) as sock:
        _bind_to_device(sock, ifname)
        sock.setsockopt(socket.SOL_SOCKET, _SO_PRIORITY, _PRIORITY_INTERNETWORK_CONTROL)
        with suppress(PermissionError):
            sock.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, _SEND_BUFFER)
        if multicast:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_DONTROUTE, 1)
        if family == 4:
            interface = _MREQN.pack(bytes(4), bytes(4), ifindex)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, interface)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 0)
        else:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, ifindex)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 0)
    return sock


def bind_to_foreign_address(sender: socket.socket, source: str, ifindex: int) -> None:
    """The kernel looks for a source address in vain where the interface has none; it is told which one to take."""
    with refusing(f"sending from {source}"):
        sender.setsockopt(socket.IPPROTO_IPV6, _IPV6_FREEBIND, 1)
        sender.bind((source, 0, 0, ifindex))


def _raw_socket(family: int, protocol: int) -> socket.socket:
    kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
    with refusing("raw socket"):
        return socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6, kind, protocol)


def _bind_to_device(sock: socket.socket, ifname: str) -> None:
    sock.setsockopt(socket.SOL_SOCKET, _SO_BINDTODEVICE, ifname.encode() + b"\0")


def _membership(receiver: socket.socket, ifindex: int, group: str, ipv4_option: int, ipv6_option: int) -> None:
    with refusing(f"membership of {group}"):
        packed = socket.inet_pton(receiver.family, group)
        if receiver.family == socket.AF_INET:
            receiver.setsockopt(socket.IPPROTO_IP, ipv4_option, _MREQN.pack(packed, bytes(4), ifindex))
        else:
            receiver.setsockopt(socket.IPPROTO_IPV6, ipv6_option, _MREQ6.pack(packed, ifindex))

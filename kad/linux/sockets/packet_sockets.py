"""Packet sockets outlive the process that uses them: the parent keeps them for all lives of a child.

The kernel takes some ten milliseconds to close each one. A process that dies with the last copy of one is dead only so
much later, and so is its replacement.
"""

from __future__ import annotations

import socket
from typing import NamedTuple

from kad.linux.refused import closed_on_failure, refusing
from kad.linux.sockets.bpf import RETURN, attach

_ETH_P_ARP = 0x0806
_SOL_PACKET, _PACKET_IGNORE_OUTGOING = 263, 23
_NOTHING = ((RETURN, 0, 0, 0),)
_FLAGS = socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK


class PacketSockets(NamedTuple):
    """What the vrrp process sends and hears without IP."""

    frames: socket.socket
    """Sends whole frames, hears nothing."""
    arp: socket.socket
    """Hears the ARP packets of others, on every interface, without the Ethernet header: none before a filter says
    which."""

    @classmethod
    def open(cls) -> PacketSockets:
        """Raises Refused."""
        with refusing("packet socket"):
            opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | _FLAGS, 0)
            with closed_on_failure(opened) as frames:
                arp = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | _FLAGS, socket.htons(_ETH_P_ARP))
                with closed_on_failure(arp):
                    attach(arp, _NOTHING)
                    arp.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
        return cls(frames, arp)

    @classmethod
    def unused(cls) -> PacketSockets:
        """For a process that sends and receives no packet, and may not: unconnected sockets without a privilege."""
        unconnected = [socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | _FLAGS) for _ in range(2)]
        return cls(*unconnected)

    def filenos(self) -> frozenset[int]:
        """Of all of them."""
        return frozenset(each.fileno() for each in self)

"""Whole Ethernet frames by AF_PACKET: one socket for all interfaces of the namespace."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from kad.linux.sockets.sendmmsg import BatchSender, Datagram, Unsent, sockaddr_ll

_ETHERTYPE = slice(12, 14)


def on_interface(ifindex: int, frame: bytes) -> Datagram:
    """A frame laid out for FrameSender.send(); can be sent again and again."""
    return Datagram(frame, sockaddr_ll(ifindex, frame[_ETHERTYPE]))


class FrameSender:
    """Sends frames, hears nothing."""

    def __init__(self, sock: socket.socket) -> None:
        """A packet socket (kad.linux.sockets.packet_sockets)."""
        self._batch = BatchSender(sock)

    def send(self, frames: Sequence[Datagram]) -> list[Unsent]:
        """Send all in order; which of them the kernel refused, and why (ENETDOWN: interface down, ENXIO: gone)."""
        return self._batch.send(frames)

    def send_frames(self, frames: Sequence[tuple[int, bytes]]) -> list[Unsent]:
        """Likewise for (ifindex, frame) pairs that are not worth keeping."""
        return self.send([on_interface(ifindex, frame) for ifindex, frame in frames])

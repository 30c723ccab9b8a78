"""Whole Ethernet frames by AF_PACKET: one socket for all interfaces of the namespace."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from kad.linux.batch import BatchSender, Datagram, Unsent, sockaddr_ll
from kad.linux.refused import refusing

_ETHERTYPE = slice(12, 14)


def on_interface(ifindex: int, frame: bytes) -> Datagram:
    """A frame laid out for FrameSender.send(); can be sent again and again."""
    return Datagram(frame, sockaddr_ll(ifindex, frame[_ETHERTYPE]))


class FrameSender:
    """Sends frames, hears nothing."""

    def __init__(self, sock: socket.socket) -> None:
        self._batch = BatchSender(sock)

    @classmethod
    def open(cls) -> FrameSender:
        with refusing("packet socket"):
            kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
            return cls(socket.socket(socket.AF_PACKET, kind, 0))

    def send(self, frames: Sequence[Datagram]) -> list[Unsent]:
        """Send all in order; which of them the kernel refused, and why (ENETDOWN: interface down, ENXIO: gone)."""
        return self._batch.send(frames)

    def send_frames(self, frames: Sequence[tuple[int, bytes]]) -> list[Unsent]:
        """Likewise for (ifindex, frame) pairs that are not worth keeping."""
        return self.send([on_interface(ifindex, frame) for ifindex, frame in frames])

    def close(self) -> None:
        self._batch.socket.close()

"""Gratuitous ARP and unsolicited neighbour advertisements: what is sent, and how fast on each interface."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from functools import partial

from kad.linux.batch import Datagram
from kad.linux.frame import FrameSender
from kad.log import Logger
from kad.mux import Mux
from kad.vrrp.process.instance import Instance
from kad.vrrp.process.layout import Layout

_AT_ONCE = 256
"""Frames a system call."""


class Announcing:
    """The only sender of announcements."""

    def __init__(self, mux: Mux, log: Logger, frames: FrameSender) -> None:
        self._mux = mux
        self._log = log
        self._frames = frames
        self._paced: dict[int, deque[tuple[float, Datagram]]] = {}
        """By interface: what waits for its turn, each with the seconds of silence that follow it."""

    def announce(self, instance: Instance, layout: Layout, repeat: int) -> Iterator[None]:
        """One message for every address, then the remaining rounds, as keepalived orders them."""
        settings = instance.configuration.announcing
        at_once: list[Datagram] = []
        for round_ in range(repeat):
            for each in layout.announcements:
                if not round_:
                    kind = "unsolicited neighbour advertisements" if each.ipv6 else "gratuitous ARPs"
                    self._log.debug(f"({instance.name}) Sending/queueing {kind} on {each.link.name} for {each.address}")
                pause = settings.gna_interval if each.ipv6 else settings.garp_interval
                if pause:
                    self._pace(each.link.index, pause, each.frame)
                else:
                    at_once.append(each.frame)
        for start in range(0, len(at_once), _AT_ONCE):
            self._frames.send(at_once[start : start + _AT_ONCE])
            yield

    def _pace(self, index: int, pause: float, frame: Datagram) -> None:
        queue = self._paced.get(index)
        if queue is None:
            self._paced[index] = deque([(pause, frame)])
            self._send_paced(index)
        else:
            queue.append((pause, frame))

    def _send_paced(self, index: int) -> None:
        queue = self._paced[index]
        if not queue:
            del self._paced[index]
            return
        pause, frame = queue.popleft()
        self._frames.send([frame])
        self._mux.at(self._mux.now() + pause, partial(self._send_paced, index))

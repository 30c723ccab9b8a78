"""Gratuitous ARP and unsolicited neighbour advertisements: what is sent, and how fast on each interface."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from functools import partial
from typing import NamedTuple

from kad.linux.batch import Datagram
from kad.linux.frame import FrameSender
from kad.linux.link import Link
from kad.linux.network import Network
from kad.log import Logger
from kad.mux import Mux
from kad.vrrp.events import Announce
from kad.vrrp.keywords import GarpGroup
from kad.vrrp.process.instance import Instance
from kad.vrrp.process.layout import Announcement, Layout, announcement

_AT_ONCE = 256
"""Frames a system call."""
_STACKED = ("macvlan", "ipvlan")
"""Kinds of interfaces whose frames leave by the one below."""

Lane = tuple[object, bool]
"""Messages that wait for one another: those of an interface or a garp_group, of one kind (IPv6 or not)."""


class Queued(NamedTuple):
    """A message that waits for its turn, and the seconds of silence that follow it."""

    instance: Instance
    frame: Datagram
    pause: float


class Announcing:
    """The only sender of announcements."""

    def __init__(self, mux: Mux, log: Logger, frames: FrameSender, network: Network) -> None:
        self._mux = mux
        self._log = log
        self._frames = frames
        self._network = network
        self._groups: dict[str, GarpGroup] = {}
        self._paced: dict[Lane, deque[Queued]] = {}

    def take_turns(self, groups: Iterable[GarpGroup]) -> None:
        """These interfaces share their pace."""
        self._groups = {name: group for group in groups for name in group.interfaces}

    def announce(self, instance: Instance, layout: Layout, action: Announce) -> Iterator[None]:
        """One message for every address, then the remaining rounds, as keepalived orders them."""
        wanted = layout.announcements
        if instance.refused:
            # What the kernel does not take would draw the traffic here for nothing.
            wanted = tuple(each for each in wanted if (each.address, each.link.index) not in instance.refused)
        if action.elsewhere:
            wanted = tuple(each for each in wanted if self._is_elsewhere(instance, each.link))
        at_once: list[Datagram] = []
        for round_ in range(action.repeat):
            for each in wanted:
                if not round_:
                    kind = "unsolicited neighbour advertisements" if each.ipv6 else "gratuitous ARPs"
                    self._log.debug(f"({instance.name}) Sending/queueing {kind} on {each.link.name} for {each.address}")
                lane, pause = self._pace_of(instance, each)
                if pause:
                    self._queue(lane, Queued(instance, each.frame, pause))
                else:
                    at_once.append(each.frame)
        for start in range(0, len(at_once), _AT_ONCE):
            self._frames.send(at_once[start : start + _AT_ONCE])
            yield

    def announce_source(self, instance: Instance) -> None:
        """Where its own address is, once."""
        link = self._network.link(instance.configuration.interface)
        if link is None or instance.source is None or not link.arp or link.loopback:
            return
        said = announcement(link, instance.source, forwards=False)
        self._log.info(f"({instance.name}) sending gratuitous {'NA' if said.ipv6 else 'ARP'} for {instance.source}")
        self._frames.send([said.frame])

    def _is_elsewhere(self, instance: Instance, link: Link) -> bool:
        configuration = instance.configuration
        if link.name == configuration.own_interface:
            return False
        return configuration.announcing.elsewhere_all or link.kind in _STACKED

    def _pace_of(self, instance: Instance, each: Announcement) -> tuple[Lane, float]:
        name = self._network.lowest(each.link, _STACKED).name
        pace = self._groups.get(name)
        if pace is not None:
            return (pace.interfaces, each.ipv6), pace.gna_interval if each.ipv6 else pace.garp_interval
        announcing = instance.configuration.announcing
        return (name, each.ipv6), announcing.gna_interval if each.ipv6 else announcing.garp_interval

    def _queue(self, lane: Lane, queued: Queued) -> None:
        waiting = self._paced.get(lane)
        if waiting is None:
            self._paced[lane] = deque([queued])
            self._send_next(lane)
        else:
            waiting.append(queued)

    def _send_next(self, lane: Lane) -> None:
        waiting = self._paced[lane]
        while waiting:
            queued = waiting.popleft()
            # Whoever is no longer MASTER must not draw the traffic back to this host.
            if queued.instance.router.holds_addresses:
                self._frames.send([queued.frame])
                self._mux.at(self._mux.now() + queued.pause, partial(self._send_next, lane))
                return
        del self._paced[lane]

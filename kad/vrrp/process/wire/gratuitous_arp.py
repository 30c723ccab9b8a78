"""Gratuitous ARP and unsolicited neighbour advertisements: what is sent, and how fast on each interface."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from math import inf
from typing import NamedTuple

from kad.child.multiplexer import Mux
from kad.linux.netlink.link import Link
from kad.linux.netlink.network_table import Network
from kad.linux.sockets.ethernet_sender import FrameSender
from kad.linux.sockets.sendmmsg import Datagram, Unsent
from kad.model.vrrp import GarpGroup
from kad.shared.log import Logger
from kad.vrrp.events import Announce
from kad.vrrp.kernel_calls import KernelCall
from kad.vrrp.process.address_placement import Announcement, Layout, announcement
from kad.vrrp.process.instance import Instance
from kad.vrrp.process.retries import Retries, of_instance

_AT_ONCE = 256
"""Frames a system call."""
_STACKED = ("macvlan", "ipvlan")
"""Kinds of interfaces whose frames leave by the one below."""

LaneKey = tuple[object, bool]
"""Messages that wait for one another: those of an interface or a garp_group, of one kind (IPv6 or not)."""


class Queued(NamedTuple):
    """A message that waits for its turn; the configuration says how long the next one waits for it."""

    instance: Instance
    announcement: Announcement


class Lane:
    """Messages in the order in which they leave, and the last one that left."""

    def __init__(self) -> None:
        self.waiting: deque[Queued] = deque()
        self.sent: Queued | None = None
        self.sent_at = -inf


class Announcing:
    """The only sender of announcements."""

    def __init__(
        self,
        mux: Mux,
        log: Logger,
        frames: FrameSender,
        network: Network,
        retries: Retries,
        again: Callable[[Instance], None],
    ) -> None:
        """`again` announces the addresses of a MASTER once more."""
        self._retries = retries
        self._again = again
        self._mux = mux
        self._log = log
        self._frames = frames
        self._network = network
        self._groups: dict[str, GarpGroup] = {}
        self._lanes: dict[LaneKey, Lane] = {}

    def take_turns(self, groups: Iterable[GarpGroup]) -> None:
        """These interfaces share their pace; what waits goes on at the pace that is configured now."""
        self._groups = {name: group for group in groups for name in group.interfaces}
        lanes, self._lanes = self._lanes, {}
        for lane in lanes.values():
            if lane.sent is not None:
                key, pause = self._pace_of(*lane.sent)
                if pause:
                    following = self._lanes.setdefault(key, Lane())
                    if lane.sent_at > following.sent_at:
                        following.sent, following.sent_at = lane.sent, lane.sent_at
        for queued in (each for lane in lanes.values() for each in lane.waiting if _is_wanted(each)):
            key, pause = self._pace_of(*queued)
            if pause:
                self._lanes.setdefault(key, Lane()).waiting.append(queued)
            else:
                self._frames.send([queued.announcement.frame])
        for key, lane in self._lanes.items():
            self._mux.at(self._due_at(lane), partial(self._send_next, key))

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
                key, pause = self._pace_of(instance, each)
                if pause:
                    self._queue(key, Queued(instance, each))
                else:
                    at_once.append(each.frame)
        unsent: list[Unsent] = []
        for start in range(0, len(at_once), _AT_ONCE):
            unsent += self._frames.send(at_once[start : start + _AT_ONCE])
            yield
        if at_once:
            self._judge(instance, unsent)

    def _judge(self, instance: Instance, unsent: list[Unsent]) -> None:
        object = of_instance(instance.name)
        if not unsent:
            self._retries.accepted(KernelCall.ANNOUNCE, object)
            return
        what = "announcements of its addresses"
        if self._retries.refused(KernelCall.ANNOUNCE, object, what, unsent[0].errno, partial(self._again, instance)):
            self._log.warning(f"({instance.name}) {len(unsent)} announcements refused: {os.strerror(unsent[0].errno)}")

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

    def _pace_of(self, instance: Instance, each: Announcement) -> tuple[LaneKey, float]:
        """The interfaces that share its pause, and the pause in seconds; 0: there is none."""
        name = self._network.lowest(each.link, _STACKED).name
        pace = self._groups.get(name)
        if pace is not None:
            return (pace.interfaces, each.ipv6), pace.gna_interval if each.ipv6 else pace.garp_interval
        announcing = instance.configuration.announcing
        return (name, each.ipv6), announcing.gna_interval if each.ipv6 else announcing.garp_interval

    def _queue(self, key: LaneKey, queued: Queued) -> None:
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = Lane()
            lane.waiting.append(queued)
            self._send_next(key)
        else:
            lane.waiting.append(queued)

    def _due_at(self, lane: Lane) -> float:
        return self._mux.now() if lane.sent is None else lane.sent_at + self._pace_of(*lane.sent)[1]

    def _send_next(self, key: LaneKey) -> None:
        lane = self._lanes.get(key)
        if lane is None or self._due_at(lane) > self._mux.now():
            # A reload has moved that moment.
            return
        while lane.waiting:
            queued = lane.waiting.popleft()
            # Whoever is no longer MASTER must not draw the traffic back to this host.
            if queued.instance.router.holds_addresses:
                self._judge(queued.instance, self._frames.send([queued.announcement.frame]))
                lane.sent, lane.sent_at = queued, self._mux.now()
                self._mux.at(self._due_at(lane), partial(self._send_next, key))
                return
        del self._lanes[key]


def _is_wanted(queued: Queued) -> bool:
    """Whether the instance still has the address."""
    addresses = queued.instance.addresses
    return queued.instance.router.holds_addresses and any(
        each.address == queued.announcement.address for each in addresses
    )

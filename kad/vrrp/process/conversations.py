"""What is heard and said on the wire: sockets by interface, packets to instances and adverts to packets."""

from __future__ import annotations

import errno
import os
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from kad.linux.batch import Datagram, Received, Unsent, sockaddr_in
from kad.linux.ip_header import ipv4_header
from kad.linux.network import Network
from kad.linux.refused import Refused
from kad.linux.segment import Segment
from kad.log import Logger
from kad.mux import Mux
from kad.vrrp.advert import Finding, examine_ipv4, virtual_router_id_of
from kad.vrrp.events import AdvertReceived, Event, State
from kad.vrrp.expectation import message
from kad.vrrp.instance import Instance

_COMPLAINT_INTERVAL = 60.0
"""Seconds between two log lines of one cause."""
_HARMLESS = (errno.ENETDOWN, errno.ENODEV, errno.ENXIO, errno.ENETUNREACH)
"""The link is told about elsewhere."""

SegmentKey = tuple[str, int]


@dataclass(slots=True)
class Known:
    """The last packet of a source that counted; an equal one needs no second look."""

    instance: Instance
    content: bytes
    """From the source address on: the identification and the checksum of the IP header differ each time."""
    ttl: int


class Conversations:
    """All sockets of the process that carry VRRP."""

    def __init__(
        self, mux: Mux, hear: Callable[[Instance, Event], None], turn: Callable[[Callable[[], None]], None], log: Logger
    ) -> None:
        """`hear` is told each advert that counts; every reading is handed to `turn`, which runs it."""
        self._mux = mux
        self._hear = hear
        self._turn = turn
        self._log = log
        self._segments: dict[SegmentKey, Segment] = {}
        self._failures: dict[SegmentKey, str] = {}
        self._listeners: dict[tuple[SegmentKey, int], list[Instance]] = {}
        self._known: dict[tuple[SegmentKey, int, bytes], Known] = {}
        self._adverts: dict[tuple[int, int], list[Datagram]] = {}
        self._unknown_complained: dict[int, float] = {}
        self.log_unknown = False
        self.counters: Counter[str] = Counter()
        """Of packets that belong to no instance, and of system calls that failed."""

    # sockets

    def arrange(self, network: Network, instances: Iterable[Instance]) -> None:
        """Have sockets on every interface that is there and wanted, and groups joined; on no other."""
        wanted: dict[SegmentKey, set[str]] = {}
        self._listeners = {}
        for instance in instances:
            configuration = instance.configuration
            key = (configuration.interface, configuration.family)
            groups = wanted.setdefault(key, set())
            if not configuration.unicast_peers:
                groups.add(configuration.multicast_group)
            self._listeners.setdefault((key, configuration.virtual_router_id), []).append(instance)
        self._failures = {}
        for key, segment in list(self._segments.items()):
            link = network.link(key[0])
            if key not in wanted or link is None or link.index != segment.link.index:
                self._close(key)
        for key, groups in wanted.items():
            self._open(key, network, groups)

    def _open(self, key: SegmentKey, network: Network, groups: set[str]) -> None:
        link = network.link(key[0])
        if link is None or key[1] != 4:
            return
        try:
            segment = self._segments.get(key)
            if segment is None:
                segment = self._segments[key] = Segment(link, key[1])
                self._mux.watch(segment.fileno(), lambda: self._read(key), f"receiving on {link.name}")
            segment.listen_to(groups)
        except Refused as refused:
            if refused.errno in (errno.EPERM, errno.EACCES):
                raise
            self._failures[key] = str(refused)

    def _close(self, key: SegmentKey) -> None:
        segment = self._segments.pop(key)
        self._mux.unwatch(segment.fileno())
        segment.close()
        self._known = {known: value for known, value in self._known.items() if known[0] != key}

    def standing(self, network: Network, instance: Instance, virtual: set[str]) -> tuple[frozenset[str], str | None]:
        """Why the instance cannot take part, as far as its interface goes, and its source address."""
        configuration = instance.configuration
        name = configuration.interface
        if configuration.family != 4:
            return frozenset({"IPv6 instances are not served yet"}), None
        if configuration.authentication is not None and configuration.authentication.type == "AH":
            return frozenset({"authentication AH is not served yet"}), None
        link = network.link(name)
        if link is None:
            return frozenset({f"interface {name} does not exist"}), configuration.source_address
        faults = set()
        if configuration.track_primary and not link.up:
            faults.add(f"interface {name} is down")
        if failure := self._failures.get((name, configuration.family)):
            faults.add(failure)
        own = [each.address for each in network.addresses(link.index) if each.family == configuration.family]
        source = configuration.source_address or next((each for each in own if each not in virtual), None)
        if source is None:
            faults.add(f"interface {name} has no IPv4 address to send from")
        elif configuration.track_source and source not in own:
            faults.add(f"source address {source} is not on this host")
        return frozenset(faults), source

    # sending

    def forget(self, instance: Instance) -> None:
        """Whatever was built or remembered for this instance no longer holds."""
        self._adverts = {key: value for key, value in self._adverts.items() if key[0] != id(instance)}
        self._known = {key: value for key, value in self._known.items() if value.instance is not instance}

    def post(self, instance: Instance, priority: int) -> bool:
        """Send an advert with the next flush(); False when there is no way to."""
        configuration = instance.configuration
        segment = self._segments.get((configuration.interface, configuration.family))
        if segment is None or instance.source is None:
            return False
        datagrams = self._adverts.get((id(instance), priority))
        if datagrams is None:
            datagrams = self._adverts[id(instance), priority] = _build(instance, priority, instance.source)
        segment.post(datagrams, multicast=not configuration.unicast_peers)
        return True

    def flush(self) -> None:
        """Let everything leave that was posted, in one system call a socket."""
        for segment in self._segments.values():
            unsent = segment.flush()
            if unsent:
                self._complain_unsent(segment, unsent)

    def _complain_unsent(self, segment: Segment, unsent: list[Unsent]) -> None:
        for each in unsent:
            self.counters[f"unsent: {os.strerror(each.errno)}"] += 1
        reasons = {each.errno for each in unsent if each.errno not in _HARMLESS}
        for reason in reasons:
            self._complain_rarely(reason, f"cannot send adverts on {segment.link.name}: {os.strerror(reason)}")

    def _complain_rarely(self, cause: int, text: str) -> None:
        now = self._mux.now()
        if now - self._unknown_complained.get(cause, -_COMPLAINT_INTERVAL) >= _COMPLAINT_INTERVAL:
            self._unknown_complained[cause] = now
            self._log.warning(text)

    # receiving

    def drain(self, instances: Iterable[Instance]) -> None:
        """Read what already waits for these instances."""
        keys = {(each.configuration.interface, each.configuration.family) for each in instances}
        for key in keys & self._segments.keys():
            self._take_all(key)

    def _read(self, key: SegmentKey) -> None:
        if key in self._segments:
            self._turn(lambda: self._take_all(key))

    def _take_all(self, key: SegmentKey) -> None:
        segment = self._segments[key]
        while True:
            try:
                received = segment.receive()
            except Refused as refused:
                self.counters[f"receiving: {os.strerror(refused.errno)}"] += 1
                return
            now = self._mux.now()
            for packet in received:
                self._take(key, packet, now)
            if len(received) < segment.may_have_more:
                return

    def _take(self, key: SegmentKey, received: Received, now: float) -> None:
        datagram, source, _, ttl = received
        virtual_router_id = virtual_router_id_of(datagram, key[1])
        if virtual_router_id is None:
            self.counters["truncated"] += 1
            return
        known = self._known.get((key, virtual_router_id, source))
        if known is not None and known.content == datagram[12:] and known.ttl == ttl:
            instance = known.instance
            if instance.router.repeat(now):
                instance.counters["advert_rcvd"] += 1
                self._mux.page.hear(instance.slot, instance.counters["advert_rcvd"])
                return
        listeners = self._listeners.get((key, virtual_router_id))
        if listeners is None:
            self._count_unknown(key, virtual_router_id, source)
            return
        for instance in listeners:
            self._examine(key, instance, received)

    def _count_unknown(self, key: SegmentKey, virtual_router_id: int, source: bytes) -> None:
        self.counters["unknown_vrid"] += 1
        if self.log_unknown:
            sender = ".".join(map(str, source))
            self._complain_rarely(
                -virtual_router_id, f"Unknown VRID {virtual_router_id} on {key[0]} from {sender}: not configured here"
            )

    def _examine(self, key: SegmentKey, instance: Instance, received: Received) -> None:
        if instance.router.state not in (State.BACKUP, State.MASTER):
            instance.counters["ignored_while_not_taking_part"] += 1
            return
        datagram, source, _, ttl = received
        examined = examine_ipv4(datagram, instance.expected)
        for finding in examined.findings:
            instance.discarded[finding] += 1
        rejection = examined.rejection
        if examined.findings:
            self._complain(instance, ".".join(map(str, source)), examined.findings, rejection)
        if rejection is not None or examined.advert is None:
            return
        if examined.uses_multicast_checksum and instance.configuration.old_unicast_checksum == "never":
            instance.discarded[Finding.CHECKSUM] += 1
            return
        if examined.uses_multicast_checksum and not instance.old_unicast_checksum:
            self._log.info(f"({instance.name}) {examined.advert.source} uses the old unicast checksum: using it too")
            instance.old_unicast_checksum = True
            self.forget(instance)
        advert = examined.advert
        instance.counters["advert_rcvd"] += 1
        self._mux.page.hear(instance.slot, instance.counters["advert_rcvd"])
        if advert.priority == 0:
            instance.counters["pri_zero_rcvd"] += 1
        self._hear(instance, AdvertReceived(advert))
        if instance.router.master is advert and not examined.findings:
            place = (key, advert.virtual_router_id, source)
            self._known[place] = Known(instance, datagram[12:], ttl)
        else:
            self._known.pop((key, advert.virtual_router_id, source), None)

    def _complain(
        self, instance: Instance, source: str, findings: tuple[Finding, ...], rejection: Finding | None
    ) -> None:
        finding = rejection or findings[0]
        now = self._mux.now()
        cause = f"{finding.value} {source}"
        if now - instance.complained.get(cause, -_COMPLAINT_INTERVAL) < _COMPLAINT_INTERVAL:
            return
        if len(instance.complained) > 100:
            instance.complained.clear()
        instance.complained[cause] = now
        done = "discarded" if rejection else "accepted all the same"
        self._log.warning(f"({instance.name}) advert from {source} {done}: {_EXPLANATIONS[finding]}")


_EXPLANATIONS = {
    Finding.TRUNCATED: "too short to be VRRP",
    Finding.AH_UNEXPECTED: "authentication header where none is configured, or none where one is",
    Finding.LENGTH: "its length does not fit the number of its addresses",
    Finding.TTL: "its TTL is not 255",
    Finding.VERSION: "it is of another VRRP version than this instance",
    Finding.AUTH_TYPE_INVALID: "unknown authentication type",
    Finding.AUTH_TYPE_DIFFERS: "its authentication type is not the configured one",
    Finding.AUTH_FAILURE: "wrong password",
    Finding.INTERVAL_DIFFERS: "its advertisement interval is not ours",
    Finding.TYPE: "it is no advertisement",
    Finding.TOTAL_LENGTH: "its IP length is not what was received",
    Finding.INTERVAL_OTHER: "its advertisement interval is not ours",
    Finding.CHECKSUM: "wrong checksum",
    Finding.DESTINATION_KIND: "multicast where unicast is configured, or the reverse",
    Finding.OWNER_IGNORES: "the owner of the addresses listens to nobody",
    Finding.ADDRESS_LIST: "its addresses are not ours",
    Finding.SOURCE_UNKNOWN: "its sender is no configured peer",
}


def _build(instance: Instance, priority: int, source: str) -> list[Datagram]:
    configuration = instance.configuration
    if configuration.unicast_peers:
        destinations = [peer.address for peer in configuration.unicast_peers]
        ttl = configuration.unicast_ttl
    else:
        destinations, ttl = [configuration.multicast_group], 255
    datagrams = []
    for destination in destinations:
        body = message(configuration, priority, source, destination, old_unicast=instance.old_unicast_checksum)
        # Identification 0: the kernel counts it.
        header = ipv4_header(source, destination, len(body), ttl, 0)
        datagrams.append(Datagram(header + body, sockaddr_in(destination)))
    return datagrams

"""What is heard and said on the wire: sockets by interface, packets to instances and adverts to packets."""

from __future__ import annotations

import errno
import os
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from functools import partial
from ipaddress import ip_address

from kad.child.multiplexer import Mux
from kad.linux.netlink.link import ANYWHERE
from kad.linux.netlink.network_table import Network
from kad.linux.refused import Refused
from kad.linux.sockets.epoll_set import ONCE, READABLE, Sockets
from kad.linux.sockets.ip_header import ipv4_header, ipv6_header
from kad.linux.sockets.sendmmsg import Datagram, Unsent, sockaddr_in, sockaddr_in6
from kad.linux.sockets.vrrp_interface import Outbox, Segment
from kad.linux.sockets.vrrp_socket import AH
from kad.shared.log import Logger
from kad.vrrp.advert import (
    GIVING_UP,
    Advertisement,
    Checksum,
    Examined,
    Finding,
    address_text,
    examine,
    virtual_router_id_of,
    with_findings,
)
from kad.vrrp.advert_rules import advert_destinations, message, packed
from kad.vrrp.auth.ah import LENGTH, AuthenticationHeader
from kad.vrrp.auth.trailer import HmacTrailer
from kad.vrrp.events import AdvertReceived, Event, State
from kad.vrrp.process.instance import Instance
from kad.vrrp.process.kernel.kernel_refusals import RefusedAdverts
from kad.vrrp.process.rejected_adverts import Complaints
from kad.vrrp.process.wire.resume_adverts import keep

_HARMLESS = (errno.ENETDOWN, errno.ENODEV, errno.ENXIO, errno.ENETUNREACH)
"""The link is told about elsewhere."""
_UNSENT = 0.5
"""Seconds beyond its interval for which an advert that did not leave counts as what is so now."""
_REST = 0.01
"""Seconds for which a socket with dense traffic is left alone at most: one reading then serves many packets."""
_PART_OF_INTERVAL = 0.1
"""It is not left alone for more of the shortest interval at which somebody speaks there."""
_DENSE = 2
"""So many readings in a row, each within that time of the one before, are dense traffic."""
_WORTHWHILE = 4
"""A rest after which fewer packets wait is the last one."""
_REMEMBERED = 1.0
"""Seconds for which traffic that has ceased counts as dense."""
_SOURCE = {4: slice(12, 16), 6: slice(8, 24)}
_DESTINATION = {4: slice(16, 20), 6: slice(24, 40)}
_TTL = {4: 8, 6: 7}
_LONGEST_READING = 0.02
"""Seconds after which a socket on which packets come as fast as they are read has to wait for its next turn."""
_LONGEST_DRAINING = 0.2
"""The same before a router decides that its master is down: its advert may wait behind a whole buffer of others."""

ConversationKey = tuple[str, int]


class Conversation:
    """One interface and family: its sockets while it is there, who listens, and what was last heard of whom."""

    def __init__(self, name: str, family: int) -> None:
        self.name = name
        self.family = family
        self.groups: set[str] = set()
        self.speakers = 0
        """Instances whose adverts leave here."""
        self.listeners: dict[int, list[Instance]] = {}
        self.ah = False
        """Somebody among them wants authentication headers."""
        self.receive_buffer = 0
        """Bytes that they want together; 0: nobody says."""
        self.segment: Segment | None = None
        self.failure = ""
        self.refusal: Refused | None = None
        """Why it has no sockets, or none as they should be."""
        self.source_refusal: Refused | None = None
        """Why they do not send from the address that they should."""
        self.unsent: tuple[int, float] | None = None
        """The errno with which adverts last did not leave, and when."""
        self.known: dict[bytes, int] = {}
        """The slot of a router by what its MASTER said last: an equal packet needs no second look. The key begins with
        the source address, since identification and checksum of the header before it differ each time."""
        self.rest = _REST
        """Seconds for which its sockets are left alone while traffic is dense."""
        self.read_at = 0.0
        self.streak = 0
        """Readings in a row that say dense."""
        self.dense = False
        """Whoever tells of a packet is told to wait: more of them come at once."""

    @property
    def where(self) -> str:
        """For people."""
        return self.name or "any interface"


class Conversations:
    """All sockets of the process that carry VRRP."""

    def __init__(
        self,
        mux: Mux,
        hearing: list[float | None],
        hear: Callable[[Instance, Event], None],
        turn: Callable[[Callable[[], object]], None],
        log: Logger,
        refused: RefusedAdverts,
    ) -> None:
        """`hearing` by slot, see Router; `hear` is told each advert that counts; `turn` runs every reading."""
        self._refused = refused
        self._mux = mux
        self._hear = hear
        self._turn = turn
        self._log = log
        self._unix = time.time
        self._has_opened = False
        """The kernel has given sockets to this process before."""
        self.deaf = False
        """Nothing that is heard counts, as during a startup delay."""
        self._complaints = Complaints(mux.now, log)
        self._conversations: dict[ConversationKey, Conversation] = {}
        self._by_name: dict[str, list[Conversation]] = {}
        self._sockets = Sockets()
        mux.watch(self._sockets.fileno(), self._sockets.serve, "receiving adverts")
        self._hearing = hearing
        self._ttls: list[int] = []
        """By slot: the TTL of what is known."""
        self._resting: list[Conversation] = []
        self._rest_ends = mux.alarm(lambda: self._turn(self._read_rested))
        self._retired: list[Segment] = []
        """Sockets of interfaces that are gone or have another name: a farewell may still leave by them in this turn."""
        self._last_words: dict[Instance, tuple[Outbox, list[Datagram]]] = {}
        """The farewells of MASTERs that have lost their way to send in this turn."""
        self.log_unknown = False
        self.counters: Counter[str] = Counter()
        """Of packets that belong to no instance, and of system calls that failed."""

    # sockets

    def arrange(self, network: Network, instances: Iterable[Instance]) -> None:
        """Have sockets on every interface that is there and wanted, and groups joined; on no other."""
        for conversation in self._conversations.values():
            conversation.listeners = {}
            conversation.groups = set()
            conversation.ah = False
            conversation.receive_buffer = 0
            conversation.speakers = 0
            conversation.rest = _REST
        for instance in instances:
            configuration = instance.configuration
            self._have(configuration.speaks_on, configuration.family).speakers += 1
            conversation = self._have(configuration.hears_on, configuration.family)
            if not configuration.unicast_peers:
                conversation.groups.add(configuration.multicast_group)
            conversation.ah |= isinstance(instance.seal, AuthenticationHeader)
            conversation.receive_buffer += configuration.receive_buffer
            conversation.rest = min(conversation.rest, configuration.advertisement_interval * _PART_OF_INTERVAL)
            conversation.listeners.setdefault(configuration.virtual_router_id, []).append(instance)
        self._by_name = {}
        for key, conversation in list(self._conversations.items()):
            if conversation.listeners or conversation.speakers:
                self._by_name.setdefault(conversation.name, []).append(conversation)
            else:
                self._retire(conversation)
                del self._conversations[key]
        for name in self._by_name:
            self.look_at(name, network)

    def _have(self, name: str, family: int) -> Conversation:
        return self._conversations.setdefault((name, family), Conversation(name, family))

    def look_at(self, name: str, network: Network) -> None:
        """The interface of this name may have come, gone or changed."""
        link = network.link(name) if name else ANYWHERE
        for conversation in self._by_name.get(name, ()):
            segment = conversation.segment
            if segment is not None and (
                link is None or link.index != segment.link.index or conversation.ah != segment.ah
            ):
                self._retire(conversation)
            conversation.failure, conversation.refusal = "", None
            if link is None:
                continue
            try:
                if conversation.segment is None:
                    conversation.segment = Segment(
                        link, conversation.family, ah=conversation.ah, receive_buffer=conversation.receive_buffer
                    )
                    self._listen(conversation, conversation.segment)
                conversation.segment.size(conversation.receive_buffer)
                conversation.segment.listen_to(conversation.groups)
            except Refused as refused:
                if refused.errno in (errno.EPERM, errno.EACCES) and not self._has_opened:
                    # What it lacks from the beginning it will never have.
                    raise
                conversation.failure, conversation.refusal = str(refused), refused
            else:
                self._has_opened = True

    def _listen(self, conversation: Conversation, segment: Segment) -> None:
        conversation.streak, conversation.dense = 0, False
        for descriptor in segment.filenos():
            self._sockets.add(descriptor, READABLE, lambda _events: self._told(conversation))

    def _retire(self, conversation: Conversation) -> None:
        """Its sockets receive nothing more, and send until the end of this turn."""
        segment, conversation.segment = conversation.segment, None
        conversation.source_refusal = None
        conversation.known.clear()
        if segment is None:
            return
        if conversation in self._resting:
            self._resting.remove(conversation)
        for descriptor in segment.filenos():
            self._sockets.forget(descriptor)
        self._retired.append(segment)

    def close_retired(self) -> None:
        """The end of a turn: what was to leave by them leaves."""
        self._last_words.clear()
        while self._retired:
            segment = self._retired.pop()
            segment.flush()
            segment.close()

    def failure(self, instance: Instance) -> str:
        """Why there is no socket for it although its interface is there; empty when there is one."""
        return self._of(instance).failure or self._mouth(instance).failure

    def refusal(self, name: str) -> Refused | None:
        """What the kernel refuses the sockets of the interface of this name."""
        found = (each.refusal or each.source_refusal for each in self._by_name.get(name, ()))
        return next((refusal for refusal in found if refusal is not None), None)

    def unsent(self, instance: Instance) -> str:
        """Why its adverts do not leave now; empty when they do."""
        mouth = self._mouth(instance)
        lately = instance.configuration.advertisement_interval + _UNSENT
        if mouth.unsent is None or self._mux.now() - mouth.unsent[1] > lately:
            return ""
        return f"adverts on {mouth.where}: {os.strerror(mouth.unsent[0])}"

    def equip(self, instance: Instance, source: str | None) -> bool:
        """Give it the sockets that its interface has now, and this source address; whether that is another one."""
        configuration, mouth = instance.configuration, self._mouth(instance)
        segment = mouth.segment
        multicast = not configuration.unicast_peers
        if segment is not None and source is not None and configuration.speaks_on != configuration.interface:
            try:
                segment.speak_as(source)
                mouth.source_refusal = None
            except Refused as refused:
                mouth.source_refusal = refused
        outbox = None if segment is None or source is None else segment.outbox[multicast]
        changed = source != instance.source
        if changed or outbox is not instance.outbox:
            moves = outbox is not None and self._is_elsewhere(instance, segment)
            if outbox is None or moves:
                self._keep_last_words(instance)
            self.forget(instance)
            instance.source, instance.outbox = source, outbox
            instance.segment = None if outbox is None else segment
            if moves and self._post_last_words(instance):
                # It goes on as MASTER by another interface of that name, where no router knows it yet.
                self.post(instance, instance.router.priority)
        return changed

    @staticmethod
    def _is_elsewhere(instance: Instance, segment: Segment | None) -> bool:
        old = instance.segment
        return old is not None and segment is not None and old.link.index != segment.link.index

    def _keep_last_words(self, instance: Instance) -> None:
        """A MASTER loses its way to send: its farewell is made while what it is made of is known."""
        if instance.outbox is not None and instance.segment is not None and instance.router.holds_addresses:
            self._advance(instance)
            self._last_words[instance] = instance.outbox, self._build(instance, GIVING_UP)

    def _post_last_words(self, instance: Instance) -> bool:
        outbox, datagrams = self._last_words.pop(instance, (None, []))
        if outbox is None:
            return False
        outbox.datagrams += datagrams
        return True

    def part_from(self, instance: Instance, destinations: Collection[str]) -> bool:
        """Say farewell to these alone, in the words of the configuration until now; False when there is no way to."""
        if instance.outbox is None:
            return False
        self._advance(instance)
        instance.outbox.datagrams += self._build(instance, GIVING_UP, destinations)
        return True

    def _of(self, instance: Instance) -> Conversation:
        """Where it hears others."""
        return self._conversations[instance.configuration.hears_on, instance.configuration.family]

    def _mouth(self, instance: Instance) -> Conversation:
        """Where its adverts leave."""
        return self._conversations[instance.configuration.speaks_on, instance.configuration.family]

    def attend(self, instance: Instance) -> None:
        """Its slot is known now."""
        lacking = instance.slot + 1 - len(self._hearing)
        self._hearing += [None] * lacking
        self._ttls += [0] * lacking
        instance.router.listen(self._hearing, instance.slot)

    # sending

    def forget(self, instance: Instance) -> None:
        """Whatever was built or remembered for this instance no longer holds."""
        instance.lose_voice()
        self._of(instance).known.pop(instance.known_content, None)

    def post(self, instance: Instance, priority: int) -> bool:
        """Send an advert with the next flush(); False when there is no way to."""
        if instance.outbox is None:
            return priority == GIVING_UP and self._post_last_words(instance)
        voice = instance.voice
        if voice is None or priority != instance.kept_priority:
            voice = self._find_voice(instance, priority)
        instance.outbox.datagrams += voice
        return True

    def _find_voice(self, instance: Instance, priority: int) -> list[Datagram]:
        """The packets of its next advert, built anew; unless they are numbered, those that follow are the same."""
        self._advance(instance)
        voice = self._build(instance, priority)
        if priority != instance.kept_priority:
            assert instance.segment is not None
            keep(self._mux.page, instance, priority, instance.segment.link, voice)
        if instance.seal is None:
            instance.voice = voice
        return voice

    def _build(self, instance: Instance, priority: int, destinations: Collection[str] | None = None) -> list[Datagram]:
        """For these destinations; None: all that it has."""
        configuration, source, segment = instance.configuration, instance.source, instance.segment
        assert source is not None
        assert segment is not None
        ttl = configuration.unicast_ttl if configuration.unicast_peers else 255
        datagrams = []
        seal = instance.seal
        for destination in advert_destinations(configuration) if destinations is None else destinations:
            body = message(configuration, priority, source, destination, old_unicast=instance.old_unicast_checksum)
            if isinstance(seal, HmacTrailer):
                body = seal.attach(body, packed(source), packed(destination))
            if isinstance(seal, AuthenticationHeader):
                header = ipv4_header(source, destination, LENGTH + len(body), ttl, seal.identification, AH)
                packet = header + seal.header(header, body) + body
                datagrams.append(Datagram(packet, sockaddr_in(destination)))
            elif configuration.family == 4:
                # Identification 0: the kernel counts it.
                packet = ipv4_header(source, destination, len(body), ttl, 0) + body
                datagrams.append(Datagram(packet, sockaddr_in(destination)))
            else:
                packet = ipv6_header(source, destination, len(body), ttl) + body
                datagrams.append(Datagram(packet, sockaddr_in6(destination, segment.link.index)))
        return datagrams

    def _advance(self, instance: Instance) -> None:
        """What authenticates the adverts of this instance takes its next number, which outlives this process."""
        match instance.seal:
            case HmacTrailer() as seal:
                seal.advance(self._unix())
            case AuthenticationHeader() as seal:
                seal.advance()
            case _:
                return
        self._mux.page.sequence[instance.slot] = seal.sequence

    def flush(self) -> None:
        """Let everything leave that was posted, in one system call a socket."""
        for conversation in self._conversations.values():
            segment = conversation.segment
            if segment is not None:
                unsent = segment.flush()
                if unsent:
                    self._complain_unsent(conversation, unsent)

    def _complain_unsent(self, conversation: Conversation, unsent: list[Unsent]) -> None:
        conversation.unsent = unsent[-1].errno, self._mux.now()
        for each in unsent:
            self.counters[f"unsent: {os.strerror(each.errno)}"] += 1
        for reason in {each.errno for each in unsent if each.errno not in _HARMLESS}:
            where = conversation.where
            self._complaints.rarely((where, reason), f"cannot send adverts on {where}: {os.strerror(reason)}")

    # receiving

    def drain(self, instances: Iterable[Instance]) -> None:
        """Read what already waits for these instances, also behind a flood."""
        for conversation in {id(each): each for each in map(self._of, instances)}.values():
            self._take_all(conversation, _LONGEST_DRAINING)

    def _told(self, conversation: Conversation) -> None:
        """Something can be read."""
        if conversation.dense and self._mux.now() - conversation.read_at < _REMEMBERED:
            self._rest(conversation)
        else:
            self._turn(partial(self._read, conversation))

    def _rest(self, conversation: Conversation) -> None:
        if not self._resting:
            self._rest_ends.set(self._mux.now() + conversation.rest)
        if conversation not in self._resting:
            self._resting.append(conversation)

    def _read_rested(self) -> None:
        """Read the sockets that have rested; they tell of the next packet."""
        rested, self._resting = self._resting, []
        for conversation in rested:
            read, is_empty = self._take_all(conversation)
            # Where more wait than one reading takes there is no time to rest, or real adverts are lost among others.
            self._become(conversation, dense=is_empty and read >= _WORTHWHILE)
            conversation.read_at = self._mux.now()

    def _read(self, conversation: Conversation) -> None:
        now = self._mux.now()
        conversation.streak = conversation.streak + 1 if now - conversation.read_at < conversation.rest else 0
        conversation.read_at = now
        if conversation.dense or conversation.streak >= _DENSE:
            self._become(conversation, dense=conversation.streak >= _DENSE)
        _, is_empty = self._take_all(conversation)
        if conversation.dense and not is_empty:
            self._become(conversation, dense=False)

    def _become(self, conversation: Conversation, *, dense: bool) -> None:
        """Have its sockets tell of the next packet, and when that traffic is dense, not of those that follow it."""
        if conversation.segment is not None:
            conversation.streak, conversation.dense = 0, dense
            for descriptor in conversation.segment.filenos():
                self._sockets.change(descriptor, READABLE | ONCE if dense else READABLE)

    def _take_all(self, conversation: Conversation, longest: float = _LONGEST_READING) -> tuple[int, bool]:
        """Read what waits, but no flood to its end; how many packets that were, and whether no more wait."""
        total, is_empty, until = 0, True, self._mux.now() + longest
        known = conversation.known
        content_at, ttl_at = _SOURCE[conversation.family].start, _TTL[conversation.family]
        hearing, ttls, counts = self._hearing, self._ttls, self._mux.page.received
        while conversation.segment is not None:
            try:
                packets = conversation.segment.receive()
            except Refused as refused:
                self.counters[f"receiving: {os.strerror(refused.errno)}"] += 1
                break
            now = self._mux.now()
            for packet in packets:
                # Thousands of times a second: as little memory is touched as there can be.
                slot = known.get(packet[content_at:])
                if slot is not None and hearing[slot] is not None and packet[ttl_at] == ttls[slot]:
                    hearing[slot] = now
                    counts[slot] += 1
                else:
                    self._take(conversation, packet)
            total += len(packets)
            if conversation.segment is None or len(packets) < conversation.segment.capacity:
                break
            if now > until:
                is_empty = False
                break
        return total, is_empty

    def _take(self, conversation: Conversation, packet: bytes) -> None:
        """A packet that is not the repetition of one that counted."""
        family = conversation.family
        source = packet[_SOURCE[family]]
        virtual_router_id = virtual_router_id_of(packet, family)
        if virtual_router_id is None:
            self.counters["truncated"] += 1
            return
        listeners = conversation.listeners.get(virtual_router_id)
        if listeners is None:
            self._count_unknown(conversation, virtual_router_id, source)
            return
        if len(listeners) > 1:
            listeners = _meant(listeners, packet, family)
            if not listeners:
                self.counters["for_no_peer"] += 1
        for instance in listeners:
            examined = self._examine(instance, packet, source)
            if examined is None or instance.router.master is not examined.advert:
                continue
            conversation.known.pop(instance.known_content, None)
            if not examined.findings and len(listeners) == 1 and instance.seal is None:
                instance.known_content = packet[_SOURCE[family].start :]
                self._ttls[instance.slot] = packet[_TTL[family]]
                conversation.known[instance.known_content] = instance.slot

    def _count_unknown(self, conversation: Conversation, virtual_router_id: int, source: bytes) -> None:
        self.counters["unknown_vrid"] += 1
        if self.log_unknown:
            self._complaints.rarely(
                (conversation.name, conversation.family, virtual_router_id),
                f"Unknown VRID {virtual_router_id} on {conversation.where} from {ip_address(source)}: "
                "not configured here",
            )

    def _examine(self, instance: Instance, packet: bytes, source: bytes) -> Examined | None:
        """Hand the router an advert that counts; None when it does not."""
        if self.deaf or instance.router.state not in (State.BACKUP, State.MASTER):
            instance.counters["ignored_while_not_taking_part"] += 1
            return None
        examined = self._judge(instance, packet, source, examine(packet, instance.expected))
        if instance.configuration.skip_check_adv_addr and self._is_master(instance, examined.advert):
            examined = replace(examined, findings=_without_address_list(examined.findings))
        for finding in examined.findings:
            instance.discarded[finding] += 1
        peer = address_text(source)
        if examined.findings:
            self._complaints.about(instance, peer, examined)
        self._refused.note(instance, peer, examined)
        advert = examined.advert
        if examined.rejection is not None or advert is None:
            return None
        self._look_at_checksum(instance, examined, advert.source)
        self._mux.page.received[instance.slot] += 1
        if advert.priority == 0:
            instance.counters["pri_zero_rcvd"] += 1
        self._hear(instance, AdvertReceived(advert))
        if advert.priority and instance.router.master is advert:
            instance.last_master_priority = advert.priority
        self._mux.page.interval[instance.slot] = instance.router.master_advertisement_interval
        return examined

    @staticmethod
    def _is_master(instance: Instance, advert: Advertisement | None) -> bool:
        """Whether the advert comes from whom the last accepted one came."""
        master = instance.router.master
        return advert is not None and master is not None and advert.source == master.source

    def _judge(self, instance: Instance, packet: bytes, source: bytes, examined: Examined) -> Examined:
        match instance.seal:
            case HmacTrailer() as trailer:
                examined = trailer.judge(source, examined, self._unix())
                if (mark := trailer.mark(source)) is not None:
                    self._mux.page.mark(instance.slot, *mark)
            case AuthenticationHeader() as header:
                examined = header.judge(packet, examined)
                self._mux.page.sequence[instance.slot] = header.sequence
        if examined.checksum is Checksum.OLD_UNICAST and instance.configuration.old_unicast_checksum == "never":
            return with_findings(examined, Finding.CHECKSUM)
        return examined

    def _look_at_checksum(self, instance: Instance, examined: Examined, source: str) -> None:
        theirs, ours = examined.checksum, instance.checksum
        if theirs is ours or theirs is None:
            return
        if theirs is Checksum.OLD_UNICAST:
            self._log.info(f"({instance.name}) {source} uses the old unicast checksum: using it too")
            instance.old_unicast_checksum = True
            self.forget(instance)
        else:
            self._complaints.of_checksum(instance, source, theirs, ours)


def _meant(listeners: Sequence[Instance], packet: bytes, family: int) -> list[Instance]:
    """For which of several routers of one VRID a packet is: those of groups, or the one whose peer sent it."""
    destination = packet[_DESTINATION[family]]
    if ip_address(destination).is_multicast:
        return [each for each in listeners if not each.configuration.unicast_peers]
    unicast = [each for each in listeners if each.configuration.unicast_peers]
    if len(unicast) < 2:
        return unicast
    source = str(ip_address(packet[_SOURCE[family]]))
    return [each for each in unicast if any(peer.address == source for peer in each.configuration.unicast_peers)]


def _without_address_list(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    return tuple(finding for finding in findings if finding is not Finding.ADDRESS_LIST)

"""One host: its routers, its addresses and a clock of its own that may run fast or slow."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from ipaddress import ip_address

from kad.linux.sockets.ip_header import ipv4_header, ipv6_header
from kad.model.cause import TrackedChanged
from kad.model.vrrp import VrrpInstance
from kad.shared.state_machine import DeadlineReached, Deadlines
from kad.simulation.chronicle import Birth, Held, Seat, Sent, Setting, Transition
from kad.simulation.chronicle import Heard as HeardAdvert
from kad.simulation.lan import Lan
from kad.vrrp.advert import AUTHENTICATION_HEADER, Advertisement, Expectation, examine, virtual_router_id_of
from kad.vrrp.advert_rules import Seal, expectation, message, packed, seal
from kad.vrrp.auth.ah import LENGTH, AuthenticationHeader
from kad.vrrp.auth.trailer import HmacTrailer
from kad.vrrp.events import (
    Action,
    AdvertReceived,
    CaughtUp,
    ChangeState,
    Event,
    FaultsChanged,
    HoldAddresses,
    PriorityChanged,
    Reconfigured,
    ReleaseAddresses,
    Resumed,
    SendAdvert,
    SourceChanged,
    Started,
    State,
    Stopped,
    Woken,
)
from kad.vrrp.group import SyncGroup
from kad.vrrp.router import Router

_SOURCE = {4: slice(12, 16), 6: slice(8, 24)}
"""Where the source address stands in a datagram."""
_EPOCH = 1.8e9
"""What a right clock shows when the timeline begins."""


@dataclass(slots=True)
class Place:
    """A router with what was built for it."""

    router: Router
    expected: Expectation
    seat: Seat
    seal: Seal | None = None
    group: SyncGroup | None = None
    spoke_at: float = 0.0
    """Local moment of its last advert."""
    adverts: dict[int, list[tuple[str, bytes]]] = field(default_factory=dict)
    known: dict[bytes, tuple[bytes, Advertisement]] = field(default_factory=dict)
    """The last packet of a source that counted without any finding."""

    @property
    def deadline(self) -> float | None:
        return self.router.deadline


class Host:
    """Drives real routers of its own family; `rate` is how many of its own seconds pass in one of the timeline."""

    def __init__(self, name: str, address: str, lan: Lan, *, rate: float = 1.0, lateness: float = 0.0) -> None:
        self.name = name
        self.address = address
        self.family = 6 if ":" in address else 4
        self.lan = lan
        self.rate = rate
        self.lateness = lateness
        """Seconds by which a timer may be served late, at random."""
        self.clock_error = 0.0
        """Seconds by which its clock is wrong."""
        self._sequences: dict[str, int] = {}
        """The numbers of the process that was killed last, by router."""
        self.addresses: set[str] = set()
        """What the kernel holds; it outlives the process."""
        self.places: dict[str, Place] = {}
        self.awake = True
        self._waiting: list[bytes] = []
        self._deadlines: Deadlines[Place] = Deadlines()
        self._alarm: float | None = None
        self._life = 0
        lan.attach(self)

    @property
    def now(self) -> float:
        """Its own clock."""
        return self.lan.now * self.rate

    @property
    def unix(self) -> float:
        """What its clock shows."""
        return _EPOCH + self.lan.now + self.clock_error

    @property
    def runs(self) -> bool:
        return bool(self.places)

    # life

    def boot(self, instances: Iterable[VrrpInstance], groups: Iterable[tuple[str, ...]] = ()) -> None:
        """Start the process; each group is the names of its members."""
        self._create(instances, groups)
        for place in self._all():
            self.lan.chronicle.started.append(Birth(self.lan.now, place.seat, State.INIT))
            self._tell(place, Started())
        self._arm()

    def _create(self, instances: Iterable[VrrpInstance], groups: Iterable[tuple[str, ...]]) -> None:
        number = int(ip_address(self.address))
        for instance in instances:
            assert instance.family == self.family
            router = Router(instance)
            router.handle(SourceChanged(number), self.now)
            seat = Seat(self.name, instance.name)
            self.places[instance.name] = Place(router, expectation(instance, router.priority), seat, seal(instance))
            self._note_setting(self.places[instance.name])
        for members in groups:
            places = [self.places[name] for name in members]
            group = SyncGroup("+".join(members), [place.router for place in places])
            for place in places:
                place.group = group
                place.router.grouped = True

    def crash(self) -> None:
        """Power is gone, and all addresses with it."""
        self._end()
        for address in sorted(self.addresses):
            self._place_address(address, present=False)

    def kill(self) -> dict[str, Resumed]:
        """The process is gone and its addresses stay; what another one could go on from."""
        before = {name: Resumed(place.router.state, place.spoke_at) for name, place in self.places.items()}
        self._sequences = {name: place.seal.sequence for name, place in self.places.items() if place.seal}
        self._end()
        return before

    def replace(
        self,
        before: dict[str, Resumed],
        instances: Iterable[VrrpInstance],
        groups: Iterable[tuple[str, ...]] = (),
    ) -> None:
        """Start the process again after kill(), so that it goes on."""
        self._create(instances, groups)
        for place in self._all():
            event = before[place.router.name]
            if place.seal is not None:
                place.seal.sequence = self._sequences[place.router.name]
            self.lan.chronicle.started.append(Birth(self.lan.now, place.seat, event.state))
            self._tell(place, event)
        self._arm()

    def stop(self, patience: float | None = None) -> None:
        """Leave in order; with patience (seconds) addresses are handed over before they are released."""
        until = None if patience is None else self.now + patience
        for place in self._all():
            self._tell(place, Stopped(handover_until=until))
        self._arm()

    @property
    def stopped(self) -> bool:
        return all(place.router.state is State.STOP for place in self._all())

    def _end(self) -> None:
        self.places = {}
        self._deadlines = Deadlines()
        self._alarm = None
        self._waiting = []
        self.awake = True
        self._life += 1

    def sleep(self, seconds: float) -> None:
        """The process does not run for a while; packets wait on its sockets."""
        self.awake = False
        self.lan.timeline.at(self.lan.now + seconds, partial(self._wake, self._life))

    def _wake(self, life: int) -> None:
        if life != self._life or self.awake:
            return
        self.awake = True
        self.lan.chronicle.slept.append((self.lan.now, self.name))
        earliest = self._deadlines.next()
        late = 0.0 if earliest is None else self.now - earliest
        asleep = [place for place in self._all() if place.router.may_be_replaced_after(late)]
        for place in asleep:
            self._tell(place, Woken(late))
        waiting, self._waiting = self._waiting, []
        for datagram in waiting:
            self._take(datagram)
        for place in asleep:
            self._tell(place, CaughtUp())
        if self._alarm is None or self._alarm <= self.now:
            self._fall_due(life, self._alarm)

    # what happens to its routers

    def reload(self, instances: Iterable[VrrpInstance]) -> None:
        """Take the instances as they are now; which ones there are does not change."""
        for instance in instances:
            place = self.places[instance.name]
            old = place.router.configuration
            if instance == old:
                continue
            if place.router.holds_addresses:
                for address in sorted(_addresses(old) - _addresses(instance)):
                    self._place_address(address, present=False)
            place.adverts.clear()
            place.known.clear()
            self._tell(place, PriorityChanged(instance.priority, TrackedChanged(contributions=())))
            self._tell(place, Reconfigured(instance))
            place.expected = expectation(instance, place.router.priority)
            place.seal = seal(instance, place.seal)
            self._note_setting(place)
        self._arm()

    def fail(self, name: str, faults: frozenset[str]) -> None:
        """All that is wrong with one instance now; nothing: it is well again."""
        self._tell(self.places[name], FaultsChanged(faults))
        self._arm()

    def prefer(self, name: str, priority: int) -> None:
        """A tracked thing gives it another effective priority."""
        place = self.places[name]
        self._tell(place, PriorityChanged(priority, TrackedChanged(contributions=())))
        place.expected = expectation(place.router.configuration, priority)
        self._note_setting(place)
        self._arm()

    def receive(self, datagram: bytes) -> None:
        """A packet arrived on the segment."""
        if not self.places:
            return
        if not self.awake:
            self._waiting.append(datagram)
            return
        self._take(datagram)
        self._arm()

    def _take(self, datagram: bytes) -> None:
        virtual_router_id = virtual_router_id_of(datagram, self.family)
        for place in self.places.values():
            router = place.router
            if router.configuration.virtual_router_id != virtual_router_id:
                continue
            if router.state is not State.BACKUP and router.state is not State.MASTER:
                continue
            known = place.known.get(datagram[_SOURCE[self.family]])
            if known is not None and known[0] == datagram and router.master is known[1] and router.repeat(self.now):
                self._note_heard(place, known[1])
            else:
                self._examine(place, datagram)

    def _examine(self, place: Place, datagram: bytes) -> None:
        examined = examine(datagram, place.expected)
        match place.seal:
            case AuthenticationHeader() as header:
                examined = header.judge(datagram, examined)
            case HmacTrailer() as trailer:
                examined = trailer.judge(datagram[_SOURCE[self.family]], examined, self.unix)
        advert = examined.advert
        if advert is None or examined.rejection is not None:
            self.lan.chronicle.discarded += 1
            return
        self._note_heard(place, advert)
        self._tell(place, AdvertReceived(advert))
        if place.router.master is advert and not examined.findings and place.seal is None:
            place.known[datagram[_SOURCE[self.family]]] = (datagram, advert)

    # time

    def _arm(self) -> None:
        """Look at the earliest deadline again."""
        for place in self.places.values():
            self._deadlines.watch(place)
        moment = self._deadlines.next()
        if moment is None or (self._alarm is not None and self._alarm <= moment):
            return
        self._alarm = moment
        late = self.lan.random.uniform(0.0, self.lateness) if self.lateness else 0.0
        self.lan.timeline.at(moment / self.rate + late, partial(self._fall_due, self._life, moment))

    def _fall_due(self, life: int, alarm: float | None) -> None:
        if life != self._life or alarm != self._alarm or not self.awake:
            return
        self._alarm = None
        now = max(self.now, alarm or 0.0)
        for place in list(self._deadlines.due(now)):
            deadline = place.deadline
            if deadline is None or deadline > now:
                continue
            if place.router.beat(deadline, now):
                self._do(place, SendAdvert(place.router.priority))
            else:
                self._tell(place, DeadlineReached(), now)
        self._arm()

    # what its routers want

    def _all(self) -> list[Place]:
        return list(self.places.values())

    def _tell(self, place: Place, event: Event, now: float | None = None) -> None:
        moment = self.now if now is None else now
        if place.group is None:
            for action in place.router.handle(event, moment):
                self._do(place, action)
            return
        for router, action in place.group.handle(place.router, event, moment):
            self._do(self.places[router.name], action)

    def _do(self, place: Place, action: Action) -> None:
        match action:
            case SendAdvert(priority):
                place.spoke_at = self.now
                self.lan.chronicle.sent.append(Sent(self.lan.now, place.seat, priority))
                for destination, datagram in self._packets(place, priority):
                    self.lan.send(self, destination, datagram)
            case HoldAddresses():
                for address in sorted(_addresses(place.router.configuration)):
                    self._place_address(address, present=True)
            case ReleaseAddresses():
                for address in sorted(_addresses(place.router.configuration)):
                    self._place_address(address, present=False)
            case ChangeState(old, new, cause):
                self.lan.chronicle.transitions.append(Transition(self.lan.now, place.seat, old, new, cause))
            case _:
                pass

    def _packets(self, place: Place, priority: int) -> list[tuple[str, bytes]]:
        if place.seal is not None:
            return self._sealed(place, place.seal, priority)
        packets = place.adverts.get(priority)
        if packets is None:
            packets = place.adverts[priority] = [
                (destination, self._headed(body, destination)) for destination, body in self._bodies(place, priority)
            ]
        return packets

    def _bodies(self, place: Place, priority: int) -> list[tuple[str, bytes]]:
        configuration = place.router.configuration
        destinations = [peer.address for peer in configuration.unicast_peers] or [configuration.multicast_group]
        return [
            (destination, message(configuration, priority, self.address, destination, old_unicast=False))
            for destination in destinations
        ]

    def _headed(self, body: bytes, destination: str) -> bytes:
        if self.family == 4:
            return ipv4_header(self.address, destination, len(body), 255, 0) + body
        return ipv6_header(self.address, destination, len(body), 255) + body

    def _sealed(self, place: Place, mark: Seal, priority: int) -> list[tuple[str, bytes]]:
        packets = []
        if isinstance(mark, HmacTrailer):
            mark.advance(self.unix)
        else:
            mark.advance()
        for destination, body in self._bodies(place, priority):
            if isinstance(mark, HmacTrailer):
                whole = self._headed(mark.attach(body, packed(self.address), packed(destination)), destination)
            else:
                length = LENGTH + len(body)
                head = ipv4_header(self.address, destination, length, 255, mark.identification, AUTHENTICATION_HEADER)
                whole = head + mark.header(head, body) + body
            packets.append((destination, whole))
        return packets

    def _place_address(self, address: str, *, present: bool) -> None:
        if present == (address in self.addresses):
            return
        if present:
            self.addresses.add(address)
        else:
            self.addresses.discard(address)
        self.lan.chronicle.holding.append(Held(self.lan.now, self.name, address, present))

    def _note_heard(self, place: Place, advert: Advertisement) -> None:
        self.lan.chronicle.heard.append(
            HeardAdvert(self.lan.now, place.seat, advert.priority, advert.interval, advert.source_number)
        )

    def _note_setting(self, place: Place) -> None:
        router = place.router
        self.lan.chronicle.settings.append(Setting(self.lan.now, place.seat, router.configuration, router.priority))


def _addresses(instance: VrrpInstance) -> set[str]:
    return {each.address for each in (*instance.virtual_addresses, *instance.excluded_addresses)}

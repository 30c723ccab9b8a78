"""The vrrp process: joins routers to sockets, the network and the other processes; decides nothing itself."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Callable, Iterable
from functools import partial
from math import inf

from kad.child.multiplexer import Mux
from kad.linux.netlink.address import Address
from kad.linux.netlink.network_table import AddressChanged, LinkChanged, Network
from kad.linux.sockets.ethernet_sender import FrameSender
from kad.linux.sockets.packet_sockets import PacketSockets
from kad.model import secret
from kad.model.cause import AddressesTaken, TrackedChanged
from kad.model.fault import Fault
from kad.model.problem import Problem
from kad.model.vrrp import VrrpInstance, VrrpSlice
from kad.shared.log import Logger
from kad.shared.messages import Earlier, HostBefore, IpvsState, Message, Observation, Resume
from kad.shared.shared_page import SLOTS
from kad.tracking.priority import Verdict
from kad.vrrp.advert_rules import parted, source_number, successions
from kad.vrrp.auth.trailer import HmacTrailer
from kad.vrrp.events import (
    AddressesRemoved,
    Announce,
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
)
from kad.vrrp.group import Step, SyncGroup
from kad.vrrp.kernel_calls import CONSEQUENCES, KernelCall, KernelRefusal
from kad.vrrp.process import netlink_log
from kad.vrrp.process.dependency_index import Surroundings
from kad.vrrp.process.dump import plain_groups, plain_instances, plain_interfaces
from kad.vrrp.process.instance import Instance
from kad.vrrp.process.kernel.addresses import Holding
from kad.vrrp.process.kernel.firewall import Firewall
from kad.vrrp.process.kernel.igmp_reports import GroupReports
from kad.vrrp.process.kernel.interface_faults import Ground, ground, standing, without_ipvs
from kad.vrrp.process.kernel.kernel_refusals import RefusedAdverts
from kad.vrrp.process.kernel.link_states import LinkStates
from kad.vrrp.process.kernel.promote_secondaries import Promotion
from kad.vrrp.process.kernel.required_interfaces import lacking
from kad.vrrp.process.kernel.routes import Routing
from kad.vrrp.process.kernel.saved_sysctls import HostMemory
from kad.vrrp.process.kernel.static_objects import NAME as STATIC
from kad.vrrp.process.kernel.static_objects import Statics
from kad.vrrp.process.kernel.virtual_interfaces import Devices
from kad.vrrp.process.notifications import Telling
from kad.vrrp.process.problems import Clocks, missing_addresses, problems_of, problems_of_refusals
from kad.vrrp.process.retries import Retries, objects_of, of_instance, of_interface
from kad.vrrp.process.timers.action_queue import Deeds
from kad.vrrp.process.timers.dispatcher import Course
from kad.vrrp.process.tracked_values import Tracking
from kad.vrrp.process.wire.address_conflicts import Claims
from kad.vrrp.process.wire.advert_sockets import Conversations
from kad.vrrp.process.wire.gratuitous_arp import Announcing
from kad.vrrp.process.wire.resume_adverts import say_again

_TAKEN_AWAY = Fault("its addresses are removed again and again by somebody else", "address", "")


def let_go(release_slice: bytes, names: frozenset[str] | None, log: Logger) -> None:
    """Release what a life that died held for these instances (None: all); for a process that does nothing else.

    It sends no packet and needs CAP_NET_ADMIN alone.
    """
    room = Room(Mux(), lambda message: None, log, PacketSockets.unused())
    room.prepare(0, release_slice)
    room.release(names)
    if names is None:
        room.unmake()


class Room:
    """A kad.child.main.Room."""

    def __init__(
        self, mux: Mux, say: Callable[[Message], None], log: Logger, kept: PacketSockets | None = None
    ) -> None:
        """`kept` are sockets that outlive this process."""
        self._mux = mux
        self._say = say
        self._log = log
        self.network = Network()
        self.instances: list[Instance] = []
        self._groups: dict[str, SyncGroup] = {}
        self._slice = VrrpSlice()
        self._prepared: VrrpSlice | None = None
        self._surroundings = Surroundings(())
        self._born_at = mux.now()
        """The startup delay counts from here: from the first configuration on."""
        self._starts_at: float | None = None
        self._free_slots = list(range(SLOTS))
        self._earlier: dict[str, Earlier] = {}
        self._ipvs: IpvsState | None = None
        """None: nothing is known yet."""
        self._parted: list[Instance] = []
        """MASTERs that a reload made another router for some of those that they spoke to."""
        self._succeeding: frozenset[str] = frozenset()
        """Instances that begin in the place of a MASTER that had their name and another interface, VRID or family."""
        self._leaving: asyncio.Future[None] | None = None
        hearing: list[float | None] = []
        self._course = Course(mux, log, hearing, self._end_of_turn)
        self._refused_adverts = RefusedAdverts(mux, say, log, self._course.tell, self._course.turn)
        self._conversations = Conversations(
            mux, hearing, self._course.tell, self._course.turn, log, self._refused_adverts
        )
        self._retries = retries = Retries(mux, log, self._course.at, self._concern)
        self._holding = Holding(mux, log, self.network, self._course.at, self._put_back, retries)
        self._routing = Routing(mux, log, self.network, self._course.at, self._give_up, retries)
        self._statics = Statics(self._holding, self._routing)
        self._host_memory = HostMemory(say)
        self._promotion = Promotion(self._host_memory, log, retries)
        self._group_reports = GroupReports(self._host_memory, log, retries)
        self._link_states = LinkStates(mux, log, self.network, self._course.at, self._reconsider)
        self._tracking = Tracking(self.network, self._link_states.is_up)
        self._telling = Telling(say)
        sockets = kept or PacketSockets.open()
        self._frames = FrameSender(sockets.frames)
        self._announcing = announcing = Announcing(mux, log, self._frames, self.network, retries, self._announce_again)
        self._devices = Devices(mux, log, self.network, self._course.at, retries, self._course.keep_pace)
        self._firewall = Firewall(mux, log, self.network, self._course.at, self._telling.event, retries)
        self._deeds = Deeds(
            mux,
            say,
            log,
            self._conversations,
            self._holding,
            self._routing,
            announcing,
            self._telling,
            self._firewall,
        )
        self._course.begin(self._conversations, self._deeds)
        self._claims = Claims(mux, log, self.network, sockets.arp, self._course.turn, self._course.tell, retries)
        mux.watch(self.network.fileno(), self._read_network, "reading what the kernel says of interfaces")
        self.network.read_later = lambda: self._course.at(mux.now(), self._read_network)

    # configuration

    def prepare(self, generation: int, slice_bytes: bytes) -> None:
        prepared = secret.decode(slice_bytes, VrrpSlice)
        if len(prepared.instances) > SLOTS:
            raise ValueError(f"{len(prepared.instances)} instances are more than the {SLOTS} that one process serves")
        self._prepared = prepared

    def abandon(self) -> None:
        self._prepared = None

    def commit(self, generation: int) -> None:
        assert self._prepared is not None
        new, self._prepared = self._prepared, None
        self.network.size(new.netlink)
        self._group_reports.arrange(new.filtering)
        for _ in self._statics.change(new):
            self._course.keep_pace()
        # An address that came with them may be one to send from.
        self._read_network()
        before = {instance.name: instance for instance in self.instances}
        goes_on = successions([instance.configuration for instance in self.instances], new.instances)
        first = generation == 1 and not self._earlier
        devices = [device for configuration in new.instances for device in configuration.devices]
        self._devices.want(devices)
        kept = frozenset(goes_on.values())
        gone = [instance for name, instance in before.items() if name not in kept]
        self._succeeding = frozenset(instance.name for instance in gone if instance.router.holds_addresses)
        for instance in gone:
            self._remove(instance)
        self._take_slots_of_earlier_lives()
        self.instances = [
            self._keep(before[goes_on[each.name]], each) if each.name in goes_on else self._add(each)
            for each in new.instances
        ]
        self._slice = new
        settled = self._form_groups()
        held = {name for name, earlier in self._earlier.items() if earlier.state.holds_addresses}
        self._firewall.arrange(new.filtering, self.instances, devices, held)
        self._deeds.then(partial(self._devices.let_go, devices))
        self._surroundings = Surroundings(self.instances, self._statics)
        self._routing.follow(
            [*self.instances, *self._statics.holders], new.netlink, partial(self._course.turn, self._read_routing)
        )
        self._announcing.take_turns(new.garp_groups)
        # What was removed is told with the generation before.
        self._deeds.then(partial(self._telling.follow, new, generation))
        self._course.follow(settled)
        self._conversations.log_unknown = new.log_unknown_vrids
        if first or self._starts_at is not None:
            self._delay_startup(new, begins=first)
        self._promote()
        self._link_states.follow(new.link_delays, new.polled_links)
        self._conversations.arrange(self.network, self.instances)
        self._refused_adverts.keep(self.instances)
        self._look_at(_interfaces_of(self.instances))
        self._speak_anew()
        self._foresee()
        for instance in self.instances:
            if instance.router.state is not State.INIT:
                self._judge_again([instance], reloaded=True)
            elif self._starts_at is None:
                self._start(instance)
            self._course.keep_pace()
        if before and new.fifo_states_on_reload:
            groups = {name: group.state for name, group in self._groups.items()}
            self._deeds.then(partial(self._telling.again, self.instances, groups))
        self._earlier = {}
        self._course.finish()
        self._claims.listen_for(self.instances)

    def _promote(self) -> None:
        asking = (each.configuration for each in self.instances if each.configuration.promote_secondaries)
        self._promotion.ask(each.interface for each in asking if each.family == 4 and each.interface)

    def _foresee(self) -> None:
        """No member of a sync group may begin as BACKUP, and say so, when another one begins in FAULT."""
        if self._earlier:
            return
        starting = {instance.name: instance for instance in self.instances if instance.router.state is State.INIT}
        for group in self._groups.values():
            members = [starting[member.name] for member in group.members if member.name in starting]
            verdicts = {member.name: self._judge(member) for member in members}
            faults = {member.name: verdicts[member.name].faults | member.own_faults for member in members}
            group.foresee(faults, {name for name, verdict in verdicts.items() if verdict.pending})

    def _delay_startup(self, new: VrrpSlice, *, begins: bool) -> None:
        """The delays count from the first configuration and from the boot, also when a reload changes them."""
        now = self._mux.now()
        if begins:
            self._born_at = now
        booted_at = now - time.clock_gettime(time.CLOCK_BOOTTIME)
        starts_at = max(self._born_at + new.startup_delay, booted_at + new.delay_after_boot)
        if starts_at > now:
            self._conversations.deaf = True
            self._starts_at = starts_at
            self._log.info(f"Delaying startup for {starts_at - now:.6g} seconds")
            self._mux.at(starts_at, self._end_startup_delay)
        else:
            self._conversations.deaf = False
            self._starts_at = None

    def _end_startup_delay(self) -> None:
        if self._starts_at is None or self._starts_at > self._mux.now():
            # A reload has moved that moment.
            return
        self._starts_at = None
        self._conversations.deaf = False
        self._foresee()
        for instance in self.instances:
            if instance.router.state is State.INIT:
                self._start(instance)
        self._course.finish()

    def _take_slots_of_earlier_lives(self) -> None:
        if self._earlier:
            taken = {earlier.state.slot for earlier in self._earlier.values()}
            self._free_slots = [slot for slot in self._free_slots if slot not in taken]

    def _add(self, configuration: VrrpInstance) -> Instance:
        instance = Instance(configuration, time.time())
        earlier = self._earlier.get(configuration.name)
        if earlier is not None:
            instance.remember(earlier)
        else:
            instance.slot = heapq.heappop(self._free_slots)
            self._mux.page.begin(instance.slot)
        instance.count_on(self._mux.page)
        self._conversations.attend(instance)
        self._mark_anew(instance)
        return instance

    def _mark_anew(self, instance: Instance) -> None:
        if isinstance(instance.seal, HmacTrailer):
            self._mux.page.mark_anew(instance.slot, instance.seal.marks)

    def _keep(self, instance: Instance, configuration: VrrpInstance) -> Instance:
        self._course.keep_pace()
        if configuration == instance.configuration:
            return instance
        old = instance.configuration
        if instance.router.holds_addresses:
            self._part(instance, parted(old, configuration))
        if old.name != configuration.name:
            self._say(instance.state_message(deleted=True))
        self._conversations.forget(instance)
        if (old.hears_on, old.speaks_on) != (configuration.hears_on, configuration.speaks_on):
            instance.outbox = None
        instance.reconfigure(configuration)
        self._mark_anew(instance)
        superseded, gone = self._holding.change(instance, old)
        self._deeds.step(superseded)
        self._deeds.step(self._routing.change(instance, old))
        self._course.tell(instance, Reconfigured(configuration))
        if gone is not None:
            self._deeds.step(gone)
            # A network's first address takes the others of that network along when it goes.
            self._deeds.do(instance, HoldAddresses())
        self._deeds.then(partial(self._say_state, instance))
        return instance

    def _part(self, instance: Instance, destinations: tuple[str, ...]) -> None:
        """To routers that do not take a MASTER for the same one any more it says farewell, as it was."""
        if destinations and self._conversations.part_from(instance, destinations):
            instance.counters["pri_zero_sent"] += 1
            self._parted.append(instance)

    def _speak_anew(self) -> None:
        """A router that understands the new adverts does not wait for its skew_time."""
        parted, self._parted = self._parted, []
        for instance in parted:
            if instance.router.holds_addresses:
                self._deeds.do(instance, SendAdvert(instance.router.priority))

    def _remove(self, instance: Instance) -> None:
        self._log.info(f"({instance.name}) removed from the configuration")
        instance.removed = True
        self._course.tell(instance, Stopped())
        if instance.group is not None:
            instance.group.remove(instance.router)
        self._conversations.forget(instance)
        self._retries.forget(of_instance(instance.name))
        heapq.heappush(self._free_slots, instance.slot)
        self._course.forget(instance)
        self._deeds.then(lambda: self._say(instance.state_message(deleted=True)))

    def _form_groups(self) -> list[Step]:
        """What members that were alone, or in other groups, want done now that they belong together."""
        by_name = {instance.name: instance for instance in self.instances}
        for instance in self.instances:
            instance.group = None
            instance.router.grouped = False
        groups = {}
        steps: list[Step] = []
        for configuration in self._slice.groups:
            members = [by_name[name] for name in configuration.members if name in by_name]
            group = SyncGroup(configuration.name, [member.router for member in members])
            for member in members:
                member.group = group
                member.router.grouped = True
                group.adopt(
                    member.router, member.own_faults | (member.verdict.faults if member.verdict else frozenset())
                )
            groups[configuration.name] = group
            steps += group.settle(self._mux.now())
        self._groups = groups
        self._course.know(self.instances)
        return steps

    def _start(self, instance: Instance) -> None:
        verdict = self._judge(instance)
        instance.verdict = verdict
        if verdict.priority != instance.router.priority:
            self._course.tell(
                instance, PriorityChanged(verdict.priority, TrackedChanged(contributions=verdict.contributions))
            )
        faults = verdict.faults | instance.own_faults
        earlier = self._earlier.get(instance.name)
        if earlier is None:
            self._course.tell(instance, Started(faults, verdict.pending, instance.name in self._succeeding))
        else:
            state = State(earlier.state.state)
            if state is State.MASTER:
                self._deeds.then(partial(self._announce_what_went, instance))
            resumed = Resumed(
                state,
                earlier.spoke_at,
                faults,
                verdict.pending,
                master_advertisement_interval=earlier.master_advertisement_interval,
                entered_at=earlier.entered_at,
            )
            self._course.tell(instance, resumed)
        self._deeds.then(partial(self._say_state, instance))

    def _announce_what_went(self, instance: Instance) -> None:
        """What a resumed MASTER still holds was announced by the life before; what went meanwhile comes back now."""
        if instance.router.holds_addresses and not all(
            self.network.has(each) for each in self._holding.layout(instance).placed
        ):
            self._deeds.do(instance, Announce(1))

    # messages

    def receive(self, message: Message) -> None:
        match message:
            case Observation():
                self._tracking.learn(message)
                self._judge_again(self._surroundings.tracking.of([(message.kind, message.name)]))
                self._course.finish()
            case IpvsState():
                self._take_ipvs(message)
            case HostBefore():
                self._host_memory.remember(message)
            case Resume(routers=routers):
                # This goes on with what was in force; it waits for no configuration.
                lives = say_again(self._mux.page, self._frames, self.network, routers, self._mux.now())
                self._earlier = {earlier.state.name: earlier for earlier in lives}
            case _:
                pass

    def _take_ipvs(self, state: IpvsState) -> None:
        """Nothing is known of it before the first one: no takeover waits for the ipvs process."""
        self._ipvs = state
        concerned = [instance for instance in self.instances if instance.configuration.served_address]
        self._look_at(_interfaces_of(concerned))
        self._judge_again(concerned)
        self._course.finish()

    # the network

    def _read_network(self) -> None:
        names: set[str] = set()
        came_up: set[str] = set()
        shaken: set[str] = set()
        lost = []
        changes = self.network.read()
        if self._devices.notice(changes):
            self._firewall.follow()
        for change in changes:
            match change:
                case LinkChanged(old, new):
                    concerned = [link.name for link in (old, new) if link and self._surroundings.concerns(link.name)]
                    names.update(concerned)
                    for link in (old, new):
                        if link is not None:
                            self._link_states.told(link.name)
                    if concerned and (sentence := netlink_log.of_link(change)):
                        self._log.info(sentence)
                        self._telling.event("link", f"interface/{concerned[-1]}", sentence)
                    if new is not None and new.up and (old is None or not old.up or old.name != new.name):
                        came_up.add(new.name)
                case AddressChanged(address, gone) if address.address in self._surroundings.with_address:
                    if gone:
                        lost.append(address)
                case AddressChanged(address, gone):
                    link = self.network.link_at(address.index)
                    if gone and address.address in self._surroundings.static_addresses:
                        lost.append(address)
                    if gone and link is not None:
                        shaken.add(link.name)
                    tracking = self._surroundings.tracking_source.of([address.address])
                    names.update(each.configuration.interface for each in tracking)
                    if link is not None and link.name in self._surroundings.on_interface:
                        names.add(link.name)
                        sentence = netlink_log.of_address(change, link.name)
                        self._log.info(sentence)
                        self._telling.event("address", f"interface/{link.name}", sentence)
        if came_up:
            self._promote()
        if names:
            self._reconsider(names)
        for instance in self._surroundings.with_address_on.of(came_up):
            self._put_back(instance)
        for instance in self._surroundings.with_address_on.of(shaken - came_up):
            # With an address of its own an interface loses the routes that need it, and nobody tells.
            if instance.configuration.routes and instance.router.holds_addresses:
                self._deeds.step(self._routing.hold(instance))
        if lost:
            self._defend(lost)
        self._course.finish()

    def _reconsider(self, names: set[str]) -> None:
        """The state of these interfaces, or their addresses, may be others."""
        surroundings = self._surroundings
        names = names | {each.configuration.interface for each in surroundings.needing.of(names)}
        self._look_at(names)
        tracking = surroundings.tracking.of([("interface", name) for name in names])
        self._judge_again({**dict.fromkeys(surroundings.on_interface.of(names)), **dict.fromkeys(tracking)})

    def _look_at(self, names: Iterable[str]) -> None:
        """Bring sockets, sources and faults of every instance on these interfaces in line with what the kernel has."""
        virtual = self._surroundings.with_address
        for name in names:
            self._conversations.look_at(name, self.network)
            self._judge_sockets(name)
            found: dict[tuple[str, int], Ground] = {}
            for instance in self._surroundings.on_interface.of([name]):
                configuration = instance.configuration
                key = (configuration.interface, configuration.family)
                if key not in found:
                    found[key] = ground(self.network, *key, virtual, self._link_states.is_up)
                self._place(instance, found[key])
                self._course.keep_pace()

    def _judge_sockets(self, name: str) -> None:
        """What follows from what the kernel refuses the sockets of this interface."""
        refused = self._conversations.refusal(name)
        if refused is None:
            self._retries.accepted(KernelCall.OPEN_SOCKETS, of_interface(name))
            return
        again = partial(self._reconsider, {name})
        what = f"sockets on {name or 'any interface'}: {refused.what}"
        reason = str(refused)
        self._retries.refused(KernelCall.OPEN_SOCKETS, of_interface(name), what, refused.errno, again, reason=reason)

    def _place(self, instance: Instance, found: Ground) -> None:
        failure = self._conversations.failure(instance) or self._devices.lack(instance.configuration)
        faults, source = standing(instance.configuration, found, failure, self.network.has_anywhere)
        is_up = self._link_states.is_up
        faults |= lacking(self.network, self._surroundings.needs.get(instance, ()), is_up)
        faults |= self._statics.faults(instance.name, self.network, is_up)
        faults |= without_ipvs(instance.configuration, self._ipvs)
        if self._statics.depends(instance.name):
            faults |= self._retries.faults([of_instance(STATIC)])
        faults |= self._retries.faults(objects_of(instance.configuration))
        instance.own_faults = faults | {instance.hopeless} if instance.hopeless else faults
        if self._conversations.equip(instance, source):
            self._course.tell(instance, SourceChanged(source_number(source)))
        if instance.configuration.speaks_on != instance.configuration.interface:
            self._judge_sockets(instance.configuration.speaks_on)

    def _concern(self, object: str) -> None:
        """The kernel refuses something for this object, or no longer: other faults may hold, after what was asked."""
        self._deeds.then(partial(self._look_at_object, object))
        self._course.resume()

    def _look_at_object(self, object: str) -> None:
        kind, _, name = object.partition("/")
        if kind == "interface":
            self._reconsider({name})
            return
        for instance in [*self.instances, *self._statics.holders]:
            if instance.name == name:
                self._look_again(instance)

    def _announce_again(self, instance: Instance) -> None:
        if instance.router.holds_addresses:
            self._deeds.do(instance, Announce(1))

    def _look_again(self, instance: Instance) -> None:
        concerned = self._statics.dependents(self.instances) if instance is self._statics.holder else [instance]
        self._look_at(_interfaces_of(concerned))
        self._judge_again(concerned)

    def _defend(self, lost: Iterable[Address]) -> None:
        """Addresses of ours went; where we did not take them away ourselves, they come back."""
        gone = [address for address in lost if not self.network.has(address) and self._could_stay(address)]
        for address in gone:
            # An address that this process moved or gave up was not removed by another program.
            if any(self._holding.robbed([address], self._surroundings.with_address.of([address.address]))):
                self._telling.event("address", f"address/{address.address}", f"somebody removed {address.address}")
        concerned = self._surroundings.with_address.of(address.address for address in gone)
        if not self._slice.restore_addresses:
            for instance, names in self._holding.robbed(gone, concerned):
                self._course.tell(instance, AddressesRemoved(AddressesTaken(addresses=names)))
            concerned = []
        for instance in self._holding.notice(gone, [*concerned, *self._statics.holders]):
            self._give_up(instance, _TAKEN_AWAY, instance.guard.may_try_again_at())

    def _could_stay(self, address: Address) -> bool:
        """An interface that is switched off loses its IPv6 addresses, and gets them again with its link."""
        link = self.network.link_at(address.index)
        return address.family == 4 or (link is not None and link.enabled)

    def _read_routing(self) -> None:
        """An interface that went took its routes along: that is heard of first."""
        self._read_network()
        for instance, sentence in self._routing.defend():
            self._telling.event("routing", f"instance/{instance.name}", sentence)

    def _give_up(self, instance: Instance, fault: Fault, until: float) -> None:
        instance.hopeless = fault
        self._course.at(until, partial(self._hope_again, instance))
        self._look_again(instance)

    def _hope_again(self, instance: Instance) -> None:
        instance.hopeless = None
        if instance is self._statics.holder:
            self._put_back(instance)
        self._look_again(instance)

    def _put_back(self, instance: Instance) -> None:
        """Hold and announce again: the neighbours may have asked for it meanwhile."""
        if instance.router.holds_addresses:
            self._deeds.do(instance, HoldAddresses())
            self._deeds.do(instance, Announce(1))

    # what is tracked

    def _judge(self, instance: Instance) -> Verdict:
        return self._tracking.judge(instance.configuration)

    def _judge_again(self, instances: Iterable[Instance], *, reloaded: bool = False) -> None:
        for instance in instances:
            if instance.router.state is State.INIT and self._starts_at is not None:
                continue
            verdict = self._judge(instance)
            old, instance.verdict = instance.verdict, verdict
            if verdict.priority != instance.router.priority:
                news_of_it = [each for each in verdict.contributions if old is None or each not in old.contributions]
                cause = TrackedChanged(contributions=tuple(news_of_it))
                change = PriorityChanged(verdict.priority, cause, reloaded)
                self._course.tell(instance, change)
                instance.expect_anew()
                self._deeds.then(partial(self._say_state, instance))
            self._course.tell(instance, FaultsChanged(verdict.faults | instance.own_faults, verdict.pending))
            self._course.keep_pace()

    # the rest of a room

    def _say_state(self, instance: Instance) -> None:
        self._say(instance.state_message())

    def release(self, names: frozenset[str] | None) -> None:
        """Addresses of these prepared instances go, whoever put them there."""
        assert self._prepared is not None
        for configuration in self._prepared.instances:
            if names is None or configuration.name in names:
                self._deeds.do(Instance(configuration, time.time()), ReleaseAddresses())
        self._deeds.work(until=inf)
        if names is None:
            for _ in self._statics.sweep(self._prepared):
                pass

    def unmake(self) -> None:
        """No device and no filter of the prepared instances is left, and what was borrowed for them is given back."""
        assert self._prepared is not None
        self._devices.adopt(device for instance in self._prepared.instances for device in instance.devices)
        self._devices.let_go()
        self._firewall.sweep(self._prepared)

    def snapshot(self, clear_statistics: bool) -> dict[str, object]:
        instances = []
        for instance, plain in zip(
            self.instances,
            plain_instances(self.instances, self.network, self._tracking, self._mux.now),
            strict=True,
        ):
            instances.append(plain)
            if clear_statistics:
                instance.forget_statistics()
            # However long this takes, no advert waits for it.
            self._course.keep_pace()
        counters = {**self._conversations.counters, **self._course.counters}
        return {
            "instances": instances,
            "groups": plain_groups(self._groups.values()),
            "interfaces": plain_interfaces(self.network, self._link_states.is_up),
            "static": self._statics.snapshot(),
            "counters": {**counters, "netlink_overruns": self.network.overruns},
        }

    def problems(self) -> list[Problem]:
        """Of every instance."""
        found: list[Problem] = []
        clocks = Clocks(time.time(), self._mux.now())
        told: set[KernelRefusal] = set()
        for instance in self.instances:
            found += problems_of(instance, self.network, self._link_states.is_up, clocks)
            refusals = [*self._retries.of(objects_of(instance.configuration))]
            found += problems_of_refusals(instance.name, refusals)
            told.update(refusals)
            if self._deeds.idle:
                found += missing_addresses(instance, self.network)
            if instance.router.holds_addresses and (unsent := self._conversations.unsent(instance)):
                kind = CONSEQUENCES[KernelCall.SEND_ADVERTS].problem
                found.append(Problem(kind=kind, object=instance.name, detail=unsent))
            self._course.keep_pace()
        return found + problems_of_refusals("", [each for each in self._retries.all() if each not in told])

    async def stop(self, release: bool, handover: float) -> None:
        self._leaving = self._mux.loop.create_future()
        until = self._mux.now() + handover if handover else None
        for instance in self.instances:
            self._course.tell(instance, Stopped(release, until))
        self._course.finish()
        await self._leaving
        if release:
            self._holding.insist()
            self._promotion.ask(())
            self._group_reports.restore()
            for _ in self._statics.release():
                pass
            self._devices.let_go()
            self._firewall.remove()

    async def orphaned(self) -> None:
        await self.stop(release=True, handover=0.0)

    def _end_of_turn(self) -> None:
        leaving = self._leaving
        if leaving is not None and not leaving.done() and self._all_stopped():
            leaving.set_result(None)

    def _all_stopped(self) -> bool:
        return self._deeds.idle and all(instance.router.state is State.STOP for instance in self.instances)


def _interfaces_of(instances: Iterable[Instance]) -> set[str]:
    """Those that are configured for them, and the devices that they have on them."""
    return {name for each in instances for name in (each.configuration.interface, each.configuration.own_interface)}

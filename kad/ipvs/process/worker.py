"""The ipvs process: joins virtual servers to the kernel's table, and tells everybody who is served by whom."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import msgspec

from kad.child.multiplexer import Mux
from kad.ipvs.fwmarks import Marks, allot, marked, packets
from kad.ipvs.notifications import Occasion, Telling
from kad.ipvs.process.drains import Drains
from kad.ipvs.process.kernel_table import BREATH
from kad.ipvs.process.nftables_marks import PacketMarks
from kad.ipvs.process.problems import problems_of
from kad.ipvs.process.reconciler import Programming
from kad.ipvs.process.sync_daemons import SyncDaemons
from kad.ipvs.process.timeouts import SessionTimeouts
from kad.ipvs.service import (
    Action,
    DrainAsked,
    DrainEnded,
    Event,
    HealthTold,
    QuorumChanged,
    Reconfigured,
    Said,
    ServerChanged,
    Service,
    Started,
    Stopped,
    UndrainAsked,
    key_of,
)
from kad.linux.refused import Refused
from kad.model import secret
from kad.model.ipvs import IpvsSlice, VirtualServer
from kad.model.ipvs_table import DestinationKey, ServiceKey
from kad.model.problem import Problem, ProblemKind
from kad.shared.log import Logger
from kad.shared.messages import (
    Draining,
    DrainWanted,
    IpvsLeft,
    IpvsMemory,
    IpvsState,
    Message,
    QuorumState,
    RouterState,
    ServerHealth,
)
from kad.shared.messages import Event as Happened


class Room:
    """A kad.child.main.Room."""

    def __init__(self, mux: Mux, say: Callable[[Message], None], log: Logger) -> None:
        self._mux = mux
        self._say = say
        self._log = log
        self._prepared: IpvsSlice | None = None
        self._slice = IpvsSlice()
        self._generation = 0
        self._services: dict[str, Service] = {}
        self._keys: dict[str, tuple[ServiceKey, ...]] = {}
        self._health: dict[tuple[str, DestinationKey], ServerHealth] = {}
        self._quorums: dict[str, QuorumState] = {}
        """What was said of each virtual server that ever was without its quorum."""
        self._memory = IpvsMemory()
        self._remembered: IpvsMemory | None = None
        self._state: IpvsState | None = None
        """As it was last said."""
        self._beat = mux.sign_of_life("looking at virtual servers")
        self._telling = Telling(say, time.time, time.monotonic_ns)
        self._programming = Programming(mux, log, self._note)
        self._drains = Drains(mux, say, self._programming.kernel, self._feed)
        self._daemons = SyncDaemons(log, self._programming.kernel)
        self._timeouts = SessionTimeouts(log, self._programming.kernel)
        self._packet_marks = PacketMarks(mux, log, self._note)
        self._programming.compared = self._settle_settings

    # configuration

    def prepare(self, generation: int, slice_bytes: bytes) -> None:
        """Raises ValueError to refuse."""
        try:
            self._prepared = secret.decode(slice_bytes, IpvsSlice)
        except msgspec.DecodeError as error:
            raise ValueError(f"the configuration of IPVS cannot be read: {error}") from error

    def abandon(self) -> None:
        self._prepared = None

    def commit(self, generation: int) -> None:
        """A virtual server that is equal in both generations is not touched."""
        assert self._prepared is not None
        wanted, self._prepared = self._mark(self._prepared), None
        follows = self._memory.flushed and not self._generation
        changed = self._drop({server.name: server for server in wanted.virtual_servers})
        self._slice, self._generation = wanted, generation
        self._telling.follow(wanted, generation)
        changed += self._take_up(wanted.virtual_servers, follows=follows)
        self._arrange(wanted.virtual_servers)
        self._programming.begin()
        self._tell_state()
        if wanted.flush:
            self._flush()
        self._settle(changed)
        self._packet_marks.release()
        self._drains.follow(self._services, self._keys)
        self._settle_settings()

    def _mark(self, prepared: IpvsSlice) -> IpvsSlice:
        """Groups are served by marks where that is asked for; packets bear them before a service by address goes."""
        if not self._generation:
            self._packet_marks.inherit(self._memory.marking)
        servers, marking, marks = prepared.virtual_servers, prepared.marking, Marks()
        self._packet_marks.retire()
        if marking is not None:
            marks = allot(servers, self._memory.marks, marking.start)
            found, said = packets(servers, marks)
            for text in said:
                self._log.warning(text)
            if not self._packet_marks.arrange(marking, found):
                marks = {}
        self._memory = msgspec.structs.replace(
            self._memory, marks=marks, marking=marking.table if marking is not None and marks else ""
        )
        return msgspec.structs.replace(prepared, virtual_servers=tuple(marked(each, marks) for each in servers))

    def _drop(self, wanted: dict[str, VirtualServer]) -> list[tuple[str, list[Action]]]:
        """What is no longer configured is told with the generation that knew it."""
        for name in [name for name in self._services if name not in wanted]:
            service = self._services.pop(name)
            for key in self._keys.pop(name):
                self._programming.left.setdefault(key, set()).update(service.named(key.port))
            self._tell(service, service.handle(Stopped(removed=True), self._mux.now()))
            if (said := self._quorums.pop(name, None)) is not None:
                self._say(msgspec.structs.replace(said, deleted=True))
        changed = []
        for number, (name, service) in enumerate(self._services.items()):
            self._breathe(number)
            if service.configured == wanted[name]:
                continue
            for key in self._keys[name]:
                self._programming.left.setdefault(key, set()).update(service.named(key.port))
            before = service.configured
            actions = service.handle(Reconfigured(wanted[name]), self._mux.now())
            removed = [one for one in actions if isinstance(one, ServerChanged) and one.occasion is Occasion.REMOVAL]
            self._tell(service, removed, before)
            changed.append((name, [one for one in actions if one not in removed]))
        return changed

    def _take_up(self, servers: Iterable[VirtualServer], *, follows: bool) -> list[tuple[str, list[Action]]]:
        """What is new starts with what is known of its servers; in a life that follows another it is not new."""
        begun: list[tuple[str, list[Action]]] = []
        for configured in servers:
            if configured.name in self._services:
                continue
            self._breathe(len(begun))
            service = Service(configured, init_notifies=self._slice.init_notifies)
            for real in configured.real_servers:
                told = self._health.get((configured.name, key_of(real)))
                if told is not None:
                    service.resume(heard(told))
            self._drains.resume(service)
            said = self._quorums.get(configured.name)
            self._services[configured.name] = service
            quorum = said.up if said else follows or None
            begun.append((configured.name, service.handle(Started(quorum), self._mux.now())))
        return begun

    def _arrange(self, servers: Iterable[VirtualServer]) -> None:
        """See to whom each service of the kernel belongs: to the first who names it."""
        owners: dict[ServiceKey, Service] = {}
        before, self._keys = self._keys, {}
        for number, configured in enumerate(servers):
            self._breathe(number)
            service = self._services[configured.name]
            keys = self._keys[configured.name] = tuple(service.service_keys())
            for key in keys:
                if key in owners:
                    other = owners[key].configured.name
                    self._log.warning(f"{key} of virtual_server {configured.name} is one of {other} already")
                else:
                    owners[key] = service
        for key in {key for keys in before.values() for key in keys} - owners.keys():
            self._programming.left.setdefault(key, set())
        self._programming.owners = owners

    def _settle(self, changed: list[tuple[str, list[Action]]]) -> None:
        """Program what is new, changed and gone; then tell."""
        keys = [key for name, _ in changed for key in self._keys[name]]
        gone = [key for key in self._programming.left if key not in self._programming.owners]
        self._programming.program([*keys, *gone])
        for name, actions in changed:
            self._tell(self._services[name], actions)
        if changed or gone:
            self._log.info(f"virtual servers: {len(self._services)}, of them new or changed: {len(changed)}")

    def _breathe(self, number: int) -> None:
        """Show that this process lives while it goes through many virtual servers."""
        if not number % BREATH:
            self._beat()

    def _flush(self) -> None:
        """lvs_flush: once in the life of the daemon."""
        if self._memory.flushed or not self._programming.kernel.is_open:
            return
        try:
            self._programming.clear((), everything=True)
            self._programming.kernel.read_services()
        except Refused as refused:
            self._log.error(f"the IPVS table cannot be cleared: {refused}")
        self._memory = msgspec.structs.replace(self._memory, flushed=True)

    def _settle_settings(self) -> None:
        """What is not in the table itself; also when the table is there at last."""
        self._tell_state()
        self._packet_marks.check()
        self._daemons.follow(self._slice.sync_daemon)
        self._timeouts.follow(self._slice.timeouts, self._memory.timeouts)
        self._remember()

    def _tell_state(self) -> None:
        """Instances with an address of a virtual server wait for IPVS."""
        failure = self._programming.failure
        state = IpvsState(usable=not failure, reason=failure)
        if state != self._state:
            self._state = state
            self._say(state)

    def _remember(self) -> None:
        """What the next life must know."""
        self._memory = msgspec.structs.replace(self._memory, flushed=True, timeouts=self._timeouts.before)
        if self._memory != self._remembered:
            self._remembered = self._memory
            self._say(self._memory)

    # what others say

    def receive(self, message: Message) -> None:
        match message:
            case ServerHealth():
                self._take_health(message)
            case DrainWanted():
                self._drains.order(message)
            case Draining() if not self._generation and not message.deleted:
                self._drains.remember(message)
            case RouterState():
                self._daemons.hear(message)
            case QuorumState() if not self._generation and not message.deleted:
                self._quorums[message.service] = message
            case IpvsLeft() if not self._generation:
                self._take_over(message)
            case IpvsMemory() if not self._generation:
                self._memory = message

    def _take_over(self, left: IpvsLeft) -> None:
        """What the daemon before this one served is ours; a table that it cannot have made is not."""
        try:
            earlier = secret.decode(left.slice, IpvsSlice)
        except (ValueError, RecursionError) as error:
            self._log.error(f"what the daemon before this one served cannot be understood: {error}")
            return
        if left.memory:
            self._take_over_memory(left.memory)
        self._daemons.inherit(earlier.sync_daemon)
        for configured in earlier.virtual_servers:
            service = Service(marked(configured, self._memory.marks))
            for key in service.service_keys():
                self._programming.left.setdefault(key, set()).update(service.named(key.port))

    def _take_over_memory(self, content: bytes) -> None:
        try:
            told = msgspec.msgpack.decode(content, type=IpvsMemory)
        except (ValueError, RecursionError) as error:
            self._log.error(f"what the daemon before this one changed in the kernel cannot be understood: {error}")
            return
        if not self._memory.flushed:
            # lvs_flush is for each daemon anew.
            self._memory = msgspec.structs.replace(told, flushed=False)

    def _take_health(self, told: ServerHealth) -> None:
        key = (told.service, DestinationKey(told.address, told.port))
        if told.deleted:
            self._health.pop(key, None)
            return
        self._health[key] = told
        if told.service in self._services:
            self._feed(told.service, heard(told))

    def _feed(self, name: str, event: Event) -> None:
        service = self._services[name]
        about = event.server if isinstance(event, HealthTold | DrainAsked | UndrainAsked) else None
        before, was_sorry = service.picture(about), service.is_sorry
        actions = service.handle(event, self._mux.now())
        if service.picture(about) != before:
            alone = about if service.keeps_apart and service.is_sorry == was_sorry else None
            self._programming.program(self._keys[name], alone)
        self._tell(service, actions)

    # telling

    def _tell(self, service: Service, actions: Iterable[Action], configured: VirtualServer | None = None) -> None:
        configured = configured or service.configured
        for action in actions:
            match action:
                case Said(text):
                    self._log.info(text)
                case ServerChanged(server, up, reason, occasion):
                    self._telling.server(configured, server, up, reason, occasion)
                    word = "up" if up else "down"
                    self._note(f"service/{configured.name}", f"{server.label_in(configured)} is {word}: {reason}")
                case QuorumChanged():
                    self._tell_quorum(service, action)
                case DrainEnded():
                    self._drains.ended(service, action)

    def _tell_quorum(self, service: Service, change: QuorumChanged) -> None:
        configured = service.configured
        self._telling.quorum(
            configured,
            change.up,
            change.reason,
            weight=change.weight,
            quorum=configured.quorum,
            hysteresis=configured.hysteresis,
            occasion=change.occasion,
        )
        if change.occasion in (Occasion.CHANGE, Occasion.START):
            state = QuorumState(service=configured.name, up=change.up, since=time.time(), reason=change.reason)
            self._quorums[configured.name] = state
            self._say(state)
            self._note(f"service/{configured.name}", change.reason)

    def _note(self, object: str, text: str) -> None:
        self._say(Happened(when=time.time(), kind="ipvs", object=object, text=text))

    def snapshot(self, clear_statistics: bool) -> dict[str, object]:
        return {
            "served": self._programming.kernel.is_open,
            "failure": self._programming.failure,
            "services_waiting": self._programming.waiting,
            "healed": self._programming.heals,
            "sync_daemon": self._daemons.snapshot(),
            "timeouts": self._timeouts.snapshot(),
            "nftables": self._packet_marks.snapshot(),
            "virtual_servers": [self._picture(number, *each) for number, each in enumerate(self._services.items())],
        }

    def _picture(self, number: int, name: str, service: Service) -> dict[str, object]:
        self._breathe(number)
        configured = service.configured
        keys = self._keys[name]
        said = self._quorums.get(name)
        sorry = configured.sorry_server
        return {
            "name": name,
            "label": configured.label,
            "services": [str(key) for key in keys[:1]],
            "service_count": len(keys),
            "scheduler": configured.scheduler,
            "persistence_timeout": configured.persistence_timeout,
            "quorum": configured.quorum,
            "hysteresis": configured.hysteresis,
            "quorum_up": service.quorum_up,
            "quorum_since": said.since if said else None,
            "weight": service.weight,
            "sorry_server": sorry.label_in(configured) if sorry else None,
            "sorry_server_serves": service.is_sorry,
            "refused": self._programming.refusal(keys),
            "real_servers": [
                {
                    "address": server.configured.address,
                    "port": server.configured.port,
                    "method": server.configured.method,
                    "up": server.up,
                    "known": server.known,
                    "reason": server.reason,
                    "weight": server.configured.weight,
                    "effective_weight": server.effective_weight,
                    "weight_in_table": service.weight_in_table(server),
                    "drain": self._drains.of(name, key) if server.drain is not None else None,
                }
                for key, server in service.servers.items()
            ],
        }

    def problems(self) -> list[Problem]:
        """Where there is no table nothing is said of each virtual server."""
        if self._services and self._programming.failure:
            return [Problem(kind=ProblemKind.NO_IPVS, object="", detail=self._programming.failure)]
        beside = (self._daemons.failure, self._timeouts.failure, self._packet_marks.refusal)
        found = [Problem(kind=ProblemKind.AUXILIARY_REFUSED, object="", detail=each) for each in beside if each]
        for number, (name, service) in enumerate(self._services.items()):
            self._breathe(number)
            said = self._quorums.get(name)
            refusal = self._programming.refused_request(self._keys[name])
            found += problems_of(service, refusal, said if said is not None and not said.up else None)
        return found

    # the end

    async def stop(self, release: bool, handover: float) -> None:
        """As keepalived: what is ours leaves the table, unless it shall stay."""
        self._programming.end()
        self._drains.end()
        for service in self._services.values():
            self._tell(service, service.handle(Stopped(), self._mux.now()))
        if not release:
            return
        self._packet_marks.retire()
        self._packet_marks.release()
        if not self._programming.kernel.is_open:
            return
        try:
            self._daemons.end()
            self._timeouts.restore()
            self._programming.clear(self._programming.owners, everything=self._slice.flush_on_stop == "all")
        except Refused as refused:
            self._log.error(f"the IPVS table cannot be cleared: {refused}")

    async def orphaned(self) -> None:
        """Nobody asked for an end: the table stays."""
        self._programming.end()


def heard(told: ServerHealth) -> HealthTold:
    """The message as the virtual server takes it."""
    return HealthTold(
        server=DestinationKey(told.address, told.port),
        healthy=told.healthy,
        known=told.known,
        reason=told.reason,
        weight=told.weight,
        weight_change=told.weight_change,
    )

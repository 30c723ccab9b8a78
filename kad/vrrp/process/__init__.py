"""The vrrp process: joins routers to sockets, the network and the other processes; decides nothing itself."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from ipaddress import ip_address
from typing import Any

import msgspec

from kad.linux.frame import FrameSender
from kad.linux.network import AddressChanged, Network
from kad.log import Logger
from kad.machine import Deadlines
from kad.messages import Earlier, Message, Observation, Resume
from kad.mux import Mux
from kad.page import SLOTS
from kad.track.priority import Value, Verdict, judge
from kad.vrrp.events import (
    CaughtUp,
    DeadlineReached,
    Event,
    FaultsChanged,
    PriorityChanged,
    Reconfigured,
    ReleaseAddresses,
    Resumed,
    SourceChanged,
    Started,
    State,
    Stopped,
    Woken,
)
from kad.vrrp.expectation import expectation, identity
from kad.vrrp.group import SyncGroup
from kad.vrrp.instance import Instance
from kad.vrrp.keywords import VrrpInstance, VrrpSlice
from kad.vrrp.process.conversations import Conversations
from kad.vrrp.process.deeds import Deeds
from kad.vrrp.router import Backup

_LATE = 0.05
"""A deadline served later than this many seconds is counted; the process may not have run."""
_TAKEN_AWAY = "its addresses are removed again and again by somebody else"
_SLACK = 0.001
"""Adverts that fall due within this many seconds leave together."""


def let_go(slice_bytes: bytes, names: frozenset[str], log: Logger) -> None:
    """Release what a life that died held for these instances; for a process that does nothing else."""
    room = Room(Mux(), lambda message: None, log)
    room.prepare(0, slice_bytes)
    room.release(names)


class Room:
    """A kad.child.Room."""

    def __init__(self, mux: Mux, say: Callable[[Message], None], log: Logger) -> None:
        self._mux = mux
        self._say = say
        self._log = log
        self.network = Network()
        self.instances: list[Instance] = []
        self._groups: dict[str, SyncGroup] = {}
        self._slice = VrrpSlice()
        self._prepared: VrrpSlice | None = None
        self._observations: dict[tuple[str, str], Observation] = {}
        self._deadlines: Deadlines[Instance] = Deadlines()
        self._alarm = mux.alarm(self._fall_due)
        self._starts_at: float | None = None
        self._slots: set[int] = set()
        self._earlier: dict[str, Earlier] = {}
        self._leaving: asyncio.Future[None] | None = None
        self._counters: Counter[str] = Counter()
        self._conversations = Conversations(mux, self._hear, self._turn, log)
        self._deeds = Deeds(mux, say, log, self.network, FrameSender.open(), self._conversations)
        mux.watch(self.network.fileno(), self._read_network, "reading what the kernel says of interfaces")

    # configuration

    def prepare(self, generation: int, slice_bytes: bytes) -> None:
        self._prepared = msgspec.msgpack.decode(slice_bytes, type=VrrpSlice)

    def abandon(self) -> None:
        self._prepared = None

    def commit(self, generation: int) -> None:
        assert self._prepared is not None
        new, self._prepared = self._prepared, None
        old_instances = {identity(instance.configuration): instance for instance in self.instances}
        wanted = {identity(configuration): configuration for configuration in new.instances}
        first = generation == 1 and not self._earlier
        for key, instance in old_instances.items():
            if key not in wanted:
                self._remove(instance)
        self.instances = [
            self._keep(old_instances[key], configuration) if key in old_instances else self._add(configuration)
            for key, configuration in wanted.items()
        ]
        self._slice = new
        self._form_groups()
        self._deeds.telling.follow(new, generation)
        self._conversations.log_unknown = new.log_unknown_vrids
        if first and new.startup_delay:
            self._starts_at = self._mux.now() + new.startup_delay
            self._log.info(f"Delaying startup for {new.startup_delay:g} seconds")
            self._mux.at(self._starts_at, self._end_startup_delay)
        self._look_at_interfaces()
        self._foresee()
        for instance in self.instances:
            if instance.router.state is not State.INIT:
                self._judge_again([instance])
            elif self._starts_at is None:
                self._start(instance)
        if old_instances and new.fifo_states_on_reload:
            self._deeds.telling.again(self.instances, {name: group.state for name, group in self._groups.items()})
        self._earlier = {}
        self._finish()

    def _foresee(self) -> None:
        """No member of a sync group may begin as BACKUP, and say so, when another one begins in FAULT."""
        for instance in self.instances:
            if instance.group is not None and instance.router.state is State.INIT and not self._earlier:
                instance.group.foresee(instance.router, self._judge(instance).faults | instance.own_faults)

    def _end_startup_delay(self) -> None:
        self._starts_at = None
        self._foresee()
        for instance in self.instances:
            if instance.router.state is State.INIT:
                self._start(instance)
        self._finish()

    def _add(self, configuration: VrrpInstance) -> Instance:
        instance = Instance(configuration, time.time())
        earlier = self._earlier.get(configuration.name)
        if earlier is not None:
            instance.remember(earlier)
        else:
            instance.slot = next(slot for slot in range(SLOTS) if slot not in self._slots)
        self._slots.add(instance.slot)
        return instance

    def _keep(self, instance: Instance, configuration: VrrpInstance) -> Instance:
        if configuration != instance.configuration:
            old = instance.configuration
            if old.name != configuration.name:
                self._say(instance.state_message(deleted=True))
            instance.reconfigure(configuration)
            self._deeds.reconfigure(instance, old)
            self._tell(instance, Reconfigured(configuration))
            self._say(instance.state_message())
        return instance

    def _remove(self, instance: Instance) -> None:
        self._log.info(f"({instance.name}) removed from the configuration")
        instance.removed = True
        self._tell(instance, Stopped())
        if instance.group is not None:
            instance.group.remove(instance.router)
        self._slots.discard(instance.slot)
        self._deadlines.forget(instance)
        self._deeds.forget(instance)
        self._say(instance.state_message(deleted=True))

    def _form_groups(self) -> None:
        by_name = {instance.name: instance for instance in self.instances}
        for instance in self.instances:
            instance.group = None
            instance.router.grouped = False
        groups = {}
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
        self._groups = groups

    def _start(self, instance: Instance) -> None:
        verdict = self._judge(instance)
        instance.verdict = verdict
        self._tell(instance, PriorityChanged(verdict.priority, "; ".join(verdict.contributions)))
        faults = verdict.faults | instance.own_faults
        earlier = self._earlier.get(instance.name)
        if earlier is None:
            self._tell(instance, Started(faults, verdict.pending))
        else:
            state = State(earlier.state.state)
            self._tell(instance, Resumed(state, earlier.spoke_at, faults, verdict.pending))
        self._say(instance.state_message())

    # events

    def _tell(self, instance: Instance, event: Event, now: float | None = None) -> None:
        """Hand an event to the router, or to its group, and do what they decide."""
        moment = self._mux.now() if now is None else now
        if instance.group is None:
            for action in instance.router.handle(event, moment):
                self._deeds.do(instance, action)
            self._deadlines.watch(instance)
            return
        by_router = {id(each.router): each for each in self.instances}
        by_router[id(instance.router)] = instance
        for router, action in instance.group.handle(instance.router, event, moment):
            self._deeds.do(by_router[id(router)], action)
        for router in instance.group.members:
            if id(router) in by_router:
                self._deadlines.watch(by_router[id(router)])

    def _fall_due(self) -> None:
        self._look_for_gap()
        now = self._mux.now()
        due = list(self._deadlines.due(now + _SLACK))
        waiting = [instance for instance in due if isinstance(instance.router.phase, Backup)]
        if waiting:
            # A master is presumed dead only after what already waits on the sockets was read.
            self._conversations.drain(waiting)
        for instance in due:
            deadline = instance.deadline
            if deadline is None or (deadline > now and (deadline > now + _SLACK or instance in waiting)):
                self._deadlines.watch(instance)
            else:
                self._tell(instance, DeadlineReached(), max(deadline, now))
        self._finish()

    def _hear(self, instance: Instance, event: Event) -> None:
        """An advert that counts."""
        if self._starts_at is None:
            self._tell(instance, event)

    def _turn(self, read: Callable[[], None]) -> None:
        self._look_for_gap()
        read()
        self._finish()

    def _look_for_gap(self) -> None:
        """Before anything is decided: whether this process slept, and if it did, what was said meanwhile."""
        earliest, now = self._deadlines.next(), self._mux.now()
        if earliest is None or now - earliest < _LATE:
            return
        self._counters["late_timers"] += 1
        late = now - earliest
        self._counters["longest_gap_ms"] = max(self._counters["longest_gap_ms"], round(late * 1000))
        asleep = [instance for instance in self.instances if instance.router.may_be_replaced_after(late)]
        if not asleep:
            return
        self._log.warning(f"This process did not run for {late:.2f} s")
        for instance in asleep:
            self._tell(instance, Woken(late))
        self._conversations.drain(asleep)
        for instance in asleep:
            self._tell(instance, CaughtUp())

    def _finish(self) -> None:
        """The end of a turn: what was posted leaves, and the alarm is set."""
        self._deeds.flush()
        self._alarm.set(self._deadlines.next())
        if self._leaving is not None and not self._leaving.done() and self._all_stopped():
            self._leaving.set_result(None)

    def _all_stopped(self) -> bool:
        return all(instance.router.state is State.STOP for instance in self.instances)

    def receive(self, message: Message) -> None:
        match message:
            case Observation():
                self._observations[message.kind, message.name] = message
                self._judge_again(
                    instance
                    for instance in self.instances
                    if any(
                        item.kind == message.kind and item.name == message.name
                        for item in instance.configuration.tracks
                    )
                )
                self._finish()
            case Resume(routers=routers):
                self._earlier = {earlier.state.name: earlier for earlier in routers}
            case _:
                pass

    # the network

    def _read_network(self) -> None:
        changes = self.network.read()
        if not changes:
            return
        self._look_at_interfaces()
        self._judge_again(self.instances)
        gone = [change.address for change in changes if isinstance(change, AddressChanged) and change.gone]
        for instance in self._deeds.notice(gone, self.instances):
            instance.hopeless = True
            self._mux.at(instance.guard.may_try_again_at(), partial(self._hope_again, instance))
            self._look_at_interfaces()
            self._judge_again([instance])
        self._finish()

    def _hope_again(self, instance: Instance) -> None:
        instance.hopeless = False
        self._look_at_interfaces()
        self._judge_again([instance])
        self._finish()

    def _look_at_interfaces(self) -> None:
        """Bring sockets, sources and faults of every instance in line with what the kernel has."""
        self._conversations.arrange(self.network, self.instances)
        virtual = {
            address.address
            for instance in self.instances
            for address in (*instance.configuration.virtual_addresses, *instance.configuration.excluded_addresses)
        }
        for instance in self.instances:
            faults, source = self._conversations.standing(self.network, instance, virtual)
            instance.own_faults = faults | {_TAKEN_AWAY} if instance.hopeless else faults
            if source != instance.source:
                instance.source = source
                self._deeds.readdress(instance)
                number = int.from_bytes(ip_address(source).packed) if source else 0
                self._tell(instance, SourceChanged(number))

    def _judge(self, instance: Instance) -> Verdict:
        return judge(instance.configuration.priority, instance.configuration.tracks, self._value)

    def _judge_again(self, instances: Iterable[Instance]) -> None:
        for instance in list(instances):
            if instance.router.state is State.INIT and self._starts_at is not None:
                continue
            verdict = self._judge(instance)
            old, instance.verdict = instance.verdict, verdict
            if verdict.priority != instance.router.priority:
                news = [each for each in verdict.contributions if old is None or each not in old.contributions]
                self._tell(instance, PriorityChanged(verdict.priority, "; ".join(news)))
                instance.expected = expectation(instance.configuration, verdict.priority)
                self._say(instance.state_message())
            self._tell(instance, FaultsChanged(verdict.faults | instance.own_faults, verdict.pending))

    def _value(self, kind: str, name: str) -> Value:
        if kind == "interface":
            link = self.network.link(name)
            if link is None:
                return Value(0, f"interface {name} does not exist")
            return Value(int(link.up), f"interface {name} is {'up' if link.up else 'down'}")
        observation = self._observations.get((kind, name))
        if observation is None:
            return Value(None, "")
        return Value(observation.value, observation.reason)

    # the rest of a room

    def release(self, names: frozenset[str]) -> None:
        """Addresses of these prepared instances go, whoever put them there."""
        assert self._prepared is not None
        for configuration in self._prepared.instances:
            if configuration.name in names:
                self._deeds.do(Instance(configuration, time.time()), ReleaseAddresses())

    def tell_all(self) -> None:
        for instance in self.instances:
            self._say(instance.state_message())

    def snapshot(self, clear_statistics: bool) -> dict[str, object]:
        now = self._mux.now()
        held = frozenset(
            (address.address, address.prefix)
            for link in self.network.links()
            for address in self.network.addresses(link.index)
        )
        instances = [instance.snapshot(now, held) for instance in self.instances]
        if clear_statistics:
            for instance in self.instances:
                instance.counters.clear()
                instance.discarded.clear()
        return {
            "instances": [self._with_values(plain) for plain in instances],
            "groups": [
                {"name": group.name, "state": group.state.value, "members": [each.name for each in group.members]}
                for group in self._groups.values()
            ],
            "interfaces": [
                {"name": link.name, "index": link.index, "up": link.up, "mac": link.mac.hex(":")}
                for link in self.network.links()
            ],
            "counters": {**self._conversations.counters, **self._counters, "netlink_overruns": self.network.overruns},
        }

    def _with_values(self, plain: dict[str, Any]) -> dict[str, Any]:
        for track in plain["tracks"]:
            value = self._value(track["kind"], track["name"])
            track["value"], track["reason"] = value.number, value.reason
        return plain

    async def stop(self, release: bool, handover: float) -> None:
        self._leaving = self._mux.loop.create_future()
        until = self._mux.now() + handover if handover else None
        for instance in self.instances:
            self._tell(instance, Stopped(release, until))
        self._finish()
        await self._leaving

    async def orphaned(self) -> None:
        await self.stop(release=True, handover=0.0)

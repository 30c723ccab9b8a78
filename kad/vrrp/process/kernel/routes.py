"""Routes and rules in and out of the kernel's tables, a few at a time, and back when somebody took them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain

import msgspec

from kad.child.multiplexer import Mux
from kad.linux.netlink import routes
from kad.linux.netlink.network_table import Network
from kad.linux.netlink.routes import Key, Losses, NotDone, RoutingMonitor
from kad.linux.refused import Refused
from kad.model.fault import Fault
from kad.model.routing import RoutingEntry
from kad.model.vrrp import NetlinkBuffers, VrrpInstance
from kad.shared.log import Logger
from kad.vrrp.kernel_calls import KernelCall
from kad.vrrp.process.index import Index
from kad.vrrp.process.instance import Instance
from kad.vrrp.process.retries import HOST, Retries, of_instance

_AT_ONCE = 32
"""Requests a system call: the kernel works about a millisecond on them, inside the call."""
_CALLS = (KernelCall.ADD_ROUTE, KernelCall.REMOVE_ROUTE)
_TAKEN_AWAY = "its routes or rules are removed again and again by somebody else"


def entries_of(configuration: VrrpInstance) -> tuple[RoutingEntry, ...]:
    """In the order in which they are added."""
    return (*configuration.routes, *configuration.rules)


class Lost(msgspec.Struct, frozen=True):
    """Routes and rules of one instance that somebody took away."""

    removed: tuple[RoutingEntry, ...]
    replaced: tuple[RoutingEntry, ...]
    preceded: tuple[RoutingEntry, ...]

    def __str__(self) -> str:
        parts = (("removed", self.removed), ("replaced", self.replaced), ("put another one before", self.preceded))
        told = [
            f"{what} {', '.join(f'the {each.kind} {each.text}' for each in those)}" for what, those in parts if those
        ]
        return f"somebody {' and '.join(told)}"


class Routing:
    """The only writer of routes and rules."""

    def __init__(
        self,
        mux: Mux,
        log: Logger,
        network: Network,
        at: Callable[[float, Callable[[], object]], None],
        give_up: Callable[[Instance, Fault, float], None],
        retries: Retries,
    ) -> None:
        """`at` calls back at a moment; `give_up` takes an instance, the fault, and when to try again."""
        self._mux = mux
        self._log = log
        self._network = network
        self._at = at
        self._give_up = give_up
        self._retries = retries
        self._monitor: RoutingMonitor | None = None
        self._refused: dict[tuple[str, KernelCall], list[RoutingEntry]] = {}
        """What the kernel did not add or remove, by instance."""
        self._owners: Index[Key] = Index()

    def hold(self, instance: Instance) -> Iterator[None]:
        """Everything that is configured is there; several steps where there is much."""
        configuration = instance.configuration
        refused: list[NotDone] = []
        for name, entries in (("Routes", configuration.routes), ("Rules", configuration.rules)):
            if entries:
                self._log.debug(f"({instance.name}) setting Virtual {name}")
            yield from self._in_steps(instance, routes.hold, entries, refused)
        self._judge(instance, KernelCall.ADD_ROUTE, refused)

    def release(self, instance: Instance) -> Iterator[None]:
        """Nothing of it is there."""
        configuration = instance.configuration
        refused: list[NotDone] = []
        self._drop(instance.name)
        for name, entries in (("Rules", configuration.rules), ("Routes", configuration.routes)):
            if entries:
                self._log.debug(f"({instance.name}) removing Virtual {name}")
            yield from self._in_steps(instance, routes.release, entries[::-1], refused)
        self._judge(instance, KernelCall.REMOVE_ROUTE, refused)

    def change(self, instance: Instance, old: VrrpInstance) -> Iterator[None]:
        """After a reload: what is no longer wanted goes; what stays is not touched."""
        kept = set(entries_of(instance.configuration))
        gone = [each for each in entries_of(old) if each not in kept] if instance.router.holds_addresses else []
        refused: list[NotDone] = []
        self._drop(old.name)
        yield from self._in_steps(instance, routes.release, gone[::-1], refused)
        self._judge(instance, KernelCall.REMOVE_ROUTE, refused)

    def _in_steps(
        self,
        instance: Instance,
        do: Callable[[Network, Sequence[RoutingEntry]], list[NotDone]],
        entries: Sequence[RoutingEntry],
        refused: list[NotDone],
    ) -> Iterator[None]:
        """What the kernel does not do is put to `refused`."""
        known = {entry for call in _CALLS for entry in self._refused.get((instance.name, call), ())}
        for start in range(0, len(entries), _AT_ONCE):
            for each in do(self._network, entries[start : start + _AT_ONCE]):
                if each.entry not in known:
                    self._log.error(f"({instance.name}) {each.text}")
                if each.errno:
                    refused.append(each)
            yield

    # what the kernel refuses

    def _judge(self, instance: Instance, call: KernelCall, refused: Sequence[NotDone]) -> None:
        """What follows from what it did not do just now, which is all that it does not do."""
        if not refused:
            self._refused.pop((instance.name, call), None)
            self._retries.accepted(call, of_instance(instance.name))
            return
        entry, error, _ = refused[0]
        self._refused[instance.name, call] = [each.entry for each in refused]
        adds = "add" if call is KernelCall.ADD_ROUTE else "remove"
        more = f" and {len(refused) - 1} more" if len(refused) > 1 else ""
        what = f"to {adds} the {entry.kind} {entry.text}{more}"
        self._retries.refused(call, of_instance(instance.name), what, error, partial(self._try_again, instance, call))

    def _drop(self, name: str) -> None:
        """What was refused to the instance of this name is wanted no longer, or anew."""
        self._refused.pop((name, KernelCall.ADD_ROUTE), None)
        self._retries.drop(KernelCall.ADD_ROUTE, of_instance(name))

    def _try_again(self, instance: Instance, call: KernelCall) -> None:
        """What was refused once more, where it is still to be."""
        adds, holds = call is KernelCall.ADD_ROUTE, instance.router.holds_addresses
        entries = self._refused.get((instance.name, call), [])
        if adds and not holds:
            return
        if holds:
            wanted = entries_of(instance.configuration)
            entries = [each for each in entries if (each in wanted) == adds]
        refused: list[NotDone] = []
        self._exhaust(self._in_steps(instance, routes.hold if adds else routes.release, entries, refused))
        self._judge(instance, call, refused)

    # the guard

    def follow(self, instances: Iterable[Instance], buffers: NetlinkBuffers, removed: Callable[[], None]) -> None:
        """From now on look after the routes and rules of these; `removed` is called when some may be gone."""
        self._owners = Index()
        tracked: list[RoutingEntry] = []
        for instance in instances:
            for entry in entries_of(instance.configuration):
                if entry.tracked:
                    self._owners.add(routes.key(entry.delete), instance)
                    tracked.append(entry)
        if self._owners:
            self._look_after(tracked, buffers, removed)
        elif not self._owners and self._monitor is not None:
            self._mux.unwatch(self._monitor.fileno())
            self._monitor.close()
            self._monitor = None

    def _look_after(self, tracked: list[RoutingEntry], buffers: NetlinkBuffers, removed: Callable[[], None]) -> None:
        try:
            if self._monitor is None:
                self._monitor = RoutingMonitor()
                self._mux.watch(self._monitor.fileno(), removed, "reading what the kernel says of routes and rules")
            self._monitor.size(buffers)
            self._monitor.look_after(tracked)
        except Refused as refused:
            again = partial(self._look_after, tracked, buffers, removed)
            what = "to tell who removes routes and rules"
            if self._retries.refused(KernelCall.WATCH_ROUTES, HOST, what, refused.errno, again):
                self._log.error(f"it goes unnoticed who removes routes and rules: {refused}")
        else:
            self._retries.accepted(KernelCall.WATCH_ROUTES, HOST)

    def defend(self) -> Iterator[tuple[Instance, str]]:
        """Put back what somebody removed or replaced, now or later; whose it was, and what."""
        if self._monitor is None:
            return
        losses = self._monitor.read()
        if losses is None:
            # Some word was lost. To add what is there already changes nothing.
            for instance in self._owners.all():
                if instance.router.holds_addresses:
                    self._exhaust(self.hold(instance))
            return
        for instance in self._owners.of(losses):
            if instance.router.holds_addresses and (lost := self._lost(instance, losses)):
                yield instance, str(lost)
                self._defend(instance, lost)

    def _lost(self, instance: Instance, losses: Losses) -> Lost | None:
        gone = [
            (entry, losses[key])
            for entry in entries_of(instance.configuration)
            if entry.tracked and (key := routes.key(entry.delete)) in losses and self._could_stay(entry)
        ]
        removed = tuple(entry for entry, loss in gone if not loss.body)
        preceded = tuple(entry for entry, loss in gone if loss.is_preceded and routes.comes_first(entry))
        replaced = tuple(
            entry
            for entry, loss in gone
            if loss.body and not loss.is_preceded and not routes.is_told_of(self._network, entry, loss.body)
        )
        return Lost(removed, replaced, preceded) if removed or replaced or preceded else None

    def _could_stay(self, entry: RoutingEntry) -> bool:
        """An interface that went down took it along, which is a matter of the interface."""
        links = [self._network.link(name) for _, name in entry.indexes]
        return all(link is not None and link.enabled for link in links)

    def _defend(self, instance: Instance, lost: Lost) -> None:
        now = self._mux.now()
        again_at = instance.routing_guard.lost(now)
        if again_at is None:
            self._log.error(f"({instance.name}) {lost}, again and again: giving up")
            self._give_up(
                instance,
                Fault(_TAKEN_AWAY, "routing", f"instance/{instance.name}"),
                instance.routing_guard.may_try_again_at(),
            )
        elif again_at <= now:
            self._log.warning(f"({instance.name}) {lost}: putting it back")
            self._put_back(instance, lost)
        else:
            self._log.warning(f"({instance.name}) {lost}: back in {again_at - now:.1f} s")
            self._at(again_at, partial(self._put_back, instance, lost))

    def _put_back(self, instance: Instance, lost: Lost) -> None:
        entries = entries_of(instance.configuration)
        those_of = (lost.removed, lost.replaced, lost.preceded)
        removed, replaced, preceded = ([each for each in those if each in entries] for those in those_of)
        if not instance.router.holds_addresses:
            return
        # What takes the place of another one would take that of our own beside it.
        alike = Counter(routes.key(each.delete) for each in entries)
        alone = [each for each in replaced if alike[routes.key(each.delete)] == 1]
        removed += [each for each in replaced if each not in alone]
        removed += preceded
        # Of a route with several ways one may be left, beside which the kernel would not take the whole; and one that
        # was preceded goes to the front by being added anew.
        refused: list[NotDone] = []
        self._exhaust(
            chain(
                self._in_steps(instance, routes.release, removed, []),
                self._in_steps(instance, routes.hold, removed, refused),
                self._in_steps(instance, routes.retake, alone, refused),
            )
        )
        if refused:
            self._judge(instance, KernelCall.ADD_ROUTE, refused)

    def _exhaust(self, steps: Iterator[None]) -> None:
        for _ in steps:
            pass

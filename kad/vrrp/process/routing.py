"""Routes and rules in and out of the kernel's tables, a few at a time, and back when somebody took them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain

import msgspec

from kad.linux import routing
from kad.linux.network import Network
from kad.linux.routing import Key, Losses, RoutingMonitor
from kad.log import Logger
from kad.mux import Mux
from kad.vrrp.keywords import NetlinkBuffers, VrrpInstance
from kad.vrrp.keywords.routing import RoutingEntry
from kad.vrrp.process.instance import Instance
from kad.vrrp.process.surroundings import Index

_AT_ONCE = 32
"""Requests a system call: the kernel works about a millisecond on them, inside the call."""
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
        give_up: Callable[[Instance, str, float], None],
    ) -> None:
        """`at` calls back at a moment; `give_up` takes an instance, the reason, and when to try again."""
        self._mux = mux
        self._log = log
        self._network = network
        self._at = at
        self._give_up = give_up
        self._monitor: RoutingMonitor | None = None
        self._owners: Index[Key] = Index()

    def hold(self, instance: Instance) -> Iterator[None]:
        """Everything that is configured is there; several steps where there is much."""
        configuration = instance.configuration
        for name, entries in (("Routes", configuration.routes), ("Rules", configuration.rules)):
            if entries:
                self._log.debug(f"({instance.name}) setting Virtual {name}")
            yield from self._in_steps(instance, routing.hold, entries)

    def release(self, instance: Instance) -> Iterator[None]:
        """Nothing of it is there."""
        configuration = instance.configuration
        for name, entries in (("Rules", configuration.rules), ("Routes", configuration.routes)):
            if entries:
                self._log.debug(f"({instance.name}) removing Virtual {name}")
            yield from self._in_steps(instance, routing.release, entries[::-1])

    def change(self, instance: Instance, old: VrrpInstance) -> Iterator[None]:
        """After a reload: what is no longer wanted goes; what stays is not touched."""
        kept = set(entries_of(instance.configuration))
        gone = [each for each in entries_of(old) if each not in kept] if instance.router.holds_addresses else []
        return self._in_steps(instance, routing.release, gone[::-1])

    def _in_steps(
        self,
        instance: Instance,
        do: Callable[[Network, Sequence[RoutingEntry]], list[str]],
        entries: Sequence[RoutingEntry],
    ) -> Iterator[None]:
        for start in range(0, len(entries), _AT_ONCE):
            for complaint in do(self._network, entries[start : start + _AT_ONCE]):
                self._log.error(f"({instance.name}) {complaint}")
            yield

    # the guard

    def follow(self, instances: Iterable[Instance], buffers: NetlinkBuffers, removed: Callable[[], None]) -> None:
        """From now on look after the routes and rules of these; `removed` is called when some may be gone."""
        self._owners = Index()
        tracked: list[RoutingEntry] = []
        for instance in instances:
            for entry in entries_of(instance.configuration):
                if entry.tracked:
                    self._owners.add(routing.key(entry.delete), instance)
                    tracked.append(entry)
        if self._owners:
            if self._monitor is None:
                self._monitor = RoutingMonitor()
                self._mux.watch(self._monitor.fileno(), removed, "reading what the kernel says of routes and rules")
            self._monitor.size(buffers)
            self._monitor.look_after(tracked)
        elif not self._owners and self._monitor is not None:
            self._mux.unwatch(self._monitor.fileno())
            self._monitor.close()
            self._monitor = None

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
            if entry.tracked and (key := routing.key(entry.delete)) in losses and self._could_stay(entry)
        ]
        removed = tuple(entry for entry, loss in gone if not loss.body)
        preceded = tuple(entry for entry, loss in gone if loss.is_preceded and routing.comes_first(entry))
        replaced = tuple(
            entry
            for entry, loss in gone
            if loss.body and not loss.is_preceded and not routing.is_told_of(self._network, entry, loss.body)
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
            self._give_up(instance, _TAKEN_AWAY, instance.routing_guard.may_try_again_at())
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
        alike = Counter(routing.key(each.delete) for each in entries)
        alone = [each for each in replaced if alike[routing.key(each.delete)] == 1]
        removed += [each for each in replaced if each not in alone]
        removed += preceded
        # Of a route with several ways one may be left, beside which the kernel would not take the whole; and one that
        # was preceded goes to the front by being added anew.
        self._exhaust(
            chain(
                self._in_steps(instance, routing.release, removed),
                self._in_steps(instance, routing.hold, removed),
                self._in_steps(instance, routing.retake, alone),
            )
        )

    def _exhaust(self, steps: Iterator[None]) -> None:
        for _ in steps:
            pass

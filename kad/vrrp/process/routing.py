"""Routes and rules in and out of the kernel's tables, a few at a time, and back when somebody removed them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain

from kad.linux import routing
from kad.linux.network import Network
from kad.linux.routing import Key, RoutingMonitor
from kad.log import Logger
from kad.mux import Mux
from kad.vrrp.keywords import VrrpInstance
from kad.vrrp.keywords.routing import RoutingEntry
from kad.vrrp.process.instance import Instance
from kad.vrrp.process.surroundings import Index

_AT_ONCE = 32
"""Requests a system call: the kernel works about a millisecond on them, inside the call."""
_TAKEN_AWAY = "its routes or rules are removed again and again by somebody else"


def entries_of(configuration: VrrpInstance) -> tuple[RoutingEntry, ...]:
    """In the order in which they are added."""
    return (*configuration.routes, *configuration.rules)


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

    def follow(self, instances: Iterable[Instance], removed: Callable[[], None]) -> None:
        """From now on look after the routes and rules of these; `removed` is called when some may be gone."""
        self._owners = Index()
        for instance in instances:
            for entry in entries_of(instance.configuration):
                if entry.tracked:
                    self._owners.add(routing.key(entry.delete), instance)
        if self._owners and self._monitor is None:
            self._monitor = RoutingMonitor()
            self._mux.watch(self._monitor.fileno(), removed, "reading what the kernel says of routes and rules")
        elif not self._owners and self._monitor is not None:
            self._mux.unwatch(self._monitor.fileno())
            self._monitor.close()
            self._monitor = None

    def defend(self) -> Iterator[tuple[Instance, str]]:
        """Put back what somebody removed, now or later; whose it was, and what."""
        if self._monitor is None:
            return
        removed = self._monitor.read()
        if removed is None:
            # Some word was lost. To add what is there already changes nothing.
            for instance in self._owners.all():
                if instance.router.holds_addresses:
                    self._exhaust(self.hold(instance))
            return
        for instance in self._owners.of(removed):
            lost = [each for each in entries_of(instance.configuration) if self._is_lost(each, removed)]
            if lost and instance.router.holds_addresses:
                yield instance, ", ".join(f"the {each.kind} {each.text}" for each in lost)
                self._defend(instance, lost)

    def _is_lost(self, entry: RoutingEntry, removed: set[Key]) -> bool:
        """An interface that went down took it along, which is a matter of the interface."""
        if not entry.tracked or routing.key(entry.delete) not in removed:
            return False
        links = [self._network.link(name) for _, name in entry.indexes]
        return all(link is not None and link.enabled for link in links)

    def _defend(self, instance: Instance, lost: list[RoutingEntry]) -> None:
        now = self._mux.now()
        names = ", ".join(f"the {each.kind} {each.text}" for each in lost)
        again_at = instance.routing_guard.lost(now)
        if again_at is None:
            self._log.error(f"({instance.name}) somebody removes {names} again and again: giving up")
            self._give_up(instance, _TAKEN_AWAY, instance.routing_guard.may_try_again_at())
        elif again_at <= now:
            self._log.warning(f"({instance.name}) somebody removed {names}: putting it back")
            self._put_back(instance, lost)
        else:
            self._log.warning(f"({instance.name}) somebody removed {names}: back in {again_at - now:.1f} s")
            self._at(again_at, partial(self._put_back, instance, lost))

    def _put_back(self, instance: Instance, lost: list[RoutingEntry]) -> None:
        wanted = set(entries_of(instance.configuration))
        lost = [each for each in lost if each in wanted]
        if instance.router.holds_addresses:
            # Of a route with several ways one may be left, beside which the kernel would not take the whole.
            self._exhaust(
                chain(self._in_steps(instance, routing.release, lost), self._in_steps(instance, routing.hold, lost))
            )

    def _exhaust(self, steps: Iterator[None]) -> None:
        for _ in steps:
            pass

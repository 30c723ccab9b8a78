"""Addresses, routes and rules that are there whatever the instances are: as held by a MASTER that never yields."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from kad.linux.netlink.link import Link
from kad.linux.netlink.network_table import Network
from kad.model.vrrp import VrrpInstance, VrrpSlice
from kad.vrrp.events import State
from kad.vrrp.process.instance import Instance
from kad.vrrp.process.kernel.addresses import Holding
from kad.vrrp.process.kernel.required_interfaces import Need, lacking, needs_for
from kad.vrrp.process.kernel.routes import Routing, entries_of

NAME = "static"


def _as_instance(configuration: VrrpSlice) -> VrrpInstance:
    """One that holds all of it; it never speaks."""
    entries = configuration.static_routing
    return VrrpInstance(
        name=NAME,
        interface="",
        virtual_router_id=0,
        excluded_addresses=tuple(each.address for each in configuration.static_addresses),
        routes=tuple(each for each in entries if each.kind == "route"),
        rules=tuple(each for each in entries if each.kind == "rule"),
    )


class Statics:
    """What static_ipaddress, static_routes and static_rules ask for."""

    def __init__(self, holding: Holding, routing: Routing) -> None:
        self._holding = holding
        self._routing = routing
        self.holder: Instance | None = None
        """Stands for them where addresses, routes and rules are looked after; None when there are none."""
        self.needs: dict[str, list[Need]] = {}
        """By instance: what it depends on by a track_group."""
        self._dependents: frozenset[str] = frozenset()

    @property
    def holders(self) -> list[Instance]:
        return [self.holder] if self.holder is not None else []

    def depends(self, name: str) -> bool:
        """Whether the instance of this name cannot take part without some of it."""
        return name in self._dependents

    def dependents(self, instances: list[Instance]) -> list[Instance]:
        """Those that cannot take part without some of it."""
        return [each for each in instances if each.name in self._dependents]

    def change(self, configuration: VrrpSlice) -> Iterator[None]:
        """Bring what is there in line with this."""
        addresses, entries = configuration.static_addresses, configuration.static_routing
        wanted = _as_instance(configuration)
        self.needs = {}
        for each in addresses:
            for name in each.dependents:
                self.needs.setdefault(name, []).extend(needs_for([each.address], ()))
        for entry in entries:
            for name in entry.dependents:
                # A route without an interface of its own can be taken away all the same.
                self.needs.setdefault(name, []).extend(needs_for((), [entry]))
        self._dependents = frozenset(self.needs)
        holder = self.holder
        if holder is None and not addresses and not entries:
            return
        if holder is None:
            holder = self.holder = Instance(wanted, time.time())
            holder.router.state = State.MASTER
            yield from self._hold(holder)
        elif wanted != holder.configuration:
            old = holder.configuration
            holder.reconfigure(wanted)
            superseded, gone = self._holding.change(holder, old)
            yield from superseded
            yield from self._routing.change(holder, old)
            if gone is not None:
                yield from gone
            yield from self._hold(holder)
        if not addresses and not entries:
            self.holder = None

    def _hold(self, holder: Instance) -> Iterator[None]:
        yield from self._holding.hold(holder)
        yield from self._routing.hold(holder)

    def release(self) -> Iterator[None]:
        """Nothing of it is there."""
        holder, self.holder = self.holder, None
        if holder is not None:
            # From now on nobody puts anything back.
            holder.router.state = State.STOP
            yield from self._release(holder)

    def sweep(self, configuration: VrrpSlice) -> Iterator[None]:
        """Nothing is there of what a life that ended was told to keep."""
        yield from self._release(Instance(_as_instance(configuration), time.time()))

    def _release(self, holder: Instance) -> Iterator[None]:
        yield from self._routing.release(holder)
        yield from self._holding.release(holder)

    def faults(self, name: str, network: Network, is_up: Callable[[Link], bool]) -> frozenset[str]:
        """Why the instance of this name cannot take part."""
        found = lacking(network, self.needs.get(name, ()), is_up)
        if self.holder is not None and self.holder.hopeless and name in self._dependents:
            found |= {f"{NAME}: {self.holder.hopeless}"}
        return found

    def snapshot(self) -> dict[str, Any]:
        """For `--dump`."""
        configuration = self.holder.configuration if self.holder is not None else None
        return {
            "addresses": [msgspec.structs.asdict(each) for each in configuration.excluded_addresses]
            if configuration
            else [],
            "routes_and_rules": [each.text for each in entries_of(configuration)] if configuration else [],
        }

"""Which instances an interface, an address or a tracked thing concerns; looked up, never searched for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from kad.vrrp.process.index import Index
from kad.vrrp.process.instance import Instance
from kad.vrrp.process.kernel.required_interfaces import Need, needs_of

if TYPE_CHECKING:
    from kad.vrrp.process.kernel.static_objects import Statics


class Surroundings:
    """Made anew whenever the instances are others."""

    def __init__(self, instances: Iterable[Instance], statics: Statics | None = None) -> None:
        self.on_interface: Index[str] = Index()
        """By the interface that is configured for them, and by the device that they have on it."""
        self.with_address_on: Index[str] = Index()
        """By every interface that one of their addresses is on, or one of their routes leads to."""
        self.needing: Index[str] = Index()
        """By every other interface without which they cannot take part."""
        self.with_address: Index[str] = Index()
        """By virtual address, as text."""
        self.tracking_source: Index[str] = Index()
        """By the address that they send from and look for."""
        self.tracking: Index[tuple[str, str]] = Index()
        """By kind and name of what they track."""
        self.needs: dict[Instance, list[Need]] = {}
        self.static_addresses: frozenset[str] = frozenset()
        holder = statics.holder if statics else None
        if holder is not None:
            self.static_addresses = frozenset(address.address for address in holder.addresses)
            self._add_devices(holder)
        for instance in instances:
            configuration = instance.configuration
            for name in {configuration.interface, configuration.own_interface}:
                self.on_interface.add(name, instance)
            for address in instance.addresses:
                self.with_address.add(address.address, instance)
            self._add_devices(instance)
            needs = needs_of(configuration)
            if needs:
                self.needs[instance] = needs
            for need in [*needs, *(statics.needs.get(instance.name, ()) if statics else ())]:
                self.needing.add(need.device, instance)
            if configuration.track_source and configuration.source_address is not None:
                self.tracking_source.add(configuration.source_address, instance)
            for item in configuration.tracks:
                self.tracking.add((item.kind, item.name), instance)

    def _add_devices(self, instance: Instance) -> None:
        configuration = instance.configuration
        for address in instance.addresses:
            self.with_address_on.add(address.device or configuration.own_interface, instance)
        for entry in (*configuration.routes, *configuration.rules):
            for name in {entry.device or configuration.own_interface, *(name for _, name in entry.indexes)}:
                self.with_address_on.add(name, instance)

    def concerns(self, name: str) -> bool:
        """Whether anybody cares for the interface of this name."""
        tracked = ("interface", name) in self.tracking or name in self.needing
        return name in self.on_interface or name in self.with_address_on or tracked

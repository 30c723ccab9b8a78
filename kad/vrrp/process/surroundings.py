"""Which instances an interface, an address or a tracked thing concerns; looked up, never searched for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

from kad.vrrp.process.instance import Instance

K = TypeVar("K")


class Index(Generic[K]):
    """Instances by something that several of them may have."""

    def __init__(self) -> None:
        self._found: dict[K, dict[Instance, None]] = {}

    def add(self, key: K, instance: Instance) -> None:
        self._found.setdefault(key, {})[instance] = None

    def of(self, keys: Iterable[K]) -> list[Instance]:
        """All that have one of these, each once."""
        return list({instance: None for key in keys for instance in self._found.get(key, ())})

    def __contains__(self, key: object) -> bool:
        return key in self._found


class Surroundings:
    """Made anew whenever the instances are others."""

    def __init__(self, instances: Iterable[Instance]) -> None:
        self.on_interface: Index[str] = Index()
        """By the interface on which they speak."""
        self.with_address_on: Index[str] = Index()
        """By every interface that one of their addresses is on."""
        self.with_address: Index[str] = Index()
        """By virtual address, as text."""
        self.tracking: Index[tuple[str, str]] = Index()
        """By kind and name of what they track."""
        for instance in instances:
            configuration = instance.configuration
            self.on_interface.add(configuration.interface, instance)
            for address in instance.addresses:
                self.with_address.add(address.address, instance)
                self.with_address_on.add(address.device or configuration.interface, instance)
            for item in configuration.tracks:
                self.tracking.add((item.kind, item.name), instance)

    def concerns(self, name: str) -> bool:
        """Whether anybody cares for the interface of this name."""
        return name in self.on_interface or name in self.with_address_on or ("interface", name) in self.tracking

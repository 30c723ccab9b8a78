"""Instances by something that several of them may have."""

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

    def all(self) -> list[Instance]:
        """Every instance, once."""
        return self.of(self._found)

    def __contains__(self, key: object) -> bool:
        return key in self._found

    def __bool__(self) -> bool:
        return bool(self._found)

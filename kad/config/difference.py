"""What a new configuration changes, by name: an object that is equal is kept and keeps its state."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, Protocol, TypeVar

import msgspec


class Named(Protocol):
    """A configured object."""

    @property
    def name(self) -> str: ...


N = TypeVar("N", bound=Named)


class Difference(msgspec.Struct, Generic[N], frozen=True, kw_only=True):
    """Each object in one of four places; removed ones as they were, all others as they shall be."""

    removed: tuple[N, ...] = ()
    changed: tuple[N, ...] = ()
    added: tuple[N, ...] = ()
    kept: tuple[N, ...] = ()


def difference(old: Iterable[N], new: Iterable[N]) -> Difference[N]:
    """Compare by name and content; names are unique on either side."""
    before = {one.name: one for one in old}
    after = {one.name: one for one in new}
    return Difference(
        removed=tuple(one for name, one in before.items() if name not in after),
        changed=tuple(one for name, one in after.items() if name in before and before[name] != one),
        added=tuple(one for name, one in after.items() if name not in before),
        kept=tuple(one for name, one in after.items() if name in before and before[name] == one),
    )

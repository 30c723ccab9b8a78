"""What the tracked things make of an instance: its effective priority, its faults, what is still unknown; pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from kad.model.cause import Contribution
from kad.model.fault import Fault
from kad.model.tracking import TrackItem
from kad.model.vrrp import OWNER_PRIORITY

_LOWEST, _HIGHEST = 1, 254
_FILE_FAULT = -254
_FILE_LARGEST = 253


class Value(NamedTuple):
    """What is known of one tracked thing."""

    number: int | None
    """1 good, 0 failing, the number of a file; None: not known yet."""
    reason: str
    is_named: bool = False
    """The reason begins with kind and name."""


Lookup = Callable[[str, str], Value]
"""By kind and name."""


class Verdict(NamedTuple):
    """The whole truth about an instance, as its tracked things have it."""

    priority: int
    faults: frozenset[str]
    pending: frozenset[str]
    """Things of weight 0 that have no result: the instance waits for them before it takes part."""
    contributions: tuple[Contribution, ...]
    """Each thing that moves the priority, and by how much."""


def judge(base: int, items: Iterable[TrackItem], lookup: Lookup) -> Verdict:
    """Sum up; the priority stays in 1..254, and that of an owner never changes."""
    total = base
    faults: set[str] = set()
    pending: set[str] = set()
    contributions: list[Contribution] = []
    for item in items:
        value = lookup(item.kind, item.name)
        if value.number is None:
            if item.weight == 0:
                pending.add(f"{item.kind} {item.name} has no result yet")
            continue
        if item.kind == "file":
            change, fault = _of_number(item, value.number)
        else:
            change, fault = _of_condition(item, good=bool(value.number))
        if fault:
            kind = "link" if item.kind == "interface" else item.kind
            faults.add(Fault(value.reason, kind, f"{item.kind}/{item.name}"))
        if change:
            total += change
            contributions.append(
                Contribution(change=change, kind=item.kind, name=item.name, text=value.reason, is_named=value.is_named)
            )
    priority = base if base == OWNER_PRIORITY else min(max(total, _LOWEST), _HIGHEST)
    return Verdict(priority, frozenset(faults), frozenset(pending), tuple(contributions))


def _of_condition(item: TrackItem, *, good: bool) -> tuple[int, bool]:
    """A weight moves the priority, up while the thing is good or down while it fails; reversed, the other way."""
    if item.weight == 0:
        return 0, good is item.reverse
    change = item.weight if good is (item.weight > 0) else 0
    return (-change if item.reverse else change), False


def _of_number(item: TrackItem, number: int) -> tuple[int, bool]:
    if item.weight == 0:
        return 0, (number != 0) is not item.reverse
    change = number * (-item.weight if item.reverse else item.weight)
    return min(change, _FILE_LARGEST), change <= _FILE_FAULT

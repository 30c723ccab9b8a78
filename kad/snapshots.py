"""What the children say of themselves, asked of many at once and waited for; most of it is only passed on."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import msgspec

from kad import messages
from kad.family import Member
from kad.linux.memory import read_memory_file

_PATIENCE = 8.0
"""Seconds that a child has to tell about itself; one that is deaf is replaced long before, and nobody waits for it."""

Snapshot: TypeAlias = dict[str, msgspec.Raw]
"""Of one child, by name of each part. The parts stay as they came: of many virtual servers they are many megabytes."""
Taken: TypeAlias = dict[str, Snapshot]
"""By child."""
_SNAPSHOT = msgspec.json.Decoder(Snapshot)


def opened(snapshot: Snapshot) -> dict[str, Any]:
    """Every part as plain values."""
    return {name: msgspec.json.decode(part) for name, part in snapshot.items()}


def _received(member: Member) -> bytes:
    assert member.channel is not None
    descriptor = member.channel.descriptors.popleft()
    try:
        return read_memory_file(descriptor)
    finally:
        os.close(descriptor)


class _Question(NamedTuple):
    """Who is to be asked, and who is told then."""

    names: frozenset[str]
    done: Callable[[Taken], None]


@dataclass
class _Collection:
    """Snapshots on their way; `done` is called with all that came in time."""

    deadline: float
    done: list[Callable[[Taken], None]]
    waiting: set[str]
    taken: Taken = field(default_factory=dict)


class Snapshots:
    """For the parent; never waits."""

    def __init__(self, members: Mapping[str, Member], send: Callable[[Member, messages.Message], None]) -> None:
        self._members = members
        self._send = send
        self._collections: dict[int, _Collection] = {}
        self._later: list[_Question] = []
        """Who asked while a collection was on its way: one more answers them all."""
        self._number = 0

    @property
    def deadlines(self) -> list[float]:
        return [collection.deadline for collection in self._collections.values()]

    def fall_due(self, now: float) -> None:
        """Answer with what there is."""
        for number, collection in list(self._collections.items()):
            if collection.deadline <= now:
                self._finish(number)

    def collect(self, names: frozenset[str], done: Callable[[Taken], None], *, clear_statistics: bool = False) -> None:
        """Ask these children, as far as they live; a crowd of clients costs a child two answers at most."""
        question = _Question(names, done)
        if self._collections and not clear_statistics:
            self._later.append(question)
            return
        self._ask([question], clear_statistics=clear_statistics)

    def _ask(self, questions: Sequence[_Question], *, clear_statistics: bool = False) -> None:
        self._number += 1
        names = frozenset[str]().union(*(question.names for question in questions))
        alive = {name for name in names if self._members[name].configured_generation}
        done = [question.done for question in questions]
        self._collections[self._number] = _Collection(time.monotonic() + _PATIENCE, done, set(alive))
        for name in alive:
            wanted = messages.SnapshotWanted(number=self._number, clear_statistics=clear_statistics)
            self._send(self._members[name], wanted)
        if not alive:
            self._finish(self._number)

    def take(self, member: Member, taken: messages.SnapshotTaken) -> None:
        """A child's answer."""
        json = _received(member) if taken.json is None else taken.json
        collection = self._collections.get(taken.number)
        if collection is not None and member.name in collection.waiting:
            collection.taken[member.name] = _SNAPSHOT.decode(json)
            collection.waiting.discard(member.name)
            if not collection.waiting:
                self._finish(taken.number)

    def lose(self, name: str) -> None:
        """A child died; nobody waits for its answer."""
        for number, collection in list(self._collections.items()):
            collection.waiting.discard(name)
            if not collection.waiting:
                self._finish(number)

    def _finish(self, number: int) -> None:
        collection = self._collections.pop(number)
        for answer in collection.done:
            answer(collection.taken)
        if self._later and not self._collections:
            waiting, self._later = self._later, []
            self._ask(waiting)

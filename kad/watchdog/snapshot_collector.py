"""What the children say of themselves, asked of many at once and waited for; most of it is only passed on."""

from __future__ import annotations

import os
import time
import traceback
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import msgspec

from kad.linux.process.memfd import read_sealed
from kad.model.problem import Problem
from kad.shared import messages
from kad.shared.framing import BadFrame
from kad.watchdog.process_specs import Member

_LARGEST = 64 * 1024 * 1024
"""Bytes of a snapshot; that of 10,000 real servers has about 10 million."""
_MOST_QUESTIONS = 256
"""That wait for the answers to others; more clients are not served at a time."""
_PATIENCE = 8.0
"""Seconds that a child has to tell about itself; one that is deaf is replaced long before, and nobody waits for it."""

_PATIENCE_OF_STATUS = 0.8
"""The same for a status: a second one that has to wait for the first is answered within 2 s too."""
_AT_WORK = 0.4
"""Seconds since the last turn of its loop after which a child that was asked is not at work."""
WHOLE_FOR_STATUS = frozenset({"vrrp", "ipvs"})
"""Children whose objects a status lists; of the others it tells only what is wrong."""

Snapshot: TypeAlias = dict[str, msgspec.Raw]
"""Of one child, by name of each part. The parts stay as they came: of many virtual servers they are many megabytes."""
Taken: TypeAlias = dict[str, Snapshot]
"""By child."""
_SNAPSHOT = msgspec.json.Decoder(Snapshot)


class _Process(msgspec.Struct):
    """What the parent itself reads in a snapshot."""

    memory: dict[str, Any]


_PROCESS = msgspec.json.Decoder(_Process)
_PROBLEMS = msgspec.json.Decoder(list[Problem])


def problems_of(snapshot: Snapshot) -> list[Problem]:
    """What the child says is wrong."""
    return _PROBLEMS.decode(snapshot["problems"])


def opened(snapshot: Snapshot) -> dict[str, Any]:
    """Every part as plain values."""
    return {name: msgspec.json.decode(part) for name, part in snapshot.items()}


def _received(member: Member) -> bytes:
    """Raises BadFrame."""
    assert member.channel is not None
    descriptor = member.channel.take_descriptor()
    try:
        return read_sealed(descriptor, _LARGEST)
    except ValueError as error:
        raise BadFrame(f"snapshot: {error}") from error
    finally:
        os.close(descriptor)


def _understood(json: bytes) -> Snapshot:
    """Raises BadFrame."""
    try:
        snapshot = _SNAPSHOT.decode(json)
        _PROCESS.decode(snapshot["process"])
        problems_of(snapshot)
    except (KeyError, ValueError, RecursionError) as error:
        raise BadFrame(f"snapshot: {error}") from error
    return snapshot


class _Question(NamedTuple):
    """Who is to be asked, and who is told then."""

    names: frozenset[str]
    done: Callable[[Taken], None]


@dataclass
class _Collection:
    """Snapshots on their way; `done` is called with all that came in time."""

    deadline: float
    until: float
    """Not even a child that is at work is waited for after this moment."""
    done: list[Callable[[Taken], None]]
    waiting: set[str]
    of_status: bool = False
    taken: Taken = field(default_factory=dict)


class Snapshots:
    """For the parent; never waits.

    Dumps and status are collected apart from each other: a status is answered in time even while a dump waits for a
    child that does not answer.
    """

    def __init__(
        self,
        members: Mapping[str, Member],
        send: Callable[[Member, messages.Message], None],
        complain: Callable[[str], None],
    ) -> None:
        self._members = members
        self._send = send
        self._complain = complain
        self._collections: dict[int, _Collection] = {}
        self._later: dict[bool, deque[_Question]] = {each: deque(maxlen=_MOST_QUESTIONS) for each in (False, True)}
        """Dumps and (True) status asked for while a collection was on its way: one more answers them all."""
        self._number = 0

    @property
    def deadlines(self) -> list[float]:
        return [collection.deadline for collection in self._collections.values()]

    def fall_due(self, now: float) -> None:
        """Answer with what there is."""
        for number, collection in list(self._collections.items()):
            if collection.deadline > now:
                continue
            if now < collection.until and any(self._is_at_work(name, now) for name in collection.waiting):
                collection.deadline = now + _AT_WORK / 2
            else:
                self._finish(number)

    def _is_at_work(self, name: str, now: float) -> bool:
        """Its loop turned a moment ago: it takes long over a long answer."""
        return now - self._members[name].page.turned_at < _AT_WORK

    def collect(self, names: frozenset[str], done: Callable[[Taken], None], *, clear_statistics: bool = False) -> None:
        """Ask these children, as far as they live; a crowd of clients costs a child two answers at most."""
        question = _Question(names, done)
        if not clear_statistics and any(not each.of_status for each in self._collections.values()):
            self._later[False].append(question)
            return
        self._ask([question], clear_statistics=clear_statistics)

    def collect_status(self, names: frozenset[str], done: Callable[[Taken], None]) -> None:
        """What is wrong with these children, and of those in WHOLE_FOR_STATUS everything; answered within 2 s.

        One that is just being replaced is waited for as well.
        """
        question = _Question(names, done)
        if any(each.of_status for each in self._collections.values()):
            self._later[True].append(question)
            return
        self._ask([question], of_status=True)

    def _ask(self, questions: Sequence[_Question], *, clear_statistics: bool = False, of_status: bool = False) -> None:
        self._number += 1
        number, now = self._number, time.monotonic()
        names = frozenset[str]().union(*(question.names for question in questions))
        alive = {name for name in names if self._members[name].configured_generation}
        done = [question.done for question in questions]
        waiting = set(names) if of_status else set(alive)
        patience = _PATIENCE_OF_STATUS if of_status else _PATIENCE
        self._collections[number] = _Collection(now + patience, now + _PATIENCE, done, waiting, of_status)
        for name in alive:
            self._send_question(number, name, clear_statistics=clear_statistics, of_status=of_status)
        if not waiting:
            self._finish(number)

    def _send_question(self, number: int, name: str, *, clear_statistics: bool, of_status: bool) -> None:
        wanted = messages.SnapshotWanted(
            number=number,
            clear_statistics=clear_statistics,
            problems_only=of_status and name not in WHOLE_FOR_STATUS,
        )
        self._send(self._members[name], wanted)

    def configured(self, member: Member) -> None:
        """A child that was just replaced can be asked now."""
        for number, collection in self._collections.items():
            if collection.of_status and member.name in collection.waiting:
                self._send_question(number, member.name, clear_statistics=False, of_status=True)

    def take(self, member: Member, taken: messages.SnapshotTaken) -> None:
        """A child's answer. Raises BadFrame."""
        json = _received(member) if taken.json is None else taken.json
        collection = self._collections.get(taken.number)
        if collection is not None and member.name in collection.waiting:
            collection.taken[member.name] = _understood(json)
            collection.waiting.discard(member.name)
            if not collection.waiting:
                self._finish(taken.number)

    def lose(self, name: str) -> None:
        """A child died; a dump does not wait for its answer, a status does for that of its replacement."""
        for number, collection in list(self._collections.items()):
            if collection.of_status:
                continue
            collection.waiting.discard(name)
            if not collection.waiting:
                self._finish(number)

    def _finish(self, number: int) -> None:
        collection = self._collections.pop(number)
        for answer in collection.done:
            try:
                answer(collection.taken)
            except Exception:
                # What a child says of itself may be anything; the others who asked are answered.
                self._complain(traceback.format_exc())
        of_status = collection.of_status
        if self._later[of_status] and all(each.of_status is not of_status for each in self._collections.values()):
            waiting = list(self._later[of_status])
            self._later[of_status].clear()
            self._ask(waiting, of_status=of_status)

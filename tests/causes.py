"""Causes by their sentences: what tests expect is written as people read it, what they give is typed."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from kad.model.cause import (
    AddressesTaken,
    AdvertsRefused,
    Cause,
    Contribution,
    FaultFound,
    FaultsBegan,
    FaultsEnded,
    GroupComplete,
    HigherPriorityReceived,
    InstanceStarted,
    JournalKey,
    LowerPriorityPreempted,
    MasterResigned,
    MasterSilent,
    MemberLeft,
    ProcessPaused,
    RefusedPeer,
    ResumedTooLate,
    StopOrdered,
    TrackedChanged,
    describe,
)


class Printed:
    """Equal to every cause that is printed so."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __eq__(self, other: object) -> bool:
        return describe(other) == self.text  # type: ignore[arg-type]

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"<{self.text}>"


def printed(text: str) -> Any:
    """What a test expects of an action."""
    return Printed(text)


def tracked(text: str) -> TrackedChanged:
    """Something that is tracked has changed the priority."""
    return TrackedChanged(contributions=(Contribution(change=0, kind="script", name="x", text=text),))


def contribution(text: str) -> Contribution:
    """-5: script a: gone"""
    change, kind, name = re.match(r"([+-]\d+): (\w+) (\S+?)(?=:? )", text).groups()  # type: ignore[union-attr]
    _, _, said = text.partition(": ")
    is_named = said.startswith(f"{kind} {name}: ")
    return Contribution(change=int(change), kind=kind, name=name, text=said, is_named=is_named)


_KINDS: list[tuple[str, Callable[..., Cause]]] = [
    ("init", lambda: InstanceStarted()),
    ("stopped", lambda: StopOrdered()),
    ("the process was replaced too late to go on", lambda: ResumedTooLate()),
    (
        r"no advert from (\S+) for ([\d.]+) s",
        lambda who, s: MasterSilent(source=who.replace("anyone", ""), seconds=float(s)),
    ),
    (
        r"advert from (\S+) priority (\d+) > (\d+)",
        lambda who, n, own: HigherPriorityReceived(source=who, priority=int(n), own_priority=int(own)),
    ),
    (
        r"priority (\d+) > (\d+) of (\S+)",
        lambda own, n, who: LowerPriorityPreempted(source=who, priority=int(n), own_priority=int(own)),
    ),
    (r"(\S+) gave up with priority 0", lambda who: MasterResigned(source=who)),
    (r"did not run for ([\d.]+) s, and (\S+) took over", lambda s, who: ProcessPaused(seconds=float(s), source=who)),
    (r"somebody removed (.*)", lambda what: AddressesTaken(addresses=what)),
    (r"sync group (\S+): every member can be MASTER", lambda group: GroupComplete(group=group)),
    (r"sync group (\S+): (\S+) is BACKUP", lambda group, member: MemberLeft(group=group, member=member)),
    (r"no longer: (.*)", lambda text: FaultsEnded(faults=(fault(text),))),
]


def cause(text: str) -> Cause:
    """That cause; any other text is a fault in these words."""
    for pattern, make in _KINDS:
        if found := re.fullmatch(pattern, text):
            return make(*found.groups())
    return FaultsBegan(faults=(fault(text),))


def fault(text: str) -> FaultFound:
    """A fault that tells by its words which event it follows from, as the process would have known."""
    if member := re.search(r"sync group \S+: (\S+) is in FAULT", text):
        return FaultFound(text, JournalKey("transition", member[1]))
    if interface := re.search(r"\binterface (\S+)", text):
        return FaultFound(text, JournalKey("link", f"interface/{interface[1]}"))
    if thing := re.match(r"(script|process|file|bfd) ([^\s:]+)", text):
        return FaultFound(text, JournalKey(thing[1], f"{thing[1]}/{thing[2]}"))
    return FaultFound(text)


def refused(text: str) -> tuple[RefusedPeer, ...]:
    """adverts of 10.0.0.2 are refused: wrong password"""
    found = re.fullmatch(r"adverts of (\S+) are refused: (.*)", text)
    return (RefusedPeer(peer=found[1], reason="auth_failure", text=found[2]),) if found else ()


__all__ = ["AdvertsRefused", "Printed", "cause", "contribution", "fault", "printed", "refused", "tracked"]

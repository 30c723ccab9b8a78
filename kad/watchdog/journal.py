"""What happened and why, as the parent heard it: bounded, and of each object the last events are never pushed out."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from kad.child.process_spec import ProcessSpec
from kad.model.cause import events_of
from kad.shared.messages import Event, Message, Observation, RouterState, ServerHealth, to_plain

RECENT = 4000
"""Events of any kind that are kept."""
OF_EACH = 4
"""Events of one kind about one object that are kept beside, however much else happens."""
OBJECTS = 5000
"""Objects and kinds of which some are kept; the one that was silent for longest goes."""
KINDS = 64
"""Kinds of events; those of any more are noted as "other"."""
_TEXT = 2000
_OBJECT = 300
"""Characters of an event and of the name of its object."""
_DETAILS = 16 * 1024
"""Bytes of the details of an event as msgpack; without its texts and lists, or without any, where they are more."""
_ENCODER = msgspec.msgpack.Encoder()
_OUTPUT = 500
"""Characters of what a program printed."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One event."""

    number: int
    """In the order in which the parent heard of them: a cause comes before what it causes."""
    when: float
    """UNIX time."""
    kind: str
    """transition, priority, group, link, address, pause, child, reload; script, process, file; server …"""
    object: str
    """An instance by its name, others as KIND/NAME."""
    text: str
    """One sentence."""
    details: dict[str, Any] = {}


class Journal:
    """Takes messages as they pass by; says nothing twice."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` tells UNIX time."""
        self._clock = clock
        self._number = 0
        self._recent: deque[Entry] = deque(maxlen=RECENT)
        self._of_each: OrderedDict[tuple[str, str], deque[Entry]] = OrderedDict()
        self._kinds: set[str] = set()
        self._routers: dict[str, RouterState] = {}
        self._observed: dict[str, Observation] = {}
        self._servers: dict[str, ServerHealth] = {}

    def note(self, kind: str, object: str, text: str, when: float | None = None, /, **details: Any) -> None:
        """One more event, by default of this moment."""
        self._number += 1
        if kind not in self._kinds and len(self._kinds) >= KINDS:
            kind = "other"
        object, text = object[:_OBJECT], text[:_TEXT]
        if len(_ENCODER.encode(details)) > _DETAILS:
            details = {name: value for name, value in details.items() if not isinstance(value, str | dict | list)}
            details = details if len(_ENCODER.encode(details)) <= _DETAILS else {}
        entry = Entry(
            number=self._number,
            when=self._clock() if when is None else when,
            kind=kind,
            object=object,
            text=text,
            details=details,
        )
        self._recent.append(entry)
        self._kinds.add(kind)
        kept = self._of_each.setdefault((kind, object), deque(maxlen=OF_EACH))
        kept.append(entry)
        self._of_each.move_to_end((kind, object))
        if len(self._of_each) > OBJECTS:
            self._of_each.popitem(last=False)

    def _forget(self, object: str) -> None:
        """It is no longer; its events last as long as those of any kind."""
        for kind in self._kinds:
            self._of_each.pop((kind, object), None)

    def forget_states(self, spec: ProcessSpec) -> None:
        """What this process has said its objects are; what happened is kept."""
        if RouterState in spec.sends:
            self._routers.clear()
        if ServerHealth in spec.sends:
            self._servers.clear()
        if spec.observes:
            self._observed.clear()

    def take(self, message: Message) -> None:
        """What of this is news is noted."""
        match message:
            case Event(kind=kind, object=object, text=text, when=when, details=details):
                self.note(kind, object, text, when, **details)
            case RouterState():
                self._take_router(message)
            case Observation():
                self._take_observation(message)
            case ServerHealth():
                self._take_server(message)
            case _:
                pass

    def entries(self) -> Iterator[Entry]:
        """In their order."""
        oldest = self._recent[0].number if self._recent else 0
        kept = (entry for entries in self._of_each.values() for entry in entries if entry.number < oldest)
        yield from sorted(kept, key=lambda entry: entry.number)
        yield from self._recent

    def latest(self, count: int) -> list[Entry]:
        """The last so many."""
        return list(self._recent)[-count:]

    def _take_router(self, state: RouterState) -> None:
        before = self._routers.get(state.name)
        if state.deleted:
            if self._routers.pop(state.name, None) is not None:
                self.note("transition", state.name, f"{state.state} to nothing: removed from the configuration")
                self._forget(state.name)
            return
        self._routers[state.name] = state
        old = before.priority if before is not None else None
        if state.priority != old and (old is not None or state.contributions):
            had = before.contributions if before is not None else ()
            new = [each for each in state.contributions if each not in had]
            gone = [each for each in had if each not in state.contributions]
            why = "; ".join([*map(str, new), *(f"no longer {each}" for each in gone)]) or "as configured"
            was = f"from {old} to" if old is not None else "is"
            text = f"priority {was} {state.priority}: {why}"
            moved = {"contributions": to_plain(new), "gone": to_plain(gone)}
            self.note("priority", state.name, text, old=old, new=state.priority, **moved)
        if before is None or (before.state, before.since) != (state.state, state.since):
            self._note_transition(state, before)

    def _note_transition(self, state: RouterState, before: RouterState | None) -> None:
        previous = before.state if before is not None else "INIT"
        if state.state == "INIT":
            return
        unseen = state.transitions - before.transitions - 1 if before is not None else 0
        more = f" ({unseen} more on the way)" if unseen > 0 else ""
        self.note(
            "transition",
            state.name,
            f"{previous} to {state.state}{more}: {state.reason}",
            state.since,
            old=previous,
            new=state.state,
            reason=state.reason,
            priority=state.priority,
            cause=to_plain(state.cause),
            causes=to_plain(events_of(state.cause)),
        )

    def _take_observation(self, observation: Observation) -> None:
        key = f"{observation.kind}/{observation.name}"
        if observation.deleted:
            self._observed.pop(key, None)
            self._forget(key)
            return
        before = self._observed.get(key)
        self._observed[key] = observation
        if observation.value is None or (before is not None and before.value == observation.value):
            return
        if observation.kind == "file":
            verdict = f"is {observation.value}"
        else:
            verdict = "succeeded" if observation.value else "failed"
        text = f"{observation.kind} {observation.name} {verdict}: {observation.reason}"
        details: dict[str, Any] = {"value": observation.value, "reason": observation.reason}
        if observation.output:
            details["output"] = observation.output[-_OUTPUT:]
        self.note(observation.kind, key, text, observation.since, **details)

    def _take_server(self, health: ServerHealth) -> None:
        before = self._servers.get(health.key)
        if health.deleted:
            self._servers.pop(health.key, None)
            self._forget(f"server/{health.key}")
            return
        self._servers[health.key] = health
        if not health.known or (before is not None and before.known and before.healthy == health.healthy):
            return
        verdict = "healthy" if health.healthy else "failed"
        self.note("server", f"server/{health.key}", f"{health.key} is {verdict}: {health.reason}", health.since)

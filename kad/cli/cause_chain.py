"""Why an instance is what it is: from its state back through the journal, one sentence a cause."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any

import msgspec

from kad.model.cause import (
    AddressesOwned,
    Cause,
    Contribution,
    HigherAddressReceived,
    HigherPriorityReceived,
    InstanceStarted,
    JournalKey,
    LowerPriorityPreempted,
    MasterResigned,
    MemberLeft,
    ProcessPaused,
    ResumedTooLate,
    events_of,
)

Plain = Mapping[str, Any]

DEEPEST = 6
"""Causes of causes."""
_OF_PRIORITY = (
    AddressesOwned,
    HigherAddressReceived,
    HigherPriorityReceived,
    LowerPriorityPreempted,
    MasterResigned,
)
"""Causes that a change of priorities may lie behind."""
_JUST_BEFORE = 5.0
"""Seconds in which a reload or the replacement of a process explains what follows."""


class Unknown(ValueError):
    """There is no such instance."""


class Why:
    """One dump, asked about one instance after the other."""

    def __init__(self, dump: Plain, events: Sequence[Plain], zone: tzinfo | None = None) -> None:
        """`dump` as `--dump` prints it, `events` as `--dump events` does; times are printed for `zone`, or ours."""
        self._instances = {each["name"]: each for each in dump.get("vrrp", {}).get("instances", [])}
        self._scripts = {each["name"]: each for each in dump.get("runner", {}).get("scripts", [])}
        self._events = sorted(events, key=lambda event: int(event["number"]))
        self._zone = zone

    @property
    def names(self) -> list[str]:
        """Of the instances, as they are configured."""
        return list(self._instances)

    def chain(self, name: str) -> str:
        """The state in a line, and a line for each cause; raises Unknown."""
        instance = self._instances.get(name)
        if instance is None:
            known = ", ".join(sorted(self._instances)) or "none"
            raise Unknown(f"there is no vrrp_instance {name}; there are: {known}")
        transition = self._last("transition", name)
        lines = [self._state(instance)]
        lines += (f"{'  ' * depth}{cause}" for depth, cause in self._causes_of_state(instance, transition))
        return ";\n".join(lines) + ".\n"

    def _state(self, instance: Plain) -> str:
        text = f"{instance['name']} is {instance['state']} since {self._clock(instance['since'])}"
        faults = instance.get("faults") if instance["state"] == "FAULT" else None
        cause = _cause(instance.get("cause"))
        reason = "; ".join(faults) if faults else _in_words(cause, instance["reason"])
        if instance["state"] == "BACKUP" and _outbid(instance):
            own, best, master = (instance[word] for word in ("effective_priority", "master_priority", "master_address"))
            known = cause == HigherPriorityReceived(source=master, priority=best, own_priority=own)
            return f"{text}: priority {own} < {best} of {master}{'' if known else f' ({reason})'}"
        return f"{text}: {reason}" if reason else text

    def _causes_of_state(self, instance: Plain, transition: Plain | None) -> Iterator[tuple[int, str]]:
        """Each with how deep it lies: a cause of a cause 2."""
        told: set[int] = set()
        if transition is not None:
            told.add(transition["number"])
            yield from self._causes(transition, told, 1)
        moved = self._last("priority", instance["name"])
        if moved is not None and moved["number"] not in told and instance["effective_priority"] != instance["priority"]:
            told.add(moved["number"])
            # Whoever is not outbid is what it is in spite of its priority.
            explains = instance["state"] == "BACKUP" and _outbid(instance)
            yield 1, f"{'because' if explains else 'besides,'} {self._sentence(moved)}"
            yield from self._causes(moved, told, 2)

    def _causes(self, event: Plain, told: set[int], depth: int) -> Iterator[tuple[int, str]]:
        """What came before it and is named in it, then what caused that."""
        if depth > DEEPEST:
            return
        for cause in self._direct(event):
            if cause["number"] in told:
                continue
            told.add(cause["number"])
            yield depth, f"because {self._sentence(cause)}"
            yield from self._causes(cause, told, depth + 1)

    def _direct(self, event: Plain) -> Iterator[Plain]:
        """Events that explain this one."""
        if event["kind"] == "transition":
            yield from self._causes_of_transition(event, _cause(event["details"].get("cause")))
        elif event["kind"] == "priority":
            yield from self._causes_of_priority(event)

    def _causes_of_transition(self, event: Plain, cause: Cause | None) -> Iterator[Plain]:
        before, name, new = event["number"], event["object"], event["details"].get("new")
        for key in events_of(cause):
            yield from self._of_key(before, key)
        match cause:
            case MemberLeft(member=member):
                yield from self._of_member(before, member, "BACKUP")
            case ProcessPaused():
                yield from self._latest(before, kind="pause")
            case _ if isinstance(cause, _OF_PRIORITY):
                since = self._previous(event)
                yield from (
                    each for each in self._latest(before, kind="priority", object=name) if each["number"] > since
                )
            case _:
                pass
        if new == "MASTER":
            yield from self._refusals(before, name)
        if isinstance(cause, ResumedTooLate):
            yield from self._ends_of_process(before)
        if new == "MASTER" and isinstance(cause, _OF_PRIORITY):
            yield from self._return(before, name)

    def _of_key(self, before: int, key: JournalKey) -> Iterator[Plain]:
        if key.kind == "transition":
            yield from self._of_member(before, key.object, "FAULT")
        elif key.object:
            yield from self._latest(before, kind=key.kind, object=key.object)
        else:
            yield from self._latest(before, kind=key.kind)

    def _of_member(self, before: int, member: str, state: str) -> Iterator[Plain]:
        """Members change together: what is named as the cause may have been heard a little later."""
        yield from self._latest(before + len(self._instances) * 2, kind="transition", object=member, new=state)

    def _causes_of_priority(self, event: Plain) -> Iterator[Plain]:
        moved = _contributions(event)
        for each, _ in moved:
            # What moves a priority is the state of an interface, never an address of it.
            kind = {"kind": "link"} if each.kind == "interface" else {}
            yield from self._latest(event["number"], object=f"{each.kind}/{each.name}", **kind)
        if not moved:
            yield from self._recent(event, self._latest(event["number"], kind="reload"))

    def _return(self, before: int, name: str) -> Iterator[Plain]:
        """Whoever comes back from FAULT or from a crash takes its place again: that is why it is MASTER."""
        for earlier in self._latest(before, kind="transition", object=name):
            if earlier["details"].get("old") == "FAULT" or _is_too_late(earlier):
                yield earlier

    def _refusals(self, before: int, name: str) -> Iterator[Plain]:
        """Adverts of other routers that were refused then; each peer and reason once."""
        judged: set[tuple[str, str]] = set()
        for event in reversed(self._events):
            if event["number"] < before and (event["kind"], event["object"]) == ("refused", name):
                key = (event["details"]["peer"], event["details"]["reason"])
                if key not in judged and not event["details"]["ended"]:
                    yield event
                judged.add(key)

    def _ends_of_process(self, before: int) -> Iterator[Plain]:
        """The last death of the vrrp process, and who killed it."""
        for death in self._latest(before, kind="child", object="child/vrrp"):
            if death["details"].get("what") == "started":
                yield from self._ends_of_process(death["number"])
                return
            yield death
            killed = self._latest(death["number"], kind="child", object="child/vrrp", what="killed")
            yield from self._recent(death, killed)

    def _latest(self, before: int, **wanted: str) -> Iterator[Plain]:
        """The last event before that number with these fields; none or one."""
        for event in reversed(self._events):
            if event["number"] >= before:
                continue
            fields = {**event["details"], **event}
            if all(fields.get(name) == value for name, value in wanted.items()):
                yield event
                return

    def _last(self, kind: str, object: str) -> Plain | None:
        return next(self._latest(1 << 62, kind=kind, object=object), None)

    def _previous(self, transition: Plain) -> int:
        """Number of the instance's transition before this one."""
        found = next(self._latest(transition["number"], kind="transition", object=transition["object"]), None)
        return found["number"] if found is not None else 0

    def _recent(self, event: Plain, causes: Iterable[Plain]) -> Iterator[Plain]:
        return (cause for cause in causes if event["when"] - cause["when"] < _JUST_BEFORE)

    def _sentence(self, event: Plain) -> str:
        at = self._clock(event["when"])
        match event["kind"]:
            case "transition":
                old, new = event["details"].get("old", "?"), event["details"].get("new", "?")
                reason = _in_words(_cause(event["details"].get("cause")), str(event["details"].get("reason", "")))
                return f"{event['object']} went from {old} to {new} at {at}: {reason}"
            case "priority":
                return self._priority(event, at)
            case "script":
                return self._script(event, at)
            case _:
                return f"{event['text']} (at {at})"

    def _priority(self, event: Plain, at: str) -> str:
        old, new = event["details"].get("old"), event["details"].get("new")
        what = (
            f"priority is {new}" if old is None else f"priority {'fell' if new < old else 'rose'} from {old} to {new}"
        )
        moved = [self._contribution(event, *each) for each in _contributions(event)]
        return f"its {what} at {at}: {'; '.join(moved) or 'as configured'}"

    def _contribution(self, event: Plain, each: Contribution, gone: bool) -> str:
        """What its cause says itself, in the next line, is left out here."""
        before = "no longer " if gone else ""
        if not each.is_named or not any(self._latest(event["number"], object=f"{each.kind}/{each.name}")):
            return f"{before}{each}"
        return f"{before}{each.change:+d} by {each.kind} {each.name}"

    def _script(self, event: Plain, at: str) -> str:
        details = event["details"]
        name = event["object"].partition("/")[2]
        configured = self._scripts.get(name, {})
        verb, times = (
            ("succeeded", configured.get("rise", 1)) if details["value"] else ("failed", configured.get("fall", 1))
        )
        text = f"{name} {verb}{_times(times)}: {details['reason']} (at {at})"
        # An end of line may have been escaped for the terminal.
        output = " ".join(details.get("output", "").replace("\\n", " ").split())
        return f"{text}, and printed: {output}" if output and output not in text else text

    def _clock(self, when: float) -> str:
        """Time of day to the millisecond; the day too where it is not today's."""
        moment = datetime.fromtimestamp(when, self._zone)
        latest = self._events[-1]["when"] if self._events else when
        today = datetime.fromtimestamp(max(latest, when), self._zone).date()
        text = moment.strftime("%H:%M:%S.") + f"{moment.microsecond // 1000:03d}"
        return text if moment.date() == today else f"{moment.date().isoformat()} {text}"


def _cause(plain: Any) -> Cause | None:
    """None: there is none, or another version of kad knows it."""
    try:
        cause: Cause | None = msgspec.convert(plain, Cause | None)
    except msgspec.ValidationError:
        return None
    return cause


def _in_words(cause: Cause | None, reason: str) -> str:
    """The log speaks to people who know keepalived, this to everybody."""
    return "it has started" if isinstance(cause, InstanceStarted) else reason


def _is_too_late(event: Plain) -> bool:
    return isinstance(_cause(event["details"].get("cause")), ResumedTooLate)


def _contributions(event: Plain) -> list[tuple[Contribution, bool]]:
    """What moved the priority, and whether it no longer does."""
    details = event["details"]
    found = ((details.get("contributions") or (), False), (details.get("gone") or (), True))
    return [(msgspec.convert(each, Contribution), gone) for plain, gone in found for each in plain]


def _outbid(instance: Plain) -> bool:
    master = instance.get("master_priority")
    return master is not None and master > instance["effective_priority"] and bool(instance.get("master_address"))


def _times(count: int) -> str:
    return {1: "", 2: " twice"}.get(count, f" {count} times")

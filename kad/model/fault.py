"""Why an instance cannot take part in the election, and which event of the journal that follows from."""

from __future__ import annotations

from collections.abc import Iterable

from kad.model.cause import FaultFound, JournalKey


class Fault(str):
    """A reason for FAULT in words, with the event of the journal that it follows from."""

    __slots__ = ("event",)
    event: JournalKey

    def __new__(cls, text: str, kind: str, object: str) -> Fault:
        fault = super().__new__(cls, text)
        fault.event = JournalKey(kind, object)
        return fault


def of_link(name: str, text: str) -> Fault:
    """The state of an interface."""
    return Fault(text, "link", f"interface/{name}")


def of_address(name: str, text: str) -> Fault:
    """An address of an interface."""
    return Fault(text, "address", f"interface/{name}")


def found(faults: Iterable[str]) -> tuple[FaultFound, ...]:
    """The faults as a cause carries them, in the order of their words."""
    return tuple(FaultFound(str(each), each.event if isinstance(each, Fault) else None) for each in sorted(faults))

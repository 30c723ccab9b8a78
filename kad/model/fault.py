"""Why an instance cannot take part in the election, and which event of the journal that follows from."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec


class Cause(msgspec.Struct, frozen=True):
    """What the journal calls the event that something follows from."""

    kind: str
    """link, address, script, process …"""
    object: str
    """As KIND/NAME."""


class Fault(str):
    """A reason for FAULT in words, with its cause."""

    __slots__ = ("cause",)
    cause: Cause

    def __new__(cls, text: str, kind: str, object: str) -> Fault:
        fault = super().__new__(cls, text)
        fault.cause = Cause(kind, object)
        return fault


def of_link(name: str, text: str) -> Fault:
    """The state of an interface."""
    return Fault(text, "link", f"interface/{name}")


def of_address(name: str, text: str) -> Fault:
    """An address of an interface."""
    return Fault(text, "address", f"interface/{name}")


def causes_of(faults: Iterable[str]) -> tuple[Cause, ...]:
    """Of those that have one, each once, in the order of the sentences."""
    return tuple(dict.fromkeys(fault.cause for fault in sorted(faults) if isinstance(fault, Fault)))

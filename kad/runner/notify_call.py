"""Arguments and environment of a notify program, made of a fact and of what the configuration says of the program."""

from __future__ import annotations

from typing import NamedTuple

from kad.model.notification import (
    CheckDue,
    CheckSubject,
    Fact,
    GroupStateChanged,
    GroupSubject,
    InstanceStateChanged,
    InstanceSubject,
    LowerPriorityReceived,
    QuorumChanged,
    RealServerChanged,
    RealServerSubject,
    VirtualServerSubject,
)
from kad.model.runner import Program


class FactRefused(ValueError):
    """The program is not run for a fact of this kind."""


class Call(NamedTuple):
    """What a program is started with."""

    arguments: tuple[str, ...] = ()
    """Behind the configured ones."""
    environment: dict[str, str] = {}  # noqa: RUF012
    """Added to that of the daemon."""


def call(program: Program, fact: Fact) -> Call:
    """Raises FactRefused: this is no fact that the program of this id is run for."""
    made = _call(program, program.id.rpartition("/")[2], fact)
    if made is None:
        raise FactRefused(f"{program.id} is not run for {_described(fact)}")
    return made


def _call(program: Program, keyword: str, fact: Fact) -> Call | None:
    match program.subject, fact:
        case InstanceSubject(name=name), InstanceStateChanged(state=state, priority=priority) if _fits(keyword, state):
            environment = {
                "KAD_INSTANCE": name,
                "KAD_STATE": state,
                "KAD_PREVIOUS_STATE": fact.previous_state,
                "KAD_REASON": fact.reason,
                "KAD_PRIORITY": str(priority),
            }
            return Call(("INSTANCE", name, state, str(priority)) if keyword == "notify" else (), environment)
        case GroupSubject(name=name), GroupStateChanged(state=state) if _fits(keyword, state):
            environment = {
                "KAD_GROUP": name,
                "KAD_STATE": state,
                "KAD_PREVIOUS_STATE": fact.previous_state,
                "KAD_REASON": fact.reason,
            }
            return Call(("GROUP", name, state, "0") if keyword == "notify" else (), environment)
        case InstanceSubject(name=name), LowerPriorityReceived() if keyword == "notify_master_rx_lower_pri":
            reason = f"{fact.source} sent priority {fact.priority}"
            return Call(environment={"KAD_INSTANCE": name, "KAD_REASON": reason})
        case RealServerSubject(), RealServerChanged(up=up) if keyword == f"notify_{_direction(up)}":
            return Call(
                environment={
                    "KAD_VIRTUAL_SERVER": program.subject.virtual_server,
                    "KAD_REAL_SERVER": program.subject.real_server,
                    "KAD_STATE": _direction(up).upper(),
                    "KAD_REASON": fact.reason,
                }
            )
        case VirtualServerSubject(), QuorumChanged(up=up) if keyword == f"quorum_{_direction(up)}":
            return Call(
                environment={
                    "KAD_VIRTUAL_SERVER": program.subject.virtual_server,
                    "KAD_STATE": _direction(up).upper(),
                    "KAD_REASON": fact.reason,
                }
            )
        case CheckSubject(timeouts=timeouts), CheckDue(timeout=timeout) if timeout in timeouts:
            return Call()
        case _:
            return None


def _fits(keyword: str, state: str) -> bool:
    """notify is run for every state."""
    return keyword in ("notify", f"notify_{state.lower()}")


def _direction(up: bool) -> str:
    return "up" if up else "down"


def _described(fact: Fact) -> str:
    match fact:
        case InstanceStateChanged(state=state) | GroupStateChanged(state=state):
            return f"{type(fact).__name__} to {state}"
        case RealServerChanged(up=up) | QuorumChanged(up=up):
            return f"{type(fact).__name__} to {_direction(up)}"
        case CheckDue(timeout=timeout):
            return f"CheckDue with a timeout of {timeout:g} s"
        case LowerPriorityReceived():
            return "LowerPriorityReceived"

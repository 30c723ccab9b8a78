"""kad --why: the cause is the event that moved the instance, found by kind and object."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from kad.cli.cause_chain import Why
from kad.model.cause import FaultFound, FaultsBegan, JournalKey
from kad.shared.messages import to_plain
from tests.causes import cause, contribution
from tests.unit.test_report import instance

_SINCE = 1795402698.043


def event(number: int, kind: str, object: str, text: str, **details: Any) -> dict[str, Any]:
    entry = {"number": number, "when": _SINCE + number / 100, "kind": kind, "object": object, "text": text}
    return {**entry, "details": details}


def chain(told: dict[str, Any], *events: dict[str, Any]) -> list[str]:
    told = {**told, "cause": to_plain(cause(told["reason"]))}
    return Why({"vrrp": {"instances": [told]}}, events, UTC).chain("VI_1").splitlines()


def moved(number: int, new: str, reason: str, *causes: tuple[str, str]) -> dict[str, Any]:
    faults = tuple(FaultFound(reason, JournalKey(kind, object)) for kind, object in causes)
    typed = FaultsBegan(faults=faults) if faults else cause(reason)
    return event(number, "transition", "VI_1", reason, old="?", new=new, reason=reason, cause=to_plain(typed))


LINK = event(1, "link", "interface/eth0", "Netlink reports eth0 down: it is switched off")
GONE = event(2, "address", "interface/eth0", "Netlink reports fe80::1/64 removed from eth0")
DOWN = "interface eth0 is down"


def test_a_fault_of_the_link_is_explained_by_the_link_and_not_by_the_address_that_went_with_it() -> None:
    fault = instance(state="FAULT", faults=[DOWN], reason=DOWN)
    lines = chain(fault, LINK, GONE, moved(3, "FAULT", DOWN, ("link", "interface/eth0")))
    assert lines[1:] == ["  because Netlink reports eth0 down: it is switched off (at 02:58:18.053)."]


def test_a_fault_of_an_address_is_explained_by_the_address() -> None:
    lacks = "interface eth0 has no IPv4 address to send from"
    fault = instance(state="FAULT", faults=[lacks], reason=lacks)
    lines = chain(fault, GONE, LINK, moved(3, "FAULT", lacks, ("address", "interface/eth0")))
    assert lines[1:] == ["  because Netlink reports fe80::1/64 removed from eth0 (at 02:58:18.063)."]


def test_a_priority_that_an_interface_moves_is_explained_by_its_link() -> None:
    moves = to_plain(contribution("-50: interface eth0 is down"))
    low = instance(state="BACKUP", effective_priority=60, master_priority=100, master_address="10.0.0.2", reason="x")
    changed = event(3, "priority", "VI_1", "priority from 110 to 60", old=110, new=60, contributions=[moves])
    lines = chain(low, LINK, GONE, moved(4, "BACKUP", "x"), changed)
    assert "Netlink reports eth0 down: it is switched off" in lines[-1]


REFUSED = "adverts of 10.0.0.2 are refused: authentication differs"


def refused(number: int, peer: str = "10.0.0.2", *, ended: bool = False) -> dict[str, Any]:
    text = f"adverts of {peer} are {'no longer refused' if ended else 'refused: authentication differs'}"
    return event(number, "refused", "VI_1", text, peer=peer, reason="authtype_differs", ended=ended, count=2)


def test_a_master_whose_peer_is_refused_is_explained_by_that() -> None:
    lines = chain(instance(), refused(1), moved(2, "MASTER", REFUSED))
    assert lines[1:] == [f"  because {REFUSED} (at 02:58:18.053)."]


def test_refusals_that_were_over_by_then_explain_nothing() -> None:
    lines = chain(instance(), refused(1), refused(2, ended=True), moved(3, "MASTER", "no advert"), refused(4))
    assert len(lines) == 1
    lines = chain(instance(), refused(1), refused(2, ended=True), refused(3, "10.0.0.3"), moved(4, "MASTER", "x"))
    assert [line for line in lines if "10.0.0.2" in line] == []
    assert "10.0.0.3" in lines[-1]

"""kad --status: what is wrong first, then a line for each instance and virtual server, and the exit status."""

from __future__ import annotations

from typing import Any

import pytest

from kad.cli.status import critical, status
from kad.model.problem import Problem, ProblemKind, Severity, describe, to_plain, worst_first
from tests.unit.test_report import instance
from tests.unit.test_server_report import server, service

KINDS = ProblemKind


def answer(*instances: dict[str, Any], problems: tuple[Problem, ...] = (), **more: Any) -> dict[str, Any]:
    """What the parent answers."""
    return {"vrrp": {"instances": list(instances)}, "problems": [to_plain(each) for each in problems], **more}


def test_each_instance_has_a_line() -> None:
    backup = instance(
        name="VI_2",
        state="BACKUP",
        effective_priority=90,
        master_address="192.0.2.2",
        reason="advert from 192.0.2.2 priority 110 > 90",
        virtual_addresses=[],
        excluded_addresses=[],
    )
    told = status(answer(instance(), backup))
    assert told.text.splitlines() == [
        "VI_1: MASTER since 2026-11-23 02:58:18 UTC, priority 115, "
        "holds 192.0.2.100, 192.0.2.101, 2001:db8::1 (no advert for 3.55 s)",
        "VI_2: BACKUP since 2026-11-23 02:58:18 UTC, priority 90, master is 192.0.2.2 "
        "(advert from 192.0.2.2 priority 110 > 90)",
    ]
    assert told.exit_status == 0


def test_problems_come_first_and_grade() -> None:
    split = Problem(kind=KINDS.TWO_MASTERS, object="VI_1", peer="192.0.2.2", since=1795402699.0)
    refused = Problem(kind=KINDS.RELOAD_REFUSED, object="", detail="kad.conf:3: unknown keyword")
    told = status(answer(instance(), problems=(split, refused)))
    assert told.text.splitlines()[:2] == [
        "CRITICAL: VI_1: 192.0.2.2 is also MASTER, since 2026-11-23 02:58:19 UTC",
        "WARNING: the last reload was refused: kad.conf:3: unknown keyword",
    ]
    assert told.text.splitlines()[2].startswith("VI_1: MASTER since ")
    assert told.exit_status == 2
    assert status(answer(instance(), problems=(refused,))).exit_status == 1


def test_nothing_that_runs_is_unknown_unless_something_is_wrong() -> None:
    assert status({}) == ("no vrrp_instance is running\n", 3)
    silent = Problem(kind=KINDS.PROCESS_SILENT, object="process vrrp")
    assert status(answer(problems=(silent,))) == ("CRITICAL: process vrrp: does not answer\n", 2)
    assert critical("the parent process does not answer") == ("CRITICAL: the parent process does not answer\n", 2)


def test_virtual_servers_follow_the_instances() -> None:
    told = status(answer(instance(), ipvs={"virtual_servers": [service(server(1))]}))
    assert told.text.splitlines()[1] == "virtual_server 192.0.2.9 80: quorum up, 1 of 1 real servers serve"
    alone = status({"ipvs": {"virtual_servers": [service(server(1))]}})
    assert alone == ("virtual_server 192.0.2.9 80: quorum up, 1 of 1 real servers serve\n", 0)


def test_a_fault_is_told_with_its_causes() -> None:
    fault = instance(
        state="FAULT", virtual_addresses=[], excluded_addresses=[], faults=["interface eth0 is down", "chk fails"]
    )
    assert status(answer(fault)).text.endswith("priority 115 (interface eth0 is down; chk fails)\n")


def test_an_address_that_the_kernel_refuses_is_named() -> None:
    [one, *others] = instance()["virtual_addresses"]
    told = instance(virtual_addresses=[{**one, "held": False, "refused": "Permission denied"}, *others])
    assert ", lacks 192.0.2.100 (Permission denied)" in status(answer(told)).text


WORDS = {
    KINDS.TWO_MASTERS: (2, "VI_1: 10.0.0.2 is also MASTER"),
    KINDS.ADDRESS_CLAIMED: (1, "VI_1: 10.0.0.2 announces its addresses too"),
    KINDS.ADVERTS_REFUSED: (2, "VI_1: adverts of 10.0.0.2 are refused: X"),
    KINDS.MASTER_NO_PEER: (1, "VI_1: 10.0.0.2 is MASTER, and no unicast_peer: check_unicast_src refuses its adverts"),
    KINDS.NOT_STARTED: (1, "VI_1: does not take part yet: X"),
    KINDS.FAULT: (2, "VI_1: in FAULT: X"),
    KINDS.KERNEL_REFUSED: (2, "VI_1: the kernel refuses X"),
    KINDS.AUXILIARY_REFUSED: (1, "VI_1: the kernel refuses X"),
    KINDS.ADDRESS_MISSING: (2, "VI_1: address X is missing"),
    KINDS.DEVICE_DOWN: (2, "VI_1: device X is down"),
    KINDS.PROCESS_SILENT: (2, "VI_1: does not answer: X"),
    KINDS.PROCESS_FAILING: (2, "VI_1: ends again and again: X"),
    KINDS.RELOAD_REFUSED: (1, "VI_1: the last reload was refused: X"),
    KINDS.NO_IPVS: (2, "VI_1: virtual servers are not served: X"),
    KINDS.NOT_SERVED: (2, "VI_1: not served: X"),
    KINDS.QUORUM_LOST: (1, "VI_1: quorum lost: X"),
}


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_kind_has_a_severity_and_a_sentence(kind: ProblemKind) -> None:
    problem = Problem(kind=kind, object="VI_1", peer="10.0.0.2", detail="X")
    plain = to_plain(problem)
    assert (plain["severity"], plain["text"]) == WORDS[kind]


def test_a_problem_without_object_is_one_of_kad_as_a_whole() -> None:
    problem = Problem(kind=KINDS.PROCESS_SILENT, object="")
    assert to_plain(problem)["text"] == describe(problem) == "does not answer"


def test_the_worst_is_first_and_the_order_stays_otherwise() -> None:
    warning, first, second = (
        Problem(kind=kind, object=name)
        for kind, name in ((KINDS.RELOAD_REFUSED, ""), (KINDS.FAULT, "a"), (KINDS.FAULT, "b"))
    )
    assert worst_first([warning, first, second]) == [first, second, warning]
    assert Severity.CRITICAL > Severity.WARNING

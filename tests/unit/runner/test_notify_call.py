"""Arguments and environment of notify programs, and which facts a program is run for."""

from __future__ import annotations

import pytest

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
    Subject,
    VirtualServerSubject,
)
from kad.model.runner import Program
from kad.runner.notify_call import FactRefused, call

VI, VG = InstanceSubject(name="VI_1"), GroupSubject(name="VG")
SERVICE = VirtualServerSubject(virtual_server="[192.0.2.9]:tcp:80")
SERVER = RealServerSubject(virtual_server="[192.0.2.9]:tcp:80", real_server="[10.0.0.1]:tcp:8080")
CHECKS = CheckSubject(timeouts=(3.0, 5.0))
MASTER = InstanceStateChanged(state="MASTER", previous_state="BACKUP", priority=150, reason="no advert for 3.61 s")
GROUP_FAULT = GroupStateChanged(state="FAULT", previous_state="MASTER", reason="eth0 is down")
LOWER = LowerPriorityReceived(source="10.0.0.2", priority=90)
DOWN = RealServerChanged(up=False, reason="TCP_CHECK: Connection refused")
QUORUM_UP = QuorumChanged(up=True, reason="2 of 3")
CHECK = CheckDue(check=7, timeout=5.0)

OF_VI = {
    "KAD_INSTANCE": "VI_1",
    "KAD_STATE": "MASTER",
    "KAD_PREVIOUS_STATE": "BACKUP",
    "KAD_REASON": "no advert for 3.61 s",
    "KAD_PRIORITY": "150",
}
OF_VG = {
    "KAD_GROUP": "VG",
    "KAD_STATE": "FAULT",
    "KAD_PREVIOUS_STATE": "MASTER",
    "KAD_REASON": "eth0 is down",
}
OF_SERVER = {
    "KAD_VIRTUAL_SERVER": "[192.0.2.9]:tcp:80",
    "KAD_REAL_SERVER": "[10.0.0.1]:tcp:8080",
    "KAD_STATE": "DOWN",
    "KAD_REASON": "TCP_CHECK: Connection refused",
}
OF_SERVICE = {"KAD_VIRTUAL_SERVER": "[192.0.2.9]:tcp:80", "KAD_STATE": "UP", "KAD_REASON": "2 of 3"}
RUN: list[tuple[str, Subject, Fact, tuple[str, ...], dict[str, str]]] = [
    ("VI_1/notify", VI, MASTER, ("INSTANCE", "VI_1", "MASTER", "150"), OF_VI),
    ("VI_1/notify_master", VI, MASTER, (), OF_VI),
    (
        "VI_1/notify_master_rx_lower_pri",
        VI,
        LOWER,
        (),
        {"KAD_INSTANCE": "VI_1", "KAD_REASON": "10.0.0.2 sent priority 90"},
    ),
    ("group:VG/notify", VG, GROUP_FAULT, ("GROUP", "VG", "FAULT", "0"), OF_VG),
    ("group:VG/notify_fault", VG, GROUP_FAULT, (), OF_VG),
    ("service:192.0.2.9 80/10.0.0.1 8080/notify_down", SERVER, DOWN, (), OF_SERVER),
    ("service:192.0.2.9 80/quorum_up", SERVICE, QUORUM_UP, (), OF_SERVICE),
    ("check:/bin/true/misc_path", CHECKS, CHECK, (), {}),
]
REFUSED: list[tuple[str, Subject | None, Fact]] = [
    ("VI_1/notify_backup", VI, MASTER),
    ("VI_1/notify_master", VI, LOWER),
    ("VI_1/notify_master_rx_lower_pri", VI, MASTER),
    ("VI_1/notify", VI, LOWER),
    ("VI_1/notify", VI, GROUP_FAULT),
    ("VI_1/notify", VI, CHECK),
    ("VI_1/notify_down", VI, DOWN),
    ("group:VG/notify", VG, MASTER),
    ("group:VG/notify", VG, LOWER),
    ("service:192.0.2.9 80/10.0.0.1 8080/notify_up", SERVER, DOWN),
    ("service:192.0.2.9 80/10.0.0.1 8080/notify_down", SERVER, QUORUM_UP),
    ("service:192.0.2.9 80/quorum_down", SERVICE, QUORUM_UP),
    ("service:192.0.2.9 80/quorum_up", SERVICE, CHECK),
    ("check:/bin/true/misc_path", CHECKS, MASTER),
    ("check:/bin/true/misc_path", CHECKS, CheckDue(check=7, timeout=4.0)),
    ("fifo:/run/f/script", None, CHECK),
    ("fifo:/run/f/script", None, MASTER),
]


@pytest.mark.parametrize(("identity", "subject", "fact", "arguments", "environment"), RUN)
def test_a_program_is_run_for_a_fact_about_what_it_belongs_to(
    identity: str, subject: Subject, fact: Fact, arguments: tuple[str, ...], environment: dict[str, str]
) -> None:
    program = Program(id=identity, text="", argv=("/bin/true",), subject=subject)
    assert call(program, fact) == (arguments, environment)


@pytest.mark.parametrize(("identity", "subject", "fact"), REFUSED)
def test_a_program_is_run_for_no_other_fact(identity: str, subject: Subject | None, fact: Fact) -> None:
    program = Program(id=identity, text="", argv=("/bin/true",), subject=subject)
    with pytest.raises(FactRefused):
        call(program, fact)

"""What a child may order: programs of its own, for facts of its own."""

from __future__ import annotations

import pytest

from kad.model.notification import (
    CheckDue,
    Fact,
    GroupStateChanged,
    InstanceStateChanged,
    LowerPriorityReceived,
    QuorumChanged,
    RealServerChanged,
)
from kad.model.program_end import Exited
from kad.shared.framing import BadFrame
from kad.shared.messages import Notified, Notify
from kad.watchdog.process_registry import PROCESS_SPECS

STATE = InstanceStateChanged(state="MASTER", previous_state="BACKUP", priority=100, reason="why")
GROUP = GroupStateChanged(state="FAULT", previous_state="BACKUP", reason="why")
LOWER = LowerPriorityReceived(source="10.0.0.2", priority=90)
SERVER = RealServerChanged(up=False, reason="why")
QUORUM = QuorumChanged(up=True, reason="why")
CHECK = CheckDue(check=1, timeout=5.0)
GOOD: list[tuple[str, str, Fact]] = [
    ("vrrp", "V/notify", STATE),
    ("vrrp", "group:G/notify", GROUP),
    ("vrrp", "V/notify_master", STATE),
    ("vrrp", "V/notify_master_rx_lower_pri", LOWER),
    ("checker", "check:/bin/true/misc_path", CHECK),
    ("ipvs", "service:s/10.0.0.1 80/notify_down", SERVER),
    ("ipvs", "service:s/quorum_up", QUORUM),
]
BAD: list[tuple[str, str, Fact]] = [
    ("checker", "V/notify_master", STATE),
    ("checker", "V/notify_master", CHECK),
    ("checker", "check:/bin/true/misc_path", STATE),
    ("checker", "check:/bin/true/misc_path", SERVER),
    ("checker", "service:s/10.0.0.1 80/notify_down", SERVER),
    ("ipvs", "V/notify_master", STATE),
    ("ipvs", "V/notify_master", SERVER),
    ("ipvs", "service:s/quorum_up", GROUP),
    ("ipvs", "check:/bin/true/misc_path", CHECK),
    ("vrrp", "check:/bin/true/misc_path", STATE),
    ("vrrp", "service:s/quorum_up", STATE),
    ("vrrp", "V/notify", SERVER),
    ("vrrp", "V/notify", CHECK),
    ("bfd", "V/notify", STATE),
    ("runner", "V/notify", STATE),
]


@pytest.mark.parametrize(("sender", "program", "fact"), GOOD)
def test_what_kad_orders_is_run(sender: str, program: str, fact: Fact) -> None:
    PROCESS_SPECS[sender].check(Notify(program=program, fact=fact, generation=1, sequence=1))


@pytest.mark.parametrize(("sender", "program", "fact"), BAD)
def test_anything_else_is_refused(sender: str, program: str, fact: Fact) -> None:
    with pytest.raises(BadFrame):
        PROCESS_SPECS[sender].check(Notify(program=program, fact=fact, generation=1, sequence=1))


@pytest.mark.parametrize(
    ("program", "receivers"),
    [
        ("V/notify", {"vrrp"}),
        ("group:G/notify_master", {"vrrp"}),
        ("check:/bin/true/misc_path", {"checker"}),
        ("service:s/quorum_up", set()),
    ],
)
def test_the_end_of_a_program_goes_to_the_process_that_had_it_run(program: str, receivers: set[str]) -> None:
    ended = Notified(program=program, object="o", sequence=1, ending=Exited(0), output="secret", duration=0.1)
    assert {name for name, spec in PROCESS_SPECS.items() if spec.takes(ended)} == receivers

"""How the parent asks its children: a crowd costs little, and a status is answered in time whoever is silent."""

from __future__ import annotations

import msgspec
import pytest

from kad.model.problem import Problem, ProblemKind
from kad.shared.messages import Message, SnapshotTaken, SnapshotWanted
from kad.shared.shared_page import activity_bytes
from kad.watchdog import snapshot_collector
from kad.watchdog.parent_problems import all_problems
from kad.watchdog.process_registry import PROCESS_SPECS
from kad.watchdog.process_specs import Member
from kad.watchdog.snapshot_collector import Snapshots, Taken
from kad.watchdog.supervision import Configured, Died, Wanted

NAMES = frozenset({"vrrp", "ipvs", "runner"})


class Clock:
    """Moved by the test alone."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


class Family:
    """Three children that run, and what they were asked."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.members = {name: Member(PROCESS_SPECS[name]) for name in PROCESS_SPECS}
        for name in NAMES:
            self.start(name)
        self.asked: list[tuple[str, SnapshotWanted]] = []
        self.answers: list[tuple[str, set[str]]] = []
        self.taken: Taken = {}
        self.complaints: list[str] = []
        self.snapshots = Snapshots(self.members, self.send, self.complaints.append)

    def start(self, name: str) -> None:
        self.members[name].supervision.handle(Wanted(), self.clock.now)
        self.members[name].supervision.handle(Configured(), self.clock.now)
        self.members[name].configured_generation = 1

    def send(self, member: Member, message: Message) -> None:
        assert isinstance(message, SnapshotWanted)
        self.asked.append((member.name, message))

    def answer(self, *names: str, problems: tuple[Problem, ...] = ()) -> None:
        """These children answer the last question that they were asked."""
        for name in names:
            number = next(wanted.number for who, wanted in reversed(self.asked) if who == name)
            json = msgspec.json.encode({"process": {"memory": {}}, "problems": problems})
            self.snapshots.take(self.members[name], SnapshotTaken(number=number, json=json))

    def want(self, what: str) -> None:
        def done(taken: Taken) -> None:
            self.answers.append((what, set(taken)))
            self.taken = taken

        collect = self.snapshots.collect if what == "dump" else self.snapshots.collect_status
        collect(NAMES, done)

    def wait(self, seconds: float) -> None:
        self.clock.now += seconds
        self.snapshots.fall_due(self.clock.now)

    def problems(self) -> list[tuple[object, object]]:
        asked = [self.members[name] for name in NAMES]
        told = all_problems(None, asked, self.members.values(), self.taken, self.clock.now)
        return [(each["severity"], each["text"]) for each in told]


@pytest.fixture
def family(monkeypatch: pytest.MonkeyPatch) -> Family:
    clock = Clock()
    monkeypatch.setattr(snapshot_collector, "time", clock)
    return Family(clock)


def test_a_status_asks_for_objects_only_where_it_lists_them(family: Family) -> None:
    family.want("status")
    assert {name: wanted.problems_only for name, wanted in family.asked} == {
        "vrrp": False,
        "ipvs": False,
        "runner": True,
    }
    family.answer(*NAMES)
    assert family.answers == [("status", set(NAMES))]
    assert family.problems() == []


def test_a_child_that_is_silent_is_waited_for_no_longer_than_that(family: Family) -> None:
    family.want("status")
    family.answer("vrrp", "ipvs")
    family.wait(0.7)
    assert family.answers == []
    family.wait(0.11)
    assert family.answers == [("status", {"vrrp", "ipvs"})]
    assert family.problems() == [(2, "process runner: does not answer")]


def test_a_child_that_is_at_work_is_waited_for(family: Family) -> None:
    family.want("status")
    family.answer("vrrp", "runner")
    for _ in range(20):
        family.members["ipvs"].page.turn(family.clock.now, activity_bytes("working"))
        family.wait(0.3)
    assert family.answers == []
    family.answer("ipvs")
    assert family.answers == [("status", set(NAMES))]


def test_one_at_work_without_end_is_waited_for_no_longer_than_eight_seconds(family: Family) -> None:
    family.want("status")
    family.answer("vrrp", "runner")
    while not family.answers:
        family.members["ipvs"].page.turn(family.clock.now, activity_bytes("working"))
        family.wait(0.3)
    assert 8.0 <= family.clock.now - 100.0 < 8.6


def test_a_status_does_not_wait_for_a_dump(family: Family) -> None:
    family.want("dump")
    family.answer("vrrp", "ipvs")
    family.want("status")
    family.answer("vrrp", "ipvs")
    family.wait(0.85)
    assert family.answers == [("status", {"vrrp", "ipvs"})]
    family.wait(8.0)
    assert family.answers[1:] == [("dump", {"vrrp", "ipvs"})]


def test_a_crowd_costs_two_answers_and_each_is_answered_within_two_seconds(family: Family) -> None:
    for _ in range(50):
        family.want("status")
    family.answer("vrrp", "ipvs")
    family.wait(0.85)
    assert len(family.answers) == 1
    family.answer("vrrp", "ipvs")
    family.wait(0.85)
    assert len(family.answers) == 50
    assert len(family.asked) == 6


def test_a_child_that_is_replaced_meanwhile_is_asked_again(family: Family) -> None:
    family.want("status")
    family.answer("ipvs", "runner")
    vrrp = family.members["vrrp"]
    vrrp.configured_generation = None
    family.snapshots.lose("vrrp")
    vrrp.supervision.handle(Died(137), family.clock.now)
    assert family.answers == []
    family.start("vrrp")
    family.snapshots.configured(vrrp)
    family.answer("vrrp")
    assert family.answers == [("status", set(NAMES))]
    assert family.problems() == []


def test_problems_of_children_and_of_the_parent_come_together_the_worst_first(family: Family) -> None:
    fault = Problem(kind=ProblemKind.FAULT, object="VI_1", detail="eth0 is down")
    family.want("status")
    family.answer("ipvs", "runner")
    family.answer("vrrp", problems=(fault,))
    refused = {"when": 1.5, "outcome": "refused", "reason": "kad.conf:3:\nunknown  keyword"}
    told = all_problems(refused, [], family.members.values(), family.taken, family.clock.now)
    assert [(each["severity"], each["text"]) for each in told] == [
        (2, "VI_1: in FAULT: eth0 is down"),
        (1, "the last reload was refused: kad.conf:3: unknown keyword"),
    ]
    assert told[1]["since"] == 1.5
    assert all_problems({**refused, "outcome": "applied"}, [], (), {}, 0.0) == []

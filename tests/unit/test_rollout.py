"""A configuration is for all children or for none."""

from __future__ import annotations

from kad.model.daemon import WatchdogSlice
from kad.watchdog.two_phase_commit import Configuration, MemoryFiles, Rollout, Stage


def rollout(*names: str) -> Rollout:
    slices = {name: number for number, name in enumerate(names, start=10)}
    return Rollout(Configuration(3, MemoryFiles(slices), WatchdogSlice(), frozenset()), deadline=5.0)


def test_all_ready_then_all_configured() -> None:
    plan = rollout("vrrp", "runner")
    assert not plan.ready("vrrp")
    assert plan.stage is Stage.PREPARING
    assert plan.ready("runner")
    assert plan.stage is Stage.COMMITTING
    assert not plan.configured("runner")
    assert plan.configured("vrrp")
    assert plan.stage is Stage.DONE


def test_a_child_that_says_it_twice_stands_for_nobody_else() -> None:
    plan = rollout("vrrp", "runner")
    assert not plan.ready("vrrp")
    assert not plan.ready("vrrp")
    assert plan.ready("runner")
    assert not plan.configured("vrrp")
    assert not plan.configured("vrrp")
    assert plan.stage is Stage.COMMITTING


def test_who_is_waited_for() -> None:
    plan = rollout("vrrp", "runner")
    assert plan.waiting == {"vrrp", "runner"}
    plan.ready("vrrp")
    assert not plan.waits_for("vrrp")
    assert plan.waits_for("runner")
    plan.ready("runner")
    assert plan.waiting == {"vrrp", "runner"}


def test_a_child_without_work_is_not_waited_for() -> None:
    plan = rollout("vrrp")
    assert not plan.waits_for("ipvs")
    assert not rollout("vrrp", "runner").ready("ipvs")
    assert plan.ready("vrrp")


def test_nobody_commits_too_early() -> None:
    plan = rollout("vrrp")
    assert not plan.configured("vrrp")
    assert plan.stage is Stage.PREPARING


def test_it_may_be_abandoned_before_it_is_committed_only() -> None:
    plan = rollout("vrrp", "runner")
    assert plan.abandon("vrrp: no such interface")
    assert (plan.stage, plan.reason) == (Stage.ABANDONED, "vrrp: no such interface")
    assert not plan.abandon("again")
    assert not plan.ready("vrrp")
    assert not plan.ready("runner")
    assert plan.reason == "vrrp: no such interface"
    late = rollout("vrrp")
    late.ready("vrrp")
    assert not late.abandon("too late")
    assert late.stage is Stage.COMMITTING


def test_which_generation_is_prepared() -> None:
    plan = rollout("vrrp")
    assert plan.prepares(3)
    assert not plan.prepares(2)
    plan.ready("vrrp")
    assert not plan.prepares(3)

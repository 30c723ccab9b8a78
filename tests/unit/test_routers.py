"""What the parent knows of all instances follows each message without looking at the others."""

from __future__ import annotations

from kad.shared.messages import RouterState
from kad.watchdog.instance_states import Routers


def state(name: str, word: str, interval: float = 1.0, *, deleted: bool = False) -> RouterState:
    return RouterState(
        name=name,
        state=word,
        since=0.0,
        priority=100,
        holds_addresses=word == "MASTER",
        deleted=deleted,
        advertisement_interval=interval,
    )


def test_states_are_counted_as_they_change() -> None:
    routers = Routers()
    assert routers.summary() == ""
    for name, word in (("A", "BACKUP"), ("B", "BACKUP"), ("C", "FAULT"), ("A", "MASTER"), ("A", "MASTER")):
        routers.take(state(name, word))
    assert routers.summary() == "1 MASTER, 1 FAULT, 1 BACKUP"
    routers.take(state("C", "FAULT", deleted=True))
    routers.take(state("D", "FAULT", deleted=True))
    assert routers.summary() == "1 MASTER, 1 BACKUP"
    assert [each.name for each in routers] == ["A", "B"]


def test_silence_is_judged_by_the_fastest_that_holds_addresses() -> None:
    routers = Routers()
    assert routers.deaf_after(7.0) == 7.0
    routers.take(state("A", "BACKUP", 0.01))
    assert routers.deaf_after(7.0) == 7.0
    routers.take(state("A", "MASTER", 0.01))
    routers.take(state("B", "MASTER", 0.4))
    assert routers.deaf_after(7.0) == 0.3
    routers.take(state("A", "BACKUP", 0.01))
    assert abs(routers.deaf_after(7.0) - 0.6) < 1e-9
    routers.take(state("B", "MASTER", 4.0))
    assert routers.deaf_after(7.0) == 2.0
    routers.take(state("B", "MASTER", deleted=True))
    assert routers.deaf_after(7.0) == 7.0

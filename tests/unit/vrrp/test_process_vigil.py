"""Who waits for a silence is found when it has passed, whatever was heard meanwhile, and costs nothing before."""

from __future__ import annotations

from typing import Any

from kad.shared.state_machine import DeadlineReached
from kad.vrrp.events import AdvertReceived, PriorityChanged, Started, State
from kad.vrrp.process.instance import Instance
from kad.vrrp.process.timers.master_down_timers import Vigil
from kad.vrrp.process.timers.timer_queue import Agenda
from tests.causes import tracked
from tests.unit.vrrp.samples import advert, instance

SILENCE = 3.609375
"""3 x 1 s and a skew of (256 - 100) / 256 s."""


def hears(priority: int, source: str = "10.77.0.2") -> AdvertReceived:
    return AdvertReceived(advert(priority, source=source))


class Crowd:
    """Routers of priority 100 that obey one of priority 150 since they heard it at these moments."""

    def __init__(self, *moments: float) -> None:
        self.hearing: list[float | None] = [None] * len(moments)
        self.instances = [self.obeying(slot, at) for slot, at in enumerate(moments)]

    def obeying(self, slot: int, at: float, **changes: Any) -> Instance:
        made = Instance(instance(**changes), 0.0)
        made.slot = slot
        made.router.listen(self.hearing, slot)
        made.router.handle(Started(), 0.0)
        made.router.handle(hears(150), at)
        return made

    def kept(self) -> Vigil:
        vigil = Vigil(self.hearing)
        for each in self.instances:
            vigil.keep(each)
        return vigil


def test_the_first_that_hears_nothing_comes_first() -> None:
    crowd = Crowd(2.0, 1.0, 3.0)
    vigil = crowd.kept()
    assert vigil.next() == 1.0 + SILENCE
    assert vigil.take(1.0 + SILENCE) == (1.0 + SILENCE, [crowd.instances[1]])
    assert 1 not in vigil.watch_of
    assert vigil.next() == 2.0 + SILENCE
    assert vigil.take(9.0) == (2.0 + SILENCE, [crowd.instances[0], crowd.instances[2]])
    assert vigil.next() is None
    assert vigil.take(99.0) is None


def test_the_very_moment_is_enough_however_its_sum_is_rounded() -> None:
    heard = 4093.8498676170225
    assert heard + SILENCE - SILENCE < heard
    crowd = Crowd(heard)
    assert crowd.kept().take(heard + SILENCE) == (heard + SILENCE, crowd.instances)


def test_what_was_heard_meanwhile_is_found_when_the_moment_comes() -> None:
    crowd = Crowd(1.0, 1.0)
    vigil = crowd.kept()
    crowd.hearing[0] = 2.0
    crowd.hearing[1] = 2.5
    assert vigil.next() == 1.0 + SILENCE
    assert vigil.take(1.0 + SILENCE) is None
    assert vigil.next() == 2.0 + SILENCE
    assert crowd.instances[0].router.catch_up() is None
    assert crowd.instances[0].router.deadline == 2.0 + SILENCE


def test_each_silence_is_watched_by_itself() -> None:
    crowd = Crowd(1.0, 1.0)
    crowd.instances[1] = crowd.obeying(1, 1.0, priority=50)
    vigil = crowd.kept()
    assert vigil.take(9.0) == (1.0 + SILENCE, [crowd.instances[0]])
    # 3 x 1 s and a skew of (256 - 50) / 256 s.
    assert vigil.take(9.0) == (4.8046875, [crowd.instances[1]])


def test_one_that_waits_for_something_else_now_is_let_go() -> None:
    crowd = Crowd(1.0)
    (one,) = crowd.instances
    vigil = crowd.kept()
    crowd.hearing[0] = 2.0
    one.router.handle(hears(50, source="10.77.0.9"), 2.5)
    assert vigil.still_keeps(one)
    # Priority 0: it waits for its skew_time alone.
    one.router.handle(hears(0), 3.0)
    assert not vigil.still_keeps(one)
    assert vigil.next() is None
    assert not vigil.still_keeps(one)


def raised() -> tuple[Crowd, Agenda]:
    """One that was kept since it heard its MASTER at 2.0, and has priority 140 since 2.5."""
    crowd = Crowd(1.0)
    (one,) = crowd.instances
    agenda = Agenda(crowd.hearing)
    agenda.watch(one)
    crowd.hearing[0] = 2.0
    assert agenda.next() == 2.0 + SILENCE
    one.router.handle(PriorityChanged(140, tracked("a weight")), 2.5)
    agenda.watch(one)
    return crowd, agenda


def test_another_priority_counts_from_the_next_advert_on() -> None:
    crowd, agenda = raised()
    (one,) = crowd.instances
    # Not kept for either silence: what is noted is as old as the one before.
    assert one.slot not in agenda.vigil.watch_of
    assert agenda.next() == 2.0 + SILENCE
    crowd.hearing[0] = 3.0
    # 3 x 1 s and a skew of (256 - 140) / 256 s.
    assert agenda.next() == 3.0 + 3.453125
    assert one.slot in agenda.vigil.watch_of
    assert agenda.take(3.0 + 3.453125) == (3.0 + 3.453125, [one])


def test_a_higher_priority_is_not_waited_for_longer_than_its_own_silence() -> None:
    crowd, agenda = raised()
    crowd.hearing[0] = 2.9
    assert agenda.take(2.9 + 3.453125) == (2.9 + 3.453125, crowd.instances)


def test_one_that_no_longer_obeys_is_looked_at_rather_than_forgotten() -> None:
    crowd = Crowd(1.0, 5.0)
    vigil = crowd.kept()
    crowd.hearing[0] = None
    assert vigil.take(1.0 + SILENCE) == (float("-inf"), [crowd.instances[0]])


def test_the_agenda_hands_over_whom_it_waited_for_in_vain() -> None:
    crowd = Crowd(1.0)
    (one,) = crowd.instances
    agenda = Agenda(crowd.hearing)
    agenda.watch(one)
    assert one.slot not in agenda.vigil.watch_of
    crowd.hearing[0] = 3.0
    assert agenda.next() == 3.0 + SILENCE
    assert one.slot in agenda.vigil.watch_of
    agenda.watch(one)
    assert one.slot in agenda.vigil.watch_of
    moment, due = agenda.take(3.0 + SILENCE) or (0.0, [])
    assert (moment, due) == (3.0 + SILENCE, [one])
    one.router.catch_up()
    one.router.handle(DeadlineReached(), moment)
    assert one.router.state is State.MASTER
    agenda.watch(one)
    assert agenda.next() == one.router.deadline


def test_what_the_agenda_forgets_is_not_kept() -> None:
    crowd = Crowd(1.0)
    agenda = Agenda(crowd.hearing)
    agenda.watch(crowd.instances[0])
    crowd.hearing[0] = 2.0
    assert agenda.next() == 2.0 + SILENCE
    agenda.forget(crowd.instances[0])
    assert agenda.next() is None

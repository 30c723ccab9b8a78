"""The judge of simulated LANs sees each kind of wrong."""

from __future__ import annotations

from kad.simulation.chronicle import Birth, Heard, Held, Seat, Sent, Transition
from kad.simulation.verdict import Period, caused, left_behind, no_storm, one_holder, unmoved
from kad.vrrp.events import State
from tests.simulation.scenarios import World
from tests.unit.vrrp.samples import instance

H1, H2 = Seat("h1", "VI_1"), Seat("h2", "VI_1")


def world() -> World:
    """Well for 20 s: h1 is MASTER from 3.21875 on."""
    return World(instance(priority=200), instance(priority=100)).boot().until(20.0)


def holders(made: World, since: float = 4.0) -> list[str]:
    return list(one_holder(made.hosts, made.lan.chronicle, Period(since, made.lan.now), 0.001))


def test_all_is_well() -> None:
    world().is_sound(4.0)


def test_nobody_holds_an_address() -> None:
    assert holders(world(), since=3.0) == ["nobody held 10.77.0.100 from 3.0000 to 3.2188"]
    made = world()
    made.lan.chronicle.holding.append(Held(10.0, "h1", "10.77.0.100", False))
    assert holders(made) == ["nobody held 10.77.0.100 from 10.0000 to 20.0000"]


def test_two_hold_an_address() -> None:
    made = world()
    made.lan.chronicle.holding += [
        Held(10.0, "h2", "10.77.0.100", True),
        Held(10.1, "h2", "10.77.0.100", False),
    ]
    assert holders(made) == ["h1 and h2 held 10.77.0.100 from 10.0000 to 10.1000"]


def test_a_short_overlap_is_a_handover_and_a_short_gap_is_a_gap() -> None:
    made = world()
    made.lan.chronicle.holding += [
        Held(10.0, "h2", "10.77.0.100", True),
        Held(10.0009, "h2", "10.77.0.100", False),
        Held(12.0, "h1", "10.77.0.100", False),
        Held(12.0005, "h1", "10.77.0.100", True),
    ]
    assert holders(made) == ["nobody held 10.77.0.100 from 12.0000 to 12.0005"]


def test_somebody_moved() -> None:
    made = world()
    change = Transition(10.0, H1, State.MASTER, State.BACKUP, "why not")
    made.lan.chronicle.transitions.append(change)
    assert list(unmoved(made.lan.chronicle, Period(4.0, 20.0))) == ["h1 went from MASTER to BACKUP at 10.0000: why not"]
    assert list(unmoved(made.lan.chronicle, Period(11.0, 20.0))) == []


def test_an_address_is_left_behind_or_missing() -> None:
    made = world()
    made.hosts[0].addresses.clear()
    made.hosts[1].addresses.add("10.77.0.9")
    assert list(left_behind(made.hosts)) == ["h1 lacks 10.77.0.100", "h2 has 10.77.0.9"]


def test_a_storm() -> None:
    made = world()
    made.lan.chronicle.sent += [Sent(10.0 + number / 1000, H1, 200) for number in range(20)]
    assert list(no_storm(made.lan.chronicle, made.rates, 20.0)) == [
        "h1 sent 37 adverts of VI_1 where 20.8 explain themselves"
    ]


def test_adverts_of_one_that_is_not_master() -> None:
    made = world()
    made.lan.chronicle.sent.append(Sent(10.0, H2, 100))
    assert list(no_storm(made.lan.chronicle, made.rates, 20.0)) == [
        "h2 sent 1 adverts of VI_1 where 0.0 explain themselves"
    ]


def test_an_answer_to_a_lower_advert_explains_itself() -> None:
    made = world()
    made.lan.chronicle.sent += [Sent(10.0, H1, 200)] * 12
    made.lan.chronicle.heard += [Heard(10.0, H1, 100, 1.0, 1)] * 12
    assert list(no_storm(made.lan.chronicle, made.rates, 20.0)) == []


def test_a_takeover_without_silence() -> None:
    made = world()
    made.lan.chronicle.transitions.append(Transition(10.0, H2, State.BACKUP, State.MASTER, "no advert"))
    assert list(caused(made.lan.chronicle, made.rates)) == ["h2 had no cause to enter MASTER at 10.0000: no advert"]


def test_a_takeover_after_the_skew_time_needs_priority_0() -> None:
    made = world()
    moment = made.lan.chronicle.sent[-1].moment + 0.7
    made.lan.chronicle.transitions.append(Transition(moment, H2, State.BACKUP, State.MASTER, "gave up"))
    assert len(list(caused(made.lan.chronicle, made.rates))) == 1
    made.lan.chronicle.heard.append(Heard(moment - 0.61, H2, 0, 1.0, 0x0A4D0001))
    assert list(caused(made.lan.chronicle, made.rates)) == []


def test_yielding_without_a_better_advert() -> None:
    made = world()
    made.lan.chronicle.transitions.append(Transition(10.0, H1, State.MASTER, State.BACKUP, "advert"))
    made.lan.chronicle.heard.append(Heard(10.0, H1, 199, 1.0, 0x0A4D0002))
    assert len(list(caused(made.lan.chronicle, made.rates))) == 1
    made.lan.chronicle.heard.append(Heard(10.0, H1, 201, 1.0, 0x0A4D0002))
    assert list(caused(made.lan.chronicle, made.rates)) == []


def test_a_birth_forgets_what_was_heard_before() -> None:
    made = world()
    made.lan.chronicle.started.append(Birth(18.0, H2, State.INIT))
    made.lan.chronicle.heard = [each for each in made.lan.chronicle.heard if each.moment < 14.0]
    takeover = Transition(19.0, H2, State.BACKUP, State.MASTER, "no advert")
    made.lan.chronicle.transitions.append(takeover)
    assert len(list(caused(made.lan.chronicle, made.rates))) == 1
    made.lan.chronicle.started.pop()
    assert list(caused(made.lan.chronicle, made.rates)) == []

"""Whatever happens to a router or a group, in whatever order: what always holds."""

from __future__ import annotations

from copy import deepcopy

from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec import structs

from kad.model.vrrp import Announcing, VrrpInstance
from kad.shared.state_machine import DeadlineReached
from kad.vrrp.events import (
    Action,
    AdvertReceived,
    Announce,
    CaughtUp,
    ChangeGroupState,
    ChangeState,
    Demoted,
    Event,
    FaultsChanged,
    HoldAddresses,
    PriorityChanged,
    Promoted,
    Reconfigured,
    ReleaseAddresses,
    Resumed,
    SendAdvert,
    SourceChanged,
    Started,
    State,
    Stopped,
    Woken,
)
from kad.vrrp.group import SyncGroup
from kad.vrrp.router import Router
from tests.causes import cause
from tests.unit.vrrp.samples import OTHER_VIP, VIP, advert, instance

MASTER, BACKUP, FAULT, STOP = State.MASTER, State.BACKUP, State.FAULT, State.STOP
INTERVALS = (0.1, 1.0, 2.0)
Moment = tuple[float, Event]

FAULTS = st.frozensets(st.sampled_from(("interface eth0 is down", "script a failed")), max_size=2)
PENDING = st.frozensets(st.just("script b has no result yet"), max_size=1)
ADVERTS = st.builds(
    lambda priority, source, interval: AdvertReceived(advert(priority, f"10.77.0.{source}", interval, 3)),
    st.sampled_from((0, 1, 99, 100, 101, 150, 254, 255)),
    st.integers(0, 3),
    st.sampled_from(INTERVALS),
)


@st.composite
def instances(draw: st.DrawFn, version: int) -> VrrpInstance:
    return instance(
        version=version,
        priority=draw(st.sampled_from((1, 100, 150, 254, 255))),
        state=draw(st.sampled_from(("MASTER", "BACKUP"))),
        advertisement_interval=draw(st.sampled_from(INTERVALS)),
        preempt=draw(st.booleans()),
        preempt_delay=draw(st.sampled_from((0.0, 0.0, 3.0))),
        down_timer_adverts=draw(st.sampled_from((1, 3, 5))),
        higher_prio_send_advert=draw(st.booleans()),
        lower_prio_no_advert=draw(st.booleans()),
        announcing=Announcing(
            master_delay=draw(st.sampled_from((0.0, 0.5, 5.0))),
            master_refresh=draw(st.sampled_from((0.0, 0.7))),
            lower_prio_delay=draw(st.sampled_from((0.0, 0.3))),
            lower_prio_repeat=draw(st.sampled_from((0, 5))),
        ),
        excluded_addresses=draw(st.sampled_from(((), (OTHER_VIP,)))),
        virtual_addresses=(VIP,),
    )


def births() -> st.SearchStrategy[Event]:
    resumed = st.builds(Resumed, st.sampled_from((BACKUP, MASTER, FAULT)), st.floats(-5.0, 0.0), FAULTS, PENDING)
    return st.one_of(st.builds(Started, FAULTS, PENDING), resumed)


def events(version: int) -> st.SearchStrategy[Event]:
    return st.one_of(
        ADVERTS,
        ADVERTS,
        st.just(DeadlineReached()),
        st.just(DeadlineReached()),
        st.builds(PriorityChanged, st.integers(1, 254), st.just("")),
        st.builds(FaultsChanged, FAULTS, PENDING),
        st.builds(Reconfigured, instances(version)),
        st.builds(SourceChanged, st.integers(0x0A4D0000, 0x0A4D0003)),
        st.builds(Woken, st.floats(0.1, 9.0)),
        st.just(CaughtUp()),
    )


ALONE = st.sampled_from((Promoted(cause("the group can")), Demoted(cause("the group cannot"))))
ENDS = st.builds(Stopped, st.just(True), st.sampled_from((None, 1e6)))
"""With a handover it is to end at a moment that no life here reaches."""


@st.composite
def lives(draw: st.DrawFn) -> tuple[VrrpInstance, Event, list[Moment]]:
    version = draw(st.sampled_from((2, 3)))
    event = st.one_of(events(version), events(version), events(version), ALONE, ENDS)
    steps = draw(st.lists(st.tuples(st.sampled_from((0.0, 0.01, 0.3, 1.0, 3.0)), event), max_size=40))
    return draw(instances(version)), draw(births()), steps


class Watched:
    """A router with what its actions add up to."""

    def __init__(self, configuration: VrrpInstance) -> None:
        self.router = Router(configuration)
        self.router.source_number = 0x0A4D0001
        self.holds = False
        self.state = State.INIT
        self.spoken: list[int] = []

    def tell(self, event: Event, now: float) -> list[Action]:
        router, before, deadline = self.router, self.router.state, self.router.deadline
        actions = router.handle(event, now)
        self.follow(actions)
        if isinstance(event, Resumed):
            self.state = router.state if not any(isinstance(each, ChangeState) for each in actions) else self.state
            before = router.state
        self.judge(actions, before)
        self.judge_deadline(event, deadline, now)
        return actions

    def follow(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case HoldAddresses():
                    self.holds = True
                case ReleaseAddresses():
                    self.holds = False
                case SendAdvert(priority):
                    self.spoken.append(priority)
                case ChangeState(old, new, reason):
                    assert old is self.state or self.state is State.INIT
                    assert old is not new
                    assert reason
                    self.state = new
                case _:
                    pass

    def judge(self, actions: list[Action], before: State) -> None:
        router = self.router
        assert self.state is router.state
        assert self.holds is router.holds_addresses is (router.state is MASTER)
        spoke = any(isinstance(each, SendAdvert) for each in actions)
        assert not spoke or MASTER in (before, router.state)
        assert router.state is MASTER or not any(isinstance(each, Announce) for each in actions)
        if before is MASTER and router.state in (FAULT, STOP):
            assert self.spoken[-1] == 0
        if before is STOP:
            assert router.state is STOP
            assert not spoke
        if router.state is FAULT:
            assert router.faults or router.pending
        assert not (router.faults and router.state in (BACKUP, State.INIT))

    def judge_deadline(self, event: Event, old: float | None, now: float) -> None:
        router = self.router
        assert (router.deadline is None) is (router.state not in (BACKUP, MASTER))
        if router.deadline is None:
            return
        if not isinstance(event, Reconfigured):
            # A reload may shorten a wait so that its end has passed: then it is over now.
            assert router.deadline >= min(now, old if old is not None else now)
        if isinstance(event, DeadlineReached):
            assert router.deadline > now
        if router.state is BACKUP:
            assert router.deadline <= now + max(router.master_down_interval, 5 * 2.0 + 2.0)
        else:
            assert router.deadline <= now + 2 * max(INTERVALS)


@settings(max_examples=250, deadline=None)
@given(lives())
def test_what_always_holds_of_a_router(life: tuple[VrrpInstance, Event, list[Moment]]) -> None:
    configuration, birth, steps = life
    watched = Watched(configuration)
    now = 0.0
    watched.tell(birth, now)
    for pause, event in steps:
        now += pause
        if isinstance(event, DeadlineReached) and watched.router.deadline is not None:
            now = max(now, watched.router.deadline)
        watched.tell(event, now)


@settings(max_examples=200, deadline=None)
@given(lives(), ADVERTS)
def test_the_short_road_of_a_repeated_advert_is_the_long_one(
    life: tuple[VrrpInstance, Event, list[Moment]], heard: AdvertReceived
) -> None:
    configuration, birth, steps = life
    router = Router(configuration)
    router.source_number = 0x0A4D0001
    now = 0.0
    router.handle(birth, now)
    for pause, event in [*steps, (0.0, heard)]:
        now += pause
        router.handle(event, now)
    if router.master is None:
        return
    last = AdvertReceived(router.master)
    long = deepcopy(router)
    noted = deepcopy(router)
    if router.repeat(now + 0.2):
        noted.hearing[noted.place] = now + 0.2
        noted.catch_up()
        assert (noted.phase, noted.deadline) == (router.phase, router.deadline)
        assert long.handle(last, now + 0.2) == []
        assert router.phase == long.phase
        assert router.deadline == long.deadline
        assert router.master_advertisement_interval == long.master_advertisement_interval
    else:
        assert router.deadline == long.deadline
        assert router.phase == long.phase


STARTS = st.lists(st.tuples(FAULTS, PENDING), min_size=3, max_size=3)


@settings(max_examples=200, deadline=None)
@given(lives(), st.sampled_from((0.0, 0.001, 5.0)))
def test_the_short_road_of_an_advert_that_is_due_is_the_long_one(
    life: tuple[VrrpInstance, Event, list[Moment]], late: float
) -> None:
    configuration, birth, steps = life
    router = Router(configuration)
    now = 0.0
    router.handle(birth, now)
    for pause, event in steps:
        now += pause
        router.handle(event, now)
    if router.deadline is None:
        return
    moment, now = router.deadline, max(now, router.deadline) + late
    long = deepcopy(router)
    actions = long.handle(DeadlineReached(), now)
    if router.beat(moment, now):
        assert actions[0] == SendAdvert(router.priority)
        due = router.deadline is not None and router.deadline <= now
        assert actions[1:] == (router.handle(DeadlineReached(), now) if due else [])
        assert router.phase == long.phase
        assert router.deadline == long.deadline


@st.composite
def shared_lives(draw: st.DrawFn) -> tuple[list[VrrpInstance], list[tuple[float, int, Event]]]:
    version = draw(st.sampled_from((2, 3)))
    count = draw(st.integers(1, 3))
    members = [structs.replace(draw(instances(version)), name=f"VI_{number}") for number in range(count)]
    step = st.tuples(st.sampled_from((0.0, 0.01, 0.3, 1.0, 3.0)), st.integers(0, len(members) - 1), events(version))
    return members, draw(st.lists(step, max_size=40))


@settings(max_examples=200, deadline=None)
@given(shared_lives(), st.booleans(), st.sampled_from((MASTER, BACKUP, FAULT)), STARTS)
@example(([instance(name="A"), instance(name="B")], []), True, MASTER, [(frozenset(), frozenset())] * 3)
def test_members_of_a_group_are_master_together_or_none_is(
    life: tuple[list[VrrpInstance], list[tuple[float, int, Event]]],
    resumed: bool,
    together: State,
    starts: list[tuple[frozenset[str], frozenset[str]]],
) -> None:
    configurations, steps = life
    members = [Router(configuration, grouped=True) for configuration in configurations]
    group = SyncGroup("G", members)
    now, told = 0.0, State.INIT
    for member, (faults, pending) in zip(members, starts, strict=False):
        event: Event = Resumed(together, -0.05, faults, pending) if resumed else Started(faults, pending)
        group.handle(member, event, now)
    told = group.state
    for pause, number, event in steps:
        now += pause
        for _, action in group.handle(members[number], event, now):
            if isinstance(action, ChangeGroupState):
                assert action.old is told
                told = action.new
        states = {member.state for member in members}
        assert MASTER not in states or states == {MASTER}
        assert states <= {FAULT, State.INIT} or not any(member.faults for member in members)
        assert group.state is told
        if len(states) == 1 and State.INIT not in states:
            assert {group.state} == states

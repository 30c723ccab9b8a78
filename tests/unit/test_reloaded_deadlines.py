"""A reload in the midst of each wait: what derives from a keyword counts from where the wait began, with the new value.

Keywords by running state; where the new duration has passed already, the moment is that of the reload.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
import pytest

from kad.bfd import session as bfd
from kad.bfd.packet import Control, Diagnostic, Flag
from kad.bfd.packet import State as BfdState
from kad.checker import health
from kad.checker.checks.http import HttpCheck
from kad.checker.checks.udp import UdpCheck
from kad.linux.netlink.network_table import LinkChanged
from kad.model import tracking
from kad.model.bfd import BfdInstance
from kad.model.checker import Timing, Url
from kad.model.link_monitoring import InterfaceDelay
from kad.model.program_end import Exited
from kad.model.runner import Program, VrrpScript
from kad.model.vrrp import Announcing, GarpGroup, VirtualAddress
from kad.runner import script_check
from kad.shared.state_machine import DeadlineReached
from kad.tracking import process_quorum as tracked
from kad.vrrp.events import AddressesRemoved, AdvertReceived, PriorityChanged, Promoted, Reconfigured, Started, State
from kad.vrrp.router import Router
from kad.vrrp.split_brain import Contest, Defence, Split
from tests import causes
from tests.unit.checker.room import SOON, Stage, at, staged
from tests.unit.vrrp.clockwork import Clockwork, House, link
from tests.unit.vrrp.samples import advert, instance, router

Events = tuple[tuple[float, object], ...]


class Row(NamedTuple):
    """A machine in the midst of a wait, what happens then and when, and when it falls due after that."""

    name: str
    make: Callable[[], Any]
    events: Events
    deadline: float


def begun(make: Callable[[], Any], *events: tuple[float, object]) -> Callable[[], Any]:
    """A machine to which this has happened."""

    def made() -> Any:
        machine = make()
        for moment, event in events:
            machine.handle(event, moment)
        return machine

    return made


def fall_due(rows: tuple[Row, ...]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in rows])


def see(row: Row) -> None:
    machine = row.make()
    for moment, event in row.events:
        machine.handle(event, moment)
    assert machine.deadline == pytest.approx(row.deadline, abs=1e-9)


# the VRRP router

V3: dict[str, Any] = {"version": 3, "advertisement_interval": 10.0}
SLOW: dict[str, Any] = {"advertisement_interval": 100.0}
DUE = DeadlineReached()


def hears(priority: int, **changes: Any) -> AdvertReceived:
    return AdvertReceived(advert(priority, **changes))


def to(**changes: Any) -> Reconfigured:
    return Reconfigured(instance(**changes))


def backup(**changes: Any) -> Callable[[], Router]:
    """Since 0.0."""
    return begun(lambda: router(**changes), (0.0, Started()))


def quiet(**changes: Any) -> Announcing:
    return Announcing(**({"master_delay": 0.0, "master_repeat": 1, "lower_prio_repeat": 0} | changes))


def master(*events: tuple[float, object], **announcing: Any) -> Callable[[], Router]:
    """MASTER since 0.0 to which this has happened; its advert is due at 100.0."""
    return begun(backup(**SLOW, announcing=quiet(**announcing)), (0.0, Promoted(causes.cause("test"))), *events)


def announces(**changes: Any) -> Reconfigured:
    return to(**SLOW, announcing=quiet(**changes))


def in_group() -> Router:
    return Router(instance(), grouped=True)


def raised(priority: int) -> PriorityChanged:
    return PriorityChanged(priority, causes.tracked(""), reloaded=True)


LOWER: dict[str, Any] = {"lower_prio_repeat": 1}
LOWER_HEARD = (1.0, hears(90, interval=40.0))

ROUTER = (
    Row("advert_int longer, BACKUP", backup(), ((2.0, to(advertisement_interval=10.0)),), 30.609375),
    Row("advert_int shorter, BACKUP", backup(**V3), ((2.0, to(version=3)),), 3.609375),
    Row("advert_int passed, BACKUP", backup(**V3), ((20.0, to(version=3)),), 20.0),
    Row(
        "advert_int, BACKUP of a MASTER of version 3, which says its own",
        backup(**V3),
        ((1.0, hears(150, interval=0.1, version=3)), (1.1, to(version=3, advertisement_interval=40.0))),
        1.3609375,
    ),
    Row(
        "advert_int, BACKUP that waits for its sync group",
        begun(in_group, (0.0, Started()), (3.609375, DUE)),
        ((4.0, to(advertisement_interval=10.0)),),
        30.609375,
    ),
    Row("advert_int shorter, MASTER", master(), ((0.5, to(announcing=quiet())),), 1.0),
    Row("advert_int passed, MASTER", master(), ((30.0, to(announcing=quiet())),), 30.0),
    Row(
        "advert_int longer, MASTER: others know the old one until the next advert",
        master(),
        ((0.5, to(advertisement_interval=200.0, announcing=quiet())),),
        100.0,
    ),
    Row("down_timer_adverts more", backup(), ((2.0, to(down_timer_adverts=5)),), 5.609375),
    Row("down_timer_adverts passed", backup(), ((2.0, to(down_timer_adverts=1)),), 2.0),
    Row("priority, BACKUP", backup(**V3), ((2.0, to(priority=200, **V3)), (2.0, raised(200))), 32.1875),
    Row(
        "priority, BACKUP that received a farewell",
        begun(backup(**V3), (5.0, hears(0, version=3))),
        ((6.0, to(priority=200, **V3)), (6.0, raised(200))),
        7.1875,
    ),
    Row(
        "priority passed, BACKUP that received a farewell",
        begun(backup(**V3), (5.0, hears(0, version=3))),
        ((8.0, to(priority=200, **V3)), (8.0, raised(200))),
        8.0,
    ),
    Row(
        "another keyword, BACKUP whose addresses were removed: it waits for skew_time",
        begun(backup(), (0.0, Promoted(causes.cause("test"))), (1.0, AddressesRemoved(causes.cause("test")))),
        ((1.25, to(preempt_delay=9.0)),),
        1.609375,
    ),
    Row(
        "preempt_delay 300 to 2, running",
        begun(backup(preempt_delay=300.0), (1.0, hears(90)), (2.0, hears(90))),
        # The delay is over at 3.0: the advert at 3.5 does not count any more.
        ((2.5, to(preempt_delay=2.0)), (2.9, hears(90)), (3.5, hears(90))),
        6.509375,
    ),
    Row(
        "preempt_delay 300 to 2, passed",
        begun(backup(preempt_delay=300.0), (1.0, hears(90)), (10.0, hears(90))),
        ((10.5, to(preempt_delay=2.0)), (11.0, hears(90))),
        13.609375,
    ),
    Row(
        "preempt_delay 3 to 300, running",
        begun(backup(preempt_delay=3.0), (1.0, hears(90)), (2.0, hears(90))),
        ((2.5, to(preempt_delay=300.0)), (5.0, hears(90))),
        8.609375,
    ),
    Row(
        "preempt_delay 3 to 300, over and overruled",
        begun(backup(preempt_delay=3.0), (1.0, hears(90)), (3.9, hears(90)), (5.0, hears(90))),
        ((5.5, to(preempt_delay=300.0)), (6.0, hears(90))),
        9.609375,
    ),
    Row(
        "preempt_delay 300 to 0",
        begun(backup(preempt_delay=300.0), (1.0, hears(90))),
        ((1.5, to()), (2.0, hears(90))),
        4.609375,
    ),
    Row("garp_master_delay shorter", master(master_delay=5.0), ((1.0, announces(master_delay=2.0)),), 2.0),
    Row("garp_master_delay longer", master(master_delay=5.0), ((1.0, announces(master_delay=20.0)),), 20.0),
    Row("garp_master_delay passed", master(master_delay=50.0), ((30.0, announces(master_delay=5.0)),), 5.0),
    Row("garp_master_delay 0", master(master_delay=5.0), ((1.0, announces()),), 100.0),
    Row("garp_master_delay from 0", master(), ((1.0, announces(master_delay=5.0)),), 5.0),
    Row("garp_master_delay from 0, passed", master(), ((9.0, announces(master_delay=5.0)),), 100.0),
    Row(
        "garp_master_delay, done",
        master((5.0, DUE), master_delay=5.0),
        ((6.0, announces(master_delay=20.0)),),
        100.0,
    ),
    Row("garp_master_refresh shorter", master(master_refresh=10.0), ((1.0, announces(master_refresh=5.0)),), 5.0),
    Row(
        "garp_master_refresh longer, in its second round",
        master((10.0, DUE), master_refresh=10.0),
        ((11.0, announces(master_refresh=30.0)),),
        40.0,
    ),
    Row("garp_master_refresh 0", master(master_refresh=10.0), ((1.0, announces()),), 100.0),
    Row("garp_master_refresh from 0", master(), ((7.0, announces(master_refresh=5.0)),), 12.0),
    Row("garp_extra_if shorter", master(elsewhere=10.0), ((1.0, announces(elsewhere=5.0)),), 5.0),
    Row("garp_extra_if longer", master(elsewhere=10.0), ((1.0, announces(elsewhere=30.0)),), 30.0),
    Row("garp_extra_if 0", master(elsewhere=10.0), ((1.0, announces()),), 100.0),
    Row("garp_extra_if from 0", master(), ((7.0, announces(elsewhere=5.0)),), 12.0),
    Row(
        "garp_lower_prio_delay shorter",
        master(LOWER_HEARD, lower_prio_delay=5.0, **LOWER),
        ((2.0, announces(lower_prio_delay=2.0, **LOWER)),),
        3.0,
    ),
    Row(
        "garp_lower_prio_delay longer",
        master(LOWER_HEARD, lower_prio_delay=5.0, **LOWER),
        ((2.0, announces(lower_prio_delay=20.0, **LOWER)),),
        21.0,
    ),
    Row(
        "garp_lower_prio_delay 0",
        master(LOWER_HEARD, lower_prio_delay=5.0, **LOWER),
        ((2.0, announces(lower_prio_delay=0.0, **LOWER)),),
        100.0,
    ),
)


@fall_due(ROUTER)
def test_the_router(row: Row) -> None:
    see(row)


def test_another_master_and_another_owner_are_waited_for_by_the_interval_of_the_moment() -> None:
    split = Split("10.77.0.2", 1.0)
    split.note("10.77.0.2", 1.0, 2.0)
    assert (split.over_at(1.0), split.over_at(10.0)) == (7.0, 31.0)
    split.note("02:00:00:00:00:02", 2.0, None)
    assert split.over_at(1.0) == 62.0
    contest = Contest(1.0, 2.0)
    assert (contest.until(1.0), contest.until(10.0)) == (pytest.approx(3.2), pytest.approx(12.0))
    defence = Defence(claimed_at=1.0)
    assert (defence.due_at(0.1), defence.due_at(10.0)) == (1.5, 13.0)


# the process around it


BEGIN = Clockwork().time


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> House:
    return House(monkeypatch)


def to_moment(house: House, moment: float) -> None:
    """Seconds after the first configuration."""
    house.mux.run(BEGIN + moment)


def state_at(house: House, moment: float) -> State:
    to_moment(house, moment)
    return house.instances[0].router.state


@pytest.mark.parametrize(
    ("at", "seconds", "starts"),
    [
        pytest.param(1.0, 3.0, 3.0, id="shorter"),
        pytest.param(1.0, 20.0, 20.0, id="longer"),
        pytest.param(6.0, 2.0, 6.0, id="passed"),
        pytest.param(1.0, 0.0, 1.0, id="none"),
    ],
)
def test_vrrp_startup_delay(house: House, at: float, seconds: float, starts: float) -> None:
    house.commit(instance(), startup_delay=10.0)
    assert state_at(house, at) is State.INIT
    house.commit(instance(), startup_delay=seconds)
    assert state_at(house, max(starts - 0.1, at)) is (State.INIT if starts > at else State.BACKUP)
    assert state_at(house, starts + 0.1) is State.BACKUP
    # Its own time begins where the delay ends.
    assert state_at(house, starts + 3.5) is State.BACKUP
    assert state_at(house, starts + 3.7) is State.MASTER
    house.commit(instance(), startup_delay=100.0)
    assert state_at(house, starts + 4.0) is State.MASTER


@pytest.mark.parametrize(
    ("at", "seconds", "counts"),
    [
        pytest.param(1.0, 3.0, 3.0, id="shorter"),
        pytest.param(1.0, 20.0, 20.0, id="longer"),
        pytest.param(6.0, 2.0, 6.0, id="passed"),
        pytest.param(1.0, 0.0, 1.0, id="none"),
    ],
)
@pytest.mark.parametrize("up", [True, False])
def test_interface_up_down_delays(house: House, at: float, seconds: float, counts: float, up: bool) -> None:
    def delays(seconds: float) -> tuple[InterfaceDelay, ...]:
        return (InterfaceDelay(name="eth0", down=0.0 if up else seconds, up=seconds if up else 0.0),)

    def turn(up: bool) -> None:
        old = house.network.by_name["eth0"]
        new = house.network.by_name["eth0"] = link("eth0", 1, up=up)
        house.tell(LinkChanged(old, new))

    house.network.by_name["eth0"] = link("eth0", 1, up=not up)
    house.commit(instance(), link_delays=delays(10.0))
    turn(up)
    before, after = (State.FAULT, State.BACKUP) if up else (State.BACKUP, State.FAULT)
    assert state_at(house, at) in (before, State.MASTER)
    house.commit(instance(), link_delays=delays(seconds))
    if counts > at:
        assert state_at(house, counts - 0.1) is not after
    assert state_at(house, counts + 0.1) is after


VIPS = tuple(VirtualAddress(address=f"10.77.0.{number}", prefix=24) for number in (100, 101, 102))


@pytest.mark.parametrize(
    ("seconds", "moments"),
    [
        # The first message leaves at 3.609375, the reload comes at 5.0.
        pytest.param(2.0, [5.609375, 7.609375], id="shorter"),
        pytest.param(20.0, [23.609375, 43.609375], id="longer"),
        pytest.param(1.0, [5.0, 6.0], id="passed"),
        pytest.param(0.0, [5.0, 5.0], id="none"),
    ],
)
@pytest.mark.parametrize("grouped", [False, True])
def test_garp_interval(house: House, seconds: float, moments: list[float], grouped: bool) -> None:
    def commit(seconds: float) -> None:
        groups = (GarpGroup(interfaces=("eth0", "eth1"), garp_interval=seconds),) if grouped and seconds else ()
        announcing = quiet(garp_interval=0.0 if grouped else seconds)
        house.commit(instance(virtual_addresses=VIPS, announcing=announcing), garp_groups=groups)

    commit(10.0)
    to_moment(house, 5.0)
    assert len(house.frames.sent) == 1
    commit(seconds)
    to_moment(house, 5.0)
    for number, moment in enumerate(moments):
        if moment > 5.0:
            to_moment(house, moment - 0.05)
            assert len(house.frames.sent) == 1 + number
        to_moment(house, moment + 0.05)
        assert len(house.frames.sent) >= 2 + number
    house.run(100.0)
    assert len(house.frames.sent) == 3


def test_what_waits_for_its_turn_is_not_announced_when_a_reload_removes_it(house: House) -> None:
    house.commit(instance(virtual_addresses=VIPS, announcing=quiet(garp_interval=10.0)))
    to_moment(house, 5.0)
    house.commit(instance(virtual_addresses=VIPS[:2], announcing=quiet(garp_interval=0.0)))
    house.run(100.0)
    # The one before the reload, the one that waited, and both anew since the addresses are others.
    assert len(house.frames.sent) == 4


# scripts

PROGRAM = Program(id="chk", text="/bin/check", argv=("/bin/check",), shell=False, user=None, group=None)


def configured(*, interval: float = 60.0, timeout: float = 60.0, rise: int = 1, fall: int = 1) -> VrrpScript:
    return VrrpScript(name="chk", program=PROGRAM, interval=interval, timeout=timeout, rise=rise, fall=fall)


def runs(**changes: Any) -> Callable[[], script_check.ScriptCheck]:
    """The first run began at 0.0."""
    return begun(lambda: script_check.ScriptCheck(configured(**changes)), (0.0, script_check.Started()))


def waits(**changes: Any) -> Callable[[], script_check.ScriptCheck]:
    """It ended well at 1.0."""
    return begun(runs(**changes), (1.0, script_check.ProgramEnded(Exited(0), "")))


def again(**changes: Any) -> script_check.Reconfigured:
    return script_check.Reconfigured(configured(**changes))


SCRIPT = (
    Row("interval shorter", waits(), ((2.0, again(interval=5.0)),), 5.0),
    Row("interval longer", waits(interval=5.0), ((2.0, again()),), 60.0),
    Row("interval passed", waits(), ((20.0, again(interval=5.0)),), 20.0),
    Row("timeout shorter", runs(), ((2.0, again(timeout=5.0)),), 5.0),
    Row("timeout longer", runs(timeout=5.0), ((2.0, again()),), 60.0),
    Row("timeout passed", runs(), ((20.0, again(timeout=5.0)),), 5.0),
    Row("timeout after a sleep", begun(runs(), (50.0, script_check.Slept())), ((51.0, again(timeout=5.0)),), 55.0),
)


@fall_due(SCRIPT)
def test_vrrp_script(row: Row) -> None:
    see(row)


def results(check: script_check.ScriptCheck, first: int, *statuses: int) -> None:
    for number, status in enumerate(statuses, start=first):
        check.handle(script_check.DeadlineReached(), number * 60.0)
        check.handle(script_check.ProgramEnded(Exited(status), ""), number * 60.0 + 1.0)


@pytest.mark.parametrize(("failures", "fall", "failed_after"), [(2, 3, 1), (2, 2, 0), (2, 1, 0), (1, 4, 3)])
def test_fall_counts_the_failures_so_far(failures: int, fall: int, failed_after: int) -> None:
    check = waits(fall=5)()
    results(check, 1, *[1] * failures)
    assert check.value == 1
    check.handle(again(fall=fall), 200.0)
    for more in range(failed_after):
        assert check.value == 1
        results(check, 4 + more, 1)
    assert (check.value, check.reason) == (0, "exited with status 1")


@pytest.mark.parametrize(("successes", "rise", "good_after"), [(2, 3, 1), (2, 2, 0), (2, 1, 0), (1, 4, 3)])
def test_rise_counts_the_successes_so_far(successes: int, rise: int, good_after: int) -> None:
    check = begun(runs(rise=5), (1.0, script_check.ProgramEnded(Exited(1), "")))()
    results(check, 1, *[0] * successes)
    assert check.value == 0
    check.handle(again(rise=rise), 200.0)
    for more in range(good_after):
        assert check.value == 0
        results(check, 4 + more, 0)
    assert check.value == 1


# checks of real servers

TIMING = Timing(delay_loop=60.0, retry=5, delay_before_retry=20.0, warmup=40.0)
GOOD, BAD = health.AttemptEnded(True, "good"), health.AttemptEnded(False, "bad")


def check(*events: tuple[float, object]) -> Callable[[], health.Health]:
    """Its first attempt is due at 11.0, a second and a quarter of the warmup after its start."""
    return begun(lambda: health.Health(TIMING), (0.0, health.Started(0.25)), *events)


FIRST, SECOND = (11.0, health.DeadlineReached()), (71.0, health.DeadlineReached())


def timed(**changes: Any) -> health.Retimed:
    return health.Retimed(msgspec.structs.replace(TIMING, **changes))


CHECK = (
    Row("warmup shorter", check(), ((2.0, timed(warmup=8.0)),), 3.0),
    Row("warmup longer", check(), ((2.0, timed(warmup=80.0)),), 21.0),
    Row("warmup passed", check(), ((10.0, timed(warmup=8.0)),), 10.0),
    Row("delay_loop shorter", check(FIRST, (11.0, GOOD)), ((12.0, timed(delay_loop=9.0)),), 20.0),
    Row("delay_loop longer", check(FIRST, (11.0, GOOD)), ((12.0, timed(delay_loop=90.0)),), 101.0),
    Row("delay_loop passed", check(FIRST, (11.0, GOOD)), ((30.0, timed(delay_loop=9.0)),), 30.0),
    Row(
        "delay_before_retry shorter",
        check(FIRST, (11.0, GOOD), SECOND, (71.0, BAD)),
        ((72.0, timed(delay_before_retry=5.0)),),
        76.0,
    ),
    Row(
        "delay_before_retry longer",
        check(FIRST, (11.0, GOOD), SECOND, (71.0, BAD)),
        ((72.0, timed(delay_before_retry=50.0)),),
        121.0,
    ),
    Row(
        "delay_before_retry passed",
        check(FIRST, (11.0, GOOD), SECOND, (71.0, BAD)),
        ((85.0, timed(delay_before_retry=5.0)),),
        85.0,
    ),
    Row(
        "retry, used up: the next attempt is delay_loop away",
        check(FIRST, (11.0, GOOD), SECOND, (71.0, BAD)),
        ((72.0, timed(retry=0)),),
        131.0,
    ),
)


@fall_due(CHECK)
def test_checker(row: Row) -> None:
    see(row)


def test_retry_counts_the_failures_so_far() -> None:
    machine = check(FIRST, (11.0, GOOD), SECOND, (71.0, BAD), (91.0, health.DeadlineReached()), (91.0, BAD))()
    assert machine.handle(timed(retry=2), 92.0) == []
    assert machine.healthy
    assert machine.handle(timed(retry=1), 92.0) == [health.Verdict(False, "bad", None, 1)]


# tracked processes


def counted(*numbers: int, fork: float = 10.0, terminate: float = 10.0) -> Callable[[], tracked.ProcessQuorum]:
    """The first number at 0.0, the others at 1.0."""
    first, *others = [tracked.Counted(number) for number in numbers]
    events = [(0.0, first), *((1.0, other) for other in others)]
    return begun(lambda: tracked.ProcessQuorum(process(fork, terminate)), *events)


def process(fork: float, terminate: float, quorum: int = 1) -> tracking.TrackedProcess:
    pattern = tracking.ProcessWords(name="nginx")
    return tracking.TrackedProcess(name="P", pattern=pattern, quorum=quorum, fork_delay=fork, terminate_delay=terminate)


def delays(fork: float, terminate: float) -> tracked.Reconfigured:
    return tracked.Reconfigured(process(fork, terminate))


PROCESS = (
    Row("fork_delay shorter", counted(0, 1), ((2.0, delays(5.0, 99.0)),), 6.0),
    Row("fork_delay longer", counted(0, 1), ((2.0, delays(50.0, 99.0)),), 51.0),
    Row("terminate_delay shorter", counted(1, 0), ((2.0, delays(99.0, 5.0)),), 6.0),
    Row("terminate_delay longer", counted(1, 0), ((2.0, delays(99.0, 50.0)),), 51.0),
)


@fall_due(PROCESS)
def test_track_process(row: Row) -> None:
    see(row)


@pytest.mark.parametrize("seconds", [0.0, 0.5])
def test_a_delay_of_a_tracked_process_that_has_passed(seconds: float) -> None:
    machine = counted(1, 0)()
    assert [each.value for each in machine.handle(delays(99.0, seconds), 2.0)] == [0]
    assert machine.deadline is None


# BFD

BFD = BfdInstance(name="B", neighbor="192.0.2.1", min_rx=1.0, min_tx=1.0, multiplier=3, idle_tx=10.0)


def packet(state: BfdState, flags: Flag = Flag(0), tx: float = 1.0) -> bfd.Received:  # noqa: B008
    return bfd.Received(Control(state, Diagnostic.NONE, flags, 3, 7, 5, tx, 0.5))


def session(*events: tuple[float, object]) -> Callable[[], bfd.Session]:
    """Each packet leaves 0.9 of its interval after the one before."""
    return begun(lambda: bfd.Session(BFD, 5, lambda: 1.0), (0.0, bfd.Started()), *events)


UP = (
    (0.0, bfd.DeadlineReached()),
    (0.0, packet(BfdState.DOWN)),
    (0.0, packet(BfdState.INIT)),
    (0.0, packet(BfdState.UP, Flag.FINAL)),
    (0.0, bfd.DeadlineReached()),
)
SILENT = session(*UP, (0.9, bfd.DeadlineReached()), (1.8, bfd.DeadlineReached()), (2.7, bfd.DeadlineReached()))
"""Nothing is received since 0.0: it expires at 3.0."""


def with_bfd(**changes: Any) -> bfd.Reconfigured:
    return bfd.Reconfigured(msgspec.structs.replace(BFD, **changes))


SESSION = (
    Row(
        "idle_tx shorter, Down", session((0.0, DUE_BFD := bfd.DeadlineReached())), ((1.0, with_bfd(idle_tx=5.0)),), 4.5
    ),
    Row("idle_tx longer, Down", session((0.0, DUE_BFD)), ((1.0, with_bfd(idle_tx=20.0)),), 18.0),
    Row("idle_tx passed, Down", session((0.0, DUE_BFD)), ((6.0, with_bfd(idle_tx=5.0)),), 6.0),
    Row("min_tx shorter, Up", session(*UP), ((0.1, with_bfd(min_tx=0.5)),), 0.45),
    Row("min_tx passed, Up", session(*UP), ((0.6, with_bfd(min_tx=0.5)),), 0.6),
    Row("min_tx longer, Up: not before the neighbour has agreed", session(*UP), ((0.1, with_bfd(min_tx=2.0)),), 0.9),
    Row(
        "min_rx longer, Up", SILENT, ((2.75, with_bfd(min_rx=2.0)), (3.6, DUE_BFD), (4.5, DUE_BFD), (5.4, DUE_BFD)), 6.0
    ),
    Row("min_rx shorter, Up: not before the neighbour has agreed", SILENT, ((2.75, with_bfd(min_rx=0.1)),), 3.0),
)


@fall_due(SESSION)
def test_bfd_instance(row: Row) -> None:
    see(row)


def test_bfd_takes_longer_intervals_when_the_neighbour_has_agreed() -> None:
    machine = session(*UP)()
    machine.handle(with_bfd(min_tx=2.0, min_rx=0.5), 0.1)
    assert (machine.interval, machine.detection_time) == (1.0, 3.0)
    machine.handle(packet(BfdState.UP, tx=0.1), 0.2)
    assert (machine.interval, machine.detection_time) == (1.0, 3.0)
    machine.handle(packet(BfdState.UP, Flag.FINAL, tx=0.1), 0.3)
    assert (machine.interval, machine.detection_time) == (2.0, 1.5)


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [pytest.param(60.0, 0.2, "0.2 s", id="shorter"), pytest.param(0.3, 0.6, "0.6 s", id="longer")],
)
@pytest.mark.parametrize("kind", ["UDP_CHECK", "HTTP_GET"])
def test_connect_timeout_of_an_attempt(
    monkeypatch: pytest.MonkeyPatch, kind: str, before: float, after: float, reason: str
) -> None:
    """A server that says nothing."""
    family = socket.SOCK_DGRAM if kind == "UDP_CHECK" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, family) as silent, staged(monkeypatch) as stage:
        silent.bind(("127.0.0.1", 0))
        if kind == "HTTP_GET":
            silent.listen()

        def configure(timeout: float) -> None:
            connection = at(silent.getsockname()[1], timeout=timeout)
            if kind == "UDP_CHECK":
                stage.check(UdpCheck(timing=SOON, connection=connection, payload=b"?", require_reply=True))
            else:
                stage.check(HttpCheck(timing=SOON, connection=connection, urls=(Url(path="/", host="h"),)))

        configure(before)
        stage.until(lambda: _attempts(stage) == 1)
        begin = time.monotonic()
        configure(after)
        verdict = stage.verdict()
        assert verdict.reason.endswith(f"within {reason}")
        assert time.monotonic() - begin > after - 0.1


def _attempts(stage: Stage) -> object:
    return stage.room.snapshot(False)["attempts_open"]

"""The state machine of a session as plays: RFC 5880 6.2, 6.8.3 to 6.8.7, RFC 5882 3.2."""

from __future__ import annotations

import msgspec
import pytest

from kad.bfd.packet import Control, Diagnostic, Flag, State
from kad.bfd.session import (
    Action,
    ChangeState,
    Neighbor,
    Received,
    Reconfigured,
    Resumed,
    Send,
    Session,
    Started,
    Stopped,
)
from kad.model.bfd import BfdInstance
from kad.shared.state_machine import DeadlineReached

WHO = "192.0.2.1"
PLAIN = BfdInstance(name="B", neighbor=WHO, min_rx=0.05, min_tx=0.05, multiplier=3)
DOWN, INIT, UP, ADMIN_DOWN = State.DOWN, State.INIT, State.UP, State.ADMIN_DOWN


def packet(state: State, flags: Flag = Flag(0), *, tx: float = 1.0, rx: float = 0.05, mult: int = 3) -> Control:  # noqa: B008
    return Control(state, Diagnostic.NONE, flags, mult, 7, 0 if state is DOWN else 5, tx, rx)


def started(instance: BfdInstance = PLAIN, chance: float = 1.0) -> Session:
    session = Session(instance, 5, lambda: chance)
    session.handle(Started(), 0.0)
    return session


def up(session: Session | None = None, now: float = 0.0) -> Session:
    session = session or started()
    session.handle(Received(packet(DOWN)), now)
    session.handle(Received(packet(INIT)), now)
    session.handle(Received(packet(UP, tx=0.05)), now)
    assert session.state is UP
    return session


def changes(actions: list[Action]) -> list[tuple[State, State, bool]]:
    return [(one.old, one.new, one.told) for one in actions if isinstance(one, ChangeState)]


def sent(actions: list[Action]) -> list[Control]:
    return [one.control for one in actions if isinstance(one, Send)]


@pytest.mark.parametrize(
    ("before", "theirs", "after"),
    [
        (DOWN, DOWN, INIT),
        (DOWN, INIT, UP),
        (DOWN, UP, DOWN),
        (DOWN, ADMIN_DOWN, DOWN),
        (INIT, DOWN, INIT),
        (INIT, INIT, UP),
        (INIT, UP, UP),
        (INIT, ADMIN_DOWN, DOWN),
        (UP, INIT, UP),
        (UP, UP, UP),
        (UP, DOWN, DOWN),
        (UP, ADMIN_DOWN, DOWN),
    ],
)
def test_the_state_machine(before: State, theirs: State, after: State) -> None:
    session = started()
    session.state = before
    session.handle(Received(packet(theirs)), 1.0)
    assert session.state is after


def test_the_first_packet_leaves_at_once_and_the_next_within_three_quarters_to_nine_tenths_of_a_second() -> None:
    for chance, later in ((0.0, 0.75), (1.0, 0.9)):
        session = started(chance=chance)
        assert session.deadline == 0.0
        [control] = sent(session.handle(DeadlineReached(), 0.0))
        assert (control.state, control.my_discriminator, control.your_discriminator) == (DOWN, 5, 0)
        assert (control.desired_min_tx, control.required_min_rx, control.multiplier) == (1.0, 0.05, 3)
        assert session.deadline == pytest.approx(later)


def test_a_change_is_told_at_once_and_a_session_that_comes_up_polls_for_its_fast_interval() -> None:
    session = started()
    session.handle(DeadlineReached(), 0.0)
    assert changes(session.handle(Received(packet(DOWN)), 0.3)) == [(DOWN, INIT, True)]
    assert session.deadline == 0.3
    [control] = sent(session.handle(DeadlineReached(), 0.3))
    assert (control.state, control.your_discriminator, control.flags) == (INIT, 7, Flag(0))
    assert changes(session.handle(Received(packet(INIT)), 0.4)) == [(INIT, UP, True)]
    [control] = sent(session.handle(DeadlineReached(), 0.4))
    assert (control.state, control.flags, control.desired_min_tx) == (UP, Flag.POLL, 0.05)
    # The neighbour is not up yet: nothing is fast before it is.
    assert session.interval == 1.0
    session.handle(Received(packet(UP, Flag.FINAL, tx=0.05)), 0.41)
    assert session.interval == 0.05
    assert session.deadline == pytest.approx(0.4 + 0.9 * 0.05)
    [control] = sent(session.handle(DeadlineReached(), 0.45))
    assert control.flags == Flag(0)


def test_a_poll_is_answered_at_once_and_shortens_the_detection_time_only_when_it_is_over() -> None:
    session = up()
    assert session.detection_time == pytest.approx(0.15)
    session.handle(Received(packet(UP, tx=1.0)), 0.1)
    assert session.detection_time == 3.0
    [control] = sent(session.handle(Received(packet(UP, Flag.POLL, tx=0.05)), 0.2))
    assert (control.flags, control.state) == (Flag.FINAL, UP)
    assert session.detection_time == 3.0
    session.handle(Received(packet(UP, tx=0.05)), 0.3)
    assert session.detection_time == pytest.approx(0.15)


@pytest.mark.parametrize(("tx", "rx", "seconds"), [(0.05, 0.05, 0.15), (0.02, 0.05, 0.15), (0.2, 0.05, 0.6)])
def test_silence_for_the_multiplier_times_the_slower_interval_is_down(tx: float, rx: float, seconds: float) -> None:
    session = up()
    session.handle(Received(packet(UP, tx=tx, rx=rx)), 10.0)
    session.handle(DeadlineReached(), 10.0 + seconds - 0.001)
    assert session.state is UP
    actions = session.handle(DeadlineReached(), 10.0 + seconds)
    assert changes(actions) == [(UP, DOWN, True)]
    [control] = sent(actions)
    assert (control.state, control.diagnostic, control.your_discriminator) == (DOWN, Diagnostic.EXPIRED, 0)
    assert session.reason == f"no packet from {WHO} for {seconds * 1000:g} ms"
    assert session.interval == 1.0


def test_who_is_taken_down_by_its_administrator_has_not_failed() -> None:
    assert changes(up().handle(Received(packet(ADMIN_DOWN)), 1.0)) == [(UP, DOWN, False)]


def test_a_neighbour_that_wants_slower_packets_gets_them_and_one_that_wants_none_gets_none() -> None:
    session = up()
    session.handle(Received(packet(UP, tx=0.05, rx=0.4)), 1.0)
    assert session.interval == 0.4
    session.handle(Received(packet(UP, tx=0.05, rx=0.0)), 1.1)
    assert session.deadline == pytest.approx(1.1 + 0.15)
    session.handle(Received(packet(UP, tx=0.05)), 1.2)
    assert session.deadline == 1.2


def test_a_demand_is_honoured_while_both_are_up() -> None:
    session = up()
    session.handle(Received(packet(UP, Flag.FINAL | Flag.DEMAND, tx=0.05)), 1.0)
    assert session.deadline == pytest.approx(1.15)


def test_a_passive_session_waits_to_be_spoken_to() -> None:
    session = started(msgspec.structs.replace(PLAIN, passive=True))
    assert session.deadline is None
    session.handle(Received(packet(DOWN)), 1.0)
    assert session.deadline == 1.0
    assert len(sent(session.handle(DeadlineReached(), 1.0))) == 1
    session.handle(DeadlineReached(), 1.0 + 3 * 1.0)
    assert session.state is DOWN
    assert session.deadline is None


def test_a_session_of_an_earlier_life_goes_on_and_says_so_at_once() -> None:
    session = Session(PLAIN, 5, lambda: 0.0)
    session.handle(Resumed(Neighbor(discriminator=7, state=UP, min_rx=0.05, min_tx=0.05, multiplier=3)), 9.0)
    session.handle(Started(), 9.0)
    [control] = sent(session.handle(DeadlineReached(), 9.0))
    assert (control.state, control.your_discriminator, control.desired_min_tx) == (UP, 7, 0.05)
    assert changes(session.handle(DeadlineReached(), 9.15)) == [(UP, DOWN, True)]


def test_new_intervals_are_polled_for() -> None:
    session = up()
    session.handle(Received(packet(UP, Flag.FINAL, tx=0.05)), 0.0)
    session.handle(Reconfigured(msgspec.structs.replace(PLAIN, min_tx=0.2)), 0.04)
    [control] = sent(session.handle(DeadlineReached(), 0.05))
    assert (control.flags, control.desired_min_tx) == (Flag.POLL, 0.2)


def test_a_stop_is_told_as_the_administrator_s_and_ends_everything() -> None:
    session = up()
    [control] = sent(session.handle(Stopped(), 1.0))
    assert (control.state, control.diagnostic) == (ADMIN_DOWN, Diagnostic.ADMIN_DOWN)
    assert session.deadline is None

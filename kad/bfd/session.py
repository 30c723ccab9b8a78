"""Decides what one session is, and when it speaks: the state machine of RFC 5880 6.8, asynchronous mode; pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from kad.bfd.packet import Control, Diagnostic, Flag, State
from kad.model.bfd import BfdInstance
from kad.shared.state_machine import DeadlineReached

_SOONEST, _LATEST = 0.75, 0.9
"""Parts of the interval after which a packet leaves (RFC 5880 6.8.7)."""
_NO_FLAG = Flag(0)
_AT_FIRST = 1.0
"""Seconds between packets that a neighbour is taken to want before it has spoken."""


class Neighbor(msgspec.Struct, frozen=True, kw_only=True):
    """What the neighbour last said of itself."""

    discriminator: int = 0
    state: State = State.DOWN
    diagnostic: Diagnostic = Diagnostic.NONE
    min_rx: float = _AT_FIRST
    min_tx: float = _AT_FIRST
    multiplier: int = 1
    demand: bool = False


@dataclass(frozen=True, slots=True)
class Started:
    """The session is configured."""


@dataclass(frozen=True, slots=True)
class Resumed:
    """An earlier life of this process was Up; the neighbour need not know that it ended. Comes before Started."""

    neighbor: Neighbor


@dataclass(frozen=True, slots=True)
class Received:
    """A packet for this session."""

    control: Control


@dataclass(frozen=True, slots=True)
class Reconfigured:
    """The words changed, but not the neighbour."""

    instance: BfdInstance


@dataclass(frozen=True, slots=True)
class Stopped:
    """The session is no longer configured, or the daemon ends: the neighbour is told that this is no failure."""


@dataclass(frozen=True, slots=True)
class Send:
    """To the neighbour."""

    control: Control


@dataclass(frozen=True, slots=True)
class ChangeState:
    """The session is something else now; `told` is False where nobody shall act on it (RFC 5882 3.2)."""

    old: State
    new: State
    reason: str
    told: bool = True


Event = Started | Resumed | Received | DeadlineReached | Reconfigured | Stopped
Action = Send | ChangeState


class Session:
    """One neighbour."""

    def __init__(self, instance: BfdInstance, discriminator: int, chance: Callable[[], float]) -> None:
        """`chance` gives a number of 0 to 1."""
        self.instance = instance
        self.discriminator = discriminator
        self.state = State.DOWN
        self.diagnostic = Diagnostic.NONE
        self.neighbor = Neighbor()
        self.reason = f"no packet from {instance.neighbor} yet"
        self._chance = chance
        self._polls = False
        self._started = False
        self._agreed: BfdInstance | None = None
        """What the neighbour knows of the intervals until it answers the poll that a reload began."""
        self._send_at: float | None = None
        self._expires_at: float | None = None
        self._spoke_at = 0.0
        self._heard_at = 0.0

    @property
    def deadline(self) -> float | None:
        """Monotonic seconds."""
        moments = [moment for moment in (self._send_at, self._expires_at) if moment is not None]
        return min(moments, default=None)

    @property
    def interval(self) -> float:
        """Seconds between our packets, before they are spread."""
        is_fast = self.state is State.UP and self.neighbor.state is State.UP
        agreed = self._agreed or self.instance
        min_tx = min(self.instance.min_tx, agreed.min_tx)
        return max(min_tx if is_fast else self.instance.idle_tx, self.neighbor.min_rx)

    @property
    def detection_time(self) -> float:
        """Seconds of silence that end the session (RFC 5880 6.8.4)."""
        agreed = self._agreed or self.instance
        return self.neighbor.multiplier * max(self.instance.min_rx, agreed.min_rx, self.neighbor.min_tx)

    def handle(self, event: Event, now: float) -> list[Action]:
        """The actions are to be done in their order."""
        match event:
            case Started():
                self._started = True
                self._send_at = now if self._may_speak else None
                return []
            case Resumed(neighbor):
                self.state, self.neighbor, self.reason = State.UP, neighbor, f"{self.instance.neighbor} answers"
                self._heard(now)
                return []
            case Received(control):
                return self._receive(control, now) if self._started else []
            case DeadlineReached():
                return self._late(now)
            case Reconfigured(instance):
                return self._reconfigure(instance, now)
            case Stopped():
                return self._stop()

    @property
    def _may_speak(self) -> bool:
        """Not before a passive session was spoken to, nor to whom wants nothing (RFC 5880 6.8.7)."""
        neighbor = self.neighbor
        if self.instance.passive and not neighbor.discriminator:
            return False
        wants_silence = neighbor.demand and self.state is State.UP and neighbor.state is State.UP
        return neighbor.min_rx > 0 and not (wants_silence and not self._polls)

    def _receive(self, control: Control, now: float) -> list[Action]:
        before = self.interval
        self._learn(control)
        actions = self._judge()
        if Flag.POLL in control.flags:
            actions.append(Send(self._control(Flag.FINAL)))
        if not self._may_speak:
            self._send_at = None
        elif self._send_at is None or any(isinstance(action, ChangeState) for action in actions):
            # What has changed is told at once, as RFC 5880 6.8.7 allows.
            self._send_at = now
        elif self.interval != before:
            self._send_at = min(self._send_at, self._spoke_at + self._spread())
        self._heard(now)
        return actions

    def _heard(self, now: float) -> None:
        self._heard_at = now
        self._expires_at = now + self.detection_time

    def _learn(self, control: Control) -> None:
        known = self.neighbor
        min_tx = control.desired_min_tx
        if Flag.POLL in control.flags and self.state is State.UP:
            # Until it has our answer it may still send as slowly as before.
            min_tx = max(min_tx, known.min_tx)
        self.neighbor = Neighbor(
            discriminator=control.my_discriminator,
            state=control.state,
            diagnostic=control.diagnostic,
            min_rx=control.required_min_rx,
            min_tx=min_tx,
            multiplier=control.multiplier,
            demand=Flag.DEMAND in control.flags,
        )
        if Flag.FINAL in control.flags:
            self._polls, self._agreed = False, None

    def _judge(self) -> list[Action]:
        """RFC 5880 6.8.6, the table at its end."""
        who, theirs = self.instance.neighbor, self.neighbor.state
        match self.state, theirs:
            case State.DOWN, State.DOWN:
                return self._enter(State.INIT, f"{who} speaks")
            case State.DOWN, State.INIT:
                return self._enter(State.UP, f"{who} answers")
            case State.INIT, State.INIT | State.UP:
                return self._enter(State.UP, f"{who} answers")
            case State.INIT | State.UP, State.ADMIN_DOWN:
                text = f"{who} was taken down by its administrator"
                return self._fall(Diagnostic.NEIGHBOR_DOWN, text, told=False)
            case State.UP, State.DOWN:
                why = self.neighbor.diagnostic.name.lower().replace("_", " ")
                return self._fall(Diagnostic.NEIGHBOR_DOWN, f"{who} says that the session is down ({why})")
        return []

    def _enter(self, new: State, reason: str) -> list[Action]:
        old, self.state, self.reason = self.state, new, reason
        self.diagnostic, self._agreed = Diagnostic.NONE, None
        self._polls = new is State.UP and self.instance.min_tx != self.instance.idle_tx
        return [ChangeState(old, new, reason)]

    def _fall(self, diagnostic: Diagnostic, reason: str, *, told: bool = True) -> list[Action]:
        old, self.state, self.reason = self.state, State.DOWN, reason
        self.diagnostic, self._polls, self._agreed = diagnostic, False, None
        return [ChangeState(old, State.DOWN, reason, told)]

    def _late(self, now: float) -> list[Action]:
        actions: list[Action] = []
        if self._expires_at is not None and now >= self._expires_at:
            actions += self._expire(now)
        if self._send_at is not None and now >= self._send_at:
            self._spoke_at = now
            self._send_at = now + self._spread()
            actions.append(Send(self._control()))
        return actions

    def _expire(self, now: float) -> list[Action]:
        """Silence: the neighbour is forgotten, down to its discriminator (RFC 5880 6.8.1)."""
        silence, self._expires_at = self.detection_time, None
        fallen = self.state in (State.INIT, State.UP)
        self.neighbor = Neighbor()
        if self.instance.passive:
            self._send_at = None
        if not fallen:
            return []
        if self._may_speak:
            self._send_at = now
        return self._fall(Diagnostic.EXPIRED, f"no packet from {self.instance.neighbor} for {_seconds(silence)}")

    def _reconfigure(self, instance: BfdInstance, now: float) -> list[Action]:
        """The neighbour is asked to note the new intervals before longer silences count (RFC 5880 6.8.3)."""
        before = self.interval
        old, self.instance = self.instance, instance
        if self.state is State.UP and (old.min_tx, old.min_rx) != (instance.min_tx, instance.min_rx):
            self._polls = True
            self._agreed = self._agreed or old
        if self._send_at is None and self._may_speak:
            self._send_at = now
        elif self._send_at is not None and self._send_at > now and self.interval != before:
            self._send_at = max(now, self._spoke_at + self._spread())
        if self._expires_at is not None:
            self._expires_at = self._heard_at + self.detection_time
        return []

    def _stop(self) -> list[Action]:
        self._send_at = self._expires_at = None
        if not self._started or not self._may_speak:
            return []
        self.state, self.diagnostic = State.ADMIN_DOWN, Diagnostic.ADMIN_DOWN
        return [Send(self._control())]

    def _spread(self) -> float:
        return self.interval * (_SOONEST + self._chance() * (_LATEST - _SOONEST))

    def _control(self, flags: Flag = _NO_FLAG) -> Control:
        if self._polls and Flag.FINAL not in flags:
            flags |= Flag.POLL
        return Control(
            state=self.state,
            diagnostic=self.diagnostic,
            flags=flags,
            multiplier=self.instance.multiplier,
            my_discriminator=self.discriminator,
            your_discriminator=self.neighbor.discriminator,
            desired_min_tx=self.instance.min_tx if self.state is State.UP else self.instance.idle_tx,
            required_min_rx=self.instance.min_rx,
        )


def _seconds(duration: float) -> str:
    return f"{duration * 1000:g} ms" if duration < 1 else f"{duration:g} s"

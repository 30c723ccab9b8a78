"""What happened on a LAN, as somebody saw it who was everywhere at once; moments are seconds of the timeline."""

from __future__ import annotations

from typing import NamedTuple

from kad.model.cause import Cause, describe
from kad.model.vrrp import VrrpInstance
from kad.vrrp.events import State


class Seat(NamedTuple):
    """One vrrp_instance on one host."""

    host: str
    name: str


class Transition(NamedTuple):
    """A router entered another state."""

    moment: float
    seat: Seat
    old: State
    new: State
    cause: Cause

    @property
    def reason(self) -> str:
        """The cause in words."""
        return describe(self.cause)


class Sent(NamedTuple):
    """An advert left; to several peers it counts once."""

    moment: float
    seat: Seat
    priority: int


class Heard(NamedTuple):
    """An advert arrived and passed every check."""

    moment: float
    seat: Seat
    priority: int
    interval: float
    source_number: int


class Setting(NamedTuple):
    """From now on the router is run with this configuration and this effective priority."""

    moment: float
    seat: Seat
    configuration: VrrpInstance
    priority: int


class Held(NamedTuple):
    """An address came to a host, or left it."""

    moment: float
    host: str
    address: str
    present: bool


class Birth(NamedTuple):
    """A router came to life in this state; what an earlier one had learned is gone."""

    moment: float
    seat: Seat
    state: State


class Chronicle:
    """Everything in the order in which it happened."""

    def __init__(self) -> None:
        self.transitions: list[Transition] = []
        self.sent: list[Sent] = []
        self.heard: list[Heard] = []
        self.settings: list[Setting] = []
        self.holding: list[Held] = []
        self.started: list[Birth] = []
        self.slept: list[tuple[float, str]] = []
        """When a host that did not run for a while ran again."""
        self.discarded = 0
        self.lost = 0

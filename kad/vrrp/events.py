"""What a VRRP router is told and what it wants done: events are past participles, actions imperatives."""

from __future__ import annotations

from enum import Enum
from math import inf

import msgspec

from kad.model.cause import Cause, RefusedPeer
from kad.model.vrrp import VrrpInstance
from kad.shared.state_machine import DeadlineReached
from kad.vrrp.advert import Advertisement


class State(Enum):
    """The operator's words (RFC 9568 6.4, and keepalived's FAULT and STOP)."""

    INIT = "INIT"
    BACKUP = "BACKUP"
    MASTER = "MASTER"
    FAULT = "FAULT"
    STOP = "STOP"


class Started(msgspec.Struct, frozen=True):
    """The router exists; `faults` keep it out of the election, `pending` names what has no result yet."""

    faults: frozenset[str] = frozenset()
    pending: frozenset[str] = frozenset()
    succeeds: bool = False
    """In a reload, in the place of a MASTER of the same name that has just given up another VRID or interface."""


class Resumed(msgspec.Struct, frozen=True):
    """An earlier life of the process died; this is what the router was then.

    `spoke_at` is the moment of its last advert; a MASTER that was not missed yet goes on as if nothing had happened.
    `master_advertisement_interval` is what a BACKUP learned in version 3, in seconds; 0.0: nothing. `entered_at`
    is when it became what it was.
    """

    state: State
    spoke_at: float
    faults: frozenset[str] = frozenset()
    pending: frozenset[str] = frozenset()
    master_advertisement_interval: float = 0.0
    entered_at: float = -inf


class Stopped(msgspec.Struct, frozen=True):
    """The daemon ends or the instance is gone; with release False the addresses stay and nothing is said.

    With `handover_until` a MASTER keeps its addresses until another router has taken over, but never beyond that
    moment (make before break).
    """

    release: bool = True
    handover_until: float | None = None


class Woken(msgspec.Struct, frozen=True):
    """The process did not run for so long that another router may have taken over; what it said was not read yet."""

    gap: float


class CaughtUp(msgspec.Struct, frozen=True):
    """After Woken: everything that waited on the sockets was read."""


class AdvertReceived(msgspec.Struct, frozen=True):
    """An advert that passed every check."""

    advert: Advertisement


class AddressClaimed(msgspec.Struct, frozen=True):
    """A host with another hardware address said that a virtual address is there."""

    address: str
    by: str
    """The hardware address."""


class GroupAsserted(msgspec.Struct, frozen=True):
    """Another member of the sync group contradicted an advert of a lower priority."""


class PriorityChanged(msgspec.Struct, frozen=True):
    """The tracked objects give another effective priority."""

    priority: int
    cause: Cause
    reloaded: bool = False
    """By a reload: a BACKUP counts with it from where its wait began, not from the next advert on."""


class FaultsChanged(msgspec.Struct, frozen=True):
    """The whole set of reasons for FAULT, and of tracked objects without a result yet."""

    faults: frozenset[str]
    pending: frozenset[str] = frozenset()


class SourceChanged(msgspec.Struct, frozen=True):
    """Adverts leave with another source address now."""

    number: int


class Reconfigured(msgspec.Struct, frozen=True):
    """A reload changed this instance; what identifies it on the wire is the same."""

    configuration: VrrpInstance


class RefusalsChanged(msgspec.Struct, frozen=True):
    """Routers whose adverts do not count now."""

    peers: tuple[RefusedPeer, ...]


class AddressesRemoved(msgspec.Struct, frozen=True):
    """Somebody took addresses of a MASTER away, and they are not to be put back."""

    cause: Cause


class Promoted(msgspec.Struct, frozen=True):
    """All members of the sync group can be MASTER now."""

    cause: Cause


class Demoted(msgspec.Struct, frozen=True):
    """A member of the sync group is BACKUP."""

    cause: Cause


Event = (
    Started
    | Resumed
    | Stopped
    | Woken
    | CaughtUp
    | AdvertReceived
    | AddressClaimed
    | GroupAsserted
    | DeadlineReached
    | PriorityChanged
    | FaultsChanged
    | SourceChanged
    | Reconfigured
    | RefusalsChanged
    | AddressesRemoved
    | Promoted
    | Demoted
)


class SendAdvert(msgspec.Struct, frozen=True):
    """One advert with this priority, now."""

    priority: int


class HoldAddresses(msgspec.Struct, frozen=True):
    """Every configured address is on its interface, every route and rule in its table, and none that went."""

    first: bool = False
    """Before the advert leaves by which switches and the other MASTER learn of it, where that takes no time."""


class ReleaseAddresses(msgspec.Struct, frozen=True):
    """No configured address, route or rule is on this host."""


class Announce(msgspec.Struct, frozen=True):
    """Gratuitous ARP or neighbour advertisements, `repeat` rounds."""

    repeat: int
    elsewhere: bool = False
    """Only on interfaces of addresses other than the instance's (garp_extra_if)."""


class AnnounceSource(msgspec.Struct, frozen=True):
    """Where the address is that adverts are sent from: a switch may have forgotten it."""


class ReportSplit(msgspec.Struct, frozen=True):
    """Two routers were MASTER, and no longer are; `seconds` from the first to the last sign of the other one."""

    other: str
    seconds: float
    outcome: str


class ChangeState(msgspec.Struct, frozen=True):
    """The state is another one now; say so everywhere."""

    old: State
    new: State
    cause: Cause


class ChangeGroupState(msgspec.Struct, frozen=True):
    """The state of a whole sync group is another one now."""

    group: str
    old: State
    new: State
    cause: Cause


class ChangePriority(msgspec.Struct, frozen=True):
    """The effective priority is another one now."""

    old: int
    new: int
    cause: Cause


class TellLowerPriority(msgspec.Struct, frozen=True):
    """A MASTER heard an advert of a lower priority (notify_master_rx_lower_pri)."""

    advert: Advertisement


class Complain(msgspec.Struct, frozen=True):
    """A line for the log; `rarely`: at most once a minute."""

    level: str
    text: str
    rarely: bool = False


Action = (
    SendAdvert
    | HoldAddresses
    | ReleaseAddresses
    | Announce
    | AnnounceSource
    | ReportSplit
    | ChangeState
    | ChangeGroupState
    | ChangePriority
    | TellLowerPriority
    | Complain
)

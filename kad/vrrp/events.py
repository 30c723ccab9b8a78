"""What a VRRP router is told and what it wants done: events are past participles, actions imperatives."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from kad.vrrp.advert import Advertisement
from kad.vrrp.keywords import VrrpInstance


class State(Enum):
    """The operator's words (RFC 9568 6.4, and keepalived's FAULT and STOP)."""

    INIT = "INIT"
    BACKUP = "BACKUP"
    MASTER = "MASTER"
    FAULT = "FAULT"
    STOP = "STOP"


@dataclass(frozen=True, slots=True)
class Started:
    """The router exists; `faults` keep it out of the election, `pending` names what has no result yet."""

    faults: frozenset[str] = frozenset()
    pending: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Resumed:
    """An earlier life of the process died; this is what the router was then.

    `spoke_at` is the moment of its last advert; a MASTER that was not missed yet goes on as if nothing had happened.
    """

    state: State
    spoke_at: float
    faults: frozenset[str] = frozenset()
    pending: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Stopped:
    """The daemon ends or the instance is gone; with release False the addresses stay and nothing is said.

    With `handover_until` a MASTER keeps its addresses until another router has taken over, but never beyond that
    moment (make before break).
    """

    release: bool = True
    handover_until: float | None = None


@dataclass(frozen=True, slots=True)
class Woken:
    """The process did not run for so long that another router may have taken over; what it said was not read yet."""

    gap: float


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """After Woken: everything that waited on the sockets was read."""


@dataclass(frozen=True, slots=True)
class AdvertReceived:
    """An advert that passed every check."""

    advert: Advertisement


@dataclass(frozen=True, slots=True)
class AddressClaimed:
    """A host with another hardware address said that a virtual address is there."""

    address: str
    by: str
    """The hardware address."""


@dataclass(frozen=True, slots=True)
class GroupAsserted:
    """Another member of the sync group contradicted an advert of a lower priority."""


@dataclass(frozen=True, slots=True)
class DeadlineReached:
    """The router's own deadline has come."""


@dataclass(frozen=True, slots=True)
class PriorityChanged:
    """The tracked objects give another effective priority."""

    priority: int
    reason: str


@dataclass(frozen=True, slots=True)
class FaultsChanged:
    """The whole set of reasons for FAULT, and of tracked objects without a result yet."""

    faults: frozenset[str]
    pending: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class SourceChanged:
    """Adverts leave with another source address now."""

    number: int


@dataclass(frozen=True, slots=True)
class Reconfigured:
    """A reload changed this instance; what identifies it on the wire is the same."""

    configuration: VrrpInstance


@dataclass(frozen=True, slots=True)
class AddressesRemoved:
    """Somebody took addresses of a MASTER away, and they are not to be put back."""

    reason: str


@dataclass(frozen=True, slots=True)
class Promoted:
    """All members of the sync group can be MASTER now."""

    reason: str


@dataclass(frozen=True, slots=True)
class Demoted:
    """A member of the sync group is BACKUP."""

    reason: str


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
    | AddressesRemoved
    | Promoted
    | Demoted
)


@dataclass(frozen=True, slots=True)
class SendAdvert:
    """One advert with this priority, now."""

    priority: int


@dataclass(frozen=True, slots=True)
class HoldAddresses:
    """Every configured address is on its interface, every route and rule in its table, and none that went."""


@dataclass(frozen=True, slots=True)
class ReleaseAddresses:
    """No configured address, route or rule is on this host."""


@dataclass(frozen=True, slots=True)
class Announce:
    """Gratuitous ARP or neighbour advertisements, `repeat` rounds."""

    repeat: int
    elsewhere: bool = False
    """Only on interfaces of addresses other than the instance's (garp_extra_if)."""


@dataclass(frozen=True, slots=True)
class AnnounceSource:
    """Where the address is that adverts are sent from: a switch may have forgotten it."""


@dataclass(frozen=True, slots=True)
class ReportSplit:
    """Two routers were MASTER, and no longer are; `seconds` from the first to the last sign of the other one."""

    other: str
    seconds: float
    outcome: str


@dataclass(frozen=True, slots=True)
class ChangeState:
    """The state is another one now; say so everywhere."""

    old: State
    new: State
    reason: str


@dataclass(frozen=True, slots=True)
class ChangeGroupState:
    """The state of a whole sync group is another one now."""

    group: str
    old: State
    new: State
    reason: str


@dataclass(frozen=True, slots=True)
class ChangePriority:
    """The effective priority is another one now."""

    old: int
    new: int
    reason: str


@dataclass(frozen=True, slots=True)
class TellLowerPriority:
    """A MASTER heard an advert of a lower priority (notify_master_rx_lower_pri)."""

    advert: Advertisement


@dataclass(frozen=True, slots=True)
class Complain:
    """A line for the log."""

    level: str
    text: str


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

"""Why a router or a sync group changed, as typed values; the sentences are printed from them here and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec


def _kebab(name: str) -> str:
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("-")


class _Cause(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag=_kebab):
    """`kind` tells the causes apart in JSON."""

    def __str__(self) -> str:
        """The cause as one sentence without a full stop."""
        return _sentence(self)


class JournalKey(msgspec.Struct, frozen=True):
    """What the journal calls the event that something follows from."""

    kind: str
    """link, address, script, process …; transition: that of an instance."""
    object: str
    """As KIND/NAME, an instance by its name; empty: the last one of that kind."""


class FaultFound(msgspec.Struct, frozen=True):
    """One reason for FAULT."""

    text: str
    event: JournalKey | None = None
    """Where it is known."""


class Contribution(msgspec.Struct, frozen=True, kw_only=True):
    """A tracked thing that moves the priority."""

    change: int
    kind: str
    """script, interface, file …"""
    name: str
    text: str
    """What is known of the thing, in one sentence."""
    is_named: bool = False
    """The sentence begins with kind and name."""

    def __str__(self) -> str:
        return f"{self.change:+d}: {self.text}"


class RefusedPeer(msgspec.Struct, frozen=True, kw_only=True):
    """A router whose adverts do not count."""

    peer: str
    """Its address; empty: further routers."""
    reason: str
    """The kind of refusal."""
    text: str

    def __str__(self) -> str:
        return f"adverts of {self.peer or 'further routers'} are refused: {self.text}"


class InstanceStarted(_Cause, frozen=True, kw_only=True):
    """It has no fault and begins."""


class StopOrdered(_Cause, frozen=True, kw_only=True):
    """The daemon stops, or the instance is no longer configured."""


class ResumedTooLate(_Cause, frozen=True, kw_only=True):
    """The process was replaced, and another router may have presumed this one dead."""


class FaultsBegan(_Cause, frozen=True, kw_only=True):
    """It cannot take part in the election."""

    faults: tuple[FaultFound, ...]


class FaultsEnded(_Cause, frozen=True, kw_only=True):
    """It can take part again."""

    faults: tuple[FaultFound, ...]


class ChecksPassed(_Cause, frozen=True, kw_only=True):
    """Everything that it waited for has a good result."""


class AddressesOwned(_Cause, frozen=True, kw_only=True):
    """Priority 255 (RFC 9568 6.4.1)."""


class LowerPriorityPreempted(_Cause, frozen=True, kw_only=True):
    """The MASTER had a lower priority."""

    source: str
    priority: int
    own_priority: int


class MasterResigned(_Cause, frozen=True, kw_only=True):
    """The MASTER sent priority 0."""

    source: str


class AdvertsRefused(_Cause, frozen=True, kw_only=True):
    """Adverts came, and none of them counted."""

    peers: tuple[RefusedPeer, ...]
    seconds: float


class MasterSilent(_Cause, frozen=True, kw_only=True):
    """No advert came."""

    source: str
    """The MASTER that was expected; empty: any router."""
    seconds: float


class HigherPriorityReceived(_Cause, frozen=True, kw_only=True):
    """A MASTER received an advert with a higher priority."""

    source: str
    priority: int
    own_priority: int


class HigherAddressReceived(_Cause, frozen=True, kw_only=True):
    """A MASTER received an advert with its own priority from a router with a higher address."""

    source: str
    priority: int


class ProcessPaused(_Cause, frozen=True, kw_only=True):
    """The process did not run for so long that another router has taken over."""

    seconds: float
    source: str = ""
    """That router; empty: it follows from timer_expired_backup."""


class AddressesTaken(_Cause, frozen=True, kw_only=True):
    """Another program removed addresses of a MASTER."""

    addresses: str


class GroupComplete(_Cause, frozen=True, kw_only=True):
    """Every member of the sync group can be MASTER."""

    group: str


class MemberLeft(_Cause, frozen=True, kw_only=True):
    """A member of the sync group is BACKUP."""

    group: str
    member: str


class MemberChanged(_Cause, frozen=True, kw_only=True):
    """A sync group is what all of its members are, the last of which is this one."""

    member: str
    state: str


class TrackedChanged(_Cause, frozen=True, kw_only=True):
    """Tracked things move the priority."""

    contributions: tuple[Contribution, ...]


class OwnerInsists(_Cause, frozen=True, kw_only=True):
    """Another router has priority 255 too, and does not yield."""

    source: str


class OwnerGone(_Cause, frozen=True, kw_only=True):
    """The other router with priority 255 has a lower one now."""

    source: str
    priority: int


Cause = (
    InstanceStarted
    | StopOrdered
    | ResumedTooLate
    | FaultsBegan
    | FaultsEnded
    | ChecksPassed
    | AddressesOwned
    | LowerPriorityPreempted
    | MasterResigned
    | AdvertsRefused
    | MasterSilent
    | HigherPriorityReceived
    | HigherAddressReceived
    | ProcessPaused
    | AddressesTaken
    | GroupComplete
    | MemberLeft
    | MemberChanged
    | TrackedChanged
    | OwnerInsists
    | OwnerGone
)


def describe(cause: Cause | None) -> str:
    """The cause as one sentence without a full stop; empty where there is none."""
    return "" if cause is None else str(cause)


def _sentence(cause: _Cause) -> str:
    match cause:
        case InstanceStarted():
            return "init"
        case StopOrdered():
            return "stopped"
        case ResumedTooLate():
            return "the process was replaced too late to go on"
        case FaultsBegan(faults=faults):
            return _texts(faults)
        case FaultsEnded(faults=faults):
            return f"no longer: {_texts(faults)}"
        case ChecksPassed():
            return "every check passed"
        case AddressesTaken(addresses=addresses):
            return f"somebody removed {addresses}"
        case TrackedChanged(contributions=contributions):
            return "; ".join(map(str, contributions))
        case ProcessPaused(seconds=seconds, source=source):
            more = f", and {source} took over" if source else " (timer_expired_backup)"
            return f"did not run for {seconds:.2f} s{more}"
        case GroupComplete() | MemberLeft() | MemberChanged():
            return _sentence_of_group(cause)
        case _:
            return _sentence_of_peer(cause)


def _sentence_of_group(cause: GroupComplete | MemberLeft | MemberChanged) -> str:
    match cause:
        case GroupComplete(group=group):
            return f"sync group {group}: every member can be MASTER"
        case MemberLeft(group=group, member=member):
            return f"sync group {group}: {member} is BACKUP"
        case MemberChanged(member=member, state=state):
            return f"{member} is {state}"


def _sentence_of_peer(cause: _Cause) -> str:
    match cause:
        case AddressesOwned():
            return "priority 255 owns the addresses"
        case LowerPriorityPreempted(source=source, priority=priority, own_priority=own):
            return f"priority {own} > {priority} of {source}"
        case MasterResigned(source=source):
            return f"{source} gave up with priority 0"
        case AdvertsRefused(peers=peers, seconds=seconds):
            return f"{'; '.join(map(str, peers))}; none that counts came for {seconds:.2f} s"
        case MasterSilent(source=source, seconds=seconds):
            return f"no advert from {source or 'anyone'} for {seconds:.2f} s"
        case HigherPriorityReceived(source=source, priority=priority, own_priority=own):
            return f"advert from {source} priority {priority} > {own}"
        case HigherAddressReceived(source=source, priority=priority):
            return f"advert from {source} with equal priority {priority} and a higher address"
        case OwnerInsists(source=source):
            return f"{source} insists on priority 255"
        case OwnerGone(source=source, priority=priority):
            return f"{source} has priority {priority}"
        case _:
            raise TypeError(type(cause).__name__)


def _texts(faults: Iterable[FaultFound]) -> str:
    return "; ".join(fault.text for fault in faults)


def faults_of(cause: Cause | None) -> tuple[FaultFound, ...]:
    """The reasons for FAULT that began or ended."""
    return cause.faults if isinstance(cause, FaultsBegan | FaultsEnded) else ()


def events_of(cause: Cause | None) -> tuple[JournalKey, ...]:
    """Events of the journal that the faults follow from, each once."""
    return tuple(dict.fromkeys(fault.event for fault in faults_of(cause) if fault.event is not None))

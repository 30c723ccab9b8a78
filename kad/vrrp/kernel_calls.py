"""What follows when the kernel refuses something to a MASTER: a table of all such calls, and what is refused now."""

from __future__ import annotations

import enum
import errno
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from kad.model.problem import ProblemKind

_FIRST_PAUSE = 0.25
_LONGEST_PAUSE = 10.0
_REMEMBERED = 60.0
"""Seconds for which a call that succeeds again goes on with its long pauses when it is refused once more."""
_IMPOSSIBLE = frozenset({errno.EACCES, errno.EINVAL, errno.EAFNOSUPPORT, errno.EOPNOTSUPP, errno.ERANGE})
"""What the kernel says of an address that this host cannot have at all: EACCES where the interface has no IPv6."""


class KernelCall(enum.Enum):
    """Everything that a MASTER has the kernel do, whichever process or file does it."""

    MAKE_DEVICE = enum.auto()
    """A macvlan or ipvlan, with its own address."""
    SWITCH_ON_DEVICE = enum.auto()
    REMOVE_DEVICE = enum.auto()
    SET_DEVICE = enum.auto()
    """Settings (sysctl) of a device and of the interface below it, and the note about them on the device."""
    SET_HOST = enum.auto()
    """Settings (sysctl) of other interfaces and of the host."""
    ADD_ADDRESS = enum.auto()
    ADD_IMPOSSIBLE_ADDRESS = enum.auto()
    """Some addresses of an instance that this host cannot have at all; it holds the others."""
    REMOVE_ADDRESS = enum.auto()
    ADD_ROUTE = enum.auto()
    REMOVE_ROUTE = enum.auto()
    WATCH_ROUTES = enum.auto()
    DROP_PACKETS = enum.auto()
    """nftables: packets to addresses that accept none."""
    FILTER_REPORTS = enum.auto()
    """nftables: reports and answers that would bear a virtual MAC elsewhere."""
    WATCH_FILTERS = enum.auto()
    OPEN_SOCKETS = enum.auto()
    """To send and receive adverts, with their multicast groups."""
    SEND_ADVERTS = enum.auto()
    ANNOUNCE = enum.auto()
    """Gratuitous ARP and unsolicited neighbour advertisements."""
    NOTICE_CLAIMS = enum.auto()
    """Sockets that receive what other hosts say of the addresses."""


class Retry(enum.Enum):
    """When a refused call is made again."""

    BACK_OFF = "after a pause that doubles"
    NEXT = "with the next advert"


class Consequence(NamedTuple):
    """What the refusal of a call leads to, beside a line in the log."""

    retry: Retry
    fault: bool
    """Another router serves better: FAULT, at once, until the call succeeds."""
    problem: ProblemKind
    """What status says meanwhile."""


_FAULT = Consequence(Retry.BACK_OFF, True, ProblemKind.KERNEL_REFUSED)
_PROBLEM = Consequence(Retry.BACK_OFF, False, ProblemKind.KERNEL_REFUSED)
_AUXILIARY = Consequence(Retry.BACK_OFF, False, ProblemKind.AUXILIARY_REFUSED)

CONSEQUENCES = {
    KernelCall.MAKE_DEVICE: _FAULT,
    KernelCall.SWITCH_ON_DEVICE: _FAULT,
    KernelCall.REMOVE_DEVICE: _PROBLEM,
    KernelCall.SET_DEVICE: _AUXILIARY,
    KernelCall.SET_HOST: _AUXILIARY,
    KernelCall.ADD_ADDRESS: _FAULT,
    KernelCall.ADD_IMPOSSIBLE_ADDRESS: _PROBLEM,
    # It is on two hosts while it stays.
    KernelCall.REMOVE_ADDRESS: _PROBLEM,
    # Mostly a slip in the file, which both hosts have: in FAULT neither would serve.
    KernelCall.ADD_ROUTE: _PROBLEM,
    KernelCall.REMOVE_ROUTE: _PROBLEM,
    KernelCall.WATCH_ROUTES: _AUXILIARY,
    KernelCall.DROP_PACKETS: _PROBLEM,
    KernelCall.FILTER_REPORTS: _AUXILIARY,
    KernelCall.WATCH_FILTERS: _AUXILIARY,
    KernelCall.OPEN_SOCKETS: _FAULT,
    # Nothing tells when they would leave again but to send them, and a BACKUP sends none: FAULT would come and go.
    KernelCall.SEND_ADVERTS: Consequence(Retry.NEXT, False, ProblemKind.KERNEL_REFUSED),
    KernelCall.ANNOUNCE: _AUXILIARY,
    KernelCall.NOTICE_CLAIMS: _AUXILIARY,
}
"""The table."""


def pause(tries: int) -> float:
    """Seconds until a call that was refused so many times is made again."""
    return float(min(_FIRST_PAUSE * 2.0 ** min(tries - 1, 20), _LONGEST_PAUSE))


def call_of_addresses(refused: Collection[int], held: int) -> KernelCall:
    """Which row applies where addresses were refused with these errors and so many are held beside them."""
    if held and _IMPOSSIBLE.issuperset(refused):
        return KernelCall.ADD_IMPOSSIBLE_ADDRESS
    return KernelCall.ADD_ADDRESS


class KernelRefusal(NamedTuple):
    """One call that the kernel refuses now."""

    call: KernelCall
    object: str
    """What it is for: instance/NAME, interface/NAME, or empty for the host."""
    detail: str
    """As `the kernel refuses` goes on: "to add 10.0.0.9/24 on eth0: No buffer space available"."""
    reason: str
    """As a fault."""
    since: float
    """UNIX time."""
    tries: int
    again_at: float
    """The moment of the next try."""


_Key = tuple[KernelCall, str]


class KernelRefusals:
    """What is refused now, by call and object."""

    def __init__(self) -> None:
        self._now: dict[_Key, KernelRefusal] = {}
        self._before: dict[_Key, tuple[int, float]] = {}
        """Tries and moment of what succeeded lately."""

    def refused(
        self, call: KernelCall, object: str, detail: str, now: float, unix: float, reason: str = ""
    ) -> tuple[KernelRefusal, KernelRefusal | None]:
        """The call was refused; how that stands now and before."""
        key = call, object
        known = self._now.get(key)
        tries, when = self._before.pop(key, (0, now))
        tries = known.tries if known is not None else tries if now - when < _REMEMBERED else 0
        refusal = KernelRefusal(
            call=call,
            object=object,
            detail=detail,
            reason=reason or f"the kernel refuses {detail}",
            since=known.since if known is not None else unix,
            tries=tries + 1,
            again_at=now + pause(tries + 1),
        )
        self._now[key] = refusal
        return refusal, known

    def get(self, call: KernelCall, object: str) -> KernelRefusal | None:
        return self._now.get((call, object))

    def accepted(self, call: KernelCall, object: str, now: float) -> KernelRefusal | None:
        """The call succeeded; how it was refused before."""
        known = self._now.pop((call, object), None)
        if known is not None:
            self._before = {key: each for key, each in self._before.items() if now - each[1] < _REMEMBERED}
            self._before[call, object] = known.tries, now
        return known

    def forget(self, object: str) -> list[KernelRefusal]:
        """The object is there no longer; what was refused for it."""
        gone = [refusal for refusal in self._now.values() if refusal.object == object]
        for refusal in gone:
            del self._now[refusal.call, object]
        return gone

    def of(self, objects: Iterable[str]) -> Iterator[KernelRefusal]:
        """What is refused for these, each object once."""
        if self._now:
            for object in dict.fromkeys(objects):
                for call in KernelCall:
                    if (refusal := self._now.get((call, object))) is not None:
                        yield refusal

    def all(self) -> Iterator[KernelRefusal]:
        """Everything that is refused."""
        return iter([*self._now.values()])

    def faults(self, objects: Iterable[str]) -> frozenset[str]:
        """Why an instance that needs these cannot take part."""
        return frozenset(each.reason for each in self.of(objects) if CONSEQUENCES[each.call].fault)

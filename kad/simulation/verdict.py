"""What is wrong with what happened on a LAN, in sentences; no sentence means that all is well."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple, Protocol, TypeVar

from kad.model.cause import Cause, GroupComplete, MemberLeft, faults_of
from kad.model.vrrp import OWNER_PRIORITY
from kad.simulation.chronicle import Chronicle, Heard, Seat, Setting, Transition
from kad.simulation.host import Host
from kad.vrrp.events import State

_EXACT = 1e-6


class _Dated(Protocol):
    @property
    def moment(self) -> float: ...

    @property
    def seat(self) -> Seat: ...


D = TypeVar("D", bound=_Dated)


class Period(NamedTuple):
    """From one moment to another."""

    since: float
    until: float


def one_holder(hosts: Sequence[Host], chronicle: Chronicle, period: Period, overlap: float) -> Iterator[str]:
    """Among hosts that hear each other each address has exactly one place; two for `overlap` seconds at a handover."""
    names = {host.name for host in hosts}
    addresses = {
        each.address
        for host in hosts
        for place in host.places.values()
        for each in place.router.configuration.virtual_addresses
    }
    for address in sorted(addresses):
        since, holders = period.since, frozenset[str]()
        for held in chronicle.holding:
            if held.address != address or held.host not in names or held.moment > period.until:
                continue
            yield from _judge_holders(address, holders, Period(since, held.moment), period, overlap)
            since = held.moment
            holders = holders | {held.host} if held.present else holders - {held.host}
        yield from _judge_holders(address, holders, Period(since, period.until), period, overlap)


def _judge_holders(address: str, holders: frozenset[str], stretch: Period, whole: Period, overlap: float) -> list[str]:
    since, until = max(stretch.since, whole.since), min(stretch.until, whole.until)
    if len(holders) == 1 or until - since <= (overlap if holders else 0.0) + _EXACT:
        return []
    who = " and ".join(sorted(holders)) or "nobody"
    return [f"{who} held {address} from {since:.4f} to {until:.4f}"]


def unmoved(chronicle: Chronicle, period: Period) -> Iterator[str]:
    """Nobody changes state."""
    for each in chronicle.transitions:
        if period.since <= each.moment <= period.until:
            yield f"{each.seat.host} went from {each.old.value} to {each.new.value} at {each.moment:.4f}: {each.reason}"


def left_behind(hosts: Iterable[Host]) -> Iterator[str]:
    """Only a MASTER has addresses."""
    for host in hosts:
        held = {
            each.address
            for place in host.places.values()
            if place.router.holds_addresses
            for each in (*place.router.configuration.virtual_addresses, *place.router.configuration.excluded_addresses)
        }
        for address in sorted(host.addresses ^ held):
            yield f"{host.name} {'has' if address in host.addresses else 'lacks'} {address}"


def no_storm(chronicle: Chronicle, rates: Mapping[str, float], until: float) -> Iterator[str]:
    """A router sends what its interval demands, an answer to each advert, a few words on arrival and leaving, and three
    when its priority falls: two that invite whoever is better, and the next one sooner."""
    settings, heard, sent = _by_seat(chronicle.settings), _by_seat(chronicle.heard), _by_seat(chronicle.sent)
    for seat, adverts in sent.items():
        allowed = 0.0
        for period in _mastering(chronicle, seat, until):
            allowed += 3 + _scheduled(settings[seat], period, rates[seat.host])
            allowed += sum(1 for each in heard.get(seat, []) if period.since <= each.moment <= period.until)
            allowed += 3 * sum(1 for moment in _falls(settings[seat]) if period.since <= moment <= period.until)
        if len(adverts) > allowed:
            yield f"{seat.host} sent {len(adverts)} adverts of {seat.name} where {allowed:.1f} explain themselves"


def _mastering(chronicle: Chronicle, seat: Seat, until: float) -> Iterator[Period]:
    """Whenever it was MASTER."""
    changes = [(each.moment, each.state) for each in chronicle.started if each.seat == seat]
    changes += [(each.moment, each.new) for each in chronicle.transitions if each.seat == seat]
    since: float | None = None
    for moment, state in sorted(changes, key=lambda change: change[0]):
        if since is not None:
            yield Period(since, moment)
        since = moment if state is State.MASTER else None
    if since is not None:
        yield Period(since, until)


def _falls(settings: Sequence[Setting]) -> Iterator[float]:
    """When its priority became a lower one."""
    for before, after in pairwise(settings):
        if after.priority < before.priority:
            yield after.moment


def _scheduled(settings: Sequence[Setting], period: Period, rate: float) -> float:
    """Adverts that the intervals in force demand, one more for each change of them."""
    total = 0.0
    for setting, following in zip(settings, [*settings[1:], None], strict=True):
        since = max(setting.moment, period.since)
        until = min(following.moment if following else period.until, period.until)
        if until > since:
            total += (until - since) * rate / setting.configuration.advertisement_interval + 1
    return total


def caused(chronicle: Chronicle, rates: Mapping[str, float]) -> Iterator[str]:
    """Every change between BACKUP and MASTER has a reason on the wire; members of sync groups are not judged."""
    settings, heard = _by_seat(chronicle.settings), _by_seat(chronicle.heard)
    births, changes = _by_seat(chronicle.started), _by_seat(chronicle.transitions)
    slept = set(chronicle.slept)
    for seat, transitions in changes.items():
        born = {birth.moment for birth in births[seat]}
        entered = 0.0
        for each in transitions:
            if _is_of_group(each.cause):
                continue
            entered = max([entered, *(moment for moment in born if moment <= each.moment)])
            said = heard.get(seat, [])
            if (each.old, each.new) == (State.BACKUP, State.MASTER):
                fits = _was_silent(each, entered, said, settings[seat], rates[seat.host])
            elif (each.old, each.new) == (State.MASTER, State.BACKUP):
                woken = (each.moment, seat.host) in slept or each.moment in born
                fits = woken or _was_overruled(each, said, settings[seat])
            else:
                fits = True
            if not fits:
                yield f"{seat.host} had no cause to enter {each.new.value} at {each.moment:.4f}: {each.reason}"
            entered = each.moment


def _is_of_group(cause: Cause) -> bool:
    """Another member of the sync group decided."""
    return isinstance(cause, GroupComplete | MemberLeft) or any(
        fault.event is not None and fault.event.kind == "transition" for fault in faults_of(cause)
    )


def _was_silent(
    change: Transition, entered: float, heard: Sequence[Heard], settings: Sequence[Setting], rate: float
) -> bool:
    """Nobody whom it obeys was heard for the time that the RFC demands."""
    since, gave_up = entered, None
    learned: set[float | None] = {None}
    for each in heard:
        if not entered <= each.moment <= change.moment:
            continue
        now = _in_force(settings, each.moment)
        if each.priority == 0:
            gave_up = each.moment
        elif each.priority >= now.priority or not now.configuration.preempt:
            since, gave_up, learned = each.moment, None, {each.interval}
        elif now.configuration.preempt_delay:
            learned.add(each.interval)
    in_force = _all_in_force(settings, since, change.moment)
    least = min(_patience(each, interval, whole=gave_up is None) for each in in_force for interval in learned)
    return (change.moment - (since if gave_up is None else gave_up)) * rate >= least - _EXACT


def _patience(setting: Setting, learned: float | None, *, whole: bool) -> float:
    """Seconds of silence: the master-down interval, or the skew time alone."""
    configuration = setting.configuration
    interval = configuration.advertisement_interval
    if configuration.version == 3 and learned is not None:
        interval = learned
    if setting.priority == OWNER_PRIORITY:
        return 0.0
    skew = (256 - setting.priority) / 256 * (1.0 if configuration.version == 2 else interval)
    return skew + (configuration.down_timer_adverts * interval if whole else 0.0)


def _was_overruled(change: Transition, heard: Sequence[Heard], settings: Sequence[Setting]) -> bool:
    now = _in_force(settings, change.moment)
    return any(each.moment == change.moment and each.priority >= now.priority for each in heard)


def _in_force(settings: Sequence[Setting], moment: float) -> Setting:
    return [each for each in settings if each.moment <= moment][-1]


def _all_in_force(settings: Sequence[Setting], since: float, until: float) -> list[Setting]:
    return [_in_force(settings, since), *(each for each in settings if since < each.moment <= until)]


def _by_seat(entries: Iterable[D]) -> dict[Seat, list[D]]:
    found: dict[Seat, list[D]] = defaultdict(list)
    for each in entries:
        found[each.seat].append(each)
    return found

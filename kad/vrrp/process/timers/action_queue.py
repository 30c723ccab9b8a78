"""What routers want done: adverts at once, everything else in the order given and a little at a time."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from itertools import chain

from kad.child.multiplexer import Mux
from kad.model.cause import InstanceStarted, describe
from kad.shared.log import Logger
from kad.shared.messages import Message
from kad.vrrp.advert import GIVING_UP
from kad.vrrp.events import (
    Action,
    Announce,
    AnnounceSource,
    ChangeGroupState,
    ChangePriority,
    ChangeState,
    Complain,
    HoldAddresses,
    ReleaseAddresses,
    ReportSplit,
    SendAdvert,
    State,
    TellLowerPriority,
)
from kad.vrrp.process.instance import Instance
from kad.vrrp.process.kernel.addresses import Holding
from kad.vrrp.process.kernel.firewall import Firewall
from kad.vrrp.process.kernel.routes import Routing
from kad.vrrp.process.notifications import Telling
from kad.vrrp.process.wire.advert_sockets import Conversations
from kad.vrrp.process.wire.gratuitous_arp import Announcing

_MOST_FIRST = 32
"""Addresses, routes and rules that are put in place before adverts leave, in one turn."""

_Deed = tuple[Instance, Action] | Iterator[None] | Callable[[], None]


class Deeds:
    """Hands each action to whom it concerns; what is not an advert waits until adverts have left."""

    def __init__(
        self,
        mux: Mux,
        say: Callable[[Message], None],
        log: Logger,
        conversations: Conversations,
        holding: Holding,
        routing: Routing,
        announcing: Announcing,
        telling: Telling,
        firewall: Firewall,
    ) -> None:
        self._mux = mux
        self._say = say
        self._log = log
        self._conversations = conversations
        self._holding = holding
        self._routing = routing
        self._announcing = announcing
        self._telling = telling
        self._firewall = firewall
        self._waiting: deque[_Deed] = deque()
        self._begun: Iterator[None] | None = None
        self._went_first = 0
        """Addresses, routes and rules for which the adverts of this turn have waited."""

    @property
    def idle(self) -> bool:
        """Nothing waits."""
        return not self._waiting and self._begun is None

    def do(self, instance: Instance, action: Action) -> None:
        """An advert is posted now; anything else is done by work(), in order."""
        match action:
            case SendAdvert(priority):
                self._send_advert(instance, priority)
            case HoldAddresses(first=True) if self._may_go_first(instance):
                for _ in self._hold(instance):
                    pass
            case _:
                self._waiting.append((instance, action))

    def _may_go_first(self, instance: Instance) -> bool:
        """What adverts wait for takes about a millisecond a turn, and nothing waits that was to be done before it."""
        count = len(instance.addresses) + len(instance.configuration.routes) + len(instance.configuration.rules)
        is_new = self._begun is None and all(
            isinstance(each, tuple) and each[0] is not instance for each in self._waiting
        )
        if not is_new or self._went_first + count > _MOST_FIRST:
            return False
        self._went_first += count
        return True

    def remember(self, kind: str, object: str, text: str) -> None:
        """Something for the journal; it does not wait."""
        self._telling.event(kind, object, text)

    def then(self, callback: Callable[[], None]) -> None:
        """Call when everything that was asked so far is done."""
        self._waiting.append(callback)

    def step(self, steps: Iterator[None]) -> None:
        """Take these steps when everything that was asked so far is done."""
        self._waiting.append(steps)

    def work(self, until: float) -> None:
        """Do what waits for as long as there is time, and a little in any case."""
        self._went_first = 0
        while True:
            if self._begun is None:
                if not self._waiting:
                    return
                self._begun = self._begin(self._waiting.popleft())
            if self._begun is not None and next(self._begun, self) is self:
                self._begun = None
            if self._mux.now() >= until:
                return

    def _send_advert(self, instance: Instance, priority: int) -> None:
        if self._conversations.post(instance, priority):
            page, slot = self._mux.page, instance.slot
            page.spoke_at[slot] = self._mux.now()
            page.sent[slot] += 1
            if priority == GIVING_UP:
                instance.counters["pri_zero_sent"] += 1

    def _begin(self, deed: _Deed) -> Iterator[None] | None:
        """Do it, or return the steps in which it is done."""
        if isinstance(deed, tuple):
            return self._do(*deed)
        if isinstance(deed, Iterator):
            return deed
        deed()
        return None

    def _do(self, instance: Instance, action: Action) -> Iterator[None] | None:
        match action:
            case HoldAddresses():
                return self._hold(instance)
            case ReleaseAddresses():
                return self._release(instance)
            case Announce():
                return self._announcing.announce(instance, self._holding.layout(instance), action)
            case AnnounceSource():
                self._announcing.announce_source(instance)
            case ReportSplit(other, seconds, outcome):
                self._report_split(instance, other, seconds, outcome)
            case ChangeState():
                self._change_state(instance, action)
            case ChangeGroupState(group, _, new, cause):
                self._log.info(f"VRRP_Group({group}) Syncing instances to {new.value} state: {describe(cause)}")
                self._telling.group_state(action)
            case ChangePriority(old, priority, cause):
                reason = describe(cause)
                because = f": {reason}" if reason else ""
                instance.expect_anew()
                self._log.info(f"({instance.name}) Changing effective priority from {old} to {priority}{because}")
                self._telling.priority(instance)
            case TellLowerPriority(advert):
                self._tell_lower_priority(instance, advert.source, advert.priority)
            case Complain(level, text, rarely):
                if not rarely or instance.complained_of_peers.is_due(text, self._mux.now()):
                    getattr(self._log, level)(f"({instance.name}) {text}")
            case SendAdvert(priority):
                self._send_advert(instance, priority)
        return None

    def _hold(self, instance: Instance) -> Iterator[None]:
        self._firewall.silence(instance)
        return chain(self._holding.hold(instance), self._routing.hold(instance))

    def _release(self, instance: Instance) -> Iterator[None]:
        yield from self._routing.release(instance)
        yield from self._holding.release(instance)
        self._firewall.unsilence(instance)

    def _change_state(self, instance: Instance, change: ChangeState) -> None:
        if change.old is State.MASTER:
            instance.counters["release_master"] += 1
        instance.enter(change, time.time())
        self._mux.page.entered_at[instance.slot] = self._mux.now()
        reason = describe(change.cause)
        because = f" ({reason})" if isinstance(change.cause, InstanceStarted) else f": {reason}"
        self._log.info(f"({instance.name}) Entering {change.new.value} STATE{because}")
        self._say(instance.state_message())
        self._telling.state(instance, change)

    def _report_split(self, instance: Instance, other: str, seconds: float, outcome: str) -> None:
        instance.counters["splits"] += 1
        instance.counters["split_ms"] += round(seconds * 1000)
        text = f"two MASTERs for {seconds:.2f} s, {other} was the other one: {outcome}"
        self._log.warning(f"({instance.name}) {text}")
        self.remember("split", instance.name, text)

    def _tell_lower_priority(self, instance: Instance, source: str, priority: int) -> None:
        if instance.complained_of_peers.is_due(f"lower priority {source}", self._mux.now()):
            self._log.info(
                f"({instance.name}) Received advert from {source} with lower priority {priority}, "
                f"ours {instance.router.priority}, forcing new election"
            )
        self._telling.lower_priority(instance, source, priority)

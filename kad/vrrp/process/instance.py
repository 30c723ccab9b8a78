"""What the process keeps of one vrrp_instance beside its router: bytes that were built once, counters, reasons."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, MutableSequence, Set
from math import inf
from typing import TYPE_CHECKING, Any

import msgspec

from kad.linux.netlink.virtual_addresses import Placed
from kad.linux.sockets.sendmmsg import Datagram
from kad.model.cause import Cause, describe
from kad.model.fault import Fault
from kad.model.vrrp import VirtualAddress, VrrpInstance
from kad.shared.log_limit import ComplaintLimit
from kad.shared.messages import Earlier, RouterState
from kad.shared.shared_page import Page
from kad.tracking.priority import Verdict
from kad.vrrp.advert import Checksum, Expectation, Finding
from kad.vrrp.advert_rules import expectation, seal
from kad.vrrp.auth.trailer import HmacTrailer
from kad.vrrp.events import ChangeState, State
from kad.vrrp.group import SyncGroup
from kad.vrrp.phases import Backup, Master
from kad.vrrp.process.address_placement import Layout, addresses_of
from kad.vrrp.refusals import Refusals
from kad.vrrp.restore_backoff import AddressGuard
from kad.vrrp.router import Router
from kad.vrrp.split_brain import Split

if TYPE_CHECKING:
    from kad.linux.sockets.vrrp_interface import Outbox, Segment

MOST_CAUSES = 100
"""Of complaints, that are remembered: whoever forges sources must not fill the memory."""
_KEEPALIVED_COUNTERS = {
    "packet_len_err": (Finding.TRUNCATED, Finding.LENGTH, Finding.TOTAL_LENGTH),
    "advert_interval_err": (Finding.INTERVAL_DIFFERS,),
    "ip_ttl_err": (Finding.TTL,),
    "invalid_type_rcvd": (Finding.TYPE,),
    "addr_list_err": (Finding.ADDRESS_LIST, Finding.DESTINATION_KIND, Finding.OTHER_GROUP),
    "invalid_authtype": (Finding.AUTH_TYPE_INVALID,),
    "authtype_mismatch": (Finding.AUTH_TYPE_DIFFERS, Finding.AH_UNEXPECTED),
    "auth_failure": (
        Finding.AUTH_FAILURE,
        Finding.AH_NEXT_HEADER,
        Finding.AH_ICV,
        Finding.AH_SPI,
        Finding.AH_SEQUENCE,
    ),
    "auth_ext_missing": (Finding.EXTENSION_MISSING,),
    "auth_ext_malformed": (Finding.EXTENSION_MALFORMED,),
    "auth_ext_unknown_key": (Finding.EXTENSION_UNKNOWN_KEY,),
    "auth_ext_invalid_hmac": (Finding.EXTENSION_INVALID,),
    "auth_ext_stale": (Finding.EXTENSION_STALE,),
    "auth_ext_replay": (Finding.EXTENSION_REPLAY,),
}


class Instance:
    """One virtual router as the process sees it."""

    __slots__ = (
        "_expected",
        "armed",
        "cause",
        "complained",
        "complained_of_peers",
        "configuration",
        "counters",
        "discarded",
        "group",
        "guard",
        "hopeless",
        "kept_priority",
        "known_content",
        "last_master_priority",
        "layout",
        "noticed",
        "old_unicast_checksum",
        "outbox",
        "own_faults",
        "placed",
        "received_by_slot",
        "refusals",
        "refused",
        "removed",
        "router",
        "routing_guard",
        "seal",
        "segment",
        "sent_by_slot",
        "since",
        "slot",
        "source",
        "transitions",
        "verdict",
        "voice",
    )

    def __init__(self, configuration: VrrpInstance, now: float) -> None:
        self.configuration = configuration
        self.router = Router(configuration)
        self.armed = inf
        """The moment for which the agenda has it; inf: for none."""
        self.group: SyncGroup | None = None
        self._expected: Expectation | None = None
        self.verdict: Verdict | None = None
        self.own_faults: frozenset[str] = frozenset()
        """Of its interface and sockets, beside those of tracked things."""
        self.source: str | None = None
        self.since = now
        """UNIX time at which the state was entered."""
        self.cause: Cause | None = None
        """Of the state; None: it has entered none."""
        self.transitions = 0
        self.removed = False
        """The configuration has it no longer; its end is not a stop of the daemon."""
        self.sent_by_slot: MutableSequence[int] | memoryview[int] = [0]
        self.received_by_slot: MutableSequence[int] | memoryview[int] = [0]
        """Adverts of this router and others, as the page has them; count_on() tells where."""
        self.counters: Counter[str] = Counter()
        self.discarded: Counter[Finding] = Counter()
        self.complained = ComplaintLimit(MOST_CAUSES)
        """When a complaint was last logged; at most once a minute each."""
        self.complained_of_peers = ComplaintLimit(MOST_CAUSES)
        """The same of adverts that count: whoever forges sources silences nothing but that."""
        self.noticed: dict[tuple[str, str], str] = {}
        """By source and topic: what was last said of its adverts, which count all the same."""
        self.slot = 0
        """Where kad.shared.shared_page tells when the router last spoke."""
        self.outbox: Outbox | None = None
        """Where its adverts are put to leave with the next flush; None while there is no way to send."""
        self.segment: Segment | None = None
        """The sockets that the outbox is one of."""
        self.known_content = b""
        """What its MASTER said last, as the conversation knows it."""
        self.voice: list[Datagram] | None = None
        """The packets by which it speaks at this priority, unless no two are alike; None: not built."""
        self.last_master_priority = 0
        """Of the last router that it took for the MASTER, also when it is MASTER itself; 0: there was none."""
        self.kept_priority: int | None = None
        """That of the advert which outlives this process, and of `voice`."""
        self.layout: Layout | None = None
        """Where its addresses go, as it was last asked."""
        self.placed: tuple[Placed, ...] = ()
        """Its addresses as they were last put on interfaces."""
        self.refused: dict[tuple[str, int], int] = {}
        """The errno with which the kernel does not take an address on an interface, by their text and index."""
        self.refusals = Refusals()
        """Adverts of other routers that it discards."""
        self.guard = AddressGuard()
        self.routing_guard = AddressGuard()
        self.hopeless: Fault | None = None
        """What somebody takes away faster than it is worth putting back."""
        self.old_unicast_checksum = configuration.old_unicast_checksum == "always"
        self.seal = seal(configuration)
        """Numbers and signs its adverts, and judges those of others; no two are alike then."""

    @property
    def name(self) -> str:
        return self.configuration.name

    @property
    def sent(self) -> int:
        """Adverts."""
        return self.sent_by_slot[self.slot]

    @property
    def received(self) -> int:
        """Adverts that counted."""
        return self.received_by_slot[self.slot]

    def count_on(self, page: Page) -> None:
        """Its slot is known; what it counts outlives this process there."""
        self.sent_by_slot, self.received_by_slot = page.sent, page.received

    @property
    def expected(self) -> Expectation:
        """What a packet must be to count."""
        if self._expected is None:
            self._expected = expectation(self.configuration, self.router.priority)
        return self._expected

    @property
    def checksum(self) -> Checksum:
        """By which rule its own adverts are made."""
        configuration = self.configuration
        if configuration.version == 2 or (configuration.v3_checksum_as_v2 and configuration.family == 4):
            return Checksum.MESSAGE
        return Checksum.OLD_UNICAST if self.old_unicast_checksum else Checksum.PSEUDO_HEADER

    def lose_voice(self) -> None:
        """The packets by which it spoke no longer hold."""
        self.voice = self.kept_priority = None
        if self.router.pulse is not None:
            self.router.pulse.disturbed = True

    def expect_anew(self) -> None:
        """The effective priority is another one."""
        self._expected = None

    @property
    def reason(self) -> str:
        """The cause of the state in words."""
        return describe(self.cause)

    @property
    def addresses(self) -> tuple[VirtualAddress, ...]:
        """All that it holds as MASTER, in the order of the configuration."""
        return addresses_of(self.configuration)

    def reconfigure(self, configuration: VrrpInstance) -> None:
        self.configuration = configuration
        self._expected = None
        self.noticed.clear()
        self.old_unicast_checksum = configuration.old_unicast_checksum == "always"
        self.seal = seal(configuration, self.seal)

    def enter(self, change: ChangeState, now: float) -> None:
        """Remember a transition; `now` is UNIX time."""
        self.since = now
        self.cause = change.cause
        self.transitions += 1
        if change.new is State.MASTER:
            self.counters["become_master"] += 1

    def state_message(self, *, deleted: bool = False) -> RouterState:
        return RouterState(
            name=self.name,
            state=self.router.state.value,
            since=self.since,
            priority=self.router.priority,
            holds_addresses=self.router.holds_addresses,
            deleted=deleted,
            slot=self.slot,
            advertisement_interval=self.configuration.advertisement_interval,
            down_timer_adverts=self.configuration.down_timer_adverts,
            contributions=self.verdict.contributions if self.verdict else (),
            transitions=self.transitions,
            cause=self.cause,
            counters={**self.counters, "advert_sent": self.sent, "advert_rcvd": self.received},
        )

    def remember(self, earlier: Earlier) -> None:
        """Go on counting where the process that died left off."""
        state = earlier.state
        self.slot = state.slot
        self.since, self.cause, self.transitions = state.since, state.cause, state.transitions
        self.counters.update(state.counters)
        if self.seal is not None:
            self.seal.sequence = earlier.sequence
        if isinstance(self.seal, HmacTrailer):
            self.seal.recall(earlier.marks)

    def forget_statistics(self) -> None:
        """Count from zero."""
        self.sent_by_slot[self.slot] = self.received_by_slot[self.slot] = 0
        self.counters.clear()
        self.discarded.clear()

    def snapshot(self, now: float, held: Set[tuple[str, int]]) -> dict[str, Any]:
        """Plain truth for `--dump`; `held` are the (address, prefix) pairs that the kernel has."""
        configuration, router = self.configuration, self.router
        router.catch_up()
        refused = {address: os.strerror(error) for (address, _), error in self.refused.items()}
        master = router.master if isinstance(router.phase, Backup) else None
        return {
            "name": self.name,
            "state": router.state.value,
            "since": self.since,
            "reason": self.reason,
            "cause": msgspec.to_builtins(self.cause),
            "transitions": self.transitions,
            "interface": configuration.interface,
            "virtual_router_id": configuration.virtual_router_id,
            "version": configuration.version,
            "priority": configuration.priority,
            "effective_priority": router.priority,
            "source_address": self.source,
            "master_address": self.source if router.holds_addresses else (master.source if master else None),
            "master_priority": router.priority if router.holds_addresses else (master.priority if master else None),
            "advertisement_interval": configuration.advertisement_interval,
            "master_advertisement_interval": router.master_advertisement_interval,
            "preempt": configuration.preempt,
            "preempt_delay": configuration.preempt_delay,
            "virtual_addresses": [_plain_address(each, held, refused) for each in configuration.virtual_addresses],
            "excluded_addresses": [_plain_address(each, held, refused) for each in configuration.excluded_addresses],
            "tracks": [msgspec.structs.asdict(item) for item in configuration.tracks],
            "contributions": list(map(str, self.verdict.contributions)) if self.verdict else [],
            "faults": [str(fault) for fault in sorted(router.faults)],
            "pending": sorted(router.pending),
            "timers": {
                "skew_time": router.skew_time,
                "master_down_interval": router.master_down_interval,
                "next_in": None if router.deadline is None else max(0.0, router.deadline - now),
            },
            "statistics": self._statistics(),
            "splits": self._splits(now),
            "discarded": {finding.value: count for finding, count in self.discarded.items()},
            "virtual_routes": [each.text for each in configuration.routes],
            "virtual_rules": [each.text for each in configuration.rules],
            "last_master_priority": self.last_master_priority,
            "keepalived_routes": [each.keepalived for each in configuration.routes],
            "keepalived_rules": [each.keepalived for each in configuration.rules],
            "configuration": _for_readers(configuration),
        }

    @property
    def split(self) -> Split | None:
        """Another router that is MASTER now too; one sign of it may be a packet that crossed ours."""
        phase = self.router.phase
        return phase.split if isinstance(phase, Master) and phase.split and phase.split.signs > 1 else None

    def _splits(self, now: float) -> dict[str, Any]:
        """How often and how long another router was MASTER too, and whether it is so now."""
        split = self.split
        return {
            "count": self.counters["splits"],
            "seconds": self.counters["split_ms"] / 1000,
            "now": {"with": split.other, "for": now - split.since} if split else None,
        }

    def _statistics(self) -> dict[str, int]:
        named = ("become_master", "release_master", "pri_zero_rcvd", "pri_zero_sent")
        own = {"advert_rcvd": self.received, "advert_sent": self.sent, **{name: self.counters[name] for name in named}}
        return own | {
            name: sum(self.discarded[finding] for finding in findings)
            for name, findings in _KEEPALIVED_COUNTERS.items()
        }


def _for_readers(configuration: VrrpInstance) -> VrrpInstance:
    """Without what is put to the kernel, which says nothing to a reader; secrets mask themselves."""
    return msgspec.structs.replace(configuration, routes=(), rules=())


def _plain_address(address: VirtualAddress, held: Set[tuple[str, int]], refused: Mapping[str, str]) -> dict[str, Any]:
    plain = {**msgspec.structs.asdict(address), "held": (address.address, address.prefix) in held}
    return plain | ({"refused": refused[address.address]} if address.address in refused else {})

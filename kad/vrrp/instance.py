"""What the process keeps of one vrrp_instance beside its router: bytes that were built once, counters, reasons."""

from __future__ import annotations

from collections import Counter
from typing import Any

from kad.messages import Earlier, RouterState, to_plain
from kad.track.priority import Verdict
from kad.vrrp.advert import Expectation, Finding
from kad.vrrp.events import State
from kad.vrrp.expectation import expectation
from kad.vrrp.group import SyncGroup
from kad.vrrp.guard import AddressGuard
from kad.vrrp.keywords import VirtualAddress, VrrpInstance
from kad.vrrp.router import Backup, Router

_KEEPALIVED_COUNTERS = {
    "packet_len_err": (Finding.TRUNCATED, Finding.LENGTH, Finding.TOTAL_LENGTH),
    "advert_interval_err": (Finding.INTERVAL_DIFFERS,),
    "ip_ttl_err": (Finding.TTL,),
    "invalid_type_rcvd": (Finding.TYPE,),
    "addr_list_err": (Finding.ADDRESS_LIST, Finding.DESTINATION_KIND),
    "invalid_authtype": (Finding.AUTH_TYPE_INVALID,),
    "authtype_mismatch": (Finding.AUTH_TYPE_DIFFERS, Finding.AH_UNEXPECTED),
    "auth_failure": (Finding.AUTH_FAILURE,),
}


class Instance:
    """One virtual router as the process sees it."""

    def __init__(self, configuration: VrrpInstance, now: float) -> None:
        self.configuration = configuration
        self.router = Router(configuration)
        self.group: SyncGroup | None = None
        self.expected: Expectation = expectation(configuration, configuration.priority)
        self.verdict: Verdict | None = None
        self.own_faults: frozenset[str] = frozenset()
        """Of its interface and sockets, beside those of tracked things."""
        self.source: str | None = None
        self.since = now
        """UNIX time at which the state was entered."""
        self.reason = ""
        self.transitions = 0
        self.removed = False
        """The configuration has it no longer; its end is not a stop of the daemon."""
        self.counters: Counter[str] = Counter()
        self.discarded: Counter[Finding] = Counter()
        self.complained: dict[str, float] = {}
        """When a complaint was last logged; at most once a minute each."""
        self.slot = 0
        """Where kad.page tells when the router last spoke."""
        self.guard = AddressGuard()
        self.hopeless = False
        """Somebody takes its addresses away faster than they are worth putting back."""
        self.old_unicast_checksum = configuration.old_unicast_checksum == "always"

    @property
    def name(self) -> str:
        return self.configuration.name

    @property
    def deadline(self) -> float | None:
        return self.router.deadline

    def reconfigure(self, configuration: VrrpInstance) -> None:
        self.configuration = configuration
        self.expected = expectation(configuration, self.router.priority)
        self.old_unicast_checksum = configuration.old_unicast_checksum == "always"

    def enter(self, state: State, reason: str, now: float) -> None:
        """Remember a transition; `now` is UNIX time."""
        self.since = now
        self.reason = reason
        self.transitions += 1
        if state is State.MASTER:
            self.counters["become_master"] += 1

    def state_message(self, *, deleted: bool = False) -> RouterState:
        return RouterState(
            name=self.name,
            state=self.router.state.value,
            since=self.since,
            reason=self.reason,
            priority=self.router.priority,
            holds_addresses=self.router.holds_addresses,
            deleted=deleted,
            slot=self.slot,
            advertisement_interval=self.configuration.advertisement_interval,
            transitions=self.transitions,
            counters=dict(self.counters),
        )

    def remember(self, earlier: Earlier) -> None:
        """Go on counting where the process that died left off."""
        state = earlier.state
        self.slot = state.slot
        self.since, self.reason, self.transitions = state.since, state.reason, state.transitions
        self.counters.update(state.counters)
        self.counters["advert_sent"] = earlier.sent
        self.counters["advert_rcvd"] = earlier.received

    def snapshot(self, now: float, held: frozenset[tuple[str, int]]) -> dict[str, Any]:
        """Plain truth for `--dump`; `held` are the (address, prefix) pairs that the kernel has."""
        configuration, router = self.configuration, self.router
        master = router.master if isinstance(router.phase, Backup) else None
        return {
            "name": self.name,
            "state": router.state.value,
            "since": self.since,
            "reason": self.reason,
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
            "virtual_addresses": [_plain_address(each, held) for each in configuration.virtual_addresses],
            "excluded_addresses": [_plain_address(each, held) for each in configuration.excluded_addresses],
            "tracks": [to_plain(item) for item in configuration.tracks],
            "contributions": list(self.verdict.contributions) if self.verdict else [],
            "faults": sorted(router.faults),
            "pending": sorted(router.pending),
            "timers": {
                "skew_time": router.skew_time,
                "master_down_interval": router.master_down_interval,
                "next_in": None if router.deadline is None else max(0.0, router.deadline - now),
            },
            "statistics": self._statistics(),
            "discarded": {finding.value: count for finding, count in self.discarded.items()},
            "configuration": to_plain(configuration),
        }

    def _statistics(self) -> dict[str, int]:
        named = ("advert_rcvd", "advert_sent", "become_master", "release_master", "pri_zero_rcvd", "pri_zero_sent")
        own = {name: self.counters[name] for name in named}
        return own | {
            name: sum(self.discarded[finding] for finding in findings)
            for name, findings in _KEEPALIVED_COUNTERS.items()
        }


def _plain_address(address: VirtualAddress, held: frozenset[tuple[str, int]]) -> dict[str, Any]:
    plain: dict[str, Any] = to_plain(address)
    return {**plain, "held": (address.address, address.prefix) in held}

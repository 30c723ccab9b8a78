"""What the vrrp process is given: every default filled in, every inheritance resolved, no places."""

from __future__ import annotations

import msgspec

from kad.model.link_monitoring import InterfaceDelay, Linkbeat
from kad.model.routing import RoutingEntry
from kad.model.secret import Secret, SecretBytes
from kad.model.tracking import TrackItem

OWNER_PRIORITY = 255
"""The priority of the router that owns the addresses (RFC 9568 5.2.4)."""


class VirtualAddress(msgspec.Struct, frozen=True, kw_only=True):
    """One line of virtual_ipaddress or virtual_ipaddress_excluded."""

    address: str
    """Canonical text, without prefix."""
    prefix: int
    device: str | None = None
    """None: the interface of the instance."""
    scope: int = 0
    """rtnetlink number: 0 global, 200 site, 253 link, 254 host, 255 nowhere."""
    broadcast: str | None = None
    """Already computed where + or - was written."""
    label: str | None = None
    peer: str | None = None
    """ADDRESS or ADDRESS/PREFIX of the other end."""
    home: bool = False
    nodad: bool = True
    """No duplicate address detection (IPv6), which is the rule for a virtual address."""
    mngtmpaddr: bool = False
    noprefixroute: bool = False
    autojoin: bool = False
    no_track: bool = False
    use_vmac: bool = False
    preferred_lft: int | None = None
    """Seconds; None: for ever."""


class VirtualDevice(msgspec.Struct, frozen=True, kw_only=True):
    """A macvlan or ipvlan that is made for an instance, and unmade with it."""

    name: str
    base: str
    """The interface that it is on."""
    family: int = 4
    """Of the instance."""
    mac: str | None = None
    """None: an ipvlan, which has that of its base."""
    mode: str = "private"
    """Of an ipvlan: bridge, private or vepa; a macvlan is always private."""
    group: int | None = None
    """None: that of its base."""
    ipv6: bool = False
    """It may get IPv6 addresses."""
    address: str | None = None
    """An ipvlan speaks from it, and has it as long as it exists."""
    prefix: int = 32


class UnicastPeer(msgspec.Struct, frozen=True, kw_only=True):
    """A router that adverts are sent to, and may come from."""

    address: str
    min_ttl: int | None = None
    max_ttl: int | None = None


class Authentication(msgspec.Struct, frozen=True, kw_only=True):
    """Authentication of version 2 (RFC 2338)."""

    type: str
    """PASS or AH."""
    password: Secret
    """At most 8 bytes."""


class HmacKey(msgspec.Struct, frozen=True, kw_only=True):
    """What adverts are signed with."""

    id: int
    secret: SecretBytes
    """32 to 64 bytes."""


class AuthHmac(msgspec.Struct, frozen=True, kw_only=True):
    """A signature behind each advert."""

    keys: tuple[HmacKey, ...]
    active_key: int
    """Which of them signs."""
    time_window: int = 5
    """Seconds by which the clocks may differ."""
    monotonic: bool = False
    """Only the order of numbers counts, not the time in them."""
    mode: str = "enforce"
    """enforce; permissive signs and lets unsigned adverts pass; receive-only does not sign either."""


class Announcing(msgspec.Struct, frozen=True, kw_only=True):
    """Gratuitous ARP and neighbour advertisements: how many and when, delays in seconds."""

    master_delay: float = 5.0
    master_repeat: int = 5
    master_refresh: float = 0.0
    master_refresh_repeat: int = 1
    lower_prio_delay: float = 5.0
    lower_prio_repeat: int = 5
    lower_prio_pause: float = 1.0
    """Seconds from one burst after lower adverts to the next; 0 where the number or the delay of them is written."""
    elsewhere: float = 0.0
    """Seconds from message to message on interfaces of addresses other than the instance's (garp_extra_if)."""
    elsewhere_all: bool = False
    """On all of them, not on virtual MACs alone."""
    garp_interval: float = 0.0
    gna_interval: float = 0.0


class GarpGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Interfaces that announce in turn: seconds from one message to the next on any of them, by kind of message."""

    interfaces: tuple[str, ...]
    garp_interval: float = 0.0
    gna_interval: float = 0.0


class VrrpInstance(msgspec.Struct, frozen=True, kw_only=True):
    """One virtual router; times are seconds."""

    name: str
    state: str = "BACKUP"
    """MASTER or BACKUP: the initial wish."""
    interface: str
    """As it is configured; its link and its address are those of the instance.

    Empty: none; unicast leaves where routes lead, and is heard on every interface.
    """
    device: VirtualDevice | None = None
    """use_vmac, use_ipvlan: what is on the interface, and has the addresses."""
    transmits_by_base: bool = False
    """vmac_xmit_base: adverts leave by the interface all the same."""
    further_devices: tuple[VirtualDevice, ...] = ()
    """use_vmac_addr: for addresses on other interfaces."""
    virtual_router_id: int
    version: int = 2
    family: int = 4
    priority: int = 100
    advertisement_interval: float = 1.0
    source_address: str | None = None
    """None: the first address of the interface (IPv4), its link-local address (IPv6)."""
    track_source: bool = False
    """FAULT while the configured source address is absent."""
    multicast_group: str = "224.0.0.18"
    unicast_peers: tuple[UnicastPeer, ...] = ()
    unicast_ttl: int = 255
    unicast_fault_no_peer: bool = False
    """A unicast instance without peers is in FAULT rather than multicast."""
    check_unicast_src: bool = False
    preempt: bool = True
    preempt_delay: float = 0.0
    track_primary: bool = True
    receive_buffer: int = 0
    """Bytes of the socket that are for it, as it shares one with others; 0: nobody asks for a size."""
    authentication: Authentication | None = None
    auth_hmac: AuthHmac | None = None
    virtual_addresses: tuple[VirtualAddress, ...] = ()
    excluded_addresses: tuple[VirtualAddress, ...] = ()
    served_address: str = ""
    """One of them that is the address of a virtual server: without IPVS the instance is in FAULT. Empty: none is, or
    ipvs_required says no."""
    repeated_addresses: tuple[str, ...] = ()
    """Those of virtual_ipaddress that the kernel has already: keepalived lists and counts them in adverts once more."""
    routes: tuple[RoutingEntry, ...] = ()
    """virtual_routes, there while it is MASTER."""
    rules: tuple[RoutingEntry, ...] = ()
    announcing: Announcing = Announcing()
    down_timer_adverts: int = 3
    lower_prio_no_advert: bool = False
    higher_prio_send_advert: bool = False
    skip_check_adv_addr: bool = False
    v3_checksum_as_v2: bool = False
    old_unicast_checksum: str = "auto"
    """auto, always or never."""
    owner_ignore_adverts: bool = False
    invites_successor: bool = True
    """A MASTER whose priority falls says priority 0 before the new one, so that a better router waits for its skew time
    only."""
    timer_expired_backup: int | None = None
    """A MASTER that did not run for as long as a router of this priority waits gives way to it."""
    accept: bool = True
    strict: bool = False
    promote_secondaries: bool = False
    tracks: tuple[TrackItem, ...] = ()
    """Its own and those of its sync group."""
    notifies: tuple[str, ...] = ()
    """Keywords of the notify programs it has: notify_master, notify …"""
    notify_deleted: bool = False
    notify_priority_changes: bool = False
    smtp_alert: bool = False

    @property
    def own_interface(self) -> str:
        """Where addresses are that name no other interface."""
        return self.device.name if self.device is not None else self.interface

    @property
    def speaks_on(self) -> str:
        """The interface by which adverts leave."""
        return self.interface if self.transmits_by_base else self.own_interface

    @property
    def hears_on(self) -> str:
        """The interface on which adverts are heard.

        What bears the virtual MAC as its source, a macvlan of that MAC alone hears; all other multicast it hears too.
        """
        return self.interface if self.unicast_peers else self.own_interface

    @property
    def devices(self) -> tuple[VirtualDevice, ...]:
        """All that are made for it."""
        return self.further_devices if self.device is None else (self.device, *self.further_devices)


class Filtering(msgspec.Struct, frozen=True, kw_only=True):
    """How nftables keep packets from addresses, and reports of virtual MACs from the wire."""

    table: str = "keepalived"
    priority: int = -1
    """Of the hooks."""
    by_index: bool = False
    """Link-local addresses are told apart by the index of their interface, not by its name."""
    counters: bool = False
    igmp: bool = True
    """Reports of IPv4 groups are filtered; not where the kernel sends none."""


class NetlinkBuffers(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes of receive buffers, None for as much as kad finds right; `_forced` goes beyond the limit of the kernel."""

    commands: int | None = None
    commands_forced: bool = False
    events: int | None = None
    events_forced: bool = False


class SyncGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Instances that change state together."""

    name: str
    members: tuple[str, ...]
    notifies: tuple[str, ...] = ()
    tracking_weight: bool = False
    """sync_group_tracking_weight: weighted tracking stays in force inside the group."""
    smtp_alert: bool = False


class StaticAddress(msgspec.Struct, frozen=True, kw_only=True):
    """A line of static_ipaddress."""

    address: VirtualAddress
    dependents: tuple[str, ...] = ()
    """Instances that cannot take part without it."""


class VrrpSlice(msgspec.Struct, frozen=True, kw_only=True):
    """All that the vrrp process needs of the configuration."""

    instances: tuple[VrrpInstance, ...] = ()
    groups: tuple[SyncGroup, ...] = ()
    static_addresses: tuple[StaticAddress, ...] = ()
    static_routing: tuple[RoutingEntry, ...] = ()
    """Routes, then rules, that are there whatever the state of the instances is."""
    link_delays: tuple[InterfaceDelay, ...] = ()
    polled_links: tuple[Linkbeat, ...] = ()
    garp_groups: tuple[GarpGroup, ...] = ()
    filtering: Filtering = Filtering()
    netlink: NetlinkBuffers = NetlinkBuffers()
    startup_delay: float = 0.0
    """Seconds after the start during which adverts are discarded."""
    delay_after_boot: float = 0.0
    """Likewise, seconds after the boot; the later moment of both counts."""
    log_unknown_vrids: bool = False
    restore_addresses: bool = True
    """What somebody removes from a MASTER is put back; False: keepalived's answer, BACKUP."""
    feeds_fifo: bool = False
    """Some FIFO gets the events of instances and groups."""
    fifo_states_on_reload: bool = False
    """A reload writes every state to the FIFOs again."""
    priority: int | None = None
    """Nice value; None: inherited."""
    rt_priority: int | None = None
    """SCHED_RR priority 1..99; None: not real-time."""
    rlimit_rttime: int = 10000
    """RLIMIT_RTTIME in microseconds (hard; the soft limit is half)."""
    no_swap: bool = False
    cpu_affinity: tuple[int, ...] = ()
    process_name: str | None = None


class ReleasedInstance(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of a VrrpInstance that say what it holds on this host."""

    name: str
    interface: str
    device: VirtualDevice | None = None
    further_devices: tuple[VirtualDevice, ...] = ()
    virtual_router_id: int
    version: int = 2
    family: int = 4
    priority: int = 100
    accept: bool = True
    advertisement_interval: float = 1.0
    virtual_addresses: tuple[VirtualAddress, ...] = ()
    excluded_addresses: tuple[VirtualAddress, ...] = ()
    routes: tuple[RoutingEntry, ...] = ()
    rules: tuple[RoutingEntry, ...] = ()


class ReleaseSlice(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of a VrrpSlice that releasing needs; it has no secret, and decodes as a VrrpSlice too."""

    instances: tuple[ReleasedInstance, ...] = ()
    static_addresses: tuple[StaticAddress, ...] = ()
    static_routing: tuple[RoutingEntry, ...] = ()
    filtering: Filtering = Filtering()


def to_release(vrrp: VrrpSlice) -> ReleaseSlice:
    """What a process needs that releases what the vrrp process with this configuration held."""
    return msgspec.convert(vrrp, ReleaseSlice, from_attributes=True)

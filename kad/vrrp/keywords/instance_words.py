"""The words of vrrp_instance."""

from typing import Annotated

from kad.config.command import Command, command
from kad.config.diagnostics import Complaint
from kad.config.keyword import Block, Head, Inline, block, entries, keyword
from kad.config.values import (
    address,
    boolean,
    buffer_size,
    flag,
    integer,
    interface_name,
    one_of,
    optional,
    seconds,
    text,
)
from kad.model.vrrp import UnicastPeer
from kad.tracking.item_words import TrackLine, track_line
from kad.vrrp.keywords.address_words import AddressLine, address_line, peer_line
from kad.vrrp.keywords.auth_words import AuthenticationBlock, HmacBlock
from kad.vrrp.keywords.device_words import ExtraAnnouncing, Ipvlan, Vmac, extra_announcing, ipvlan, vmac
from kad.vrrp.keywords.route_words import RouteLine, RuleLine, route_line, rule_line

_STATES = {
    "slave": "BACKUP",
    "standby": "BACKUP",
    "secondary": "BACKUP",
    "passive": "BACKUP",
    "primary": "MASTER",
    "active": "MASTER",
}


class AnnouncingWords(Block, frozen=True, kw_only=True):
    """How an instance makes its addresses known."""

    garp_master_delay: Annotated[
        int | None, keyword(integer(0), "seconds to the second burst", default="vrrp_garp_master_delay")
    ] = None
    garp_master_refresh: Annotated[
        int | None, keyword(integer(0), "seconds between refreshes; 0: none", default="vrrp_garp_master_refresh")
    ] = None
    garp_master_repeat: Annotated[
        int | None, keyword(integer(1, raised=True), "messages of a burst", default="vrrp_garp_master_repeat")
    ] = None
    garp_master_refresh_repeat: Annotated[
        int | None,
        keyword(integer(1, raised=True), "messages of a refresh", default="vrrp_garp_master_refresh_repeat"),
    ] = None
    garp_lower_prio_delay: Annotated[
        int | None,
        keyword(integer(0), "seconds to the second burst after a lower advert", default="vrrp_garp_lower_prio_delay"),
    ] = None
    garp_lower_prio_repeat: Annotated[
        int | None, keyword(integer(0), "messages after a lower advert", default="vrrp_garp_lower_prio_repeat")
    ] = None
    garp_extra_if: Annotated[
        ExtraAnnouncing | None,
        keyword(
            extra_announcing(0),
            "announces on the other interfaces of addresses",
            deprecated=("vmac_garp_intvl",),
            default="vrrp_garp_extra_if",
            missing=Complaint.GENERAL,
        ),
    ] = None


class NotifyWords(Block, frozen=True, kw_only=True):
    """What an instance or a group runs when its state changes."""

    notify_master: Annotated[Command | None, keyword(command(), "run on MASTER", unique=True)] = None
    notify_backup: Annotated[Command | None, keyword(command(), "run on BACKUP", unique=True)] = None
    notify_fault: Annotated[Command | None, keyword(command(), "run on FAULT", unique=True)] = None
    notify_stop: Annotated[Command | None, keyword(command(), "run when the daemon stops", unique=True)] = None
    notify: Annotated[
        Command | None,
        keyword(command(), "run on each of them, with type, name, state and priority appended", unique=True),
    ] = None

    def commands(self) -> dict[str, Command]:
        """The configured ones, by keyword."""
        names = ("notify_master", "notify_backup", "notify_fault", "notify_stop", "notify")
        return {name: found for name in names if (found := getattr(self, name)) is not None}


class TrackWords(Block, frozen=True, kw_only=True):
    """What an instance or a group tracks."""

    track_interface: Annotated[
        tuple[TrackLine, ...], entries(track_line(253), "interfaces that must be up, or move the priority")
    ] = ()
    track_script: Annotated[tuple[TrackLine, ...], entries(track_line(253), "vrrp_script blocks by name")] = ()
    track_file: Annotated[tuple[TrackLine, ...], entries(track_line(254), "track_file blocks by name")] = ()
    track_process: Annotated[tuple[TrackLine, ...], entries(track_line(254), "vrrp_track_process blocks by name")] = ()
    track_bfd: Annotated[tuple[TrackLine, ...], entries(track_line(253), "bfd_instance blocks by name")] = ()


class ProtocolWords(Block, frozen=True, kw_only=True):
    """How an instance speaks to other routers."""

    state: Annotated[
        str | None,
        keyword(
            one_of("MASTER", "BACKUP", meant=_STATES),
            "the state in which it starts",
            default="BACKUP, MASTER with priority 255",
            settled=("MASTER",),
        ),
    ] = None
    interface: Annotated[str | None, keyword(interface_name(), "where adverts are sent; unicast may do without")] = None
    virtual_router_id: Annotated[int | None, keyword(integer(1, 255), "tells virtual routers on a LAN apart")] = None
    version: Annotated[
        str | None, keyword(one_of("2", "3"), "of VRRP", default="vrrp_version; 3 for IPv6", settled=("2", "3"))
    ] = None
    priority: Annotated[
        int | None, keyword(integer(1, 255), "255 owns the addresses", default="100; 255 with state MASTER")
    ] = None
    advert_int: Annotated[float | None, keyword(seconds(0.01, 255), "from advert to advert", default="1")] = None
    native_ipv6: Annotated[bool, keyword(flag(), "IPv6 even when the first address is IPv4")] = False
    mcast_src_ip: Annotated[
        str | None, keyword(address(), "source of multicast adverts", default="the address of the interface")
    ] = None
    mcast_dst_ip: Annotated[
        str | None, keyword(address(multicast=True), "where adverts go", default="vrrp_mcast_group4 or 6")
    ] = None
    unicast_src_ip: Annotated[
        str | None, keyword(address(), "source of unicast adverts", default="the address of the interface")
    ] = None
    unicast_peer: Annotated[
        tuple[UnicastPeer, ...] | None, entries(peer_line(), "routers that adverts are sent to, one by one")
    ] = None
    unicast_fault_no_peer: Annotated[bool, keyword(flag(), "FAULT rather than multicast without peers")] = False
    unicast_ttl: Annotated[int | None, keyword(integer(0, 255), "of unicast adverts", default="255")] = None
    check_unicast_src: Annotated[bool, keyword(flag(), "adverts must come from a peer")] = False
    track_src_ip: Annotated[bool, keyword(flag(), "FAULT while the source address is absent")] = False
    old_unicast_checksum: Annotated[
        str | None, keyword(optional(one_of("never"), "always"), "the checksum of old peers", default="auto")
    ] = None
    v3_checksum_as_v2: Annotated[bool | None, keyword(boolean(), "no pseudo header", default="the global one")] = None
    skip_check_adv_addr: Annotated[
        bool | None, keyword(boolean(), "compare address lists once", default="vrrp_skip_check_adv_addr")
    ] = None
    strict_mode: Annotated[bool | None, keyword(boolean(), "only what the RFC allows", default="vrrp_strict")] = None
    preempt: Annotated[bool, keyword(flag(), "take over from a lower priority")] = False
    nopreempt: Annotated[bool, keyword(flag(), "leave a lower priority master in place")] = False
    preempt_delay: Annotated[float | None, keyword(seconds(0, 1000), "wait before taking over", default="0")] = None
    down_timer_adverts: Annotated[
        int | None, keyword(integer(1, 100), "missing adverts until takeover", default="vrrp_down_timer_adverts")
    ] = None
    lower_prio_no_advert: Annotated[
        bool | None, keyword(boolean(), "do not answer lower adverts", default="vrrp_lower_prio_no_advert")
    ] = None
    higher_prio_send_advert: Annotated[
        bool | None,
        keyword(boolean(), "send one advert before becoming BACKUP", default="vrrp_higher_prio_send_advert"),
    ] = None
    owner_ignore_adverts: Annotated[
        bool | None, keyword(boolean(), "the owner ignores adverts", default="vrrp_owner_ignore_adverts")
    ] = None
    accept: Annotated[bool, keyword(flag(), "packets to the addresses are accepted")] = False
    no_accept: Annotated[bool, keyword(flag(), "packets to the addresses are dropped")] = False
    timer_expired_backup: Annotated[
        int | None,
        keyword(
            optional(integer(1, 254), 254),
            "a MASTER that was late becomes BACKUP",
            deprecated=("thread_timer_expired",),
        ),
    ] = None


class DeviceWords(Block, frozen=True, kw_only=True):
    """Which devices an instance speaks and lives on, beside its interface."""

    vrf: Annotated[str | None, keyword(interface_name(), "VRF of a unicast instance without an interface")] = None
    use_vmac: Annotated[Vmac | None, keyword(vmac(), "send from a macvlan with the virtual MAC", default="off")] = None
    use_vmac_addr: Annotated[bool, keyword(flag(), "a macvlan for each interface of addresses")] = False
    vmac_xmit_base: Annotated[bool, keyword(flag(), "adverts leave by the interface below")] = False
    use_ipvlan: Annotated[Ipvlan | None, keyword(ipvlan(), "send from an ipvlan", default="off", unique=True)] = None
    kernel_rx_buf_size: Annotated[
        int | None,
        keyword(
            buffer_size(),
            "bytes of the receive buffer",
            default="vrrp_rx_bufs_policy",
            missing=Complaint.GENERAL,
            exact=True,
        ),
    ] = None
    linkbeat_use_polling: Annotated[
        bool, keyword(flag(), "its link is polled each second", instead="linkbeat_interfaces")
    ] = False
    lvs_sync_daemon_interface: Annotated[
        str | None,
        keyword(
            interface_name(), "where its sync daemon speaks", instead="lvs_sync_daemon {value} {block} in global_defs"
        ),
    ] = None


class InstanceBlock(Block, frozen=True, kw_only=True):
    """vrrp_instance NAME { }"""

    name: Annotated[str, Head(text("NAME"))]
    protocol: Annotated[ProtocolWords, Inline()]
    announcing: Annotated[AnnouncingWords, Inline()]
    tracks: Annotated[TrackWords, Inline()]
    notifies: Annotated[NotifyWords, Inline()]
    devices: Annotated[DeviceWords, Inline()]
    authentication: Annotated[AuthenticationBlock | None, block(AuthenticationBlock, "version 2 only")] = None
    auth_hmac: Annotated[HmacBlock | None, block(HmacBlock, "a signature behind each advert")] = None
    virtual_ipaddress: Annotated[
        tuple[AddressLine, ...], entries(address_line(), "addresses that are advertised and held")
    ] = ()
    virtual_ipaddress_excluded: Annotated[
        tuple[AddressLine, ...], entries(address_line(), "addresses that are held and not advertised")
    ] = ()
    no_virtual_ipaddress: Annotated[bool, keyword(flag(), "the instance has no address on purpose")] = False
    virtual_routes: Annotated[tuple[RouteLine, ...], entries(route_line(), "routes while MASTER")] = ()
    virtual_rules: Annotated[tuple[RuleLine, ...], entries(rule_line(), "rules while MASTER")] = ()
    dont_track_primary: Annotated[bool, keyword(flag(), "the link of the interface is not tracked")] = False
    promote_secondaries: Annotated[bool, keyword(flag(), "sets the sysctl of that name")] = False
    notify_deleted: Annotated[
        Command | None,
        keyword(optional(command(), Command(text="")), "a removed instance reports DELETED, not FAULT", unique=True),
    ] = None
    notify_master_rx_lower_pri: Annotated[
        Command | None, keyword(command(), "run when a MASTER receives an advert of lower priority", unique=True)
    ] = None
    notify_priority_changes: Annotated[
        bool | None, keyword(boolean(), "the FIFO gets priorities", default="vrrp_notify_priority_changes")
    ] = None
    smtp_alert: Annotated[bool | None, keyword(boolean(), "mail on transitions", default="smtp_alert_vrrp")] = None
    debug: Annotated[int | None, keyword(integer(0, 4), "shown in dumps only", default="0", effect=False)] = None

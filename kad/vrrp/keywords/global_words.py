"""The words of global_defs that speak of VRRP."""

from typing import Annotated

from kad.config.diagnostics import Complaint
from kad.config.keyword import Block, Inline, keyword
from kad.config.notification_words import FifoWords
from kad.config.process_words import NetlinkWords, ProcessWords
from kad.config.values import address, boolean, flag, integer, one_of, optional, seconds, text, texts
from kad.vrrp.keywords.device_words import ExtraAnnouncing, buffer_policy, extra_announcing, name_prefix


class VrrpGlobals(Block, frozen=True, kw_only=True):
    """What global_defs say about every instance."""

    process: Annotated[ProcessWords, Inline("vrrp_")]
    netlink: Annotated[NetlinkWords, Inline("vrrp_netlink_")]
    fifo: Annotated[FifoWords, Inline("vrrp_")]
    vrrp_version: Annotated[str | None, keyword(one_of("2", "3"), "of VRRP over IPv4", default="2")] = None
    vrrp_mcast_group4: Annotated[
        str | None, keyword(address(4, multicast=True), "where adverts go", default="224.0.0.18")
    ] = None
    vrrp_mcast_group6: Annotated[
        str | None, keyword(address(6, multicast=True), "where adverts go", default="ff02::12")
    ] = None
    vrrp_garp_master_delay: Annotated[int | None, keyword(integer(0), "seconds to the second burst", default="5")] = (
        None
    )
    vrrp_garp_master_repeat: Annotated[
        int | None, keyword(integer(1, raised=True), "messages of a burst", default="5")
    ] = None
    vrrp_garp_master_refresh: Annotated[
        int | None, keyword(integer(0), "seconds between refreshes; 0: none", default="0")
    ] = None
    vrrp_garp_master_refresh_repeat: Annotated[
        int | None, keyword(integer(1, raised=True), "messages of a refresh", default="1")
    ] = None
    vrrp_garp_lower_prio_delay: Annotated[
        int | None,
        keyword(integer(0), "seconds to the second burst after a lower advert", default="vrrp_garp_master_delay"),
    ] = None
    vrrp_garp_lower_prio_repeat: Annotated[
        int | None, keyword(integer(0), "messages after a lower advert", default="vrrp_garp_master_repeat")
    ] = None
    vrrp_garp_interval: Annotated[
        float | None, keyword(seconds(0.000001, 4294.967295), "between two ARP messages on an interface", default="0")
    ] = None
    vrrp_gna_interval: Annotated[
        float | None, keyword(seconds(0.000001, 4294.967295), "between two NA messages on an interface", default="0")
    ] = None
    vrrp_min_garp: Annotated[bool | None, keyword(boolean(), "one message and no second burst", default="false")] = None
    vrrp_down_timer_adverts: Annotated[
        int | None, keyword(integer(1, 100), "missing adverts until takeover", default="3")
    ] = None
    vrrp_lower_prio_no_advert: Annotated[
        bool | None, keyword(boolean(), "do not answer lower adverts", default="false, true when strict")
    ] = None
    vrrp_higher_prio_send_advert: Annotated[
        bool | None, keyword(boolean(), "send one advert before becoming BACKUP", default="false")
    ] = None
    vrrp_owner_ignore_adverts: Annotated[
        bool | None, keyword(boolean(), "owners ignore adverts", default="false, true when strict")
    ] = None
    vrrp_check_unicast_src: Annotated[bool, keyword(flag(), "unicast adverts must come from a peer")] = False
    vrrp_skip_check_adv_addr: Annotated[
        bool | None, keyword(boolean(), "compare address lists once", default="false")
    ] = None
    v3_checksum_as_v2: Annotated[bool, keyword(flag(), "no pseudo header in version 3 over IPv4")] = False
    vrrp_strict: Annotated[bool | None, keyword(boolean(), "only what the RFC allows", default="false")] = None
    vrrp_startup_delay: Annotated[
        float | None, keyword(seconds(0.001, 4294), "adverts are discarded until then", default="0")
    ] = None
    log_unknown_vrids: Annotated[bool, keyword(flag(), "log adverts of unknown virtual routers")] = False
    vrrp_restore_addresses: Annotated[
        bool | None,
        keyword(boolean(), "what somebody removes from a MASTER is put back; no: it becomes BACKUP", default="true"),
    ] = None
    vrrp_invite_successor: Annotated[
        bool | None,
        keyword(
            boolean(),
            "a MASTER whose priority falls lets a better router take over after its skew time; no: after a silence",
            default="true, false when strict",
        ),
    ] = None
    vrrp_notify_priority_changes: Annotated[
        bool | None, keyword(boolean(), "the FIFO gets priorities", default="false")
    ] = None
    vrrp_delay_after_boot: Annotated[
        float | None, keyword(seconds(0), "the same, counted from the boot", default="0")
    ] = None
    vrrp_garp_extra_if: Annotated[
        ExtraAnnouncing | None,
        keyword(
            extra_announcing(1),
            "announces on the other interfaces of addresses",
            deprecated=("vrrp_vmac_garp_intvl",),
            default="off",
            missing=Complaint.GENERAL,
        ),
    ] = None
    vrrp_iptables: Annotated[
        tuple[str, ...] | None,
        keyword(
            texts("IN CHAIN [OUT CHAIN]", least=0),
            "chains of iptables",
            default="off; bare INPUT OUTPUT",
            effect=False,
        ),
    ] = None
    vrrp_ipsets: Annotated[tuple[str, ...] | None, keyword(texts("NAME", least=0), "names of ipsets", effect=False)] = (
        None
    )
    nftables: Annotated[
        str | None,
        keyword(
            optional(text("TABLE", longest=255), "keepalived"),
            "the table of filters",
            default="keepalived",
            unique=True,
        ),
    ] = None
    nftables_priority: Annotated[
        int | None, keyword(integer(-2147483648, 2147483647), "of its chains", default="-1")
    ] = None
    nftables_ifindex: Annotated[bool, keyword(flag(), "sets by number, not by name")] = False
    nftables_counters: Annotated[bool, keyword(flag(), "rules count")] = False
    vrrp_rx_bufs_policy: Annotated[
        str | None,
        keyword(
            buffer_policy(),
            "receive buffers of instances",
            default="4194304 for each socket",
            missing=Complaint.GENERAL,
        ),
    ] = None
    vrrp_rx_bufs_multiplier: Annotated[
        int | None,
        keyword(
            integer(1),
            "multiplies MTU or ADVERT",
            default="3",
            missing=Complaint.GENERAL,
            exact=True,
        ),
    ] = None
    disable_local_igmp: Annotated[bool, keyword(flag(), "no IGMP for link-local groups")] = False
    fifo_write_vrrp_states_on_reload: Annotated[bool, keyword(flag(), "a reload writes all states")] = False
    vmac_prefix: Annotated[str | None, keyword(name_prefix(), "of names of VMACs", default="vrrp", unique=True)] = None
    vmac_addr_prefix: Annotated[
        str | None, keyword(name_prefix(), "the same for use_vmac_addr", default="vmac_prefix", unique=True)
    ] = None

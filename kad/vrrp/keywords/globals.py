"""The words of global_defs that speak of VRRP."""

from __future__ import annotations

from typing import Annotated

from kad.config.keyword import Block, keyword
from kad.config.values import address, boolean, flag, integer, one_of, seconds, texts


class VrrpGlobals(Block, frozen=True, kw_only=True):
    """What global_defs say about every instance."""

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
        float | None, keyword(seconds(0, 1000), "between two ARP messages on an interface", default="0")
    ] = None
    vrrp_gna_interval: Annotated[
        float | None, keyword(seconds(0, 1000), "between two NA messages on an interface", default="0")
    ] = None
    vrrp_min_garp: Annotated[bool | None, keyword(boolean(), "one message and no second burst", default="false")] = None
    vrrp_down_timer_adverts: Annotated[
        int | None, keyword(integer(1, 100), "missing adverts until takeover", default="3")
    ] = None
    vrrp_lower_prio_no_advert: Annotated[
        bool | None, keyword(boolean(), "do not answer lower adverts", default="false, true when strict")
    ] = None
    vrrp_higher_prio_send_advert: Annotated[
        bool | None, keyword(boolean(), "one advert before yielding", default="false")
    ] = None
    vrrp_owner_ignore_adverts: Annotated[
        bool | None, keyword(boolean(), "owners hear no adverts", default="false, true when strict")
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
    log_unknown_vrids: Annotated[bool, keyword(flag(), "say which unknown virtual routers are heard")] = False
    vrrp_notify_priority_changes: Annotated[
        bool | None, keyword(boolean(), "the FIFO gets priorities", default="false")
    ] = None
    vrrp_priority: Annotated[int | None, keyword(integer(-20, 19), "nice value of the vrrp process")] = None
    vrrp_rt_priority: Annotated[int | None, keyword(integer(1, 99), "SCHED_RR priority of the vrrp process")] = None
    vrrp_rlimit_rttime: Annotated[
        int | None,
        keyword(
            integer(2, raised=True),
            "microseconds of real-time work without a pause",
            aliases=("vrrp_rlimit_rtime",),
            default="10000",
        ),
    ] = None
    vrrp_no_swap: Annotated[bool, keyword(flag(), "the vrrp process locks its memory")] = False
    vrrp_cpu_affinity: Annotated[
        tuple[str, ...] | None, keyword(texts("CPU"), "the processors of the vrrp process", default="all")
    ] = None

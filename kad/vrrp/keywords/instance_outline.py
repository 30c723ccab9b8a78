"""What the words of one vrrp_instance mean by themselves: without devices, routes, sync group and other processes."""

from __future__ import annotations

import msgspec

from kad.model.tracking import TrackItem
from kad.model.vrrp import Authentication, AuthHmac, UnicastPeer, VirtualAddress


class InstanceOutline(msgspec.Struct, frozen=True, kw_only=True):
    """The fields have the meaning of those of VrrpInstance."""

    name: str
    state: str
    interface: str
    virtual_router_id: int
    version: int
    family: int
    priority: int
    advertisement_interval: float
    source_address: str | None
    multicast_group: str
    unicast_peers: tuple[UnicastPeer, ...]
    preempt: bool
    preempt_delay: float
    track_primary: bool
    authentication: Authentication | None
    auth_hmac: AuthHmac | None
    virtual_addresses: tuple[VirtualAddress, ...]
    """Where the instance has no interface, each names one."""
    excluded_addresses: tuple[VirtualAddress, ...]
    repeated_addresses: tuple[str, ...]
    down_timer_adverts: int
    timer_expired_backup: int | None
    accept: bool
    strict: bool
    tracks: tuple[TrackItem, ...]
    """Its own, as they are written."""

"""The routers and adverts that the tests speak of: VRID 51 on eth0, our own address 10.77.0.1."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from kad.model.vrrp import VirtualAddress, VrrpInstance
from kad.vrrp.advert import Advertisement
from kad.vrrp.events import ChangeState, ReleaseAddresses, Resumed, Started, State
from kad.vrrp.router import Router
from tests.causes import printed
from tests.play import Play

OURS = "10.77.0.1"
VIP = VirtualAddress(address="10.77.0.100", prefix=24)
OTHER_VIP = VirtualAddress(address="10.77.0.101", prefix=24)
VIP_BYTES = bytes([10, 77, 0, 100])


def instance(**changes: Any) -> VrrpInstance:
    """Version 2, priority 100, an advert each second, unless said otherwise."""
    fields: dict[str, Any] = {
        "name": "VI_1",
        "interface": "eth0",
        "virtual_router_id": 51,
        "virtual_addresses": (VIP,),
    }
    return VrrpInstance(**(fields | changes))


def instance_v6(**changes: Any) -> VrrpInstance:
    """Version 3 over IPv6 with a link-local and a global address."""
    fields: dict[str, Any] = {
        "version": 3,
        "family": 6,
        "multicast_group": "ff02::12",
        "virtual_addresses": (
            VirtualAddress(address="fe80::100", prefix=64),
            VirtualAddress(address="2001:db8::100", prefix=64),
        ),
    }
    return instance(**(fields | changes))


def advert(priority: int, source: str = "10.77.0.2", interval: float = 1.0, version: int = 2) -> Advertisement:
    """What was decoded from a packet of another router."""
    return Advertisement(
        source=source,
        version=version,
        virtual_router_id=51,
        priority=priority,
        interval=interval,
        addresses=(VIP_BYTES,),
        source_number=int(ip_address(source)),
    )


def router(**changes: Any) -> Router:
    """In INIT, sending from 10.77.0.1."""
    made = Router(instance(**changes))
    made.source_number = int(ip_address(OURS))
    return made


def backup(**changes: Any) -> Play:
    """A play that begins at 0.0 with a router that has just become BACKUP."""
    return Play(router(**changes)) >> Started() << ReleaseAddresses() << entered(State.INIT, State.BACKUP, "init")


def entered(old: State, new: State, reason: str) -> ChangeState:
    return ChangeState(old, new, printed(reason))


def master(**changes: Any) -> Play:
    """A play that begins at 0.0 with a router that has just resumed as MASTER: its next advert is due at 1.0."""
    return Play(router(**changes)) >> Resumed(State.MASTER, spoke_at=0.0) << ...

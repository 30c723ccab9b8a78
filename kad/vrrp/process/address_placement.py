"""Where the addresses of an instance go and how they are announced: bytes that are built once for given interfaces."""

from __future__ import annotations

from typing import NamedTuple

from kad.linux.files.sysctl import interface_setting
from kad.linux.netlink.address import (
    FOREVER,
    IFA_F_HOMEADDRESS,
    IFA_F_MANAGETEMPADDR,
    IFA_F_MCAUTOJOIN,
    IFA_F_NODAD,
    IFA_F_NOPREFIXROUTE,
)
from kad.linux.netlink.link import ETHERNET, Link
from kad.linux.netlink.network_table import Network
from kad.linux.netlink.virtual_addresses import Placed
from kad.linux.refused import Refused
from kad.linux.sockets.arp import gratuitous_arp
from kad.linux.sockets.ethernet_sender import on_interface
from kad.linux.sockets.ndisc import unsolicited_advertisement
from kad.linux.sockets.sendmmsg import Datagram
from kad.model.vrrp import VirtualAddress, VrrpInstance


class Announcement(NamedTuple):
    """One gratuitous ARP or unsolicited neighbour advertisement."""

    address: str
    ipv6: bool
    link: Link
    frame: Datagram


class Surface(NamedTuple):
    """What the bytes depend on: an interface by name, and whether it forwards IPv6 (asked only where that matters)."""

    device: str
    link: Link | None
    forwards: bool


class Layout(NamedTuple):
    """All addresses of a configuration, on the interfaces as they were found."""

    surfaces: tuple[Surface, ...]
    placed: tuple[Placed, ...]
    announcements: tuple[Announcement, ...]
    homeless: tuple[tuple[str, str], ...]
    """Addresses whose interface does not exist, with its name."""


def addresses_of(configuration: VrrpInstance) -> tuple[VirtualAddress, ...]:
    """All that a MASTER holds, in the order of the configuration."""
    return (*configuration.virtual_addresses, *configuration.excluded_addresses)


def surfaces(configuration: VrrpInstance, network: Network) -> tuple[Surface, ...]:
    """The interfaces that its addresses are on, in order of appearance."""
    with_ipv6: dict[str, bool] = {}
    for each in addresses_of(configuration):
        device = each.device or configuration.own_interface
        with_ipv6[device] = with_ipv6.get(device, False) or ":" in each.address
    return tuple(Surface(name, network.link(name), ipv6 and _forwards(name)) for name, ipv6 in with_ipv6.items())


def _forwards(name: str) -> bool:
    try:
        return interface_setting(6, name, "forwarding") != "0"
    except Refused:
        return False


def lay_out(configuration: VrrpInstance, found: tuple[Surface, ...]) -> Layout:
    """Encode every request and frame."""
    by_name = {surface.device: surface for surface in found}
    placed, announcements, homeless = [], [], []
    for each in addresses_of(configuration):
        device = each.device or configuration.own_interface
        surface = by_name[device]
        link = surface.link
        if link is None:
            homeless.append((each.address, device))
            continue
        placed.append(_place(link.index, each))
        if link.arp and link.hardware == ETHERNET:
            announcements.append(announcement(link, each.address, forwards=surface.forwards))
    return Layout(found, tuple(placed), tuple(announcements), tuple(homeless))


def announcement(link: Link, address: str, *, forwards: bool) -> Announcement:
    """That the address is on this interface; `forwards`: as a router (IPv6)."""
    ipv6 = ":" in address
    frame = unsolicited_advertisement(link.mac, address, router=forwards) if ipv6 else gratuitous_arp(link.mac, address)
    return Announcement(address, ipv6, link, on_interface(link.index, frame))


def _place(index: int, address: VirtualAddress) -> Placed:
    ipv6 = ":" in address.address
    bits = (
        (address.nodad and ipv6, IFA_F_NODAD),
        (address.home, IFA_F_HOMEADDRESS),
        (address.mngtmpaddr, IFA_F_MANAGETEMPADDR),
        (address.noprefixroute, IFA_F_NOPREFIXROUTE),
        (address.autojoin, IFA_F_MCAUTOJOIN),
    )
    return Placed(
        index,
        address.address,
        address.prefix,
        broadcast=address.broadcast,
        label=address.label,
        scope=address.scope,
        peer=address.peer.partition("/")[0] if address.peer else None,
        flags=sum(bit for wanted, bit in bits if wanted),
        preferred_lft=FOREVER if ipv6 and address.preferred_lft is None else address.preferred_lft,
    )

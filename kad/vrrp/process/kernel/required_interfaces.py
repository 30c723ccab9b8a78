"""Interfaces beside its own without which an instance cannot take part: those of its addresses, routes and rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from kad.linux.netlink.link import Link
from kad.linux.netlink.network_table import Network
from kad.model.fault import of_link
from kad.model.routing import RoutingEntry
from kad.model.vrrp import VirtualAddress, VrrpInstance


class Need(NamedTuple):
    """An interface, and what is on it."""

    device: str
    what: str


def needs_of(configuration: VrrpInstance) -> list[Need]:
    """Of what is tracked; its own interface it looks at anyway, or not at all."""
    found = needs_for(
        (*configuration.virtual_addresses, *configuration.excluded_addresses),
        (*configuration.routes, *configuration.rules),
    )
    return [need for need in found if need.device not in (configuration.interface, configuration.own_interface)]


def needs_for(addresses: Iterable[VirtualAddress], entries: Iterable[RoutingEntry]) -> list[Need]:
    """Each interface once, with the first thing that needs it."""
    found: dict[str, Need] = {}
    for address in addresses:
        if address.device is not None and not address.no_track:
            found.setdefault(address.device, Need(address.device, f"the address {address.address}"))
    for entry in entries:
        if entry.device is not None and entry.tracked:
            found.setdefault(entry.device, Need(entry.device, f"the {entry.kind} {entry.text}"))
    return list(found.values())


def lacking(network: Network, needs: Iterable[Need], is_up: Callable[[Link], bool]) -> frozenset[str]:
    """Reasons for FAULT."""
    found: set[str] = set()
    for need in needs:
        link = network.link(need.device)
        if link is None:
            found.add(of_link(need.device, f"interface {need.device} of {need.what} does not exist"))
        elif not is_up(link):
            found.add(of_link(need.device, f"interface {need.device} of {need.what} is down"))
    return frozenset(found)

"""What its interface makes of an instance: the faults that keep it out of the election, and its source address."""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import NamedTuple

from kad.linux.netlink.address import IFA_F_DADFAILED, IFA_F_OPTIMISTIC, IFA_F_TENTATIVE, Address
from kad.linux.netlink.link import Link
from kad.linux.netlink.network_table import Network
from kad.model.fault import Fault, of_address, of_link
from kad.model.vrrp import VrrpInstance
from kad.shared.messages import IpvsState

_LINK_SCOPE = 253


class Ground(NamedTuple):
    """One interface as all instances of a family find it."""

    exists: bool
    up: bool
    source: str | None
    """What adverts are sent from unless the instance names another address."""
    lacks: str
    """Why there is no such address."""


def ground(network: Network, name: str, family: int, virtual: Container[str], is_up: Callable[[Link], bool]) -> Ground:
    """How the interface of this name is now (empty: none); `virtual` are addresses that are not its own."""
    if not name:
        return Ground(True, True, None, "neither interface nor source address is configured")
    link = network.link(name)
    if link is None:
        return Ground(False, False, None, "")
    own = [each for each in network.addresses(link.index) if each.family == family]
    source, lacks = _first(name, family, [each for each in own if each.address not in virtual])
    return Ground(True, is_up(link), source, lacks)


def _first(name: str, family: int, own: list[Address]) -> tuple[str | None, str]:
    """The first usable address (IPv6: of the link), or why there is none."""
    if family == 4:
        source = next((each.address for each in own), None)
        return source, "" if source else f"interface {name} has no IPv4 address to send from"
    local = [each for each in own if each.scope == _LINK_SCOPE]
    usable = [each.address for each in local if not _is_doubtful(each)]
    if usable:
        return usable[0], ""
    if any(each.flags & IFA_F_DADFAILED for each in local):
        return None, f"the link-local address {local[0].address} of interface {name} is used by another host too"
    if local:
        return None, f"the link-local address of interface {name} is still looked for among the neighbours"
    return None, f"interface {name} has no IPv6 link-local address to send from"


def _is_doubtful(address: Address) -> bool:
    """Duplicate address detection has not ended, or ended badly (RFC 4862 5.4)."""
    if address.flags & IFA_F_DADFAILED:
        return True
    return bool(address.flags & IFA_F_TENTATIVE) and not address.flags & IFA_F_OPTIMISTIC


def standing(
    configuration: VrrpInstance, found: Ground, failure: str, has: Callable[[str], bool]
) -> tuple[frozenset[str], str | None]:
    """Why the instance cannot take part, and its source address.

    `failure` is what its sockets or its device say; `has` tells whether an address is on any interface of this host.
    """
    name = configuration.interface
    if not found.exists:
        return frozenset({of_link(name, f"interface {name} does not exist")}), configuration.source_address
    faults: set[str] = set()
    is_down = configuration.track_primary and not found.up
    if is_down:
        faults.add(of_link(name, f"interface {name} is down"))
    if failure:
        faults.add(failure)
    if configuration.unicast_fault_no_peer and not configuration.unicast_peers:
        faults.add("it has no unicast peer")
    source = configuration.source_address or found.source
    if source is None and not is_down:
        # An interface that is switched off loses its IPv6 addresses: that follows, and is no reason of its own.
        faults.add(of_address(name, found.lacks))
    elif source is None:
        pass
    elif configuration.track_source and not has(source):
        faults.add(of_address(name, f"source address {source} is not on this host"))
    return frozenset(faults), source


def without_ipvs(configuration: VrrpInstance, state: IpvsState | None) -> frozenset[str]:
    """Why an instance with an address of a virtual server cannot take part; None: nothing is known of IPVS yet."""
    if state is None or state.usable or not configuration.served_address:
        return frozenset()
    text = f"virtual_server {configuration.served_address} is not served: {state.reason}"
    return frozenset({Fault(text, "ipvs", "ipvs")})

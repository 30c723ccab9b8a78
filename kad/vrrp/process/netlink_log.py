"""What the kernel tells of interfaces and addresses, as sentences for the log."""

from __future__ import annotations

from kad.linux.netlink.link import Link
from kad.linux.netlink.network_table import AddressChanged, LinkChanged


def of_link(change: LinkChanged) -> str:
    """keepalived's phrase and what it leaves out; empty when nothing that matters here changed."""
    old, new = change.old, change.new
    if new is None:
        return f"Netlink reports {old.name} removed" if old is not None else ""
    if old is None:
        return f"Netlink reports {new.name} created, {_condition(new)}"
    if old.name != new.name:
        return f"Netlink reports {old.name} renamed to {new.name}, {_condition(new)}"
    if old.up != new.up:
        return f"Netlink reports {new.name} {_condition(new)}"
    if old.mac != new.mac:
        return f"Netlink reports {new.name} with another hardware address, {new.mac.hex(':')}"
    return ""


def _condition(link: Link) -> str:
    if link.up:
        return "up"
    return "down: it has no carrier" if link.enabled else "down: it is switched off"


def of_address(change: AddressChanged, name: str) -> str:
    """An address of the host's own came or went."""
    address = change.address
    what = f"{address.address}/{address.prefix}"
    return f"Netlink reports {what} removed from {name}" if change.gone else f"Netlink reports {what} on {name}"

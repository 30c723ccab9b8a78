"""The links and addresses of this namespace as the kernel tells them; a lost message leads to a fresh look."""

from __future__ import annotations

import errno
from collections.abc import Callable, Container
from dataclasses import dataclass
from typing import Protocol

from kad.linux.netlink.address import Address, dump_addresses, parse_address
from kad.linux.netlink.link import Link, dump_links, parse_link
from kad.linux.netlink.socket import RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_LINK, Message, Netlink, Overrun
from kad.linux.refused import Refused
from kad.model.vrrp import NetlinkBuffers


@dataclass(frozen=True, slots=True)
class LinkChanged:
    """One of them is None when the link came or went."""

    old: Link | None
    new: Link | None


@dataclass(frozen=True, slots=True)
class AddressChanged:
    """An address came, changed or went."""

    address: Address
    gone: bool


Change = LinkChanged | AddressChanged


class Placeable(Protocol):
    """An address with the interface on which it is, or is to be."""

    @property
    def index(self) -> int: ...
    @property
    def address(self) -> str: ...
    @property
    def prefix(self) -> int: ...


_AddressKey = tuple[str, int]


def lowest(link: Link, kinds: Container[str], link_at: Callable[[int], Link | None]) -> Link:
    """See Network.lowest()."""
    passed = {link.index}
    while link.kind in kinds:
        below = link_at(link.lower) if link.lower else None
        if below is None or below.index in passed:
            break
        passed.add(below.index)
        link = below
    return link


class Network:
    """A table that follows the kernel, and the socket by which it is changed."""

    def __init__(self) -> None:
        self._monitor = Netlink.open((RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR))
        self._commands = Netlink.open()
        self._links: dict[int, Link] = {}
        self._by_name: dict[str, Link] = {}
        self._addresses: dict[int, dict[_AddressKey, Address]] = {}
        self._untold: list[Change] = []
        self.read_later: Callable[[], object] = lambda: None
        """Called when read() has something to tell that the socket no longer announces."""
        self.overruns = 0
        """How often the kernel had more to say than was read."""
        self.refresh()

    def fileno(self) -> int:
        return self._monitor.fileno()

    def size(self, buffers: NetlinkBuffers) -> None:
        """Of the receive buffers of both sockets."""
        self._commands.size(buffers.commands, forced=buffers.commands_forced)
        self._monitor.size(buffers.events, forced=buffers.events_forced)

    def link(self, name: str) -> Link | None:
        """The link of that name."""
        return self._by_name.get(name)

    def link_at(self, index: int) -> Link | None:
        """The link of that index."""
        return self._links.get(index)

    def links(self) -> list[Link]:
        return list(self._links.values())

    def lowest(self, link: Link, kinds: Container[str]) -> Link:
        """The interface below a stack of interfaces of these kinds: of those that this namespace shows, the last one.

        The walk ends whatever the indexes say: each interface is passed once.
        """
        return lowest(link, kinds, self.link_at)

    def addresses(self, index: int) -> list[Address]:
        """In the kernel's order: a primary address before its secondaries."""
        return list(self._addresses.get(index, {}).values())

    def has(self, address: Placeable) -> bool:
        """Whether its interface has it, whatever else is said of it."""
        return (address.address, address.prefix) in self._addresses.get(address.index, {})

    def has_anywhere(self, address: str) -> bool:
        """Whether some interface has this address."""
        return any(each == address for known in self._addresses.values() for each, _ in known)

    def request(self, batch: list[bytes]) -> list[int]:
        """Put prebuilt messages to the kernel; the errno of each, 0 when it did what was asked.

        Where the socket itself fails, none counts as done: to ask again for what was done is harmless.
        """
        try:
            return self._commands.request(batch)
        except Refused as refused:
            return [refused.errno or errno.EIO] * len(batch)

    def catch_up(self) -> bool:
        """Know by now what the last requests changed; read() tells of it later. Whether there is anything to tell."""
        waited = bool(self._untold)
        self._untold += self._listen()
        if self._untold and not waited:
            # The socket is empty now: without this call no event of it would lead to read().
            self.read_later()
        return bool(self._untold)

    def read(self) -> list[Change]:
        """What changed since the last look."""
        changes, self._untold = self._untold, []
        return changes + self._listen()

    def _listen(self) -> list[Change]:
        try:
            told = self._monitor.receive()
        except Overrun:
            self.overruns += 1
            return self.refresh()
        changes: list[Change] = []
        for message in told:
            changes += self._take(message)
        return changes

    def refresh(self) -> list[Change]:
        """Look at everything; what is different from what was known."""
        links = {link.index: link for link in dump_links(self._commands)}
        changes: list[Change] = [
            LinkChanged(self._links.get(index), links.get(index))
            for index in [*self._links, *(index for index in links if index not in self._links)]
            if self._links.get(index) != links.get(index)
        ]
        addresses: dict[int, dict[_AddressKey, Address]] = {}
        for address in dump_addresses(self._commands):
            addresses.setdefault(address.index, {})[address.address, address.prefix] = address
        for index, known in self._addresses.items():
            gone = [address for key, address in known.items() if key not in addresses.get(index, {})]
            changes += [AddressChanged(address, gone=True) for address in gone]
        for index, now in addresses.items():
            known = self._addresses.get(index, {})
            changes += [
                AddressChanged(address, gone=False) for key, address in now.items() if known.get(key) != address
            ]
        self._links, self._addresses = links, addresses
        self._by_name = {link.name: link for link in links.values()}
        return changes

    def _take(self, message: Message) -> list[Change]:
        if (link := parse_link(message)) is not None:
            return self._take_link(*link)
        if (address := parse_address(message)) is not None:
            return self._take_address(*address)
        return []

    def _take_link(self, link: Link, gone: bool) -> list[Change]:
        old = self._links.get(link.index)
        if old is not None and self._by_name.get(old.name) is old:
            del self._by_name[old.name]
        if gone:
            self._links.pop(link.index, None)
            self._addresses.pop(link.index, None)
            return [LinkChanged(old, None)] if old is not None else []
        self._links[link.index] = self._by_name[link.name] = link
        return [LinkChanged(old, link)] if old != link else []

    def _take_address(self, address: Address, gone: bool) -> list[Change]:
        known = self._addresses.setdefault(address.index, {})
        key = (address.address, address.prefix)
        if gone:
            return [AddressChanged(address, gone=True)] if known.pop(key, None) is not None else []
        if known.get(key) == address:
            return []
        known[key] = address
        return [AddressChanged(address, gone=False)]

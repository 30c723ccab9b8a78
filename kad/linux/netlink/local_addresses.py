"""The addresses that this namespace has, of any interface, and word of their changes."""

from __future__ import annotations

from contextlib import suppress

from kad.linux.netlink.address import dump_addresses
from kad.linux.netlink.socket import RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, Netlink, Overrun


class LocalAddresses:
    """Readable when an address may have come or gone."""

    def __init__(self) -> None:
        """Raises Refused."""
        self._monitor = Netlink.open((RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR))
        self._commands = Netlink.open()

    def fileno(self) -> int:
        return self._monitor.fileno()

    def look(self) -> frozenset[str]:
        """All of them, now."""
        # What changed is not asked: a fresh look is complete, also after word of a change was lost.
        with suppress(Overrun):
            self._monitor.receive()
        return frozenset(address.address for address in dump_addresses(self._commands))

    def close(self) -> None:
        self._monitor.close()
        self._commands.close()

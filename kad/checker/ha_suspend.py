"""Which addresses this host has now: ha_suspend asks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

from kad.child.multiplexer import Mux
from kad.linux.netlink.local_addresses import LocalAddresses


class Locality:
    """Follows the kernel's addresses while somebody needs to know them."""

    def __init__(self, mux: Mux, changed: Callable[[], None]) -> None:
        self._mux = mux
        self._changed = changed
        self._source: LocalAddresses | None = None
        self._here: frozenset[str] = frozenset()

    def watch(self, wanted: bool) -> None:
        """Begin or end. Raises Refused."""
        if wanted and self._source is None:
            self._source = LocalAddresses()
            self._here = self._source.look()
            self._mux.watch(self._source.fileno(), self._read, "following addresses")
        elif not wanted and self._source is not None:
            self._mux.unwatch(self._source.fileno())
            self._source.close()
            self._source = None

    def has_any(self, addresses: Iterable[str]) -> bool:
        """A range is FIRST-LAST."""
        return any(self._has_within(each) if "-" in each else each in self._here for each in addresses)

    def _has_within(self, text: str) -> bool:
        first, last = _bounds(text)
        here = (ip_address(each) for each in self._here)
        return any(each.version == first.version and int(first) <= int(each) <= int(last) for each in here)

    def _read(self) -> None:
        assert self._source is not None
        here = self._source.look()
        if here != self._here:
            self._here = here
            self._changed()


@lru_cache(maxsize=1024)
def _bounds(text: str) -> tuple[IPv4Address | IPv6Address, IPv4Address | IPv6Address]:
    first, _, last = text.partition("-")
    return ip_address(first), ip_address(last)

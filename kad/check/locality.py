"""Which addresses this host has now: ha_suspend asks."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from kad.linux.local_addresses import LocalAddresses
from kad.mux import Mux


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
        return any(address in self._here for address in addresses)

    def _read(self) -> None:
        assert self._source is not None
        here = self._source.look()
        if here != self._here:
            self._here = here
            self._changed()

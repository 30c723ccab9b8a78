"""The ipvs process: knows which services shall stand in the kernel's table, and says that it puts none there yet."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from kad.ipvs.keywords import IpvsSlice
from kad.log import Logger
from kad.messages import Message, to_plain
from kad.mux import Mux


class Room:
    """A kad.child.Room."""

    def __init__(self, mux: Mux, say: Callable[[Message], None], log: Logger) -> None:
        self._log = log
        self._slice = IpvsSlice()
        self._prepared: IpvsSlice | None = None

    def prepare(self, generation: int, slice_bytes: bytes) -> None:
        self._prepared = msgspec.msgpack.decode(slice_bytes, type=IpvsSlice)

    def abandon(self) -> None:
        self._prepared = None

    def commit(self, generation: int) -> None:
        assert self._prepared is not None
        self._slice, self._prepared = self._prepared, None
        for server in self._slice.virtual_servers:
            self._log.warning(f"virtual_server {server.name} is not served yet: this version does not program IPVS")

    def receive(self, message: Message) -> None:
        """Nothing that others say changes what is not done."""

    def tell_all(self) -> None:
        """There is nothing to tell."""

    def snapshot(self, clear_statistics: bool) -> dict[str, object]:
        return {"served": False, "virtual_servers": [to_plain(server) for server in self._slice.virtual_servers]}

    async def stop(self, release: bool, handover: float) -> None:
        """The kernel's table was not touched."""

    async def orphaned(self) -> None:
        """The kernel's table was not touched."""

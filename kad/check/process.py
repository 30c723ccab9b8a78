"""The checker process: knows which servers would have to be asked, and says that it does not ask them yet."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from kad.check.keywords import CheckerSlice
from kad.log import Logger
from kad.messages import Message, to_plain
from kad.mux import Mux


class Room:
    """A kad.child.Room."""

    def __init__(self, mux: Mux, say: Callable[[Message], None], log: Logger) -> None:
        self._log = log
        self._slice = CheckerSlice()
        self._prepared: CheckerSlice | None = None

    def prepare(self, generation: int, slice_bytes: bytes) -> None:
        self._prepared = msgspec.msgpack.decode(slice_bytes, type=CheckerSlice)

    def abandon(self) -> None:
        self._prepared = None

    def commit(self, generation: int) -> None:
        assert self._prepared is not None
        self._slice, self._prepared = self._prepared, None
        self._log.warning(f"{len(self._slice.servers)} real servers are not checked yet: this version makes no checks")

    def receive(self, message: Message) -> None:
        """Nothing that others say changes what is not done."""

    def tell_all(self) -> None:
        """There is no verdict to tell."""

    def snapshot(self, clear_statistics: bool) -> dict[str, object]:
        return {"served": False, "servers": [to_plain(server) for server in self._slice.servers]}

    async def stop(self, release: bool, handover: float) -> None:
        """Nothing was begun."""

    async def orphaned(self) -> None:
        """Nothing was begun."""

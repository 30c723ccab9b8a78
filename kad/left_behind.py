"""What the IPVS table was told by this daemon, in a file: a life after SIGKILL takes away what it no longer names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kad import messages
from kad.family import Member
from kad.linux.memory import read_memory_file
from kad.linux.runtime_directory import read_file, replace_file

if TYPE_CHECKING:
    from kad.watchdog import Watchdog

_MEMORY = "ipvs.left"


class LeftBehind:
    """For the watchdog: the ipvs part of the configuration that runs, and of the one that ran before the start."""

    def __init__(self, watchdog: Watchdog) -> None:
        self._watchdog = watchdog
        self._memory = watchdog.options.runtime_directory / _MEMORY
        try:
            self._earlier: bytes | None = read_file(self._memory)
        except OSError:
            self._earlier = None

    def tell(self, member: Member) -> None:
        """Each life of the ipvs process hears of the earlier daemon, until one of them runs its configuration."""
        if member.name == "ipvs" and self._earlier is not None:
            self._watchdog.send(member, messages.IpvsLeft(slice=self._earlier))

    def remember(self) -> None:
        """Another configuration runs, and the table is as it says."""
        self._earlier = None
        current = self._watchdog.reload.current
        if current is None or "ipvs" not in current.slices:
            self._memory.unlink(missing_ok=True)
            return
        try:
            replace_file(self._memory, read_memory_file(current.slices["ipvs"]))
        except OSError as error:
            self._watchdog.log.warning(f"{self._memory}: {error.strerror}")

    def forget(self) -> None:
        """The daemon ends in order, and leaves nothing in the table."""
        if self._watchdog.options.release_ipvs_at_stop:
            self._memory.unlink(missing_ok=True)

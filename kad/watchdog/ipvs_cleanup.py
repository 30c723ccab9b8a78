"""What the IPVS table was told by this daemon, in a file: a life after SIGKILL takes away what it no longer names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from kad.linux.files.runtime_directory import read_file, remove_file, replace_file
from kad.linux.process.memfd import read_memory_file, write_memory_file
from kad.shared import messages
from kad.watchdog import supervision
from kad.watchdog.process_specs import Member

if TYPE_CHECKING:
    from kad.watchdog.daemon import Watchdog

_TABLE = "ipvs.left"
_MEMORY = "ipvs.memory"
_LARGEST = 24 * 1024 * 1024
"""Bytes of a file that is taken: both are sent to the ipvs process in one message."""
_NO_SERVICES = b"\x80"
"""A part for the ipvs process in which nothing is said."""


class LeftBehind:
    """For the watchdog: the ipvs part of the configuration that runs, and of the one that ran before the start."""

    def __init__(self, watchdog: Watchdog) -> None:
        self._watchdog = watchdog
        self._table = watchdog.options.runtime_directory / _TABLE
        self._memory = watchdog.options.runtime_directory / _MEMORY
        self._earlier = self._read(self._table)
        self._earlier_memory = self._read(self._memory) or b""
        self._heir = False

    def _read(self, path: Path) -> bytes | None:
        """None: it is not there, or cannot be read."""
        try:
            return read_file(path, _LARGEST)
        except FileNotFoundError:
            return None
        except OSError as error:
            self._watchdog.log.error(f"{path}: {error.strerror}: what an earlier daemon left is not known")
            return None

    def appoint(self, slices: dict[str, int]) -> None:
        """Where no virtual server is configured any more, an ipvs process lives until what was left is gone."""
        if self._earlier is not None and "ipvs" not in slices:
            slices["ipvs"] = write_memory_file("ipvs", _NO_SERVICES)
            self._heir = True

    def dismiss(self, slices: dict[str, int]) -> None:
        """It is at work, and leaves when that is done."""
        if self._heir:
            self._heir = False
            os.close(slices.pop("ipvs"))
            patience = self._watchdog.reload.words.child_wait_time
            self._watchdog.supervise(self._watchdog.members["ipvs"], supervision.Unwanted(patience))

    def tell(self, member: Member) -> None:
        """Each life of the ipvs process hears of the earlier daemon, until one of them runs its configuration."""
        if member.name == "ipvs" and self._earlier is not None:
            self._watchdog.send(member, messages.IpvsLeft(slice=self._earlier, memory=self._earlier_memory))

    def keep(self, memory: bytes) -> None:
        """What the ipvs process says that its next life must know: an IpvsMemory as msgpack."""
        self._write(self._memory, memory)

    def remember(self) -> None:
        """Another configuration runs, and the table is as it says."""
        self._earlier = None
        current = self._watchdog.reload.current
        if current is None or "ipvs" not in current.slices:
            self._remove()
            return
        self._write(self._table, read_memory_file(current.slices["ipvs"]))

    def forget(self) -> None:
        """The daemon ends in order, and leaves nothing in the table."""
        if self._watchdog.options.release_ipvs_at_stop:
            self._remove()

    def _remove(self) -> None:
        remove_file(self._table)
        remove_file(self._memory)

    def _write(self, path: Path, content: bytes) -> None:
        try:
            replace_file(path, content)
        except OSError as error:
            self._watchdog.log.warning(f"{path}: {error.strerror}")

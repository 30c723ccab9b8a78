"""What the IPVS table was told by this daemon, in a file: a life after SIGKILL takes away what it no longer names."""

from __future__ import annotations

import os
from pathlib import Path

from kad.linux.files.runtime_directory import read_file, remove_file, replace_file
from kad.linux.process.memfd import read_memory_file, write_memory_file
from kad.shared import messages
from kad.shared.log import Logger
from kad.watchdog import supervision
from kad.watchdog.children import Children
from kad.watchdog.process_specs import Member
from kad.watchdog.two_phase_commit import RunningConfiguration

_TABLE = "ipvs.left"
_MEMORY = "ipvs.memory"
_LARGEST = 24 * 1024 * 1024
"""Bytes of a file that is taken: both are sent to the ipvs process in one message."""
_NO_SERVICES = b"\x80"
"""A part for the ipvs process in which nothing is said."""


class IpvsCleanup:
    """The ipvs part of the configuration that runs, and of the one that ran before the start."""

    def __init__(
        self,
        children: Children,
        running: RunningConfiguration,
        log: Logger,
        runtime_directory: Path,
        *,
        release_at_stop: bool,
    ) -> None:
        self._children = children
        self._running = running
        self._log = log
        self._release_at_stop = release_at_stop
        self._table = runtime_directory / _TABLE
        self._memory = runtime_directory / _MEMORY
        self._earlier = self._read(self._table)
        self._earlier_memory = self._read(self._memory) or b""
        self._cleanup_running = False

    def _read(self, path: Path) -> bytes | None:
        """None: it is not there, or cannot be read."""
        try:
            return read_file(path, _LARGEST)
        except FileNotFoundError:
            return None
        except OSError as error:
            self._log.error(f"{path}: {error.strerror}: what an earlier daemon left is not known")
            return None

    def start_cleanup(self, slices: dict[str, int]) -> None:
        """Where no virtual server is configured any more, an ipvs process lives until what was left is gone."""
        if self._earlier is not None and "ipvs" not in slices:
            slices["ipvs"] = write_memory_file("ipvs", _NO_SERVICES)
            self._cleanup_running = True

    def end_cleanup(self) -> None:
        """It is at work, and leaves when that is done."""
        if self._cleanup_running:
            self._cleanup_running = False
            os.close(self._running.slices.pop("ipvs"))
            patience = self._running.words.child_wait_time
            self._children.supervise(self._children.members["ipvs"], supervision.Unwanted(patience))

    def tell(self, member: Member) -> None:
        """Each life of the ipvs process hears of the earlier daemon, until one of them runs its configuration."""
        if member.name == "ipvs" and self._earlier is not None:
            self._children.send(member, messages.IpvsLeft(slice=self._earlier, memory=self._earlier_memory))

    def keep(self, memory: bytes) -> None:
        """What the ipvs process says that its next life must know: an IpvsMemory as msgpack."""
        self._write(self._memory, memory)

    def remember(self) -> None:
        """Another configuration runs, and the table is as it says."""
        self._earlier = None
        slices = self._running.slices
        if "ipvs" not in slices:
            self._remove()
            return
        self._write(self._table, read_memory_file(slices["ipvs"]))

    def forget(self) -> None:
        """The daemon ends in order, and leaves nothing in the table."""
        if self._release_at_stop:
            self._remove()

    def _remove(self) -> None:
        remove_file(self._table)
        remove_file(self._memory)

    def _write(self, path: Path, content: bytes) -> None:
        try:
            replace_file(path, content)
        except OSError as error:
            self._log.warning(f"{path}: {error.strerror}")

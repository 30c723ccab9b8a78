"""Pid files: one running daemon each, held by a lock, so that a stale file never stops anybody."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from kad.linux.refused import Refused


class AlreadyRunning(Exception):
    """Another process holds the pid file."""

    def __init__(self, path: Path, pid: str) -> None:
        super().__init__(f"kad is already running with pid {pid or 'unknown'} ({path})")
        self.pid = pid


class PidFile:
    """The lock is shared with forked processes until they close `descriptor`."""

    def __init__(self, path: Path) -> None:
        """Lock the file. Raises AlreadyRunning or Refused."""
        self.path = path
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            self.descriptor = os.open(path, flags, 0o644)
        except OSError as error:
            raise Refused(f"pid file {path}", error.errno or 0) from error
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            pid = os.pread(self.descriptor, 32, 0).decode(errors="replace").strip()
            os.close(self.descriptor)
            raise AlreadyRunning(path, pid) from None

    def write(self, pid: int) -> None:
        os.ftruncate(self.descriptor, 0)
        os.pwrite(self.descriptor, f"{pid}\n".encode(), 0)

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
        os.close(self.descriptor)


def write_child_pid(path: Path, pid: int) -> None:
    """A pid file for others to read; nothing is locked."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        os.write(descriptor, f"{pid}\n".encode())
    finally:
        os.close(descriptor)

"""Pid files: one running daemon each, held by a lock, so that a stale file never stops anybody."""

from __future__ import annotations

import fcntl
import os
import stat
from contextlib import suppress
from errno import EPERM
from pathlib import Path

from kad.linux.refused import Refused


class AlreadyRunning(Exception):
    """Another process holds the pid file."""

    def __init__(self, path: Path, pid: str) -> None:
        super().__init__(f"kad is already running with pid {pid or 'unknown'} ({path})")
        self.pid = pid


class PidFile:
    """The lock is on a file beside it that only its owner can open: who can read a file can lock it.

    It is shared with forked processes until they close `descriptor`.
    """

    def __init__(self, path: Path) -> None:
        """Raises AlreadyRunning or Refused."""
        self.path = path
        self._file = _open(path, 0o644)
        try:
            self.descriptor = _lock(_lock_path(path))
        except BlockingIOError:
            pid = os.pread(self._file, 32, 0).decode(errors="replace").strip()
            os.close(self._file)
            raise AlreadyRunning(path, pid) from None
        except Refused:
            os.close(self._file)
            raise

    def write(self, pid: int) -> None:
        """Raises OSError: the file system is full."""
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{pid}\n".encode(), 0)

    def remove(self) -> None:
        """Also where it cannot be removed, another daemon may have it now."""
        for path in (self.path, _lock_path(self.path)):
            with suppress(OSError):
                path.unlink()
        os.close(self._file)
        os.close(self.descriptor)


def is_locked(path: Path) -> bool:
    """Whether a daemon with this pid file runs."""
    try:
        descriptor = os.open(_lock_path(path), os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def _lock_path(path: Path) -> Path:
    return path.with_name(f".{path.name}.lock")


def _lock(path: Path) -> int:
    """A descriptor with the lock. Raises BlockingIOError or Refused."""
    while True:
        descriptor = _open(path, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The daemon that had it may have removed the file in between.
            if os.fstat(descriptor).st_ino == os.stat(path).st_ino:
                return descriptor
        except FileNotFoundError:
            pass
        except OSError:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _open(path: Path, mode: int) -> int:
    """A regular file of our own. Raises Refused."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        descriptor = os.open(path, flags, mode)
    except OSError as error:
        raise Refused(f"pid file {path}", error.errno or 0) from error
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_uid not in (0, os.geteuid()):
        os.close(descriptor)
        raise Refused(f"pid file {path}: it is no regular file of this user", EPERM)
    return descriptor


def write_child_pid(path: Path, pid: int) -> None:
    """A pid file for others to read; nothing is locked."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        os.write(descriptor, f"{pid}\n".encode())
    finally:
        os.close(descriptor)

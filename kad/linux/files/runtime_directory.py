"""The folder of sockets, pid files and dumps: nobody but the daemon's user may put anything there."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from errno import EFBIG, EINVAL, EPERM
from pathlib import Path

from kad.linux.refused import Refused, refusing

_LARGEST = 256 * 1024 * 1024
_SHARED = ("/", "/tmp", "/var/tmp", "/run", "/dev/shm")
"""These must stay open to all."""


def replace_file(path: Path, content: bytes) -> None:
    """Whole or not at all, for the owner's eyes alone: another name first, then renamed. Raises OSError."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        with os.fdopen(os.open(unfinished, flags, 0o600), "wb") as file:
            file.write(content)
        unfinished.rename(path)
    except OSError:
        remove_file(unfinished)
        raise


def remove_file(path: Path) -> None:
    """Where it is there and may go; a file system that can only be read by now keeps it."""
    with suppress(OSError):
        path.unlink()


def read_file(path: Path, largest: int = _LARGEST) -> bytes:
    """Of the folder itself: no link is followed, and no FIFO waited for. Raises OSError, also where it is larger."""
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW
    with os.fdopen(os.open(path, flags), "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise OSError(EINVAL, "it is no regular file", str(path))
        if found.st_size > largest:
            raise OSError(EFBIG, "it is too large", str(path))
        return file.read()


def prepare_runtime_directory(path: Path) -> str:
    """Make it where it is missing; what the operator should know of it, or nothing.

    A fresh file system in its place, as containers get one, is open to all: that is closed. Raises Refused: it cannot
    be made or closed, or others have put something there.
    """
    with refusing(f"runtime directory {path}"):
        path.mkdir(mode=0o755, parents=True, exist_ok=True)
        found = path.stat()
        owners = {entry.stat(follow_symlinks=False).st_uid for entry in os.scandir(path)}
    if found.st_uid not in (0, os.geteuid()):
        raise Refused(f"runtime directory {path}: it belongs to user {found.st_uid}", EPERM)
    if not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return ""
    if str(path.resolve()) in _SHARED or not owners <= {os.geteuid()}:
        raise Refused(f"runtime directory {path}: others can write in it", EPERM)
    if found.st_uid != os.geteuid():
        return f"runtime directory {path}: others can write in it"
    with refusing(f"runtime directory {path}"):
        path.chmod(0o755)
    return f"runtime directory {path}: others could write in it; no longer"

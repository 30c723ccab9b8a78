"""The folder of sockets, pid files and dumps: nobody but the daemon's user may put anything there."""

from __future__ import annotations

import os
import stat
from errno import EPERM
from pathlib import Path

from kad.linux.refused import Refused, refusing


def prepare_runtime_directory(path: Path) -> None:
    """Make it where it is missing. Raises Refused: it cannot be made, or others could plant files in it."""
    with refusing(f"runtime directory {path}"):
        path.mkdir(mode=0o755, parents=True, exist_ok=True)
        found = path.stat()
    if found.st_uid not in (0, os.geteuid()):
        raise Refused(f"runtime directory {path}: it belongs to user {found.st_uid}", EPERM)
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise Refused(f"runtime directory {path}: others can write in it", EPERM)

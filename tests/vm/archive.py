"""The initial file system of the guest: a cpio archive in the format that Linux unpacks."""

from __future__ import annotations

import stat
from collections.abc import Iterable
from pathlib import Path


class Archive:
    """Files, folders and links, in the order in which they are added; folders above them are made."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._known: set[str] = set()

    def folder(self, name: str) -> None:
        if name and name not in self._known:
            self.folder(name.rpartition("/")[0])
            self._add(name, stat.S_IFDIR | 0o755, b"", 0)

    def file(self, name: str, data: bytes, mode: int = 0o644, changed: int = 0) -> None:
        """`changed`: UNIX seconds of the last change."""
        self.folder(name.rpartition("/")[0])
        self._add(name, stat.S_IFREG | mode, data, changed)

    def copy(self, path: Path, below: str = "") -> None:
        """A file or a link of this host, under its own absolute name below that folder."""
        name, found = below + str(path)[not below :], path.lstat()
        if stat.S_ISLNK(found.st_mode):
            self.folder(name.rpartition("/")[0])
            self._add(name, found.st_mode, str(path.readlink()).encode(), int(found.st_mtime))
        else:
            self.file(name, path.read_bytes(), found.st_mode & 0o777, int(found.st_mtime))

    def copy_all(self, paths: Iterable[Path], below: str = "") -> None:
        for path in paths:
            self.copy(path, below)

    def written(self) -> bytes:
        self._add("TRAILER!!!", 0, b"", 0)
        return b"".join(self._parts)

    def _add(self, name: str, mode: int, data: bytes, changed: int) -> None:
        """Linux, Documentation/driver-api/early-userspace/buffer-format.rst: newc."""
        if name in self._known:
            return
        self._known.add(name)
        fields = (len(self._known), mode, 0, 0, 1, changed, len(data), 0, 0, 0, 0, len(name) + 1, 0)
        head = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
        self._parts += [head, bytes(-len(head) % 4), data, bytes(-len(data) % 4)]

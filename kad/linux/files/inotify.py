"""What happens to the files of folders (inotify), as names."""

from __future__ import annotations

import ctypes
import os
import struct
from typing import NamedTuple

from kad.linux.libc import LIBC, call

_CLOSE_WRITE, _MOVED_FROM, _MOVED_TO, _CREATE, _DELETE = 0x8, 0x40, 0x80, 0x100, 0x200
_DELETE_SELF, _MOVE_SELF = 0x400, 0x800
_UNMOUNT, _OVERFLOW, _IGNORED = 0x2000, 0x4000, 0x8000
_ONLY_FOLDERS = 0x1000000
_USUAL = _CLOSE_WRITE | _MOVED_FROM | _MOVED_TO | _DELETE | _DELETE_SELF | _MOVE_SELF | _ONLY_FOLDERS
_EVENT = struct.Struct("@iIII")

_add_watch = LIBC.inotify_add_watch
_add_watch.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32)
_statfs = LIBC["statfs"]
_statfs.argtypes = (ctypes.c_char_p, ctypes.c_char_p)

_CHANGED_ELSEWHERE = {
    0x6969: "NFS",
    0x517B: "SMB",
    0xFF534D42: "CIFS",
    0xFE534D42: "SMB2",
    0x65735546: "FUSE",
    0x00C36400: "CephFS",
    0x5346414F: "AFS",
    0x01021997: "9P",
    0x01161970: "GFS2",
    0x7461636F: "OCFS2",
    0x9FA0: "proc",
    0x62656572: "sysfs",
}
"""File systems that change without this kernel's doing, by their numbers in statfs(2)."""


class Change(NamedTuple):
    """Something happened in a folder."""

    folder: str
    name: str | None
    """None: anything may have happened, or the folder is gone."""


class FolderWatches:
    """Readable when a file of one of the folders was written and closed, came by a rename, or went."""

    def __init__(self) -> None:
        """Raises Refused: no watches left."""
        self._descriptor = call("watching files", LIBC.inotify_init1, os.O_NONBLOCK | os.O_CLOEXEC)
        self._folders: dict[int, set[str]] = {}
        """By the kernel's number: one folder may have several names."""

    def fileno(self) -> int:
        return self._descriptor

    @property
    def folders(self) -> set[str]:
        """Those that are watched."""
        return set().union(*self._folders.values())

    def add(self, folder: str, *, links: bool = False) -> None:
        """Watch it too, with `links` also for links that are made; raises Refused: no such folder, no watches left."""
        mask = _USUAL | _CREATE if links else _USUAL
        number = call(f"watching {folder}", _add_watch, self._descriptor, os.fsencode(folder), mask)
        self._folders.setdefault(number, set()).add(folder)

    def remove(self, folder: str) -> None:
        """Watch it no longer."""
        for number, names in list(self._folders.items()):
            names.discard(folder)
            if not names:
                del self._folders[number]
                LIBC.inotify_rm_watch(self._descriptor, number)

    def changes(self) -> list[Change]:
        """Since the last look, in their order."""
        found: list[Change] = []
        while True:
            try:
                data = os.read(self._descriptor, 65536)
            except BlockingIOError:
                return found
            offset = 0
            while offset + _EVENT.size <= len(data):
                number, mask, _, length = _EVENT.unpack_from(data, offset)
                offset += _EVENT.size
                name = os.fsdecode(data[offset : offset + length].rstrip(b"\0"))
                offset += length
                found += self._change(number, mask, name)

    def _change(self, number: int, mask: int, name: str) -> list[Change]:
        if mask & _OVERFLOW:
            return [Change(folder, None) for folder in self.folders]
        folders = sorted(self._folders.get(number, ()))
        if mask & _MOVE_SELF:
            # It is watched under a name that is no longer its own.
            for folder in folders:
                self.remove(folder)
        elif mask & _IGNORED:
            self._folders.pop(number, None)
        whole = mask & (_MOVE_SELF | _DELETE_SELF | _UNMOUNT | _IGNORED)
        return [Change(folder, None if whole else name) for folder in folders]

    def close(self) -> None:
        os.close(self._descriptor)


class FolderWatch:
    """The same for a single folder."""

    def __init__(self, folder: str) -> None:
        """Raises Refused: no such folder, or no watches left."""
        self._watches = FolderWatches()
        try:
            self._watches.add(folder)
        except BaseException:
            self._watches.close()
            raise

    def fileno(self) -> int:
        return self._watches.fileno()

    def names(self) -> set[str]:
        """Of the files that something happened to since the last look."""
        return {change.name for change in self._watches.changes() if change.name is not None}

    def close(self) -> None:
        self._watches.close()


def changes_unseen(folder: str) -> bool:
    """Whether files there can change without an event: on file systems of other hosts, and of the kernel itself."""
    buffer = ctypes.create_string_buffer(512)
    if _statfs(os.fsencode(folder), buffer):
        return True
    return struct.unpack_from("@l", buffer)[0] & 0xFFFFFFFF in _CHANGED_ELSEWHERE

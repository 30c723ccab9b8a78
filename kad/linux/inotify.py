"""What happens to the files of a folder (inotify), as names."""

from __future__ import annotations

import ctypes
import os
import struct

from kad.linux.libc import LIBC, call

_CLOSE_WRITE, _MOVED_FROM, _MOVED_TO, _DELETE = 0x8, 0x40, 0x80, 0x200
_EVENT = struct.Struct("@iIII")

_add_watch = LIBC.inotify_add_watch
_add_watch.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32)


class FolderWatch:
    """Readable when a file of the folder was written and closed, came by a rename, or went."""

    def __init__(self, folder: str) -> None:
        """Raises Refused: no such folder, or no watches left."""
        self._descriptor = call("watching files", LIBC.inotify_init1, os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            mask = _CLOSE_WRITE | _MOVED_FROM | _MOVED_TO | _DELETE
            call(f"watching {folder}", _add_watch, self._descriptor, os.fsencode(folder), mask)
        except BaseException:
            os.close(self._descriptor)
            raise

    def fileno(self) -> int:
        return self._descriptor

    def names(self) -> set[str]:
        """Of the files that something happened to since the last look."""
        found: set[str] = set()
        try:
            data = os.read(self._descriptor, 65536)
        except BlockingIOError:
            return found
        offset = 0
        while offset + _EVENT.size <= len(data):
            _, _, _, length = _EVENT.unpack_from(data, offset)
            offset += _EVENT.size
            found.add(os.fsdecode(data[offset : offset + length].rstrip(b"\0")))
            offset += length
        return found

    def close(self) -> None:
        os.close(self._descriptor)

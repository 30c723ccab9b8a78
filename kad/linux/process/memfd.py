"""Memory as files and figures: sealed memory files between processes, and what a process occupies."""

from __future__ import annotations

import fcntl
import os

_F_ADD_SEALS = 1033
_F_GET_SEALS = 1034
_UNCHANGEABLE = 0x2 | 0x4 | 0x8  # shrink, grow, write
_SEAL_EVERYTHING = 0x1 | 0x2 | 0x4 | 0x8  # seal, shrink, grow, write


def write_memory_file(name: str, content: bytes) -> int:
    """A descriptor of a memory file that nobody can change any more."""
    descriptor = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    with os.fdopen(os.dup(descriptor), "wb") as file:
        file.write(content)
    fcntl.fcntl(descriptor, _F_ADD_SEALS, _SEAL_EVERYTHING)
    return descriptor


def read_memory_file(descriptor: int) -> bytes:
    """All of it, whatever the offset that others who share the descriptor left."""
    size = os.fstat(descriptor).st_size
    parts, offset = [], 0
    while offset < size:
        part = os.pread(descriptor, size - offset, offset)
        if not part:
            break
        parts.append(part)
        offset += len(part)
    return b"".join(parts)


def read_sealed(descriptor: int, most: int) -> bytes:
    """Of another process's memory file. Raises ValueError: it is none, can change, or has more than `most` bytes."""
    try:
        seals = fcntl.fcntl(descriptor, _F_GET_SEALS)
    except OSError as error:
        raise ValueError("the descriptor is no memory file") from error
    if seals & _UNCHANGEABLE != _UNCHANGEABLE:
        raise ValueError("the memory file is not sealed")
    if (size := os.fstat(descriptor).st_size) > most:
        raise ValueError(f"the memory file has {size} bytes, more than {most}")
    return read_memory_file(descriptor)


def resident_memory(pid: int | None = None) -> dict[str, int]:
    """Bytes of `rss` and, where the kernel tells it, `pss` of a process; empty when it is gone."""
    who = "self" if pid is None else str(pid)
    figures: dict[str, int] = {}
    try:
        with open(f"/proc/{who}/smaps_rollup") as file:
            for line in file:
                key, _, rest = line.partition(":")
                if key in ("Rss", "Pss"):
                    figures[key.lower()] = int(rest.split()[0]) * 1024
    except OSError:
        pass
    return figures

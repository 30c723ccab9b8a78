"""Processes as /proc shows them: who there is, what each is called and runs; zombies are nobody."""

from __future__ import annotations

import os
from functools import cached_property
from typing import NamedTuple

_DEAD = (b"Z", b"X", b"x")
_KERNEL_THREAD = 0x00200000


class Executable(NamedTuple):
    """What a process runs."""

    path: str
    """As the kernel names it; " (deleted)" follows when the file is gone or was replaced."""
    device: int
    inode: int


class Process:
    """One process at one moment; what is asked later than it lived is empty."""

    def __init__(self, pid: int, name: str, started: int, flags: int = 0) -> None:
        self._flags = flags
        self.pid = pid
        self.name = name
        """At most 15 bytes; of threads of the kernel more."""
        self.started = started
        """Clock ticks since the boot: with the number it names the process for good."""

    @cached_property
    def arguments(self) -> tuple[str, ...]:
        """The command line, from argv[0] on; a process may have written something else there."""
        content = _read(self.pid, "cmdline")
        if not content:
            return ()
        return tuple(os.fsdecode(word) for word in content.removesuffix(b"\0").split(b"\0"))

    @property
    def is_unfinished(self) -> bool:
        """Its arguments were asked for and are not there, as in the middle of an exec: the name changes before them."""
        return self.__dict__.get("arguments") == () and not self._flags & _KERNEL_THREAD

    @cached_property
    def executable(self) -> Executable | None:
        """None for threads of the kernel."""
        link = f"/proc/{self.pid}/exe"
        try:
            path, found = os.readlink(link), os.stat(link)
        except OSError:
            return None
        return Executable(path, found.st_dev, found.st_ino)

    @property
    def executable_path(self) -> str:
        return self.executable.path if self.executable else ""

    def runs(self, path: str) -> bool:
        """Whether it runs that file; False where no file is there."""
        try:
            wanted = os.stat(path)
        except (OSError, ValueError):
            return False
        executable = self.executable
        if executable is None:
            return False
        same = (executable.device, executable.inode) == (wanted.st_dev, wanted.st_ino)
        return same or executable.path == path


def all_pids() -> list[int]:
    """Of every process, zombies too."""
    import psutil  # Only a host that watches processes pays for it.

    found: list[int] = psutil.pids()
    return found


def name_of(pid: int) -> str | None:
    """What the kernel calls it, zombies too; None when it is gone."""
    name = _read(pid, "comm")
    return os.fsdecode(name.removesuffix(b"\n")) if name else None


def look(pid: int) -> Process | None:
    """The process, or None when it has ended."""
    content = _read(pid, "stat")
    name, _, rest = content.partition(b"(")[2].rpartition(b")")
    fields = rest.split(None, 20)
    if len(fields) < 20 or fields[0] in _DEAD:
        return None
    return Process(pid, os.fsdecode(name), int(fields[19]), int(fields[6]))


def _read(pid: int, name: str) -> bytes:
    try:
        descriptor = os.open(f"/proc/{pid}/{name}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        content = part = os.read(descriptor, 4096)
        while len(part) == 4096:
            part = os.read(descriptor, 4096)
            content += part
    except OSError:  # it ended in between
        return b""
    finally:
        os.close(descriptor)
    return content

"""The machine that a configuration is judged for, as a value."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec


class Interface(msgspec.Struct, frozen=True, kw_only=True):
    """A network interface."""

    name: str
    index: int
    flags: int = 0
    """IFF_ bits of the kernel."""
    mtu: int = 1500
    addresses: tuple[str, ...] = ()
    """ADDRESS/PREFIX, canonical."""
    vrf_table: int | None = None
    """The routing table of the VRF that it is; None where it is none."""
    mac: str = ""
    kind: str = ""
    """"macvlan", "veth", …; empty for a physical one."""

    @property
    def is_loopback(self) -> bool:
        return bool(self.flags & 0x8)


class FileLook(msgspec.Struct, frozen=True, kw_only=True):
    """What can be seen of a file without reading it; symbolic links are followed."""

    kind: str
    """file, directory, link (of look_at_link alone) or other."""
    mode: int
    uid: int
    gid: int


class TooMany(Exception):
    """A pattern stands for more files than a configuration has, or would take too long to expand."""


class Files(Protocol):
    """The file system, read only."""

    def read(self, path: str) -> bytes:
        """The content; raises OSError."""

    def look(self, path: str) -> FileLook | None:
        """None when there is no such file, or it may not be seen."""

    def look_at_link(self, path: str) -> FileLook | None:
        """The same of a symbolic link itself."""

    def target(self, path: str) -> str:
        """What a symbolic link says; empty when it is none."""

    def begins(self, path: str) -> bytes | None:
        """The first 128 bytes of a regular file; None when it is none, or may not be read."""

    def glob(self, pattern: str) -> Sequence[str]:
        """Sorted matches of * ? and []; names that begin with a dot need one in the pattern. Raises TooMany."""

    def resolve(self, path: str) -> str:
        """The path without symbolic links."""


class NoFiles:
    """A machine without any file."""

    def read(self, path: str) -> bytes:
        raise FileNotFoundError(2, "No such file or directory", path)

    def look(self, path: str) -> FileLook | None:
        return None

    def look_at_link(self, path: str) -> FileLook | None:
        return None

    def target(self, path: str) -> str:
        return ""

    def begins(self, path: str) -> bytes | None:
        return None

    def glob(self, pattern: str) -> Sequence[str]:
        return ()

    def resolve(self, path: str) -> str:
        return path


@dataclass(frozen=True, kw_only=True)
class Host:
    """Everything that the analyzer may ask about the machine."""

    interfaces: dict[str, Interface] = field(default_factory=dict)
    users: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Name to uid and primary gid."""
    groups: dict[str, int] = field(default_factory=dict)
    name: str = "localhost"
    environment: dict[str, str] = field(default_factory=dict)
    cwd: str = "/"
    uid: int = 0
    processors: int | None = None
    """How many there are, numbered from 0; None: unknown."""
    seed: int = 0
    """Where ${_RANDOM} begins; equal seeds give equal numbers."""
    files: Files = field(default_factory=NoFiles)

    @functools.cached_property
    def addresses(self) -> frozenset[str]:
        """Those of all interfaces, without their prefixes."""
        return frozenset(each.partition("/")[0] for one in self.interfaces.values() for each in one.addresses)

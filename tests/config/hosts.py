"""Hosts that exist only as values: their files, interfaces and users are literals."""

from __future__ import annotations

import fnmatch
import os.path
from collections.abc import Mapping, Sequence

from kad.analyzer.process import Analysis, Options, analyze
from kad.model.host import FileLook, Host, Interface

FILE = "/etc/kad/kad.conf"
PROGRAMS = ("/bin/sh", "/bin/bash", "/bin/true", "/usr/bin/killall", "/etc/keepalived/notify.sh")


class Memory:
    """Files by path; a program is a file of mode 0755 that root owns, everything else is plain."""

    def __init__(
        self,
        texts: Mapping[str, str | bytes],
        looks: Mapping[str, FileLook] | None = None,
        links: Mapping[str, str] | None = None,
    ) -> None:
        self.texts = dict(texts)
        self.links = dict(links or {})
        self.looks = {path: FileLook(kind="file", mode=0o644, uid=0, gid=0) for path in texts}
        self.looks |= {path: FileLook(kind="file", mode=0o755, uid=0, gid=0) for path in PROGRAMS}
        self.looks |= looks or {}
        for path in self.links:
            self.looks.setdefault(path, FileLook(kind="link", mode=0o777, uid=0, gid=0))
        for path in list(self.looks):
            while path != "/":
                path = os.path.dirname(path)
                self.looks.setdefault(path, FileLook(kind="directory", mode=0o755, uid=0, gid=0))

    def read(self, path: str) -> bytes:
        if path not in self.texts:
            raise FileNotFoundError(2, "No such file or directory", path)
        text = self.texts[path]
        return text if isinstance(text, bytes) else text.encode()

    def look(self, path: str) -> FileLook | None:
        return self.looks.get(self.resolve(path))

    def look_at_link(self, path: str) -> FileLook | None:
        return self.looks.get(os.path.normpath(path))

    def target(self, path: str) -> str:
        return self.links.get(os.path.normpath(path), "")

    def begins(self, path: str) -> bytes | None:
        if path not in self.texts:
            return b"#!/bin/sh\n" if path in self.looks and self.looks[path].kind == "file" else None
        return self.read(path)[:128]

    def glob(self, pattern: str) -> Sequence[str]:
        return sorted(
            path
            for path in self.looks
            if path.count("/") == pattern.count("/") and fnmatch.fnmatchcase(path, os.path.normpath(pattern))
        )

    def resolve(self, path: str, links: int = 0) -> str:
        path = os.path.normpath(path)
        parts = path.split("/")
        for length in range(2, len(parts) + 1):
            head = "/".join(parts[:length])
            if head in self.links and links < 40:
                target = os.path.join(os.path.dirname(head), self.links[head], *parts[length:])
                return self.resolve(target, links + 1)
        return path


def a_host(
    text: str | bytes = "",
    *,
    more: Mapping[str, str | bytes] | None = None,
    looks: Mapping[str, FileLook] | None = None,
    interfaces: Mapping[str, tuple[str, ...]] | None = None,
    users: Mapping[str, tuple[int, int]] | None = None,
    environment: Mapping[str, str] | None = None,
    links: Mapping[str, str] | None = None,
) -> Host:
    """A host named node1.example with lo, eth0 (192.0.2.2/24) and eth1, whose configuration is `text`."""
    named = {"lo": ("127.0.0.1/8",), "eth0": ("192.0.2.2/24", "fe80::2/64"), "eth1": ("198.51.100.2/24",)}
    return Host(
        interfaces={
            name: Interface(name=name, index=index, flags=0x49 if name == "lo" else 0x1043, addresses=addresses)
            for index, (name, addresses) in enumerate((interfaces or named).items(), 1)
        },
        users={"root": (0, 0), "nobody": (65534, 65534), **(users or {})},
        groups={"root": 0, "nogroup": 65534},
        name="node1.example",
        environment={"PATH": "/usr/bin:/bin", **(environment or {})},
        seed=1,
        files=Memory({FILE: text, **(more or {})}, looks, links),
    )


def judged(text: str | bytes, host: Host | None = None, config_id: str | None = None) -> Analysis:
    """The analysis of a text on that host, or on a_host()."""
    return analyze(FILE, host or a_host(text), Options(config_id=config_id, test=True))


def said(analysis: Analysis) -> list[str]:
    """`SEVERITY LINE TEXT` of each finding, with `-> PROPOSAL` where there is one."""
    return [
        f"{one.severity} {one.place.line} {one.text}" + (f" -> {one.proposal}" if one.proposal else "")
        for one in analysis.diagnostics
    ]

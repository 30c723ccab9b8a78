"""Debian's kernel of the day, downloaded and unpacked but not installed."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

from tests.lab.namespaces import PROJECT, environment

CACHE = PROJECT / ".cache" / "vm"
PROGRAMS = ("qemu-system-x86_64", "busybox", "modprobe", "depmod", "ipvsadm", "keepalived", "apt-get", "dpkg-deb")
_METAPACKAGE = "linux-image-amd64"
# The rest of the package (sound, graphics, ...) is ten times as much.
_KINDS = (
    "arch",
    "crypto",
    "fs",
    "lib",
    "net",
    "drivers/virtio",
    "drivers/net/*.ko",
    "drivers/net/ipvlan",
    "drivers/net/bonding",
)
_WANTED = ["./boot/vmlinuz-*", "./lib/modules/*/modules.*", *(f"./lib/modules/*/kernel/{kind}" for kind in _KINDS)]


class Kernel(NamedTuple):
    """An image, and the folder that holds its lib/modules."""

    version: str
    image: Path
    root: Path

    @property
    def modules(self) -> Path:
        return self.root / "lib" / "modules" / self.version


class Unavailable(Exception):
    """The kernel can be had neither from the cache nor from Debian's mirror."""


def missing() -> list[str]:
    """What this host lacks for a guest; empty when all is there."""
    path = environment()["PATH"]
    lacking = [program for program in PROGRAMS if shutil.which(program, path=path) is None]
    if platform.machine() != "x86_64":
        lacking.insert(0, "an x86_64 host")
    return lacking if os.geteuid() == 0 else ["root", *lacking]


def kernel() -> Kernel:
    """The cached one, or else the one that Debian's mirror has now; raises Unavailable."""
    return _cached() or _downloaded()


def _cached() -> Kernel | None:
    # modules.dep is written last: a folder without it was interrupted.
    for dependencies in sorted(CACHE.glob("*/lib/modules/*/modules.dep")):
        version, root = dependencies.parent.name, dependencies.parents[3]
        return Kernel(version, root / "boot" / f"vmlinuz-{version}", root)
    return None


def _downloaded() -> Kernel:
    try:
        package = _package()
        root = _fetched(package)
    except Unavailable:
        # The lists of an image may be absent, or name a file that the mirror has replaced since.
        _run("apt-get", "update")
        package = _package()
        root = _fetched(package)
    version = package.removeprefix("linux-image-")
    [archive] = root.glob("*.deb")
    wanted = " ".join(f"'{pattern}'" for pattern in _WANTED)
    _run(
        "sh",
        "-c",
        f"dpkg-deb --fsys-tarfile {archive.name} | tar -x --wildcards --no-wildcards-match-slash {wanted}",
        cwd=root,
    )
    archive.unlink()
    _run("depmod", "-b", str(root), version)
    return Kernel(version, root / "boot" / f"vmlinuz-{version}", root)


def _fetched(package: str) -> Path:
    """A new folder that holds the package."""
    root = CACHE / package
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    _run("apt-get", "download", package, cwd=root)
    return root


def _package() -> str:
    told = _run("apt-cache", "depends", _METAPACKAGE)
    names = [line.split()[-1] for line in told.splitlines() if "Depends: linux-image-" in line]
    if not names:
        raise Unavailable(f"apt-cache knows no {_METAPACKAGE}")
    return names[0]


def _run(*words: str, cwd: Path | None = None) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=cwd, env=environment())
    if done.returncode:
        raise Unavailable(f"{' '.join(words)}: exit status {done.returncode}: {done.stderr.strip()[-500:]}")
    return done.stdout

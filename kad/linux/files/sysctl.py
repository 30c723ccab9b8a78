"""Per-interface settings of the kernel's network stack, in the namespace of this process."""

from __future__ import annotations

import errno
from pathlib import Path

from kad.linux.refused import Refused, refusing

_ROOT = Path("/proc/sys/net")


def interface_setting(family: int, interface: str, name: str) -> str:
    """Value of net.ipv4 or net.ipv6 (family 4 or 6) .conf.INTERFACE.NAME; "all" and "default" are interfaces too."""
    path = _path(family, interface, name)
    with refusing(f"reading {path}"):
        return path.read_text().strip()


def set_interface_setting(family: int, interface: str, name: str, value: str) -> None:
    path = _path(family, interface, name)
    with refusing(f"writing {path}"):
        path.write_text(value)


def ipv4_setting(name: str) -> str:
    """Value of net.ipv4.NAME, of this namespace as a whole."""
    with refusing(f"reading net.ipv4.{name}"):
        return (_ROOT / "ipv4" / name).read_text().strip()


def set_ipv4_setting(name: str, value: str) -> None:
    with refusing(f"writing net.ipv4.{name}"):
        (_ROOT / "ipv4" / name).write_text(value)


def _path(family: int, interface: str, name: str) -> Path:
    """A path below `conf` whatever the names hold; Refused for a name that would lead elsewhere."""
    for part in (interface, name):
        if not part or "/" in part or "\0" in part or part in (".", ".."):
            raise Refused(f"{part!r} names no interface or setting", errno.ENODEV)
    return _ROOT / ("ipv4" if family == 4 else "ipv6") / "conf" / interface / name

"""The control socket: a JSON line asks, a JSON object answers; look verbs for the group, act verbs for the owner."""

from __future__ import annotations

from pathlib import Path

import msgspec

LOOK = frozenset({"dump", "status"})
ACT = frozenset({"reload", "stop", "configuration", "drain", "undrain"})
"""The configuration holds passwords."""
GROUP = "kad"
RELOAD_SECONDS = 120.0
"""Who asks for a reload is answered when it is over; a large configuration takes its time."""


class ControlError(Exception):
    """The daemon could not be asked, or it refused."""


def socket_path(runtime_directory: Path) -> Path:
    return runtime_directory / "control"


class Request(msgspec.Struct, frozen=True):
    """What a client asks."""

    verb: str
    section: str | None = None
    service: str = ""
    """Of drain and undrain."""
    server: str = ""
    timeout: float | None = None


RELOAD_SECONDS = 120.0
"""Who asks for a reload is answered when it is over; a large configuration takes its time."""

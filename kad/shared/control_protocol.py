"""The control socket: a JSON line names a verb and its arguments, a JSON object answers."""

from __future__ import annotations

from enum import Enum
from pathlib import Path

GROUP = "kad"
"""Its members may look."""
RELOAD_SECONDS = 120.0
"""Who asks for a reload is answered when it is over; a large configuration takes its time."""


class Permission(Enum):
    """Who may ask."""

    LOOK = "look"
    """Root, the user of the daemon, and the members of GROUP."""
    ACT = "act"
    """Root and the user of the daemon."""


class ControlError(Exception):
    """The daemon could not be asked, or it refused."""


def socket_path(runtime_directory: Path) -> Path:
    return runtime_directory / "control"

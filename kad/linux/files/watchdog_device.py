"""A hardware watchdog: /dev/watchdog, or whatever stands in for it, fed by writing and let go by a magic letter."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from errno import ENODEV

from kad.linux.refused import Refused, refusing

_MAGIC_CLOSE = b"V"
"""The kernel then stops the timer instead of resetting the host (Documentation/watchdog)."""


class WatchdogDevice:
    """Open means armed: without feed() the host is reset."""

    def __init__(self, path: str) -> None:
        """Raises Refused."""
        self.path = path
        with refusing(f"watchdog device {path}"):
            self._descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        if stat.S_ISREG(os.fstat(self._descriptor).st_mode):
            os.close(self._descriptor)
            raise Refused(f"{path} is no watchdog device", ENODEV)

    def feed(self) -> None:
        """Any byte will do; one that cannot be written is missed by the device alone."""
        with suppress(OSError):
            os.write(self._descriptor, b"\0")

    def close(self) -> None:
        """Let go without a reset."""
        with suppress(OSError):
            os.write(self._descriptor, _MAGIC_CLOSE)
        os.close(self._descriptor)

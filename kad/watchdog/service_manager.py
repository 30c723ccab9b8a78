"""What systemd and a hardware watchdog are told: state and status of the daemon, and that it serves."""

from __future__ import annotations

import time
from collections.abc import Callable

from kad.linux.files import systemd
from kad.linux.files.watchdog_device import WatchdogDevice
from kad.linux.refused import Refused
from kad.shared.log import Logger

_DEVICE_INTERVAL = 1.0
"""Seconds between two feedings of a hardware watchdog; such devices wait for ten seconds and more."""


class ServiceManager:
    """A Timed of the loop; whatever becomes of a notification, the service goes on."""

    def __init__(self, log: Logger, is_well: Callable[[float], bool], summary: Callable[[], str]) -> None:
        """`is_well`: this host is served (monotonic seconds); `summary`: one line about it."""
        self._log = log
        self._is_well = is_well
        self._summary = summary
        self._status = ""
        """The last one that was sent."""
        self._status_changed = False
        self._keep_alive = systemd.watchdog_interval()
        self._device: WatchdogDevice | None = None
        self._feeding_interval = 0.0
        self._next_feeding: float | None = None
        self.guard_by(None)

    @property
    def deadline(self) -> float | None:
        return self._next_feeding

    def fall_due(self, now: float) -> None:
        """Send a changed status; feed the watchdogs while the loop turns and all is well."""
        if self._status_changed:
            self._status_changed = False
            self._send_status()
        if self._next_feeding is not None and self._next_feeding <= now:
            self._next_feeding = now + self._feeding_interval
            if self._is_well(now):
                self._feed()

    def _feed(self) -> None:
        if self._keep_alive:
            self.notify("WATCHDOG=1")
        if self._device is not None:
            self._device.feed()

    def guard_by(self, path: str | None) -> None:
        """Let this watchdog device reset the host when it is no longer fed; None: let go of it, unharmed."""
        if self._device is not None and self._device.path != path:
            self._device.close()
            self._device = None
        if path is not None and self._device is None:
            try:
                self._device = WatchdogDevice(path)
            except Refused as refused:
                self._log.error(str(refused))
        intervals = [self._keep_alive / 3] if self._keep_alive else []
        intervals += [_DEVICE_INTERVAL] if self._device is not None else []
        self._feeding_interval = min(intervals, default=0.0)
        self._next_feeding = time.monotonic() if intervals else None

    def notify(self, state: str) -> None:
        """Send lines of sd_notify(3) to systemd, if it has started the daemon."""
        try:
            systemd.notify(state)
        except Refused as refused:
            self._log.debug(str(refused))

    def status_changed(self) -> None:
        """The summary is another one; sent once for all changes of a turn."""
        self._status_changed = True

    def _send_status(self) -> None:
        status = self._summary()
        if status != self._status:
            self._status = status
            self.notify(f"STATUS={status}")

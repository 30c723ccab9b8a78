"""lvs_timeouts: how long the kernel keeps connections, and what it did before kad."""

from __future__ import annotations

from kad.ipvs.process.kernel_table import Kernel
from kad.linux.netlink import ipvs
from kad.linux.refused import Refused
from kad.model.ipvs import Timeouts
from kad.model.ipvs_table import TimeoutSettings
from kad.shared.log import Logger


class SessionTimeouts:
    """Sets them, and puts them back."""

    def __init__(self, log: Logger, kernel: Kernel) -> None:
        self._log = log
        self._kernel = kernel
        self._wanted: TimeoutSettings | None = None
        self.before: tuple[int, int, int] | None = None
        """As they were before kad changed them."""
        self.failure = ""
        """What the kernel refuses, and why; it is tried again with the next comparison."""

    def follow(self, wanted: Timeouts | None, before: tuple[int, int, int] | None) -> None:
        """`before`: what an earlier life of this process found, if it changed something."""
        settings = TimeoutSettings(wanted.tcp, wanted.tcpfin, wanted.udp) if wanted else TimeoutSettings()
        self.before = self.before or before
        if settings == self._wanted or not self._kernel.is_open:
            return
        if self.before is None and settings == TimeoutSettings():
            self._wanted = settings
            return
        try:
            if self.before is None:
                found = self._kernel.ipvs.timeouts()
                self.before = found.tcp, found.tcpfin, found.udp
            tcp, tcpfin, udp = self.before
            # What is no longer configured goes back to what it was.
            self._set(TimeoutSettings(settings.tcp or tcp, settings.tcpfin or tcpfin, settings.udp or udp))
        except Refused as refused:
            if self.failure != str(refused):
                self._log.error(f"the timeouts of IPVS cannot be set: {refused}")
            self.failure = str(refused)
        else:
            self._wanted, self.failure = settings, ""

    def restore(self) -> None:
        """Raises Refused."""
        if self.before is not None:
            self._set(TimeoutSettings(*self.before))

    def _set(self, settings: TimeoutSettings) -> None:
        (code,) = self._kernel.ipvs.request([ipvs.set_timeouts(settings)])
        if code:
            raise Refused("lvs_timeouts", code)

    def snapshot(self) -> dict[str, object]:
        return {"configured": (self._wanted or TimeoutSettings())._asdict(), "before": self.before}

"""disable_local_igmp: no reports of link-local groups while it is asked for, and as it was before when it is not."""

from __future__ import annotations

from collections.abc import Callable

from kad.linux.refused import Refused
from kad.linux.sysctl import ipv4_setting, set_ipv4_setting
from kad.log import Logger
from kad.messages import HostBefore, Message
from kad.vrrp.keywords import Filtering

_NAME = "igmp_link_local_mcast_reports"


class GroupReports:
    """The only writer of that setting."""

    def __init__(self, say: Callable[[Message], None], log: Logger) -> None:
        self._say = say
        self._log = log
        self._before: str | None = None

    def remember(self, earlier: HostBefore) -> None:
        """An earlier life found it so."""
        self._before = earlier.igmp_link_local_reports

    def arrange(self, filtering: Filtering) -> None:
        """In force from now on, or no longer."""
        if filtering.igmp:
            self.restore()
        elif self._before is None:
            try:
                before = ipv4_setting(_NAME)
            except Refused as refused:
                self._log.warning(str(refused))
                return
            if before != "0":
                self._know(before)
                self._write("0")

    def restore(self) -> None:
        """Nobody asks for it any longer."""
        if self._before is not None:
            self._write(self._before)
            self._know(None)

    def _know(self, before: str | None) -> None:
        self._before = before
        # Said before anything is changed: a life that dies in between changes nothing that the next one would not.
        self._say(HostBefore(igmp_link_local_reports=before))

    def _write(self, value: str) -> None:
        try:
            set_ipv4_setting(_NAME, value)
        except Refused as refused:
            self._log.warning(str(refused))

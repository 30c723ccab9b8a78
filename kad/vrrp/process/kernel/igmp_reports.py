"""disable_local_igmp: no reports of link-local groups while it is asked for, and as it was before when it is not."""

from __future__ import annotations

from functools import partial

from kad.linux.files.sysctl import ipv4_setting, set_ipv4_setting
from kad.linux.refused import Refused
from kad.model.vrrp import Filtering
from kad.shared.log import Logger
from kad.vrrp.kernel_calls import KernelCall
from kad.vrrp.process.kernel.saved_sysctls import HostMemory
from kad.vrrp.process.retries import Retries

_NAME = "igmp_link_local_mcast_reports"


class GroupReports:
    """The only writer of that setting."""

    def __init__(self, memory: HostMemory, log: Logger, retries: Retries) -> None:
        self._memory = memory
        self._log = log
        self._retries = retries

    def arrange(self, filtering: Filtering) -> None:
        """In force from now on, or no longer."""
        if filtering.igmp:
            self.restore()
        elif self._memory.before.igmp_link_local_reports is None:
            try:
                before = ipv4_setting(_NAME)
            except Refused as refused:
                self._log.warning(str(refused))
                return
            if before != "0":
                self._memory.know_group_reports(before)
        if not filtering.igmp and self._memory.before.igmp_link_local_reports is not None:
            self._write("0")

    def restore(self) -> None:
        """Nobody asks for it any longer."""
        before = self._memory.before.igmp_link_local_reports
        if before is not None:
            self._write(before)
            self._memory.know_group_reports(None)

    def _write(self, value: str) -> None:
        try:
            set_ipv4_setting(_NAME, value)
        except Refused as refused:
            again = partial(self._write, value)
            if self._retries.refused(KernelCall.SET_HOST, _NAME, refused.what, refused.errno, again):
                self._log.warning(str(refused))
        else:
            self._retries.accepted(KernelCall.SET_HOST, _NAME)

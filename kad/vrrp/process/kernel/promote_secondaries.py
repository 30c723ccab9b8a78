"""promote_secondaries of interfaces: set while an instance asks for it, and as it was before when none does."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from functools import partial

from kad.linux.files.sysctl import interface_setting, set_interface_setting
from kad.linux.refused import Refused
from kad.shared.log import Logger
from kad.vrrp.kernel_calls import KernelCall
from kad.vrrp.process.kernel.saved_sysctls import HostMemory
from kad.vrrp.process.retries import Retries

_NAME = "promote_secondaries"


class Promotion:
    """The only writer of that setting."""

    def __init__(self, memory: HostMemory, log: Logger, retries: Retries) -> None:
        self._memory = memory
        self._log = log
        self._retries = retries

    def ask(self, interfaces: Iterable[str]) -> None:
        """On these and no others the next address of a network follows when its first one goes."""
        interfaces = frozenset(interfaces)
        refusals = self._ask(interfaces)
        if not refusals:
            self._retries.accepted(KernelCall.SET_HOST, _NAME)
            return
        again = partial(self.ask, interfaces)
        if self._retries.refused(KernelCall.SET_HOST, _NAME, refusals[0].what, refusals[0].errno, again):
            self._log.warning(str(refusals[0]))

    def _ask(self, interfaces: frozenset[str]) -> list[Refused]:
        """What the kernel refused."""
        refusals: list[Refused] = []
        wanted = interfaces
        before = self._memory.before.without_promotion
        # One that was made anew has it no more, whatever was known of its name.
        lacking = frozenset(name for name in wanted if self._value(name) == "0")
        for name in before - wanted:
            self._write(name, "0", refusals)
        self._memory.know_promotion((before & wanted) | lacking)
        for name in lacking:
            self._write(name, "1", refusals)
        return refusals

    def _value(self, name: str) -> str:
        try:
            return interface_setting(4, name, _NAME)
        except Refused:
            return ""  # It is not there, or not yet.

    def _write(self, name: str, value: str, refusals: list[Refused]) -> None:
        try:
            set_interface_setting(4, name, _NAME, value)
        except Refused as refused:
            if refused.errno != errno.ENOENT:
                refusals.append(refused)

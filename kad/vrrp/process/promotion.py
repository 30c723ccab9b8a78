"""promote_secondaries of interfaces: set while an instance asks for it, and as it was before when none does."""

from __future__ import annotations

from collections.abc import Iterable

from kad.linux.refused import Refused
from kad.linux.sysctl import interface_setting, set_interface_setting
from kad.log import Logger

_NAME = "promote_secondaries"


class Promotion:
    """The only writer of that setting."""

    def __init__(self, log: Logger) -> None:
        self._log = log
        self._before: dict[str, str] = {}

    def ask(self, interfaces: Iterable[str]) -> None:
        """On these and no others the next address of a network follows when its first one goes."""
        wanted = set(interfaces)
        for name in self._before.keys() - wanted:
            self._write(name, self._before.pop(name))
        for name in wanted - self._before.keys():
            try:
                before = interface_setting(4, name, _NAME)
            except Refused:
                continue  # It is not there, or not yet.
            if before == "0":
                self._before[name] = before
                self._write(name, "1")

    def _write(self, name: str, value: str) -> None:
        try:
            set_interface_setting(4, name, _NAME, value)
        except Refused as refused:
            self._log.warning(str(refused))

"""IPv4 settings of interfaces that are changed for a time, and given back; what they were is kept as words."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress
from typing import NamedTuple

from kad.linux.files.sysctl import interface_setting, set_interface_setting
from kad.linux.refused import Refused


class Setting(NamedTuple):
    """net.ipv4.conf.INTERFACE.NAME"""

    interface: str
    name: str


class Loan(NamedTuple):
    was: str
    now: str


class BorrowedSettings:
    """What is on loan, by setting.

    The words that say it are put where they outlive this process, before anything is changed; whoever reads them
    there can go on, or give everything back.
    """

    def __init__(self) -> None:
        self._loans: dict[Setting, Loan] = {}
        self._applied: set[Setting] = set()

    def value(self, setting: Setting) -> int:
        """As it is now; 0 also where it cannot be known."""
        value = self._read(setting)
        return int(value) if value is not None and value.isdecimal() else 0

    def borrow(self, setting: Setting, value: int) -> None:
        """Note that the setting is to be at least this; nothing is changed yet."""
        if setting in self._loans:
            return
        was = self.value(setting)
        if was < value:
            self._loans[setting] = Loan(str(was), str(value))

    def borrow_zero(self, setting: Setting) -> None:
        """Note that the setting is to be 0."""
        was = self.value(setting)
        if setting not in self._loans and was:
            self._loans[setting] = Loan(str(was), "0")

    def apply(self) -> list[Refused]:
        """Change what is not changed yet, in the order in which it was borrowed; what the kernel refused."""
        refusals: list[Refused] = []
        for setting, loan in self._loans.items():
            if setting not in self._applied and (
                self._read(setting) != loan.was or self._write(setting, loan.now, refusals)
            ):
                self._applied.add(setting)
        return refusals

    def give_back(self, kept: Callable[[Setting], bool]) -> list[Refused]:
        """All others than these are what they were, the last one first; what somebody else changed meanwhile stays.

        What the kernel refused remains on loan.
        """
        refusals: list[Refused] = []
        for setting, loan in [*reversed(self._loans.items())]:
            if not kept(setting) and (self._read(setting) != loan.now or self._write(setting, loan.was, refusals)):
                del self._loans[setting]
        self._applied &= self._loans.keys()
        return refusals

    def words(self, wanted: Callable[[Setting], bool], room: int) -> list[str]:
        """INTERFACE/NAME=WAS>NOW for each of these, as many as have room in so many characters."""
        words: list[str] = []
        for (interface, name), loan in self._loans.items():
            word = f"{interface}/{name}={loan.was}>{loan.now}"
            if wanted(Setting(interface, name)) and len(word) < room:
                words.append(word)
                room -= len(word) + 1
        return words

    def remember(self, words: Collection[str]) -> None:
        """Of an earlier life; other words are left alone."""
        for word in words:
            path, _, values = word.partition("=")
            interface, _, name = path.partition("/")
            was, _, now = values.partition(">")
            if interface and name and was and now:
                self._loans.setdefault(Setting(interface, name), Loan(was, now))

    def _read(self, setting: Setting) -> str | None:
        # The interface may be gone, and its settings with it.
        with suppress(Refused):
            return interface_setting(4, setting.interface, setting.name)
        return None

    def _write(self, setting: Setting, value: str, refusals: list[Refused]) -> bool:
        """Whether it was written."""
        try:
            set_interface_setting(4, setting.interface, setting.name, value)
        except Refused as refused:
            refusals.append(refused)
            return False
        return True

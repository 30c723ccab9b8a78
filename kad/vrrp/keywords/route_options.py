"""Lines made of options in any order: what each option takes, and what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import msgspec

from kad.config.codes import ConfigCode
from kad.config.lines import Word
from kad.config.values import UNSIGNED as LARGEST
from kad.config.values import Missing, Words, Wrong, quote, to_address, to_interface_name, to_prefix
from kad.vrrp.keywords.codes import VrrpCode
from kad.vrrp.keywords.iproute2_names import to_number

Check = Callable[[str], str]
"""The word in canonical form; raises Wrong."""


class Option(msgspec.Struct, frozen=True):
    """A word of the line with the words that belong to it."""

    name: str
    arguments: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join([self.name, *map(quote, self.arguments)])


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """All options of one line, in their order."""

    found: tuple[Option, ...] = ()

    def get(self, *names: str) -> str | None:
        """The last argument of the last of these options; None where none was written."""
        for option in reversed(self.found):
            if option.name in names:
                return option.arguments[-1] if option.arguments else ""
        return None

    def __str__(self) -> str:
        return " ".join(map(str, self.found))


def number(low: int, high: int, *, any_base: bool = False) -> Check:
    """A whole number, in decimal digits then; `any_base`: as C writes it."""

    def check(text: str) -> str:
        digits = text.removeprefix("+")
        value = to_number(digits) if any_base else int(digits) if re.fullmatch("[0-9]{1,100}", digits) else None
        if value is None:
            raise Wrong(ConfigCode.NOT_A_WHOLE_NUMBER(text=text))
        if not low <= value <= high:
            raise Wrong(VrrpCode.OUT_OF_RANGE(text=text, low=low, high=high))
        return str(value)

    return check


UNSIGNED = number(0, LARGEST)


def matching(pattern: str, what: str) -> Check:
    """A word of a certain form."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise Wrong(VrrpCode.NOT_OF_KIND(text=text, what=what))
        return text

    return check


def among(*choices: str) -> Check:
    """One of these words."""
    return matching("|".join(map(re.escape, choices)), f"one of {' '.join(choices)}")


def mark(text: str) -> str:
    """MARK[/MASK], as C writes numbers."""
    for part in text.split("/", 1):
        value = to_number(part)
        if value is None or value > LARGEST:
            raise Wrong(VrrpCode.NOT_A_MARK(text=text, largest=LARGEST))
    return text


def ip(text: str) -> str:
    return to_address(text)


def network(text: str) -> str:
    """ADDRESS[/PREFIX]"""
    address, prefix = to_prefix(text)
    return f"{address}/{prefix}" if "/" in text else address


INTERFACE = to_interface_name
ANY = matching(r"\S+", "a word")
NAMED = matching(r"[\w.+-]+", "a name or a number")


def take(words: Words, at: int, known: Mapping[str, Check | None], lockable: frozenset[str]) -> tuple[Option, int]:
    """The option at this word, and the word after it; raises Wrong."""
    name = words[at].text
    if name not in known:
        raise Wrong(VrrpCode.NOT_AN_OPTION(name=name), at)
    check = known[name]
    at += 1
    if check is None:
        return Option(name), at
    lock: tuple[str, ...] = ()
    if name in lockable and _text(words, at) == "lock":
        lock, at = ("lock",), at + 1
    if _text(words, at) is None:
        raise Missing(VrrpCode.VALUE_MISSING(name=name), at - 1)
    try:
        return Option(name, (*lock, check(words[at].text))), at + 1
    except Wrong as wrong:
        raise Wrong(wrong.remark.of(name), at, wrong.proposal) from None


def _text(words: tuple[Word, ...], at: int) -> str | None:
    return words[at].text if at < len(words) else None

"""What can stand behind a keyword: each kind of value has a grammar, a reader, and a printer."""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from kad.config.codes import ConfigCode
from kad.config.line_mistakes import choice
from kad.config.lines import Word
from kad.config.remark import Remark, joined

V = TypeVar("V")
WORD = r'[^\s"]+'


class Wrong(ValueError):
    """The words do not say a value; `index` is the word to point at."""

    def __init__(self, remark: Remark, index: int = 0, proposal: str = "", advice: str = "") -> None:
        """`proposal`: a value that was probably meant; `advice`: what to do instead, in words."""
        super().__init__(remark)
        self.remark = remark
        self.index = index
        self.proposal = proposal
        self.advice = advice


class Missing(Wrong):
    """A word that must follow is not there."""


Words = tuple[Word, ...]


@dataclass(frozen=True, kw_only=True)
class Value:
    """A kind of value."""

    arguments: str
    """For people: <INTEGER 1..255>."""
    pattern: str
    """Regex of well-formed words after the keyword, one group a word; what it refuses is looked at word by word."""
    read: Callable[[Words], Any]
    """The value; raises Wrong."""
    write: Callable[[Any], str] = str
    """The words again."""
    least: int = 1
    """Words that must be there."""
    most: int | None = 1
    """Words that are looked at; keepalived ignores more, silently."""
    is_command: bool = False
    """The first word keeps its quotes and backslashes: a program and its arguments."""
    write_whole: Callable[[Any], str] | None = None
    """The words with the secrets in them; where there are none, `write` has all."""
    secret_from: int | None = None
    """From which word on the words are secret."""
    noun: str = ""
    """What a line of a block is: route."""
    subject: Callable[[Words], str] | None = None
    """What a diagnostic calls such a line: route 10.0.0.0/8; by default its first word."""


def quote(text: str) -> str:
    """The text as one word of a configuration."""
    return f'"{text}"' if not text or re.search(r'[\s"{}#!]', text) else text


UNSIGNED = (1 << 32) - 1


def quote_all(texts: Iterable[str]) -> str:
    """The texts as words of a line."""
    return " ".join(map(quote, texts))


def integer(low: int, high: int = UNSIGNED, *, raised: bool = False, lowered: bool = False) -> Value:
    """A whole number; with `raised` a smaller one becomes `low`, with `lowered` a larger one `high`."""
    bounds = f"{low}..{high}"

    def read(words: Words) -> int:
        text = words[0].text
        digits = re.match(r"\s*[+-]?[0-9]+", text)
        if digits is None:
            raise Wrong(ConfigCode.NOT_A_WHOLE_NUMBER(text=text))
        number = int(digits[0])
        if 0 <= number < low and raised:
            raise Clamped(ConfigCode.BELOW_BOUND(text=text, low=low), low)
        if number > high and lowered:
            raise Clamped(ConfigCode.ABOVE_BOUND(text=text, high=high), high)
        if not low <= number <= high:
            raise Wrong(ConfigCode.OUT_OF_BOUNDS(text=text, bounds=bounds))
        if digits.end() < len(text):
            raise Clamped(ConfigCode.NOT_A_WHOLE_NUMBER(text=text), number)
        return number

    sign = "[+-]?" if low < 0 else r"\+?"
    return Value(arguments=f"<INTEGER {bounds}>", pattern=rf"\s+({sign}[0-9]{{1,18}})", read=read)


LARGEST_BUFFER = (1 << 31) - 1
"""Bytes: more than the kernel gives any socket."""


def buffer_size() -> Value:
    """Bytes of the receive buffer of a socket."""
    whole = integer(0)

    def read(words: Words) -> int:
        size = int(whole.read(words))
        if size > LARGEST_BUFFER:
            raise Clamped(ConfigCode.BUFFER_TOO_LARGE(size=size), LARGEST_BUFFER, is_harmless=True)
        return size

    return Value(arguments="<BYTES>", pattern=r"\s+(\+?[0-9]{1,18})", read=read)


def integers(what: str, low: int, high: int) -> Value:
    """Whole numbers, one behind the other."""
    single = integer(low, high)

    return Value(
        arguments=f"<{what}> ...",
        pattern="",
        read=lambda words: each_word(words, lambda word: int(single.read((word,)))),
        write=lambda numbers: " ".join(map(str, numbers)),
        most=None,
    )


class Clamped(ValueError):
    """The words say a value that is not allowed, and another one stands for it."""

    def __init__(
        self, remark: Remark, value: Any, consequence: str | None = None, *, is_harmless: bool = False, index: int = 0
    ) -> None:
        """`is_harmless`: keepalived has nothing to say about it, and the outcome is the same; `index`: as of Wrong."""
        super().__init__(remark)
        self.remark = remark
        self.value = value
        self.is_harmless = is_harmless
        self.index = index
        self.consequence = f"{value} is used" if consequence is None else consequence


class Complaints:
    """What is wrong with single words of a line, which costs those words and not the line."""

    def __init__(self) -> None:
        self._remarks: list[Remark] = []
        self._index = 0
        self._is_harmless = True

    def add(self, remark: Remark, index: int = 0, *, is_harmless: bool = False) -> None:
        """`is_harmless`: as of Clamped."""
        if not self._remarks:
            self._index = index
        self._remarks.append(remark)
        self._is_harmless = self._is_harmless and is_harmless

    def judged(self, value: V, consequence: str = "") -> V:
        """The value of the other words; raises Clamped where something was wrong."""
        if not self._remarks:
            return value
        consequence = consequence or ("only that word is ignored" if len(self._remarks) == 1 else "they are ignored")
        raise Clamped(joined(self._remarks), value, consequence, is_harmless=self._is_harmless, index=self._index)

    def __bool__(self) -> bool:
        return bool(self._remarks)

    def refuse(self) -> NoReturn:
        """Raises Wrong: no word is left that says anything."""
        raise Wrong(joined(self._remarks), self._index)


def each_word(words: Words, read: Callable[[Word], V]) -> tuple[V, ...]:
    """What each word says; raises Clamped where some say nothing, Wrong where all do."""
    found = []
    complaints = Complaints()
    for index, word in enumerate(words):
        try:
            found.append(read(word))
        except (Wrong, Clamped) as wrong:
            complaints.add(wrong.remark, index)
    if words and not found:
        complaints.refuse()
    return complaints.judged(tuple(found))


def seconds(low: float = 0.0, high: float | None = None, *, places: int = 6) -> Value:
    """Seconds with at most `places` decimals; more are rounded."""
    # A bound beyond any sensible wait does not help the reader.
    bounds = f"{decimal(low)}..{decimal(high)}" if high is not None and high < 1e9 else f">={decimal(low)}"

    def read(words: Words) -> float:
        text = words[0].text
        digits = re.match(r"\s*\+?([0-9]+(\.[0-9]*)?|\.[0-9]+)", text)
        if digits is None:
            raise Wrong(ConfigCode.NOT_SECONDS(text=text))
        number = float(digits[0])
        if number < low or (high is not None and number > high):
            raise Wrong(ConfigCode.OUT_OF_BOUNDS(text=text, bounds=bounds))
        if digits.end() < len(text):
            raise Clamped(ConfigCode.NOT_SECONDS(text=text), number)
        rounded = round(number, places)
        if rounded != number and len(text.partition(".")[2]) > places:
            raise Clamped(ConfigCode.TOO_MANY_DECIMALS(text=text, places=places), rounded)
        return number

    return Value(
        arguments=f"<SECONDS {bounds}>", pattern=r"\s+(\+?[0-9]{1,12}(?:\.[0-9]{0,12})?)", read=read, write=decimal
    )


def decimal(number: float) -> str:
    """A number without exponent and without trailing zeros."""
    text = f"{number:.6f}".rstrip("0").rstrip(".")
    return text or "0"


def flag() -> Value:
    """A word that says everything by being there."""
    return Value(arguments="", pattern="", read=lambda words: True, write=lambda value: "", least=0, most=0)


_TRUTH = {"true": True, "on": True, "yes": True, "false": False, "off": False, "no": False}


def boolean() -> Value:
    """true on yes, false off no; nothing means true."""

    def read(words: Words) -> bool:
        if not words:
            return True
        if words[0].text not in _TRUTH:
            near = words[0].text.lower()
            raise Wrong(ConfigCode.NOT_A_BOOLEAN(text=words[0].text), proposal=near if near in _TRUTH else "")
        return _TRUTH[words[0].text]

    return Value(
        arguments="[<BOOL>]",
        pattern=r"(?:\s+(true|on|yes|false|off|no))?",
        read=read,
        write=lambda value: "true" if value else "false",
        least=0,
    )


def one_of(
    *choices: str,
    ignore_case: bool = False,
    meant: Mapping[str, str] | None = None,
    advice: Mapping[str, str] | None = None,
) -> Value:
    """One of these words; `meant` and `advice`: which one others in lower case stand for, and what to do instead."""

    def read(words: Words) -> str:
        text = words[0].text.upper() if ignore_case else words[0].text
        if text not in choices:
            raise Wrong(
                ConfigCode.NOT_ONE_OF(text=words[0].text, choices=", ".join(choices)),
                proposal=choice(text, choices, meant or {}),
                advice=(advice or {}).get(text.lower(), ""),
            )
        return text

    pattern = "|".join(re.escape(choice) for choice in sorted(choices, key=len, reverse=True))
    return Value(arguments=f"<{' or '.join(choices)}>", pattern=rf"\s+({pattern})", read=read)


def text(what: str = "STRING", *, longest: int | None = None) -> Value:
    """One word, as it is."""

    def read(words: Words) -> str:
        word = words[0].text
        if longest is not None and len(word) > longest:
            raise Clamped(ConfigCode.TOO_MANY_CHARACTERS(word=word, longest=longest), word[:longest])
        return word

    return Value(arguments=f"<{what}>", pattern=rf"\s+({WORD})", read=read, write=quote)


LONGEST_INTERFACE_NAME = 15
"""Bytes (IFNAMSIZ, less the final zero)."""
_NOT_IN_NAMES = re.compile(rb"[/:\0\s\xa0]")
"""What the kernel's dev_valid_name() refuses; it takes the byte of Latin-1's hard space for a space."""


def to_interface_name(text: str, index: int = 0) -> str:
    """A name that an interface can have, whether or not one has it; raises Wrong."""
    name = text.encode()
    if not name or name in (b".", b"..") or len(name) > LONGEST_INTERFACE_NAME or _NOT_IN_NAMES.search(name):
        raise Wrong(ConfigCode.NOT_AN_INTERFACE_NAME(text=quote(text)), index)
    return text


def interface_name() -> Value:
    """A name that an interface can have."""
    return Value(
        arguments="<IFNAME>",
        pattern=rf"\s+({WORD})",
        read=lambda words: to_interface_name(words[0].text),
        write=quote,
    )


def interface_names() -> Value:
    """Names that interfaces can have, as many as are written."""
    return Value(
        arguments="<IFNAME> ...",
        pattern="".join([rf"(?:\s+({WORD})"] * 4) + ")?" * 4,
        read=lambda words: each_word(words, lambda word: to_interface_name(word.text)),
        write=quote_all,
        most=None,
    )


def optional(inner: Value, bare: Any, *, ignores_wrong: bool = False) -> Value:
    """The value may be missing, and then means `bare`; with `ignores_wrong` a wrong one does too."""

    def read(words: Words) -> Any:
        try:
            return inner.read(words) if words else bare
        except Wrong as wrong:
            if not ignores_wrong:
                raise
            raise Clamped(wrong.remark, bare, "that word is ignored") from None

    return Value(
        arguments=f"[{inner.arguments}]",
        pattern=f"(?:{inner.pattern})?",
        read=read,
        write=lambda value: "" if value == bare else inner.write(value),
        least=0,
        most=inner.most,
        is_command=inner.is_command,
        secret_from=inner.secret_from,
    )


def texts(what: str, *, least: int = 1) -> Value:
    """Words, as many as are written."""
    return Value(
        arguments=f"<{what}> ...",
        pattern="".join([rf"(?:\s+({WORD})"] * 4) + ")?" * 4,
        read=lambda words: tuple(word.text for word in words),
        write=quote_all,
        least=least,
        most=None,
    )


@functools.lru_cache(maxsize=1 << 14)
def _canonical(text: str) -> str:
    if "%" in text:
        raise ValueError("the interface of an address is said by a word of its own")
    return str(ipaddress.ip_address(text))


def to_address(text: str, *, family: int | None = None, index: int = 0) -> str:
    """The canonical text of an IP address; raises Wrong."""
    try:
        found = _canonical(text)
    except ValueError:
        raise Wrong(ConfigCode.NOT_AN_ADDRESS(text=text), index) from None
    if family is not None and family_of(found) != family:
        raise Wrong(ConfigCode.NOT_OF_FAMILY(text=text, family=family), index)
    return found


def family_of(address: str) -> int:
    """4 or 6."""
    return 6 if ":" in address else 4


_BEHIND_ADDRESS = re.compile("[-/]")


def bare_address(text: str, complaints: Complaints, *, family: int | None = None, index: int = 0) -> str:
    """The canonical address of ADDRESS[/PREFIX] where no prefix belongs; keepalived ignores it. Raises Wrong."""
    found = _BEHIND_ADDRESS.search(text)
    if found is None:
        return to_address(text, family=family, index=index)
    try:
        address = to_address(text[: found.start()], family=family, index=index)
    except Wrong:
        raise Wrong(
            ConfigCode.NOT_AN_ADDRESS_OF_FAMILY(text=text, version=f"v{family}" if family else ""), index
        ) from None
    complaints.add(ConfigCode.BEHIND_ADDRESS(text=text[found.start() :], address=address), index, is_harmless=True)
    return address


def is_multicast(address: str) -> bool:
    return ipaddress.ip_address(address).is_multicast


def address(family: int | None = None, *, multicast: bool = False) -> Value:
    """An IP address, canonical; a prefix behind it is ignored."""

    def read(words: Words) -> str:
        complaints = Complaints()
        found = bare_address(words[0].text, complaints, family=family)
        if multicast and not is_multicast(found):
            raise Wrong(ConfigCode.NOT_MULTICAST(found=found))
        return complaints.judged(found, f"{found} is used")

    return Value(
        arguments=f"<{'MULTICAST ' if multicast else ''}IP{f'v{family}' if family else ''}>",
        pattern=r"\s+([0-9A-Fa-f.:]+)",
        read=read,
    )


def to_prefix(text: str, index: int = 0) -> tuple[str, int]:
    """ADDRESS[/PREFIX] as canonical address and prefix length; raises Wrong."""
    name, slash, length = text.partition("/")
    found = ipaddress.ip_address(to_address(name, index=index))
    longest = found.max_prefixlen
    if not slash:
        return str(found), longest
    if not length.isdecimal() or int(length) > longest:
        raise Wrong(ConfigCode.NOT_A_PREFIX_LENGTH(length=length, longest=longest), index)
    return str(found), int(length)

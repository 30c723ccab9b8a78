"""Text that others wrote (output of programs, answers of servers, names), made safe to print and to log."""

from __future__ import annotations

import re
from typing import Any

_UNSAFE = r"\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
"""Control characters (C0, DEL, C1), separators of lines, marks of direction, halves of characters."""
_IN_LINES = re.compile(f"[{_UNSAFE}]")
_IN_ONE_LINE = re.compile(f"[\t\n{_UNSAFE}]")
_NAMES = {"\t": "\\t", "\n": "\\n", "\r": "\\r"}


def one_line(text: str) -> str:
    """The text with nothing in it that moves a cursor, commands a terminal or begins a line."""
    return text if text.isascii() and text.isprintable() else _IN_ONE_LINE.sub(_escaped, text)


def lines(text: str) -> str:
    """The same for a text that may have several lines, and tabs in them."""
    return text if text.isascii() and text.isprintable() else _IN_LINES.sub(_escaped, text)


def everywhere(value: Any) -> Any:
    """Plain values of JSON, with every text in them as one line; the lines of one that has several are joined."""
    match value:
        case str():
            return one_line(" ".join(value.split()) if "\n" in value else value)
        case dict():
            return {one_line(key): everywhere(item) for key, item in value.items()}
        case list():
            return [everywhere(item) for item in value]
    return value


def in_json(text: str) -> str:
    """A JSON document that a terminal may show: what is not plain stands as `\\\\uXXXX` in its strings."""
    return _IN_LINES.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _escaped(found: re.Match[str]) -> str:
    number = ord(found[0])
    return _NAMES.get(found[0]) or (f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}")

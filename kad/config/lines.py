"""The words of one line of a configuration, with their places."""

from __future__ import annotations

from typing import NamedTuple

from kad.config.diagnostics import Place


class Word(NamedTuple):
    """One word of a line, quotes removed."""

    text: str
    offset: int
    """Where it begins in the text of its line."""
    quoted: bool = False


class Line(NamedTuple):
    """One logical line: comments, conditions and definitions resolved, cut at braces."""

    kind: str
    """`{`, `}`, or empty for text."""
    text: str
    place: Place
    """Of its first character."""
    exact: bool = True
    """The text stands in the file as it is; otherwise columns inside it say nothing."""

    def place_of(self, offset: int) -> Place:
        return self.place._replace(column=self.place.column + offset) if self.exact else self.place

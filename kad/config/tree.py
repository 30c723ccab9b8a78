"""The tree of lines of a configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kad.config.diagnostics import Place
from kad.config.lines import Line

if TYPE_CHECKING:
    from kad.config.keyword import Entry


class Node:
    """A line of the file with, if it opened a block, the lines in it."""

    __slots__ = ("children", "keyword", "line", "meaning")

    def __init__(self, line: Line, keyword: str, meaning: Entry | None) -> None:
        self.line = line
        self.keyword = keyword
        self.meaning = meaning
        """The entry of the vocabulary that it stands for; None when the word is unknown there."""
        self.children: list[Node] | None = None

    @property
    def place(self) -> Place:
        return self.line.place

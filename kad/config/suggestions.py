"""What was probably meant: the nearest known word, the block that a word belongs in, the keyword a value fits."""

from __future__ import annotations

import difflib

from kad.config.keyword import Keyword, Layout, instead_of
from kad.config.line_mistakes import MEMBERS, RENAMED, is_shell
from kad.config.lines import Word
from kad.config.tree import Node

_MOST_SEARCHES = 300
"""A file of nothing but unknown words must not take for ever."""


class Nearest:
    """Searches the vocabularies of one configuration language; blocks that a file has come first."""

    def __init__(self, layout: Layout) -> None:
        self._used: set[str] = set()
        self._blocks: dict[str, list[str]] = {}
        self._deprecated: dict[str, Keyword] = {}
        self._members: set[str] = set()
        """Names of blocks that are listed in others."""
        for inner in layout.layouts():
            for word in inner.words:
                contexts = self._blocks.setdefault(word, [])
                if inner.context not in contexts:
                    contexts.append(inner.context)
                if inner.words[word].keyword.instead:
                    self._deprecated[word] = inner.words[word].keyword
        self._known: dict[tuple[str, str], str] = {}
        self._alike: dict[tuple[str, str], list[str]] = {}

    def learn(self, tree: Node) -> None:
        """Which blocks the file has."""
        waiting = [tree]
        while waiting:
            node = waiting.pop()
            if node.keyword == MEMBERS[0]:
                self._members.update(node.line.text.split()[1:2])
            if node.meaning is not None and node.meaning.layout is not None:
                self._used.add(node.meaning.layout.context)
            waiting += [child for child in node.children or () if child.children]

    def proposal(self, word: str, layout: Layout, line: str) -> str:
        """What to do about a line whose word is unknown in this block; empty when nothing is likely."""
        if word in self._deprecated and self._deprecated[word].instead in layout.words:
            return f"write {instead_of(self._deprecated[word], line[len(word) :].strip(), '')}"
        if word in self._members and MEMBERS[1] in layout.words:
            return f"list the members in {MEMBERS[1]} {{ }}"
        if RENAMED.get(word) in layout.words:
            return f"did you mean {RENAMED[word]}?"
        if not layout.context and is_shell(line):
            return "remove the line: it looks like a shell command"
        key = (layout.context, word)
        if key not in self._known:
            if len(self._known) >= _MOST_SEARCHES:
                return ""
            self._known[key] = self._search(word, layout)
        return self._known[key]

    def _search(self, word: str, layout: Layout) -> str:
        near = difflib.get_close_matches(word, layout.words, n=1, cutoff=0.75)
        if word not in self._blocks and near:
            return f"did you mean {near[0]}?"
        if word in self._blocks:
            contexts = sorted(self._blocks[word], key=lambda context: context not in self._used)
            places = [place.replace("/", " > ") or "the top level" for place in contexts]
            return f"{word} belongs in {' or '.join(places[:3])}"
        loose = near or difflib.get_close_matches(word, layout.words, n=1, cutoff=0.6)
        if loose:
            return f"did you mean {loose[0]}?"
        elsewhere = difflib.get_close_matches(word, self._blocks, n=1, cutoff=0.8)
        if elsewhere:
            block = self._blocks[elsewhere[0]][0].replace("/", " > ") or "the top level"
            return f"did you mean {elsewhere[0]}, which belongs in {block}?"
        return ""

    def sibling(self, word: str, words: tuple[Word, ...], layout: Layout) -> str:
        """A like-named keyword of the same block whose value these words are; nearly any takes a number."""
        if words and words[0].text.lstrip("+-").replace(".", "", 1).isdecimal():
            return ""
        key = (layout.context, word)
        if key not in self._alike:
            self._alike[key] = difflib.get_close_matches(word, layout.words, n=4, cutoff=0.6)
        for name in self._alike[key]:
            entry = layout.words[name]
            if name == word or entry.name == layout.words[word].name or entry.keyword.value is None or entry.opens:
                continue
            value = entry.keyword.value
            if value.least == 0 or len(words) < value.least:
                continue
            try:
                value.read(words)
            except ValueError:
                continue
            return name
        return ""

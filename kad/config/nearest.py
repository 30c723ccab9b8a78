"""What was probably meant: the nearest known word, the block that a word belongs in, the keyword a value fits."""

from __future__ import annotations

import difflib

from kad.config.keyword import Layout
from kad.config.tree import Node, Word

_MOST_SEARCHES = 300
"""A file of nothing but unknown words must not take for ever."""


class Nearest:
    """Searches the vocabularies of one configuration language; blocks that a file has come first."""

    def __init__(self, layout: Layout) -> None:
        self._used: set[str] = set()
        self._blocks: dict[str, list[str]] = {}
        for inner in layout.layouts():
            for word in inner.words:
                contexts = self._blocks.setdefault(word, [])
                if inner.context not in contexts:
                    contexts.append(inner.context)
        self._known: dict[tuple[str, str], str] = {}
        self._alike: dict[tuple[str, str], list[str]] = {}

    def learn(self, tree: Node) -> None:
        """Which blocks the file has."""
        waiting = [tree]
        while waiting:
            node = waiting.pop()
            if node.meaning is not None and node.meaning.layout is not None:
                self._used.add(node.meaning.layout.context)
            waiting += [child for child in node.children or () if child.children]

    def proposal(self, word: str, layout: Layout) -> str:
        """What to do about a word that is unknown in this block; empty when nothing is likely."""
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
        """A like-named keyword of the same block whose value these words are."""
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

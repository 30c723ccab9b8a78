"""The grammar: what a line means by its keyword, and which block it stands in; the only importer of pyparsing."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable

import pyparsing

from kad.config.keyword import Entry, Keyword, Layout
from kad.config.tree import Line, Node, Place, Report, Word
from kad.config.values import Value

_FIRST = re.compile(r'[^\s"]+|"[^"]*"?')
_COMMAND = r""""((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|(\S+)"""


def _regex(pattern: str) -> pyparsing.ParserElement:
    return pyparsing.Regex(pattern, re.DOTALL, as_match=True).leave_whitespace().parse_with_tabs()


_SPACE = _regex(r"\s*").suppress()
_WORDS = pyparsing.ZeroOrMore(_SPACE + _regex(r'"([^"]*)"?|([^\s"]+)')) + _SPACE + pyparsing.StringEnd()
_COMMAND_WORDS = (
    pyparsing.Optional(_SPACE + _regex(_COMMAND))
    + pyparsing.ZeroOrMore(_SPACE + _regex(r'"([^"]*)"?|([^\s"]+)'))
    + _SPACE
    + pyparsing.StringEnd()
)


@functools.cache
def _line_of(keyword: str, value: Value) -> pyparsing.ParserElement:
    """The grammar of a well-formed line of this keyword, to its end."""
    return _regex(rf"{re.escape(keyword)}{value.pattern}\s*\Z")


@functools.lru_cache(maxsize=1 << 16)
def words_of(keyword: str, value: Value, text: str) -> tuple[Word, ...]:
    """The words after the keyword; a line that is not well-formed is cut at its blanks and quotes."""
    if not value.is_command:
        try:
            found = _line_of(keyword, value).parse_string(text)[0]
        except pyparsing.ParseException:
            pass
        else:
            return tuple(
                Word(word, found.start(number)) for number, word in enumerate(found.groups(), 1) if word is not None
            )
    return _cut(text, len(keyword), _COMMAND_WORDS if value.is_command else _WORDS)


def _cut(text: str, start: int, grammar: pyparsing.ParserElement) -> tuple[Word, ...]:
    words = []
    for found in grammar.parse_string(text[start:]):
        group = found.lastindex
        words.append(Word(found[group], found.start() + start, found[0][0] in "\"'"))
    return tuple(words)


def parse(lines: Iterable[Line], layout: Layout, report: Report) -> Node:
    """The tree of a whole configuration; says which braces are missing or too many."""
    return _Parser(layout, report).parse(list(lines))


class _Parser:
    def __init__(self, layout: Layout, report: Report) -> None:
        self._report = report
        self.root = Node(Line("", "", Place("")), "", Entry("", Keyword(help=""), layout=layout))
        self.root.children = []
        self._stack = [self.root]
        self._waiting: Node | None = None
        """The last line, as long as a brace may follow it."""

    def parse(self, lines: list[Line]) -> Node:
        for number, line in enumerate(lines):
            if line.kind == "{":
                self._open(line)
            elif line.kind == "}":
                self._close(line)
            else:
                self._text(line, number + 1 < len(lines) and lines[number + 1].kind == "{")
        self._expect_no_brace()
        for node in reversed(self._stack[1:]):
            self._report.error(
                node.place, f"the block {node.keyword or '{'} that begins here is never closed", proposal="add }"
            )
        return self.root

    def _text(self, line: Line, opens: bool) -> None:
        self._expect_no_brace()
        first = _FIRST.match(line.text)
        keyword = first[0] if first else line.text
        layout = _layout(self._stack[-1])
        entry = layout.words.get(keyword) if layout else None
        if entry is None and opens:
            depth = self._outer(keyword)
            if depth is not None:
                self._unclosed(depth, line, keyword)
                layout = _layout(self._stack[-1])
                entry = layout.words.get(keyword) if layout else None
        node = Node(line, keyword, entry)
        children = self._stack[-1].children
        assert children is not None
        children.append(node)
        self._waiting = node

    def _outer(self, keyword: str) -> int | None:
        """How deep the block is in which this keyword could open a block, if not the innermost one."""
        for depth in range(len(self._stack) - 2, -1, -1):
            layout = _layout(self._stack[depth])
            entry = layout.words.get(keyword) if layout else None
            if entry is not None and entry.opens:
                return depth
        return None

    def _unclosed(self, depth: int, line: Line, keyword: str) -> None:
        for node in self._stack[depth + 1 :]:
            self._report.error(
                line.place,
                f"{keyword} cannot stand inside {node.keyword or '{'}, whose block began in line {node.place.line}",
                proposal=f"close {node.keyword or '{'} with }} before this line",
            )
        del self._stack[depth + 1 :]

    def _expect_no_brace(self) -> None:
        """The last line is followed by no brace: well if it is no block."""
        node, self._waiting = self._waiting, None
        if node is None or node.meaning is None or not node.meaning.opens:
            return
        self._report.error(node.place, f"{node.keyword} opens a block, but no {{ follows", proposal="add {")
        node.children = []
        self._stack.append(node)

    def _open(self, line: Line) -> None:
        node, self._waiting = self._waiting, None
        if node is not None and (node.meaning is None or node.meaning.opens):
            node.children = []
            self._stack.append(node)
            return
        name = f"{node.keyword} opens no block, so the brace" if node is not None else "the brace"
        self._report.error(line.place, f"{name} has no place here", proposal="remove { and its }")
        self._again(line)

    def _again(self, line: Line) -> None:
        """A block without a meaning of its own: what it holds is read as part of the block around."""
        current = self._stack[-1]
        node = Node(line, "", current.meaning)
        node.children = current.children
        self._stack.append(node)

    def _close(self, line: Line) -> None:
        self._expect_no_brace()
        if len(self._stack) == 1:
            self._report.error(line.place, "this closing brace closes nothing", proposal="remove }")
            return
        self._stack.pop()


def _layout(node: Node) -> Layout | None:
    return node.meaning.layout if node.meaning else None

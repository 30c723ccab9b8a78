"""The grammar: what a line means by its keyword, and which block it stands in; the only importer of pyparsing."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable

import pyparsing

from kad.config.codes import ConfigCode
from kad.config.diagnostics import Place, Report
from kad.config.keyword import Entry, Keyword, Layout
from kad.config.lines import Line, Word
from kad.config.tree import Node
from kad.config.values import Value

_FIRST = re.compile(r'[^\s"]+|"[^"]*"?')
_COMMAND = r""""((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|(\S+)"""


def _regex(pattern: str) -> pyparsing.ParserElement:
    return pyparsing.Regex(pattern, re.DOTALL, as_match=True).leave_whitespace().parse_with_tabs()


_SPACE = _regex(r"\s*").suppress()
_END = _SPACE + pyparsing.StringEnd()
# Each whole keeps its tabs too, not its parts alone: else columns are wrong behind one, and words are changed.
_WORDS = (pyparsing.ZeroOrMore(_SPACE + _regex(r'"([^"]*)"?|([^\s"]+)')) + _END).parse_with_tabs()
_COMMAND_WORDS = (pyparsing.Optional(_SPACE + _regex(_COMMAND)) + _WORDS).parse_with_tabs()


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


_MOST_UNCLOSED = 20
"""So many blocks without an end are named one by one."""


class _Parser:
    """Which block each line stands in."""

    def __init__(self, layout: Layout, report: Report) -> None:
        self._report = report
        self.root = Node(Line("", "", Place("")), "", Entry("", Keyword(help=""), layout=layout))
        self.root.children = []
        self._stack = [self.root]
        self._named = [0]
        """Depths of the blocks on the stack that have a vocabulary of their own."""
        self._waiting: Node | None = None
        """The last line, as long as a brace may follow it."""
        self._suspects: list[Node] = []
        """Blocks whose brace stands further left than they do: it was probably meant for another block."""
        self._last = self.root.line
        self._excess = 0
        """How many more opening braces than closing ones the files have, as far as not yet explained."""

    def parse(self, lines: list[Line]) -> Node:
        kinds = [line.kind for line in lines]
        self._excess = kinds.count("{") - kinds.count("}")
        for number, line in enumerate(lines):
            if line.kind == "{":
                self._open(line)
            elif line.kind == "}":
                self._close(line)
            else:
                self._text(line, number + 1 < len(lines) and lines[number + 1].kind == "{")
            self._last = line
        self._expect_no_brace()
        unclosed = self._stack[1:]
        for node in unclosed[:_MOST_UNCLOSED]:
            self._never_closed(node, "before the end of the file")
        if len(unclosed) > _MOST_UNCLOSED:
            remark = ConfigCode.MORE_BLOCKS_OPEN(count=len(unclosed) - _MOST_UNCLOSED)
            self._report.error(unclosed[_MOST_UNCLOSED - 1].place, remark)
        return self.root

    def _text(self, line: Line, opens: bool) -> None:
        self._expect_no_brace()
        first = _FIRST.match(line.text)
        keyword = first[0] if first else line.text
        layout = _layout(self._stack[-1])
        entry = layout.words.get(keyword) if layout else None
        if entry is None and self._excess > 0:
            depth = self._outer(keyword, line, opens)
            if depth is not None:
                for node in self._stack[depth + 1 :]:
                    self._never_closed(node, f"before {keyword} in line {line.place.line}")
                    self._excess -= 1
                self._drop_to(depth)
                layout = _layout(self._stack[-1])
                entry = layout.words.get(keyword) if layout else None
        node = Node(line, keyword, entry)
        children = self._stack[-1].children
        assert children is not None
        children.append(node)
        self._waiting = node

    def _outer(self, keyword: str, line: Line, opens: bool) -> int | None:
        """The depth of the block around in which this line was probably meant to stand.

        It opens a block there, or it stands no further right than the block that it would otherwise be in.
        """
        current = self._stack[-1].place
        stands_out = line.exact and current.file == line.place.file and line.place.line > current.line
        stands_out = stands_out and line.place.column <= current.column
        for depth in reversed(self._named):
            layout = _layout(self._stack[depth])
            entry = layout.words.get(keyword) if layout and depth < len(self._stack) - 1 else None
            if entry is not None and ((entry.opens and opens) or (stands_out and not entry.opens)):
                return depth
        return None

    def _never_closed(self, node: Node, until: str) -> None:
        suspect = self._suspects.pop(0) if self._suspects else node
        name = suspect.keyword or "{"
        self._report.error(suspect.place, ConfigCode.BLOCK_NOT_CLOSED(name=name, until=until), proposal="add }")

    def _drop_to(self, depth: int) -> None:
        del self._stack[depth + 1 :]
        while self._named[-1] > depth:
            self._named.pop()

    def _push(self, node: Node) -> None:
        self._stack.append(node)
        if node.keyword and _layout(node) is not None:
            self._named.append(len(self._stack) - 1)

    def _expect_no_brace(self) -> None:
        """The last line is followed by no brace: well if it is no block."""
        node, self._waiting = self._waiting, None
        if node is None or node.meaning is None or not node.meaning.opens:
            return
        self._report.error(node.place, ConfigCode.BRACE_EXPECTED(keyword=node.keyword), proposal="add {")
        self._excess += 1
        node.children = []
        self._push(node)

    def _open(self, line: Line) -> None:
        node, self._waiting = self._waiting, None
        if node is not None and (node.meaning is None or node.meaning.opens):
            node.children = []
            self._push(node)
            return
        remark = ConfigCode.UNEXPECTED_BRACE() if node is None else ConfigCode.TAKES_NO_BLOCK(keyword=node.keyword)
        self._report.error(line.place, remark, proposal="remove { and its }")
        # Without a meaning of its own, what the block holds is read as part of the block around.
        anonymous = Node(line, "", self._stack[-1].meaning)
        anonymous.children = self._stack[-1].children
        self._push(anonymous)

    def _close(self, line: Line) -> None:
        self._expect_no_brace()
        if len(self._stack) == 1:
            self._report.error(line.place, ConfigCode.UNMATCHED_BRACE(), proposal="remove }")
            return
        node = self._stack[-1]
        self._drop_to(len(self._stack) - 2)
        begins_line = line.place.line != self._last.place.line
        if begins_line and line.exact and node.line.exact and line.place.column < node.place.column:
            self._suspects.append(node)


def _layout(node: Node) -> Layout | None:
    return node.meaning.layout if node.meaning else None

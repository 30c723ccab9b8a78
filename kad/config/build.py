"""The tree into blocks: each line gives its field a value, and what cannot is said."""

from __future__ import annotations

import difflib
import functools
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from kad.config.codes import ConfigCode
from kad.config.diagnostics import Complaint, Place, Report
from kad.config.grammar import words_of
from kad.config.keyword import Block, Entry, Keyword, Layout, instead_of
from kad.config.line_mistakes import superfluous
from kad.config.lines import Line, Word
from kad.config.remark import Remark
from kad.config.secret_words import TOKEN, Withheld
from kad.config.suggestions import Nearest
from kad.config.tree import Node
from kad.config.values import Clamped, Missing, Value, Wrong
from kad.model.finding import Subject
from kad.model.host import Host

B = TypeVar("B", bound=Block)


_REMEMBERED_LINES = 1 << 15
_VALUES = {TOKEN, "MASTER", "BACKUP", "PASS", "true", "false"}


def _unreadable(error: ValueError) -> Remark:
    return ConfigCode.TOO_MANY_DIGITS() if "digits" in str(error) else ConfigCode.UNREADABLE(error=error)


_Lines = dict[str, Line | list[Line]]
"""By field: a line, or one for each item of a tuple; the block itself under the empty name."""


@functools.cache
def _entry(layout: Layout, field: str) -> Entry | None:
    """What fills this field of the struct."""
    entries = [*layout.words.values(), *([layout.lines] if layout.lines is not None else [])]
    return next((each for each in entries if each.field == field and not each.path), None)


def _item(entry: Entry | None, text: str) -> str:
    """How one of several lines is told from the others: what it is about where lines begin alike, else its first word.

    The first word is the one behind the keyword, where there is one.
    """
    if entry is None or entry.keyword.value is None:
        return text
    value, is_bare = entry.keyword.value, entry.keyword.is_entries
    # Only routes and rules need that; to parse a line again for each of thousands of findings would take seconds.
    if is_bare and value.subject is not None and (found := words_of("", value, f" {text}")):
        return value.subject(found)
    words = text.split(None, 2)
    at = 0 if is_bare else 1
    return words[at] if at < len(words) else ""


class Places:
    """Where each field of each block was written."""

    def __init__(self) -> None:
        self._of: dict[int, tuple[Block, _Lines, str, Layout]] = {}

    def record(self, block: Block, lines: _Lines, path: str, layout: Layout) -> None:
        """`path`: the block with those around it, as a Subject names it."""
        self._of[id(block)] = (block, lines, path, layout)

    def of(self, block: object, name: str = "", index: int | None = None) -> Place:
        """The place of a field (of its item `index`), or of the block where the field was not written."""
        _, lines, path, layout = self._of[id(block)]
        found = lines.get(name) or lines[""]
        if not isinstance(found, list):
            file, line, column, _ = found.place
            return Place(file, line, column, Subject(path, name if name in lines else ""))
        one = found[min(index or 0, len(found) - 1)]
        file, line, column, _ = one.place
        item = _item(_entry(layout, name), one.text) if index is not None else ""
        return Place(file, line, column, Subject(path, name, item))

    def find(self, name: str, *blocks: object) -> Place:
        """The place of a field in whichever of these it was written; of the first block otherwise."""
        for block in blocks:
            known = self._of.get(id(block))
            if known is not None and name in known[1]:
                return self.of(block, name, -1).about("")
        return self.of(blocks[0])


@dataclass(frozen=True)
class Scope:
    """What every stage after the tree needs at hand."""

    host: Host
    report: Report
    places: Places = field(default_factory=Places)
    dynamic_interfaces: bool = False
    """An interface that is absent now is expected to come."""

    def tell_absent(self, interface: str, place: Place, owner: str = "", klass: Complaint = Complaint.GENERAL) -> None:
        """Report that this host has no such interface; `owner` is what names it."""
        near = difflib.get_close_matches(interface, self.host.interfaces, n=1)
        proposal = f"did you mean {near[0]}?" if near else ""
        if self.dynamic_interfaces:
            remark = ConfigCode.NO_INTERFACE_YET(interface=interface).of(owner)
            self.report.note(place, remark, proposal=proposal, about_host=True)
        else:
            remark = ConfigCode.NO_INTERFACE(interface=interface).of(owner)
            self.report.warning(place, remark, proposal=proposal, klass=klass, about_host=True)


class _Bag:
    """Values and places of one struct that is being filled."""

    __slots__ = ("collected", "lines", "values")

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.collected: dict[str, list[Any]] = {}
        self.lines: _Lines = {}


_Bags = dict[tuple[str, ...], _Bag]
"""By the inlined structs that lead to it."""


class _Around(NamedTuple):
    """A block that is being built."""

    layout: Layout
    bags: _Bags
    name: str
    path: str
    """With the blocks around it, as a Subject names it."""


class Builder:
    """Fills the structs of one configuration."""

    def __init__(self, scope: Scope, layout: Layout) -> None:
        self._scope = scope
        self._report = scope.report
        self._nearest = Nearest(layout)
        self._vocabulary = {word for inner in layout.layouts() for word in inner.words} | _VALUES
        """Words that a password may be, and that are not hidden outside of its own line."""
        self._noted: set[tuple[str, str]] = set()
        self._merged: dict[Keyword, _Bags] = {}
        self._has_learnt = False
        self._unwritten: dict[int, Block] = {}
        self._around: list[_Around] = []
        """The blocks that are being built, from the outermost on."""
        self._known: dict[tuple[Keyword, str], Any] = {}
        """What well-formed lines said, as long as nothing had to be said about them."""

    def build(self, node: Node, layout: Layout, head: tuple[Word, ...] = (), keyword: Keyword | None = None) -> Block:
        """The struct of a block, from its lines; raises Wrong when its head is."""
        if not self._has_learnt:
            self._has_learnt = True
            self._nearest.learn(node)
        bags: _Bags = {}
        if keyword is not None and keyword.merged:
            bags = self._merged.setdefault(keyword, bags)
        bags.setdefault((), _Bag())
        self._around.append(self._inside(layout, bags, " ".join(word.text for word in head)))
        try:
            return self._build(node, layout, head, bags)
        finally:
            self._around.pop()

    def _inside(self, layout: Layout, bags: _Bags, name: str) -> _Around:
        outer = self._around[-1].path if self._around else ""
        own = f"{layout.context.rpartition('/')[2]} {name}".strip()
        return _Around(layout, bags, name, f"{outer}/{own}" if outer else own)

    def _build(self, node: Node, layout: Layout, head: tuple[Word, ...], bags: _Bags) -> Block:
        if layout.head is not None:
            name, value = layout.head
            bags[()].values[name] = self._name(value, head, node)
        children, node.children = node.children, None
        for child in children or ():
            entry = child.meaning
            if entry is None:
                if layout.lines is not None and child.children is None:
                    self._item(bags[()], child, layout.lines)
                else:
                    self._unknown(child, layout)
                continue
            self._note(child, entry, layout)
            bag = bags.get(entry.path)
            if bag is None:
                bag = bags[entry.path] = _Bag()
            self._fill(bag, child, entry, layout)
        return self._make(layout, bags, (), node.line)

    def _name(self, value: Value, head: tuple[Word, ...], node: Node) -> Any:
        """What the head of a block says; raises Wrong."""
        try:
            return value.read(head)
        except Wrong:
            raise
        except Clamped as clamped:
            if not clamped.is_harmless:
                # A block of another name would be another block.
                raise Wrong(clamped.remark, clamped.index) from None
            place = node.line.place_of(head[clamped.index].offset)
            self._report.note(self._at(place, node), clamped.remark.of(node.keyword).then(clamped.consequence))
            return clamped.value
        except ValueError as error:
            raise Wrong(error.remark if isinstance(error, Clamped) else _unreadable(error)) from None

    def default(self, layout: Layout) -> Block:
        """The struct of a block that was not written."""
        return self._make(layout, {}, (), Line("", "", Place("")))

    def _shared(self, layout: Layout) -> Block:
        """The inlined struct of which nothing was written: one for all."""
        made = self._unwritten.get(id(layout))
        if made is None:
            inner = {name: self._shared(each) for name, each in layout.inlines}
            made = self._unwritten[id(layout)] = layout.struct(**inner)
        return made

    def _make(self, layout: Layout, bags: dict[tuple[str, ...], _Bag], path: tuple[str, ...], line: Line) -> Block:
        bag = bags.get(path)
        if bag is None:
            if path and not any(other[: len(path)] == path for other in bags):
                return self._shared(layout)
            bag = _Bag()
        for name, inner in layout.inlines:
            bag.values[name] = self._make(inner, bags, (*path, name), line)
        collected = {name: tuple(values) for name, values in bag.collected.items()}
        made = layout.struct(**bag.values, **collected)
        bag.lines[""] = line
        self._scope.places.record(made, bag.lines, self._around[-1].path if self._around else "", layout)
        return made

    def _fill(self, bag: _Bag, node: Node, entry: Entry, layout: Layout) -> None:
        keyword = entry.keyword
        name = entry.field
        if keyword.is_entries:
            self._entries(bag, node, entry)
        elif entry.layout is not None:
            head = self._head(node, entry)
            if head is None:
                return
            if keyword.unique and self._is_repeated(bag, entry, head):
                self._report.warning(
                    self._at(node.place, node, entry), ConfigCode.BLOCK_DEFINED_TWICE(block=node.line.text)
                )
                return
            try:
                built = self.build(node, entry.layout, head, keyword)
            except Wrong as wrong:
                self._wrong(node, entry, head, wrong)
                return
            self._keep(bag, name, built, node.line, keyword.collected)
        elif keyword.value is not None:
            value = self._read(node, node.keyword, keyword.value, entry, layout)
            if name in bag.values and value is not None:
                if keyword.unique or (bag.values[name] in keyword.settled and value != bag.values[name]):
                    self._report.warning(
                        self._at(node.place, node), ConfigCode.WRITTEN_TWICE_FIRST_COUNTS(keyword=node.keyword)
                    )
                    return
                if keyword.replaced:
                    self._report.warning(
                        self._at(node.place, node), ConfigCode.WRITTEN_TWICE_LAST_COUNTS(keyword=node.keyword)
                    )
            self._keep(bag, name, value, node.line, keyword.collected)

    def _entries(self, bag: _Bag, node: Node, entry: Entry) -> None:
        rest = node.line.text[len(node.keyword) :].strip()
        if rest:
            self._report.warning(
                self._at(node.place, node), ConfigCode.WORDS_BEFORE_BRACE(keyword=node.keyword, rest=rest)
            )
        if entry.keyword.unique and entry.field in bag.collected:
            self._report.warning(
                self._at(node.place, node), ConfigCode.WRITTEN_TWICE_FIRST_COUNTS(keyword=node.keyword)
            )
            return
        if not node.children and not entry.keyword.may_be_empty:
            self._report.warning(self._at(node.place, node), ConfigCode.EMPTY_BLOCK(keyword=node.keyword))
        bag.collected.setdefault(entry.field, [])
        bag.lines.setdefault(entry.field, node.line)
        for child in node.children or ():
            self._item(bag, child, entry)

    def _item(self, bag: _Bag, node: Node, entry: Entry) -> None:
        """A line that is a value."""
        assert entry.keyword.value is not None
        self._keep(bag, entry.field, self._read(node, "", entry.keyword.value, entry), node.line, True)

    def _keep(self, bag: _Bag, name: str, value: Any, line: Line, collected: bool) -> None:
        if value is None:
            return
        if collected:
            bag.collected.setdefault(name, []).append(value)
            lines = bag.lines.get(name)
            if isinstance(lines, list):
                lines.append(line)
            else:
                bag.lines[name] = [line]
        else:
            bag.values[name] = value
            bag.lines[name] = line

    def _head(self, node: Node, entry: Entry) -> tuple[Word, ...] | None:
        assert entry.layout is not None
        if entry.layout.head is None:
            return ()
        value = entry.layout.head[1]
        words = words_of(node.keyword, value, node.line.text)
        if len(words) < value.least:
            self._missing(node, entry, value)
            return None
        return words

    def _is_repeated(self, bag: _Bag, entry: Entry, head: tuple[Word, ...]) -> bool:
        assert entry.layout is not None
        if entry.layout.head is None:
            return entry.field in bag.values
        name = entry.layout.head[0]
        return any(getattr(block, name) == head[0].text for block in bag.collected.get(entry.field, ()))

    def _read(self, node: Node, keyword: str, value: Value, entry: Entry, layout: Layout | None = None) -> Any:
        memo = (entry.keyword, node.line.text)
        if memo in self._known:
            return self._known[memo]
        found = self._report.count
        result = self._interpret(node, keyword, value, entry, layout)
        if self._report.count == found:
            if len(self._known) >= _REMEMBERED_LINES:
                self._known.clear()
            self._known[memo] = result
        return result

    def _interpret(self, node: Node, keyword: str, value: Value, entry: Entry, layout: Layout | None) -> Any:
        text = node.line.text if keyword else f" {node.line.text}"
        words = words_of(keyword, value, text)
        if value.secret_from is not None and len(words) > value.secret_from:
            self._hide(node, words[value.secret_from :], keyword)
        if len(words) < value.least:
            self._missing(node, entry, value)
            return None
        if value.most is not None and len(words) > value.most:
            rest = "the rest" if value.secret_from is not None else " ".join(word.text for word in words[value.most :])
            place = self._at(self._place(node, words[value.most], keyword), node, entry)
            if entry.keyword.exact:
                self._report.warning(place, ConfigCode.TOO_MANY_WORDS(keyword=node.keyword, most=value.most))
                return None
            proposal = "put the whole command between quotes" if value.is_command else ""
            remark = ConfigCode.SURPLUS_WORDS(keyword=node.keyword, rest=rest)
            self._report.note(place, remark, proposal=proposal)
        try:
            return value.read(words)
        except Clamped as clamped:
            place = self._place(node, words[clamped.index], keyword) if words else node.place
            tell = self._report.note if clamped.is_harmless else self._report.warning
            subject = value.subject(words) if value.subject is not None else node.keyword
            tell(self._at(place, node, entry), clamped.remark.of(subject).then(clamped.consequence))
            return clamped.value
        except Wrong as wrong:
            self._wrong(node, entry, words, wrong, layout)
        except ValueError as error:
            # Python reads no number of thousands of digits.
            self._wrong(node, entry, words, Wrong(_unreadable(error)), layout)
        return None

    def _hide(self, node: Node, words: tuple[Word, ...], keyword: str) -> None:
        """They are secret, where they stand and wherever else they are found."""
        texts = [word.text for word in words if word.text not in self._vocabulary]
        self._report.hide(texts, self._place(node, words[0], keyword) if node.line.exact else None)
        if not node.line.exact:
            self._report.hide_expanded(node.place)

    def _place(self, node: Node, word: Word, keyword: str) -> Place:
        return node.line.place_of(word.offset if keyword else word.offset - 1)

    def _at(self, place: Place, node: Node, entry: Entry | None = None) -> Place:
        """With the object that is written there: the keyword of the block that is built, or one of its values."""
        block = self._around[-1].path
        if entry is None or not (entry.keyword.collected or entry.layout is not None):
            return place._replace(subject=Subject(block, entry.name if entry is not None else node.keyword))
        return place._replace(subject=Subject(block, entry.name, _item(entry, node.line.text)))

    def _missing(self, node: Node, entry: Entry, value: Value) -> None:
        klass = entry.keyword.missing
        remark = ConfigCode.WORD_MISSING(keyword=node.keyword, arguments=value.arguments)
        if klass is Complaint.MISSING_WORD:
            self._report.error(self._at(node.place, node, entry), remark, klass=klass)
        else:
            self._report.warning(self._at(node.place, node, entry), remark.then("the line is ignored"), klass=klass)

    def _wrong(
        self, node: Node, entry: Entry, words: tuple[Word, ...], wrong: Wrong, layout: Layout | None = None
    ) -> None:
        shift = 1 if entry.keyword.is_entries else 0
        at = words[wrong.index].offset - shift if wrong.index < len(words) else 0
        value = entry.keyword.value
        name = value.subject(words) if value is not None and value.subject is not None else entry.name
        proposal = wrong.advice or (f"did you mean {wrong.proposal}?" if wrong.proposal else "")
        if layout is not None and not proposal:
            written = words[0].text if len(words) == 1 else ""
            proposal = superfluous(written, entry.keyword.default)
        if layout is not None and not proposal:
            sibling = self._nearest.sibling(node.keyword, words, layout)
            proposal = f"did you mean {sibling}?" if sibling else ""
            meant = layout.words[sibling].keyword.value if sibling else None
            if meant is not None and meant.secret_from is not None:
                self._hide(node, words, node.keyword)
        place = self._at(node.line.place_of(at), node, entry)
        if isinstance(wrong, Withheld):
            self._report.error(place, wrong.remark.of(name), proposal=wrong.advice)
            return
        if isinstance(wrong, Missing):
            self._report.error(place, wrong.remark.of(name), klass=Complaint.MISSING_WORD)
            return
        self._report.warning(place, wrong.remark.of(name).then(self._consequence(entry)), proposal=proposal)

    def _consequence(self, entry: Entry) -> str:
        keyword = entry.keyword
        if keyword.block is not None:
            return "the block is ignored"
        if keyword.value is not None and keyword.value.noun:
            return f"the {keyword.value.noun} is ignored"
        if keyword.inherits and (inherited := self._inherited(keyword.inherits)):
            return f"using {keyword.inherits} {inherited}"
        return f"using default ({keyword.default})" if keyword.default else "the line is ignored"

    def _inherited(self, word: str) -> str:
        """What this keyword of the nearest block around says, or its default."""
        for around in reversed(self._around[:-1]):
            entry = around.layout.words.get(word)
            if entry is not None and entry.keyword.value is not None:
                bag = around.bags.get(entry.path)
                written = bag.values.get(entry.field) if bag is not None else None
                return entry.keyword.default if written is None else entry.keyword.value.write(written)
        return ""

    def _note(self, node: Node, entry: Entry, layout: Layout) -> None:
        if entry.is_deprecated:
            self._report.warning(
                self._at(node.place, node),
                ConfigCode.DEPRECATED_SPELLING(keyword=node.keyword),
                proposal=f"write {entry.name}",
            )
        elif entry.keyword.instead:
            value = node.line.text[len(node.keyword) :].strip()
            proposal = f"write {instead_of(entry.keyword, value, self._around[-1].name)}"
            self._report.warning(
                self._at(node.place, node), ConfigCode.DEPRECATED(keyword=node.keyword), proposal=proposal
            )
        if not entry.keyword.effect and (layout.context, entry.name) not in self._noted:
            self._noted.add((layout.context, entry.name))
            remark = ConfigCode.NO_EFFECT_YET(keyword=node.keyword)
            if entry.keyword.refused:
                self._report.error(self._at(node.place, node), remark.then(f"without it {entry.keyword.refused}"))
            else:
                self._report.note(self._at(node.place, node), remark)

    def _unknown(self, node: Node, layout: Layout) -> None:
        if not node.keyword:
            return
        where = f"in {layout.context.rpartition('/')[2]}" if layout.context else "at the top level"
        dropped = "the block is ignored" if node.children is not None else "the line is ignored"
        self._report.warning(
            self._at(node.place, node),
            ConfigCode.UNKNOWN_KEYWORD(keyword=node.keyword, where=where, dropped=dropped),
            proposal=self._nearest.proposal(node.keyword, layout, node.line.text),
        )

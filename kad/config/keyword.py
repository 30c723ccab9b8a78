"""A keyword is a field: its name, its value, its help; a block is a struct of them; vocabularies follow from both."""

from __future__ import annotations

import dataclasses
import functools
import typing
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from kad.config.diagnostics import Complaint
from kad.config.values import Value


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """What one block of a file says: a field a keyword, as it was written; None where nothing was.

    Files that define blocks do without postponed annotations: the marks are read from the fields themselves.
    """


@dataclass(frozen=True, kw_only=True, eq=False)
class Keyword:
    """What `keyword()`, `block()` and `entries()` put on a field."""

    help: str
    value: Value | None = None
    """What stands behind the word; for entries, what each line of the block is."""
    block: type[Block] | None = None
    is_entries: bool = False
    may_be_empty: bool = True
    """A block of entries without any is nothing to speak of."""
    collected: bool = False
    """Each occurrence adds to a tuple; otherwise the last one counts."""
    unique: bool = False
    """A second occurrence is refused; for named blocks, a second one of the same name."""
    settled: tuple[object, ...] = ()
    """Values after which a second occurrence with another value is refused."""
    replaced: bool = False
    """A second occurrence counts, and is reported."""
    merged: bool = False
    """A block that goes on where an earlier one ended."""
    name: str = ""
    aliases: tuple[str, ...] = ()
    deprecated: tuple[str, ...] = ()
    default: str = ""
    """What holds when nothing is written, in words."""
    effect: bool = True
    """kad acts on it."""
    refused: str = ""
    """Of one without effect: why to go on without it would be another service than the file says."""
    instead: str = ""
    """What to write instead of a deprecated word; {value} is its value, {block} the name of the block around it."""
    inherits: str = ""
    """The keyword of a block around whose value holds when nothing is written."""
    exact: bool = False
    """Words too many make the line wrong; elsewhere they are ignored."""
    missing: Complaint = Complaint.MISSING_WORD
    """The class of complaint when the value is not there."""


@dataclass(frozen=True, eq=False)
class Head:
    """Marks the field that takes the words between the name of a block and its brace."""

    value: Value


@dataclass(frozen=True, eq=False)
class Lines:
    """Marks the field that collects the lines of a block that begin with no keyword."""

    value: Value
    help: str


@dataclass(frozen=True)
class Inline:
    """Marks a field whose struct's keywords stand in this block, each with this prefix."""

    prefix: str = ""
    effect: bool = True
    also: tuple[tuple[str, str], ...] = ()
    """Further words for some of them: (WORD, its name in the struct)."""


def instead_of(keyword: Keyword, value: str, block: str) -> str:
    """What to write for a deprecated word with that value."""
    text = keyword.instead.format(value=value, block=block)
    if text != keyword.instead:
        return text
    return f"{text} {value}".rstrip()


def keyword(value: Value, help: str, **more: Any) -> Keyword:
    """A keyword with a value on its line."""
    return Keyword(value=value, help=help, **more)


def block(struct: type[Block], help: str, **more: Any) -> Keyword:
    """A keyword with a block of keywords."""
    return Keyword(block=struct, help=help, **more)


def entries(value: Value, help: str, **more: Any) -> Keyword:
    """A keyword with a block in which each line is a value; repeated blocks add up."""
    return Keyword(value=value, is_entries=True, collected=True, help=help, **more)


@dataclass(frozen=True, eq=False)
class Entry:
    """What one word means in one context."""

    name: str
    keyword: Keyword
    field: str = ""
    path: tuple[str, ...] = ()
    """Inlined structs to pass through to reach the field."""
    layout: Layout | None = None
    is_deprecated: bool = False

    @property
    def opens(self) -> bool:
        """A brace must follow."""
        return self.keyword.block is not None or self.keyword.is_entries


@dataclass(eq=False)
class Layout:
    """The vocabulary of a block, and how its struct is filled."""

    struct: type[Block]
    context: str
    """Names of the blocks around, joined by slashes; empty at the top."""
    words: dict[str, Entry] = field(default_factory=dict)
    head: tuple[str, Value] | None = None
    lines: Entry | None = None
    """What lines without a keyword are."""
    inlines: list[tuple[str, Layout]] = field(default_factory=list)

    def layouts(self) -> Iterator[Layout]:
        """This one and all inside it."""
        yield self
        for layout in {id(entry.layout): entry.layout for entry in self.words.values() if entry.layout}.values():
            yield from layout.layouts()


@functools.cache
def layout_of(struct: type[Block], context: str = "") -> Layout:
    """Read the fields of a block's struct."""
    layout = Layout(struct, context)
    for name, hint in struct.__annotations__.items():
        for mark in getattr(hint, "__metadata__", ()):
            match mark:
                case Head(value):
                    layout.head = (name, value)
                case Lines(value, help):
                    layout.lines = Entry(context.rpartition("/")[2], entries(value, help), name)
                case Inline(prefix, effect, also):
                    inner = layout_of(typing.get_args(hint)[0], context)
                    layout.inlines.append((name, inner))
                    spellings = [(prefix + word, word) for word in inner.words]
                    for word, plain in (*spellings, *also):
                        entry = inner.words[plain]
                        path = (name, *entry.path)
                        known = entry.keyword if effect else dataclasses.replace(entry.keyword, effect=False)
                        layout.words[word] = dataclasses.replace(
                            entry, name=prefix + entry.name, path=path, keyword=known
                        )
                case Keyword():
                    _add(layout, name, mark)
    return layout


def _add(layout: Layout, name: str, keyword: Keyword) -> None:
    own = keyword.name or name
    inner = None
    if keyword.block is not None:
        inner = layout_of(keyword.block, f"{layout.context}/{own}".lstrip("/"))
    for word in (own, *keyword.aliases, *keyword.deprecated):
        layout.words[word] = Entry(own, keyword, name, (), inner, word in keyword.deprecated)

"""A keyword is a field: its name, its value, its help; a block is a struct of them; vocabularies follow from both."""

from __future__ import annotations

import functools
import typing
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from kad.config.tree import Complaint
from kad.config.values import Value


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """What one block of a file says: a field a keyword, as it was written; None where nothing was."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Keyword:
    """What `keyword()`, `block()` and `entries()` put on a field."""

    help: str
    value: Value | None = None
    """What stands behind the word; for entries, what each line of the block is."""
    block: type[Block] | None = None
    is_entries: bool = False
    collected: bool = False
    """Each occurrence adds to a tuple; otherwise the last one counts."""
    unique: bool = False
    """A second occurrence is refused; for named blocks, a second one of the same name."""
    merged: bool = False
    """A block that goes on where an earlier one ended."""
    name: str = ""
    aliases: tuple[str, ...] = ()
    deprecated: tuple[str, ...] = ()
    default: str = ""
    """What holds when nothing is written, in words."""
    effect: bool = True
    """kad acts on it."""
    missing: Complaint = Complaint.MISSING_WORD
    """The class of complaint when the value is not there."""


@dataclass(frozen=True, eq=False)
class Head:
    """Marks the field that takes the words between the name of a block and its brace."""

    value: Value


@dataclass(frozen=True)
class Inline:
    """Marks a field whose struct's keywords stand in this block."""


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
    is_opaque: bool = False
    """Known to keepalived alone: it fills no field."""
    is_silent: bool = False
    """The block around already says that it has no effect."""

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
    hints = typing.get_type_hints(struct, include_extras=True)
    for info in msgspec.structs.fields(struct):
        for mark in getattr(hints[info.name], "__metadata__", ()):
            match mark:
                case Head(value):
                    layout.head = (info.name, value)
                case Inline():
                    inner = layout_of(typing.get_args(hints[info.name])[0], context)
                    layout.inlines.append((info.name, inner))
                    for word, entry in inner.words.items():
                        layout.words[word] = Entry(
                            entry.name,
                            entry.keyword,
                            entry.field,
                            (info.name, *entry.path),
                            entry.layout,
                            entry.is_deprecated,
                        )
                case Keyword():
                    _add(layout, info.name, mark)
    return layout


def _add(layout: Layout, name: str, keyword: Keyword) -> None:
    own = keyword.name or name
    inner = None
    if keyword.block is not None:
        inner = layout_of(keyword.block, f"{layout.context}/{own}".lstrip("/"))
    for word in (own, *keyword.aliases, *keyword.deprecated):
        layout.words[word] = Entry(own, keyword, name, (), inner, word in keyword.deprecated)

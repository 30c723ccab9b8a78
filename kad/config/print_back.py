"""A configuration printed back from what was read: parsed again it is the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from kad.config.keyword import Block, Entry, Layout

_INDENT = "    "


def print_back(block: Block, layout: Layout, *, with_defaults: bool = False, with_secrets: bool = False) -> str:
    """The lines of the block; with the defaults of what was not written as comments.

    Without its secrets, which a token stands for, the text cannot be used as a configuration.
    """
    return "".join(f"{line}\n" for line in _Printer(with_defaults, with_secrets).lines(block, layout))


@dataclass(frozen=True)
class _Printer:
    with_defaults: bool
    with_secrets: bool

    def lines(self, block: Block, layout: Layout) -> Iterator[str]:
        seen: set[tuple[tuple[str, ...], str]] = set()
        for entry in layout.words.values():
            if (entry.path, entry.field) in seen:
                continue
            seen.add((entry.path, entry.field))
            owner: Any = block
            for step in entry.path:
                owner = getattr(owner, step)
            value = getattr(owner, entry.field)
            if value == _default(owner, entry.field):
                if self.with_defaults and entry.keyword.default:
                    yield f"# {entry.name}: {entry.keyword.default}"
                continue
            yield from self._entry(entry, value)
        if layout.lines is not None:
            assert layout.lines.keyword.value is not None
            yield from map(layout.lines.keyword.value.write, getattr(block, layout.lines.field))

    def _entry(self, entry: Entry, value: Any) -> Iterator[str]:
        keyword = entry.keyword
        if keyword.is_entries:
            assert keyword.value is not None
            yield f"{entry.name} {{"
            yield from (_INDENT + keyword.value.write(item) for item in value)
            yield "}"
        elif entry.layout is not None:
            for block in value if keyword.collected else (value,):
                yield f"{entry.name}{_head(block, entry.layout)} {{"
                yield from (_INDENT + line for line in self.lines(block, entry.layout))
                yield "}"
        else:
            assert keyword.value is not None
            whole = keyword.value.write_whole
            write = whole if self.with_secrets and whole is not None else keyword.value.write
            for item in value if keyword.collected else (value,):
                yield f"{entry.name} {write(item)}".rstrip()


def _default(block: Block, name: str) -> Any:
    fields = type(block).__struct_fields__
    defaults = type(block).__struct_defaults__
    # A keyword-only struct lists the defaults of its fields in order, with NODEFAULT where there is none.
    return defaults[fields.index(name) - len(fields) + len(defaults)] if defaults else msgspec.NODEFAULT


def _head(block: Block, layout: Layout) -> str:
    if layout.head is None:
        return ""
    name, value = layout.head
    return f" {value.write(getattr(block, name))}"

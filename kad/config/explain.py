"""What a keyword means, from the same field that reads it: for one word, for all, and as a reference page."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from kad.config.keyword import Entry, Layout, instead_of

_TOP = "the top level"


def where(context: str) -> str:
    """A context as a person reads it."""
    return context.replace("/", " > ") or _TOP


def explain(word: str, layout: Layout) -> str | None:
    """Every meaning of the word; None when nobody knows it."""
    found = [(context, entry, silent) for context, name, entry, silent in words(layout) if name == word]
    if not found:
        return None
    texts: dict[str, dict[str, None]] = {}
    for context, entry, silent in found:
        texts.setdefault(_text(word, entry, silent), {})[where(context)] = None
    return "\n".join(f"{text}    in: {', '.join(contexts)}\n" for text, contexts in texts.items())


def proposals(word: str, layout: Layout) -> list[str]:
    """Known words that look like it."""
    return difflib.get_close_matches(word, {name for _, name, _, _ in words(layout)}, n=3)


def words(layout: Layout, has_effect: bool = True) -> Iterator[tuple[str, str, Entry, bool]]:
    """CONTEXT, WORD, meaning, and whether kad only reads it, of every word of the language."""
    for word, entry in layout.words.items():
        silent = not has_effect or not entry.keyword.effect
        yield layout.context, word, entry, silent
        if entry.layout is not None:
            yield from words(entry.layout, not silent)


def _text(word: str, entry: Entry, silent: bool) -> str:
    keyword = entry.keyword
    lines = [f"{_usage(word, entry)}", f"    {keyword.help}"]
    if keyword.default:
        lines.append(f"    default: {keyword.default}")
    if word != entry.name:
        lines.append(f"    {'old spelling of' if entry.is_deprecated else 'the same as'} {entry.name}")
    if keyword.instead:
        lines.append(
            f"    deprecated; write {instead_of(keyword, keyword.value.arguments if keyword.value else '', 'NAME')}"
        )
    if silent:
        consequence = ", and is refused" if keyword.refused else ""
        lines.append(f"    has no effect in kad yet{consequence}")
    return "".join(f"{line}\n" for line in lines)


def _usage(word: str, entry: Entry) -> str:
    value = entry.keyword.value
    if entry.keyword.is_entries and value is not None:
        return f"{word} {{ {value.arguments} }}"
    if entry.layout is not None:
        head = f" {entry.layout.head[1].arguments}" if entry.layout.head else ""
        return f"{word}{head} {{ ... }}"
    return f"{word} {value.arguments}".rstrip() if value is not None else word


def overview(layout: Layout) -> str:
    """All words by context, one a line."""
    lines: list[str] = []
    last = None
    for context, word, entry, silent in sorted(words(layout), key=lambda row: row[0]):
        if context != last:
            lines += ["", where(context)] if lines else [where(context)]
            last = context
        lines.append(f"    {_usage(word, entry)}{'  (no effect yet)' if silent else ''}")
    return "\n".join(lines) + "\n"


def reference(layout: Layout) -> str:
    """The reference page, in Markdown."""
    parts = ["# Configuration reference\n\nEvery keyword, by block; generated from the program itself.\n"]
    last = None
    for context, word, entry, silent in sorted(words(layout), key=lambda row: row[0]):
        if context != last:
            parts.append(f"\n## {where(context)}\n\n| keyword | meaning | default |\n|---|---|---|\n")
            last = context
        meaning = entry.keyword.help + (" *(no effect yet)*" if silent else "")
        cells = (f"`{_usage(word, entry)}`", meaning, entry.keyword.default)
        parts.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n")
    return "".join(parts)

"""Diagnostics as text for a person: the place, the sentence, the line with a caret, the proposal."""

from __future__ import annotations

import json
from collections.abc import Iterable

from kad.config.tree import Diagnostic, Place

_WIDEST = 160
"""Characters of a line that are quoted."""


def where(place: Place) -> str:
    """FILE:LINE:COLUMN, or the file alone."""
    return f"{place.file}:{place.line}:{place.column}" if place.line else place.file


def summary(found: Diagnostic) -> str:
    """One finding on one line, for a log."""
    proposal = f" ({found.proposal})" if found.proposal else ""
    return f"{where(found.place)}: {found.severity}: {found.text}{proposal}".encode(errors="replace").decode()


def render(diagnostics: Iterable[Diagnostic]) -> str:
    """Each finding, one after the other; empty when there is none."""
    return "".join(_one(diagnostic) for diagnostic in diagnostics)


def to_json(diagnostics: Iterable[Diagnostic]) -> str:
    """An array with an object a finding, for editors and pipelines; columns count characters from 1."""
    found = [
        {
            "file": one.place.file,
            "line": one.place.line,
            "column": one.place.column,
            "severity": one.severity,
            "text": one.text,
            "proposal": one.proposal,
            "about_host": one.about_host,
            "exit_code": one.klass.exit_code,
        }
        for one in diagnostics
    ]
    return json.dumps(found, indent=2) + "\n"


def _one(found: Diagnostic) -> str:
    lines = [f"{where(found.place)}: {found.severity}: {found.text}"]
    if found.source.strip():
        source = found.source.expandtabs(4)
        caret = len(found.source[: found.place.column - 1].expandtabs(4))
        start = max(0, caret - _WIDEST // 2) if len(source) > _WIDEST else 0
        lines += [f"    {source[start : start + _WIDEST]}", f"    {' ' * (caret - start)}^"]
    if found.proposal:
        lines.append(f"    {found.proposal}")
    return "\n".join(lines).encode(errors="replace").decode() + "\n"

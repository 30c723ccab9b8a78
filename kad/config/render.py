"""Diagnostics as text for a person: the place, the sentence, the line with a caret, the proposal."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from kad.config.diagnostics import Diagnostic, Place
from kad.model.finding import Subject
from kad.shared.messages import Finding

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_WIDEST = 160
"""Characters of a line that are quoted."""


def where(place: Place) -> str:
    """FILE:LINE:COLUMN, or the file alone."""
    return f"{place.file}:{place.line}:{place.column}" if place.line else place.file


def to_finding(found: Diagnostic) -> Finding:
    """For the log and for a client: text that every terminal can show."""
    return Finding(
        severity=found.severity,
        place=_shown(where(found.place)),
        text=_shown(found.text),
        code=found.code,
        subjects=tuple(Subject(*map(_shown, each)) for each in (found.subject, *found.also)),
        figures={name: _shown(each) if isinstance(each, str) else each for name, each in found.figures.items()},
        proposal=_shown(found.proposal),
        quote=_quote(found),
        refuses=found.severity != "note" and not found.about_host,
    )


def _shown(text: str) -> str:
    """Without control characters and halves of surrogates; as long as before, so that a caret stays in place."""
    return _CONTROL.sub("?", text.encode(errors="replace").decode())


def render(diagnostics: Iterable[Diagnostic]) -> str:
    """Each finding, one after the other; empty when there is none."""
    return "".join(to_finding(diagnostic).whole for diagnostic in diagnostics)


def to_json(diagnostics: Iterable[Diagnostic]) -> str:
    """An array with an object a finding, for editors and pipelines; columns count characters from 1."""
    found = [
        {
            "file": one.place.file,
            "line": one.place.line,
            "column": one.place.column,
            "severity": one.severity,
            "code": one.code,
            "subject": one.subject._asdict(),
            "text": one.text,
            "proposal": one.proposal,
            "about_host": one.about_host,
            "exit_code": one.klass.exit_code,
        }
        for one in diagnostics
    ]
    return json.dumps(found, indent=2) + "\n"


def _quote(found: Diagnostic) -> tuple[str, ...]:
    """The line, or the part of it around the place, and a caret below it."""
    if not found.source.strip():
        return ()
    source = found.source.expandtabs(4)
    caret = len(found.source[: found.place.column - 1].expandtabs(4))
    start = max(0, caret - _WIDEST // 2) if len(source) > _WIDEST else 0
    return _shown(source[start : start + _WIDEST]), f"{' ' * (caret - start)}^"

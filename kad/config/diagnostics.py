"""Places in files, and what is found wrong there: diagnostics as values, and the report that collects them."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from kad.config.codes import ConfigCode
from kad.config.remark import Remark
from kad.model.finding import Figure, Subject
from kad.model.secret import MASK


class Place(NamedTuple):
    """A character of a file; line and column count from 1, line 0 means the file as a whole."""

    file: str
    line: int = 0
    column: int = 0
    subject: Subject = Subject()
    """The object that is written there, where it is known."""

    def about(self, item: object) -> Place:
        """The same place, for one of several values or objects that are meant there."""
        return self._replace(subject=self.subject._replace(item=str(item)))


class Complaint(enum.IntEnum):
    """keepalived's classes of complaint, in its order; the highest decides the exit code of -t."""

    NONE = 0
    HOST = 1
    """An interface that fails the whole file, and other fatal findings."""
    GENERAL = 2
    """Unknown word, brace, quote, number, and everything else that is dropped or defaulted."""
    SECURITY = 3
    FILES = 4
    """A file of the configuration cannot be read."""
    MISSING_WORD = 5
    """A mandatory word is missing: keepalived exits at once."""

    @property
    def exit_code(self) -> int:
        return _EXIT_CODES[self]


_EXIT_CODES = {
    Complaint.NONE: 0,
    Complaint.HOST: 4,
    Complaint.GENERAL: 5,
    Complaint.SECURITY: 6,
    Complaint.FILES: 6,
    Complaint.MISSING_WORD: 2,
}


class Diagnostic(msgspec.Struct, frozen=True, kw_only=True):
    """One finding about a configuration."""

    severity: str
    """error, warning or note."""
    place: Place
    text: str
    """One plain sentence, without the place; it is printed from what follows, and never compared."""
    code: str = ""
    subject: Subject = Subject()
    figures: dict[str, Figure] = {}
    also: tuple[Subject, ...] = ()
    """Further objects of which the same is said at the same place, as of a file that is included twice."""
    proposal: str = ""
    """What was probably meant, where that is likely."""
    klass: Complaint = Complaint.NONE
    about_host: bool = False
    """It speaks of this host (interface, user, script), not of the text: it never refuses a reload."""
    source: str = ""
    """The line of the file, as it stands there."""


def _sentence(remark: Remark) -> str:
    text = str(remark)
    if len(text) <= _LONGEST_TEXT:
        return text
    half = _LONGEST_TEXT // 2
    return f"{text[:half]} ... {text[-half:]}"


MOST_FINDINGS = 5000
"""Of one analysis; a file with more is none."""
_LONGEST_TEXT = 400
_SHORTEST_SECRET = 4
"""Characters; what is shorter is hidden in its own line alone: it is a part of many words."""
_SEVERITIES = ("note", "warning", "error")


class Report:
    """Collects the findings of one analysis; an equal finding is kept once."""

    def __init__(self) -> None:
        self._found: dict[tuple[Place, Remark], Diagnostic] = {}
        self.count = 0
        """How often something was said; it grows with repetitions too."""
        self._secrets: set[str] = set()
        self.with_secret: set[tuple[str, int]] = set()
        """File and line of each line that holds a secret by what is put in for its names."""
        self._hidden: dict[tuple[str, int], int] = {}
        """From which column on a line is not shown, by file and line."""
        self._unshown = 0
        self._worst = Diagnostic(severity="note", place=Place(""), text="")

    def error(self, place: Place, remark: Remark, *, proposal: str = "", klass: Complaint = Complaint.GENERAL) -> None:
        self._add("error", place, remark, proposal, klass, False)

    def warning(
        self,
        place: Place,
        remark: Remark,
        *,
        proposal: str = "",
        klass: Complaint = Complaint.GENERAL,
        about_host: bool = False,
    ) -> None:
        self._add("warning", place, remark, proposal, klass, about_host)

    def note(self, place: Place, remark: Remark, *, proposal: str = "", about_host: bool = False) -> None:
        self._add("note", place, remark, proposal, Complaint.NONE, about_host)

    def _add(
        self, severity: str, place: Place, remark: Remark, proposal: str, klass: Complaint, about_host: bool
    ) -> None:
        self.count += 1
        if len(self._found) >= MOST_FINDINGS:
            self._unshown += 1
            worst = max(self._worst.severity, severity, key=_SEVERITIES.index)
            self._worst = msgspec.structs.replace(self._worst, severity=worst, klass=max(self._worst.klass, klass))
            return
        subject = place.subject
        place = Place(place.file, place.line, place.column)
        known = self._found.get((place, remark))
        if known is None:
            self._found[place, remark] = Diagnostic(
                severity=severity,
                place=place,
                text=_sentence(remark),
                code=remark.id,
                subject=subject,
                figures=remark.values,
                proposal=proposal,
                klass=klass,
                about_host=about_host,
            )
        elif subject != known.subject and subject not in known.also:
            self._found[place, remark] = msgspec.structs.replace(known, also=(*known.also, subject))

    def hide(self, words: Iterable[str], place: Place | None) -> None:
        """These words are secret; with a place, so is the rest of the line from there on."""
        self._secrets.update(word for word in words if len(word) >= _SHORTEST_SECRET)
        if place is not None:
            key = (place.file, place.line)
            self._hidden[key] = min(place.column, self._hidden.get(key, place.column))

    def hide_expanded(self, place: Place) -> None:
        """The line at this place stands for one with a secret: what it is made of is hidden too."""
        self.with_secret.add((place.file, place.line))

    def conceal(self, text: str, place: Place | None = None) -> str:
        """The text, or the line at a place, without what is secret in it."""
        column = self._hidden.get((place.file, place.line)) if place is not None else None
        if column is not None:
            text = text[: column - 1] + MASK
        if self._secrets and any(map(text.__contains__, self._secrets)):
            longest_first = sorted(self._secrets, key=len, reverse=True)
            text = re.sub("|".join(map(re.escape, longest_first)), MASK, text)
        return text

    def without_secrets(self, diagnostic: Diagnostic) -> Diagnostic:
        """The finding as everybody may read it."""
        if not self._secrets:
            return diagnostic
        figures = {
            name: self.conceal(each) if isinstance(each, str) else each for name, each in diagnostic.figures.items()
        }
        return msgspec.structs.replace(
            diagnostic,
            text=self.conceal(diagnostic.text),
            subject=self._without_secrets(diagnostic.subject),
            figures=figures,
            also=tuple(map(self._without_secrets, diagnostic.also)),
            proposal=self.conceal(diagnostic.proposal),
        )

    def _without_secrets(self, subject: Subject) -> Subject:
        return Subject(*map(self.conceal, subject))

    @property
    def diagnostics(self) -> Iterable[Diagnostic]:
        yield from self._found.values()
        if self._unshown:
            remark = ConfigCode.MORE_FINDINGS(count=self._unshown)
            yield msgspec.structs.replace(self._worst, text=str(remark), code=remark.id, figures=remark.values)

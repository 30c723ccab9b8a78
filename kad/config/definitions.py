"""$NAME definitions, ~SEQ and ~LST, and @ID conditions: the lines that a line stands for."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Iterable, Iterator

from kad.config.codes import ConfigCode
from kad.config.diagnostics import Place, Report
from kad.config.remark import Remark
from kad.model.finding import Subject
from kad.model.host import Host

DEFINE = re.compile(r"\$([A-Za-z_]\w*)=(.*)\Z", re.DOTALL | re.ASCII)
_USE = re.compile(r"\$(?:([A-Za-z_]\w*)(?=[ \t,)]|\Z)|\{([A-Za-z_]\w*)((?:[ \t]+\w+)*)\})", re.ASCII)
_CONDITION = re.compile(r"@(\^?)(\S*)\s*(.*)\Z", re.DOTALL)
_SEQUENCE = re.compile(r"~(SEQx?|LST)\s*\(([^()]*)\)\s*(.*)\Z", re.DOTALL)
_COMMA = re.compile(r",(?![^{}]*\})")
_NUMBER = re.compile(r"[+-]?(0[xX][0-9A-Fa-f]+|[0-9]+)\Z")
_NAME = re.compile(r"[A-Za-z_]\w*\Z", re.ASCII)
_QUOTED = re.compile(r'"[^"]*"?')

_COMMENT_SIGNS = {"_HASH": "#", "_BANG": "!"}
LONGEST_EXPANSION = 1024
_LONGEST_SEQUENCE = 100_000
"""Numbers of one ~SEQ."""
_MOST_DIGITS = 19
"""Of a number in a sequence or for ${_RANDOM}."""
_MOST_REPLACEMENTS = 200
_MOST_STEPS = 500_000
"""Over a whole analysis: a small file must not stand for an endless one."""

_Assigned = dict[str, str]
_Pending = tuple[str, int, _Assigned]
"""A text that is still to be looked at, how many replacements made it, and what is to be defined before."""


def _names(text: str) -> set[str]:
    """Those that stand in a text, in any form."""
    return {found[1] or found[2] for found in _USE.finditer(text)}


class BadSequence(ValueError):
    """~SEQ or ~LST says nothing that can be counted."""

    def __init__(self, remark: Remark) -> None:
        super().__init__(remark)
        self.remark = remark


class Definitions:
    """The names that are defined so far; a text is looked at again after each replacement."""

    def __init__(self, host: Host, config_id: str, report: Report) -> None:
        self._host = host
        self._config_id = config_id
        self._report = report
        self._random = random.Random(host.seed)
        self._values: dict[str, tuple[str, ...]] = {}
        self._directories: list[str] = []
        self._growing: tuple[str, list[str]] | None = None
        """A definition whose last line ended with a backslash."""
        self._written: dict[str, list[tuple[str, int]]] = {}
        """File and line of every line that says something of the value of a name."""
        self._behind: dict[str, set[str]] = {}
        """Names that stand in the values of a name."""
        self._steps = 0

    @property
    def in_value(self) -> bool:
        """The next line, even a blank one, belongs to a definition."""
        return self._growing is not None

    def enter(self, directory: str) -> None:
        """A file of that directory is being read from now on."""
        self._directories.append(directory)

    def leave(self) -> None:
        """It has ended."""
        self._directories.pop()

    def lines_behind(self, text: str) -> set[tuple[str, int]]:
        """File and line of each line of a definition that this text is made of."""
        found: set[str] = set()
        waiting = _names(text)
        while waiting:
            found.add(name := waiting.pop())
            waiting |= self._behind.get(name, set()) - found
        return {line for name in found for line in self._written.get(name, ())}

    def expand(self, text: str, place: Place) -> Iterator[tuple[str, bool]]:
        """The lines that stand for this one, each with whether it is exactly it; none for a definition."""
        waiting: list[Iterator[_Pending]] = [iter([(text, 0, {})])]
        while waiting:
            pending = next(waiting[-1], None)
            if pending is None:
                waiting.pop()
                continue
            current, depth, assigned = pending
            for name, value in assigned.items():
                self._values[name] = (value,)
            self._steps += 1
            if depth > _MOST_REPLACEMENTS or self._steps > _MOST_STEPS:
                self._report.error(place, ConfigCode.DEFINITIONS_ENDLESS())
                return
            more = self._look(current.strip(), depth, place)
            if more is None:
                self._tell_unknown(current, place)
                yield current.strip(), current == text
            else:
                waiting.append(iter(more))

    def _look(self, text: str, depth: int, place: Place) -> Iterable[_Pending] | None:
        """What stands for the text; None when it stands for itself."""
        if self._growing is not None:
            self._grow(text, place)
            return ()
        if not text:
            return ()
        if text[0] == "@" and (condition := _CONDITION.match(text)):
            holds = (condition[2] == self._config_id) != bool(condition[1])
            return [(condition[3], depth + 1, {})] if holds else ()
        if text[0] == "$" and (defined := DEFINE.match(text)):
            self._growing = (defined[1], [])
            self._grow(defined[2].strip(), place)
            return ()
        if text.startswith(("~SEQ", "~LST")):
            return self._repeat(text, depth, place)
        return self._replace(text, depth, place) if "$" in text else None

    def _grow(self, text: str, place: Place) -> None:
        assert self._growing is not None
        name, lines = self._growing
        self._written.setdefault(name, []).append((place.file, place.line))
        self._behind.setdefault(name, set()).update(_names(text))
        if text.endswith("\\"):
            text = text[:-1].rstrip()
        else:
            self._growing = None
        if text:
            lines.append(text)
        self._values[name] = tuple(lines) or ("",)

    def _replace(self, text: str, depth: int, place: Place) -> Iterable[_Pending] | None:
        """The text with its first known name replaced."""
        for used in _USE.finditer(text):
            lines = self._value(used[1] or used[2], (used[3] or "").split(), place)
            if lines is None or (len(lines) > 1 and used.end() < len(text)):
                continue
            name = used[1] or used[2]
            if name in _COMMENT_SIGNS and name not in self._values and not _is_quoted(text, used.start()):
                # As keepalived: what the sign makes of the line is a comment.
                return [(text[: used.start()], depth + 1, {})]
            whole = text[: used.start()] + lines[0] + text[used.end() :]
            if len(whole) > LONGEST_EXPANSION:
                self._report.warning(
                    _of_word(place, used[0]),
                    ConfigCode.EXPANSION_TOO_LONG(used=used[0], longest_expansion=LONGEST_EXPANSION),
                )
                return None
            return [(whole, depth + 1, {}), *((line, depth + 1, {}) for line in lines[1:])]
        return None

    def _inserted(self, text: str, place: Place) -> str:
        """The text with every name replaced that has one line; raises BadSequence for one that never ends."""
        for _ in range(_MOST_REPLACEMENTS):
            for used in _USE.finditer(text):
                lines = self._value(used[1] or used[2], (used[3] or "").split(), place)
                if lines is not None and len(lines) == 1:
                    text = text[: used.start()] + lines[0] + text[used.end() :]
                    break
            else:
                return text
            if len(text) > LONGEST_EXPANSION:
                break
        raise BadSequence(ConfigCode.SEQUENCE_NAMES_ENDLESS())

    def _value(self, name: str, parameters: list[str], place: Place) -> tuple[str, ...] | None:
        if name in self._values:
            return self._values[name]
        match name, parameters:
            case "_PWD", []:
                return (self._directories[-1],)
            case "_INSTANCE", []:
                return (self._config_id,)
            case (("_HASH" | "_BANG"), []):
                return (_COMMENT_SIGNS[name],)
            case "_ENV", [variable]:
                if variable not in self._host.environment:
                    self._report.warning(
                        _of_word(place, variable), ConfigCode.NO_ENVIRONMENT_VARIABLE(variable=variable)
                    )
                value = self._host.environment.get(variable, "")
                return (value.encode(errors="surrogateescape").decode(errors="replace"),)
            case "_RANDOM", [*bounds] if len(bounds) <= 2 and all(bound.isdecimal() for bound in bounds):
                if any(len(bound) > _MOST_DIGITS for bound in bounds):
                    remark = ConfigCode.RANDOM_DIGITS(most_digits=_MOST_DIGITS)
                    self._report.warning(place, remark)
                    return None
                return (str(self._draw([int(bound) for bound in bounds], place)),)
        return None

    def _draw(self, bounds: list[int], place: Place) -> int:
        low = bounds[0] if len(bounds) == 2 else 0
        high = bounds[-1] if bounds else 32767
        if low > high:
            self._report.warning(
                _of_word(place, f"{low} {high}"), ConfigCode.RANDOM_BOUNDS_REVERSED(low=low, high=high)
            )
            return low
        return self._random.randint(low, high)

    def _repeat(self, text: str, depth: int, place: Place) -> Iterable[_Pending]:
        matched = _SEQUENCE.match(text)
        try:
            if matched is None:
                raise BadSequence(ConfigCode.SEQUENCE_INCOMPLETE())
            kind, inside, rest = matched[1], self._inserted(matched[2], place), matched[3]
            assigned = tuples(inside) if kind == "LST" else sequence(inside, kind == "SEQx")
        except BadSequence as bad:
            self._report.warning(_of_word(place, text), ConfigCode.SEQUENCE_IGNORED(word=text[:4], problem=bad.remark))
            return ()
        return ((rest, depth + 1, values) for values in assigned)

    def _tell_unknown(self, text: str, place: Place) -> None:
        if "$" not in text:
            return
        for used in _USE.finditer(_QUOTED.sub("", text)):
            name = used[1] or used[2]
            lines = self._values.get(name)
            if lines is None:
                self._report.note(place, ConfigCode.NAME_NOT_DEFINED(used=used[0]))
            elif len(lines) > 1:
                self._report.note(place, ConfigCode.NAME_HAS_SEVERAL_LINES(used=used[0]))


def _of_word(place: Place, text: str) -> Place:
    return place._replace(subject=Subject(item=text))


def _is_quoted(text: str, at: int) -> bool:
    return text.count('"', 0, at) % 2 == 1


def sequence(inside: str, hexadecimal: bool) -> Iterator[_Assigned]:
    """NAME, [FIRST, [STEP,]] LAST as one assignment a number; raises BadSequence."""
    name, *texts = (part.strip() for part in inside.split(","))
    if not _NAME.match(name) or not 1 <= len(texts) <= 3 or not all(map(_NUMBER.match, texts)):
        raise BadSequence(ConfigCode.SEQUENCE_WITHOUT_NUMBERS())
    numbers = [_to_number(text) for text in texts]
    last = numbers[-1]
    first = numbers[0] if len(numbers) > 1 else -1 if last < 0 else 1
    step = numbers[1] if len(numbers) == 3 else 1 if last >= first else -1
    if step == 0 or (last - first) * step < 0:
        raise BadSequence(ConfigCode.SEQUENCE_CANNOT_COUNT(first=first, last=last, step=step))
    if hexadecimal and min(first, last) < 0:
        raise BadSequence(ConfigCode.SEQUENCE_NEGATIVE_HEXADECIMAL())
    count = (last - first) // step + 1
    if count > _LONGEST_SEQUENCE:
        raise BadSequence(ConfigCode.SEQUENCE_TOO_LONG(longest_sequence=_LONGEST_SEQUENCE))
    return (
        {name: f"{number:x}" if hexadecimal else str(number)}
        for number in itertools.islice(itertools.count(first, step), count)
    )


def _to_number(text: str) -> int:
    digits = text.lstrip("+-")
    if len(digits) > _MOST_DIGITS:
        raise BadSequence(ConfigCode.SEQUENCE_DIGITS(most_digits=_MOST_DIGITS))
    base = 16 if digits[:2].lower() == "0x" else 8 if len(digits) > 1 and digits[0] == "0" else 10
    try:
        return int(text, base)
    except ValueError:
        raise BadSequence(ConfigCode.SEQUENCE_NOT_A_NUMBER(text=text)) from None


def tuples(inside: str) -> Iterator[_Assigned]:
    """NAME, VALUE ... or {NAME, NAME}, {VALUE, VALUE} ... as one assignment a value; raises BadSequence."""
    rows: list[list[str]] = []
    for part in map(str.strip, _COMMA.split(inside)):
        if part.startswith("{") and part.endswith("}"):
            rows.append([value.strip() for value in part[1:-1].split(",")])
        elif re.search(r"[\s{}]", part):
            raise BadSequence(ConfigCode.SEQUENCE_BAD_VALUE(text=part))
        else:
            rows.append([part])
    if not all(map(_NAME.match, rows[0])):
        raise BadSequence(ConfigCode.SEQUENCE_WITHOUT_NAME())
    names = rows[0]
    if any(len(row) > len(names) for row in rows):
        raise BadSequence(ConfigCode.SEQUENCE_SURPLUS_VALUES(names=" ".join(names)))
    return (dict(itertools.zip_longest(names, row, fillvalue="")) for row in rows[1:])

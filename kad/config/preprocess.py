"""Bytes of files to logical lines: comments, conditions, definitions, includes, and the cut at braces."""

from __future__ import annotations

import codecs
import os.path
import re
import sys
import unicodedata
from collections.abc import Iterator

from kad.config.codes import ConfigCode
from kad.config.definitions import DEFINE, Definitions
from kad.config.diagnostics import Complaint, Place, Report
from kad.config.lines import Line
from kad.config.remark import Remark
from kad.model.finding import Subject
from kad.model.host import Host, TooMany

LONGEST_LINE = 1023
"""Bytes of a line that keepalived can read."""

_SPACES = " \t\f\v\r"
_PLAIN = re.compile(r'\s*([^"#!{}$@~\\\0]*?)\s*([{}]?)\s*\Z')
"""A line with nothing in it but words and at most one brace, at its end."""
_LONGEST_READ = 1 << 16
_MOST_LINES = 2_000_000
"""Logical lines of a whole configuration."""
_CERTAINLY_SHORT = LONGEST_LINE // 4
"""In characters; one of them has at most four bytes."""
_CODE = re.compile(r'(?:[^"#!\\]+|\\[#!]?|"[^"]*"?)*+')
_ESCAPED = re.compile(r'("[^"]*"?)|\\([#!])')
_FOREIGN_SPACE = re.compile(r'"[^"]*"?|([^\S\x00-\x7f])')
_PIECE = re.compile(r'[{}]|(?:[^"{}]|"[^"]*"?)+')
_INCLUDE = re.compile(r"include([a-z]?)[ \t](.*)\Z", re.DOTALL)
_WILD = re.compile(r"[*?\[]")
_GROUP = re.compile(r"\{([^{}]*)\}")
_MOST_GROUPS, _MOST_ALTERNATIVES = 64, 1000
"""Of the {a,b} of one include."""
_DEEPEST, _MOST_FILES = 64, 20_000

_CHECK_WORDS = {"read": "r", "match": "m", "wildcard_match": "w", "brace_match": "b"}
CHECKS = {"": "", "r": "r", "m": "rm", "w": "rmw", "b": "rb", "a": "rmwb"}
"""Which failures of an include are errors, by its letter: reading, no match, no wildcard match, no brace match."""

_DEFINED = re.compile(r"[^$]*\$\w+=")
"""What precedes the value on the first line of a definition."""
_REPEATED = re.compile(r"~(?:SEQx?|LST)\s*\(")
"""What precedes the values that a line is repeated for."""


class Preprocessor:
    """Reads files, and what they include, into one sequence of logical lines."""

    def __init__(self, host: Host, config_id: str, report: Report, *, all_checks: bool = False) -> None:
        self._host = host
        self._config_id = config_id
        self._report = report
        self._definitions = Definitions(host, config_id, report)
        self._checks = [frozenset("rmwb" if all_checks else "")]
        """What plain includes check, by open file; the first one is for the command line."""
        self._open: list[str] = []
        self._read = 0
        self._sources: dict[str, bytes] = {}
        self._quoted: tuple[str, list[str]] = ("", [])
        """The file that was quoted last, and its lines."""

    def read(self, pattern: str) -> Iterator[Line]:
        """Every logical line of the files that match, in order; says what cannot be read."""
        for number, line in enumerate(self._matching(pattern)):
            if number == _MOST_LINES:
                self._report.error(line.place, ConfigCode.TOO_MANY_LINES(most_lines=_MOST_LINES))
                return
            yield line

    def _matching(self, pattern: str) -> Iterator[Line]:
        path = os.path.join(self._host.cwd, pattern)
        try:
            names = self._expand(path)
        except TooMany as too_many:
            self._report.error(Place(pattern), ConfigCode.PATTERN_TOO_WIDE(problem=too_many), klass=Complaint.FILES)
            return
        if not names:
            self._report.error(Place(pattern), ConfigCode.NO_SUCH_FILE(), klass=Complaint.FILES)
            return
        readable = [name for name in names if self._may_read(name, Place(name), "r")]
        if len(readable) > 1:
            self._report.warning(
                Place(pattern, subject=Subject(item=pattern)), ConfigCode.SEVERAL_FILES_MATCH(count=len(readable))
            )
        for name in readable:
            yield from self._file(name, Place(name), "rm")

    def _may_read(self, name: str, place: Place, checks: str) -> bool:
        look = self._host.files.look(name)
        if look is None:
            problem = ConfigCode.FILE_UNREADABLE()
        elif look.kind != "file":
            problem = ConfigCode.FILE_IS_DIRECTORY() if look.kind == "directory" else ConfigCode.FILE_NOT_REGULAR()
        elif look.mode & 0o111:
            problem = ConfigCode.FILE_IS_EXECUTABLE()
        else:
            return True
        self._cannot(place, name, problem, "r" in checks)
        return False

    def _cannot(self, place: Place, name: str, problem: Remark, is_error: bool) -> None:
        remark = problem if place.file == name and not place.line else problem.of(name)
        if is_error:
            self._report.error(place, remark, klass=Complaint.FILES)
        else:
            self._report.note(place, remark.then("the include is skipped"))

    def _file(self, name: str, place: Place, checks: str) -> Iterator[Line]:
        real = self._host.files.resolve(name)
        self._read += 1
        if real in self._open or len(self._open) >= _DEEPEST or self._read > _MOST_FILES:
            code = ConfigCode.FILE_INCLUDES_ITSELF if real in self._open else ConfigCode.TOO_MANY_INCLUDES
            self._report.error(place, code(name=name), klass=Complaint.FILES)
            return
        try:
            data = self._host.files.read(name)
        except OSError as error:
            self._cannot(place, name, ConfigCode.FILE_FAILS(strerror=error.strerror), "r" in checks)
            return
        if data.startswith(codecs.BOM_UTF8):
            data = data.removeprefix(codecs.BOM_UTF8)
            self._report.warning(
                Place(name, 1, 1, Subject(item=name)), ConfigCode.BYTE_ORDER_MARK(), proposal="save the file without it"
            )
        self._sources[name] = data
        if b"\0" in data and self._tell_nul_bytes(data, name):
            return
        lines = self._decoded(data, name)
        self._open.append(real)
        self._checks.append(self._checks[0])
        self._definitions.enter(os.path.dirname(name))
        for number, raw in enumerate(lines, 1):
            plain = _PLAIN.match(raw) if len(raw) < _CERTAINLY_SHORT and raw.isascii() else None
            if plain and not self._definitions.in_value and "include" not in raw:
                if plain[1]:
                    # Most lines of a large file say what others say too.
                    yield Line("", sys.intern(plain[1]), Place(name, number, plain.start(1) + 1))
                if plain[2]:
                    yield Line(plain[2], plain[2], Place(name, number, plain.start(2) + 1))
            else:
                yield from self._line(raw, Place(name, number, 1))
        self._definitions.leave()
        self._checks.pop()
        self._open.pop()

    @property
    def files(self) -> list[str]:
        """Every file that was read, in order."""
        return list(self._sources)

    def source(self, place: Place) -> str:
        """The line of the file, as it stands there."""
        if self._quoted[0] != place.file:
            # Most files are never quoted, so that only their bytes are kept.
            self._quoted = (place.file, _lines(self._sources[place.file])[0])
        return self._quoted[1][place.line - 1].rstrip("\r")

    def _tell_nul_bytes(self, data: bytes, name: str) -> bool:
        """Report what a file with NUL bytes is, once; whether nothing of it can be read."""
        if encoding := _wide_encoding(data):
            remark = ConfigCode.NOT_BYTES(encoding=encoding)
            self._report.warning(Place(name), remark, proposal=f"iconv -f {encoding} -t UTF-8 {name}")
            return True
        numbers = [number for number, line in enumerate(data.split(b"\n"), 1) if b"\0" in line]
        place = Place(name, numbers[0], 1)
        remark = ConfigCode.NUL_BYTES(count=len(numbers)) if len(numbers) > 1 else ConfigCode.NUL_BYTE()
        self._report.warning(_of_line(place, self.source(place)), remark)
        return False

    def hide_definitions(self) -> None:
        """Hide the values that lines with a secret are made of, whatever their length, where they are written."""
        for file, line in sorted(self._report.with_secret):
            source = self.source(Place(file, line, 1))
            if repeated := _REPEATED.search(source):
                self._report.hide((), Place(file, line, repeated.end() + 1))
            for other, number in self._definitions.lines_behind(source):
                written = _DEFINED.match(self.source(Place(other, number, 1)))
                self._report.hide((), Place(other, number, written.end() + 1 if written else 1))

    def _decoded(self, data: bytes, name: str) -> list[str]:
        lines, foreign = _lines(data)
        for number, start in foreign:
            if not {"#", "!"} & set(lines[number - 1][:start]):
                place = Place(name, number, start + 1)
                self._report.note(place, ConfigCode.NOT_UTF8())
        return lines

    def _line(self, raw: str, place: Place) -> Iterator[Line]:
        raw = raw.rstrip("\r")
        if "\0" in raw:
            return
        length = len(raw.encode())
        if length > _LONGEST_READ:
            self._report.error(place, ConfigCode.LINE_TOO_LONG_TO_READ(length=length, longest_read=_LONGEST_READ))
            return
        if length > LONGEST_LINE:
            self._report.warning(
                _of_line(place, raw),
                ConfigCode.LINE_TOO_LONG(length=length, longest_line=LONGEST_LINE),
                proposal="split it, or put the long part into a file of its own",
            )
        text = self._without_comment(raw, place)
        if raw.endswith("\\") and not text.endswith("\\"):
            text = self._continued(text, place)
        if not text.isascii():
            text = self._with_plain_spaces(text, place)
        start = len(text) - len(text.lstrip(_SPACES))
        text = text.strip(_SPACES)
        first = place._replace(column=start + 1)
        for line, exact in self._definitions.expand(text, first):
            yield from self._directive(line, first, exact)

    def _continued(self, text: str, place: Place) -> str:
        """As keepalived 2.2: a definition goes on behind a comment whose line goes on."""
        if not self._definitions.in_value and not DEFINE.match(text.strip(_SPACES)):
            return text
        self._report.note(place, ConfigCode.CONTINUED_BEHIND_COMMENT())
        return f"{text}\\"

    def _with_plain_spaces(self, text: str, place: Place) -> str:
        """The text with every foreign space outside of quotes as one that separates words."""
        found = next((piece for piece in _FOREIGN_SPACE.finditer(text) if piece[1]), None)
        if found is None:
            return text
        name = unicodedata.name(found[1], "a foreign space").lower()
        text = _FOREIGN_SPACE.sub(lambda piece: " " if piece[1] else piece[0], text)
        at = place._replace(column=found.start(1) + 1)
        self._report.warning(_of_line(at, text), ConfigCode.FOREIGN_SPACE(name=name, character=ord(found[1])))
        return text

    def _without_comment(self, raw: str, place: Place) -> str:
        matched = _CODE.match(raw)
        text = raw[: matched.end()] if matched else raw
        if text.count('"') % 2:
            self._report.error(
                place._replace(column=text.rindex('"') + 1),
                ConfigCode.UNCLOSED_QUOTE(),
                proposal='close it with "',
            )
        if "\\" in text:
            text = _ESCAPED.sub(lambda found: found[1] or found[2], text)
        return text

    def _directive(self, text: str, place: Place, exact: bool) -> Iterator[Line]:
        included = _INCLUDE.match(text) if text.startswith("include") else None
        if included and included[1] in CHECKS:
            checks = self._checks[-1] | set(CHECKS[included[1]])
            yield from self._include(included[2].strip(_SPACES), place, "".join(checks))
            return
        if text.startswith("include_check"):
            self._set_checks(text.split()[1:])
        for piece in _PIECE.finditer(text):
            part = piece[0]
            if part in ("{", "}"):
                column = place.column + piece.start() if exact else place.column
                yield Line(part, part, Place(place.file, place.line, column), exact)
                continue
            bare = part.strip(_SPACES)
            if bare:
                offset = piece.start() + part.index(bare[0])
                column = place.column + offset if exact else place.column
                yield Line("", bare, Place(place.file, place.line, column), exact)

    def _set_checks(self, words: list[str]) -> None:
        """include_check: what plain includes check from here to the end of the file."""
        checks = set(self._checks[-1]) if words and words[0][0] in "+-" else set()
        for word in words or list(_CHECK_WORDS):
            letter = _CHECK_WORDS.get(word.lstrip("+-"), "")
            if word[0] == "-":
                checks.discard(letter)
            elif letter:
                checks |= {"r", letter}
        self._checks[-1] = frozenset(checks)

    def _include(self, pattern: str, place: Place, checks: str) -> Iterator[Line]:
        name = pattern.strip('"')
        base = os.path.dirname(place.file)
        alternatives = _braces(name) if name.count("{") <= _MOST_GROUPS else []
        if not 0 < len(alternatives) <= _MOST_ALTERNATIVES:
            remark = ConfigCode.TOO_MANY_ALTERNATIVES(most_alternatives=_MOST_ALTERNATIVES)
            self._report.error(place, remark, klass=Complaint.FILES)
            return
        for alternative in alternatives:
            path = os.path.join(self._host.cwd, base, alternative)
            try:
                found = self._expand(path)
            except TooMany as too_many:
                self._report.error(
                    place, ConfigCode.PATTERN_TOO_WIDE(problem=too_many).of(alternative), klass=Complaint.FILES
                )
                continue
            if not found:
                wild = bool(_WILD.search(alternative))
                letter = "b" if len(alternatives) > 1 else "w" if wild else "m"
                self._cannot(place, alternative, ConfigCode.NO_FILE_MATCHES(), letter in checks)
            for file in found:
                if self._may_read(file, place, checks):
                    yield from self._file(file, place, checks)

    def _expand(self, path: str) -> list[str]:
        if _WILD.search(path):
            return list(self._host.files.glob(path))
        return [path] if self._host.files.look(path) else []


def _wide_encoding(data: bytes) -> str:
    """UTF-16 or UTF-32, by its mark or by how many of the bytes are NUL; empty where it is neither."""
    zeros = data.count(b"\0") / len(data)
    if data.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)) or zeros > 0.6:
        return "UTF-32"
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or zeros > 0.25:
        return "UTF-16"
    return ""


def _lines(data: bytes) -> tuple[list[str], list[tuple[int, int]]]:
    """The lines as text; those that are not UTF-8 are taken for Latin-1, and where that begins is told."""
    try:
        return data.decode().split("\n"), []
    except UnicodeDecodeError:
        pass
    lines, foreign = [], []
    for number, raw in enumerate(data.split(b"\n"), 1):
        try:
            lines.append(raw.decode())
        except UnicodeDecodeError as error:
            lines.append(raw.decode("latin-1"))
            foreign.append((number, error.start))
    return lines, foreign


def _braces(pattern: str) -> list[str]:
    """The alternatives of {a,b} in a pattern, as glob(3) expands them; more than _MOST_ALTERNATIVES are cut off."""
    found: list[str] = []
    waiting = [pattern]
    while waiting and len(found) <= _MOST_ALTERNATIVES:
        current = waiting.pop()
        group = _GROUP.search(current)
        if group is None or "," not in group[1]:
            found.append(current)
            continue
        head, tail = current[: group.start()], current[group.end() :]
        waiting += [head + part + tail for part in reversed(group[1].split(",")[: _MOST_ALTERNATIVES + 1])]
    return found


def _of_line(place: Place, text: str) -> Place:
    """The line by its first word: what it says is not understood yet."""
    return place._replace(subject=Subject(keyword=(text.split() or [""])[0]))

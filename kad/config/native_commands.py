"""Recognises a command that only asks whether something lives or exists, so that no program need be started; pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from kad.config.command import is_for_shell, split
from kad.config.values import Wrong
from kad.model.tracking import FileExists, KillallName, PgrepName, PidofName, Probe, ProcessesRun, ProcessOfFileRuns


class _Word(NamedTuple):
    text: str
    file: str | None = None
    """The content of this file stands here."""


class _Unknown(Exception):
    """Something that only the real program, or a shell, can answer."""


def recognise(command: str) -> Probe | None:
    """The question that a command line asks, or None when the program itself must be run."""
    try:
        if is_for_shell(command):
            return _line(list(_tokens(command.replace('\\"', '"'))))
        return _probe([_Word(word) for word in split(command)])
    except (_Unknown, Wrong):
        return None


# the shell

_TOKEN = re.compile(
    r"""[ \t]+
      | (?P<redirection>(?:[012]?>>?|&>>?|>&|<)[ \t]*/dev/null(?=[ \t;]|\Z)|[12]>&[12](?=[ \t;]|\Z))
      | (?P<operator>&&|\|\|)
      | ;(?=[ \t]*\Z)
      | (?P<quote>"?)(?:\$\([ \t]*(?:cat[ \t]|<)[ \t]*(?P<file>[\w./+:@,-]+)[ \t]*\)
                       |`[ \t]*cat[ \t]+(?P<old>[\w./+:@,-]+)[ \t]*`)(?P=quote)(?=[ \t&|;<>]|\Z)
      | (?P<word>(?:[\w./+:@,%=^!\[\]-]|'[^']*'|"[^"$`\\]*")+)
    """,
    re.VERBOSE | re.ASCII,
)
_BRACKETS = ("[", "[[", "]", "]]")


def _tokens(text: str) -> Iterator[_Word | str]:
    """Words, and operators as plain strings; raises _Unknown for everything else of the shell's language."""
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise _Unknown
        at = found.end()
        if found["operator"]:
            yield found["operator"]
        elif path := found["file"] or found["old"]:
            yield _Word("", path)
        elif found["word"]:
            yield _Word(_unquoted(found["word"]))


def _unquoted(text: str) -> str:
    bare = re.sub(r"'[^']*'|\"[^\"]*\"", "", text)
    if "[" in bare and text not in _BRACKETS:  # it may stand for the names of files
        raise _Unknown
    return re.sub(r"'([^']*)'|\"([^\"]*)\"", lambda found: found[1] or found[2] or "", text)


def _line(tokens: Sequence[_Word | str]) -> Probe:
    """One question, and what && exit N and || exit N make of its answer."""
    commands: list[list[_Word]] = [[]]
    operators: list[str] = []
    for token in tokens:
        if isinstance(token, str):
            operators.append(token)
            commands.append([])
        else:
            commands[-1].append(token)
    negated = bool(commands[0]) and commands[0][0] == _Word("!")
    probe = _probe(commands[0][negated:])
    statuses = [_exit_status(words) for words in commands[1:]]
    good = [
        answer for answer in (True, False) if _result(answer == (probe.good_if != negated), operators, statuses) == 0
    ]
    if len(good) != 1:  # whatever the answer
        raise _Unknown
    return Probe(asks=probe.asks, good_if=good[0])


def _result(truth: bool, operators: Sequence[str], statuses: Sequence[int]) -> int:
    """The exit status of the whole line."""
    for operator, status in zip(operators, statuses, strict=True):
        if truth == (operator == "&&"):
            return status
    return 0 if truth else 1


def _exit_status(words: Sequence[_Word]) -> int:
    match words:
        case [_Word("exit", None), _Word(number, None)] if number.isdecimal() and int(number) < 256:
            return int(number)
    raise _Unknown


# the tools

_FOLDERS = ("", "/bin/", "/sbin/", "/usr/bin/", "/usr/sbin/")


def _probe(words: Sequence[_Word]) -> Probe:
    """The question that one simple command asks."""
    if not words or words[0].file is not None:
        raise _Unknown
    folder, slash, name = words[0].text.rpartition("/")
    if folder + slash not in _FOLDERS:
        raise _Unknown
    if name == "kill":
        return Probe(asks=_kill(words[1:]))
    if any(word.file is not None for word in words):
        raise _Unknown
    arguments = [word.text for word in words[1:]]
    match name:
        case "killall":
            return Probe(asks=_killall(arguments))
        case "pidof":
            return Probe(asks=_pidof(arguments))
        case "pgrep":
            return Probe(asks=_pgrep(arguments))
        case "test":
            return _test(arguments)
        case "[" | "[[" if arguments and arguments[-1] == {"[": "]", "[[": "]]"}[name]:
            return _test(arguments[:-1])
    raise _Unknown


def _kill(words: Sequence[_Word]) -> ProcessOfFileRuns:
    match words:
        case [_Word("-0", None), _Word("", str(path))]:
            return ProcessOfFileRuns(path=path)
        case [_Word("-s", None), _Word("0", None), _Word("", str(path))]:
            return ProcessOfFileRuns(path=path)
    raise _Unknown


def _killall(arguments: Sequence[str]) -> ProcessesRun:
    signal, names = "", []
    rest = iter(arguments)
    for word in rest:
        match word:
            case "-0":
                signal = "0"
            case "-s" | "--signal":
                signal = next(rest, "")
            case "-q" | "--quiet" | "-v" | "--verbose":
                continue
            case _ if word.startswith("-") or not word:
                raise _Unknown
            case _:
                names.append(word)
    if signal != "0" or not names or len(set(names)) < len(names):
        raise _Unknown
    if len(names) > 1 and any("/" in name for name in names):
        # A process counts for the first name that means it alone, and a path may mean the same one as a name.
        raise _Unknown
    return ProcessesRun(patterns=tuple(KillallName(name=name) for name in names))


def _pidof(arguments: Sequence[str]) -> ProcessesRun:
    options = {word for word in arguments if word.startswith("-")}
    names = [word for word in arguments if not word.startswith("-")]
    if not options <= {"-s", "-q", "-x"} or not names or any(not name or name.endswith("/") for name in names):
        raise _Unknown
    patterns = tuple(PidofName(name=name, scripts="-x" in options) for name in names)
    return ProcessesRun(patterns=patterns, each=False)


_COMMON_EXPRESSION = re.compile(
    r"""\^? (?:ATOM[*+?]? | \( (?:ATOM|\|(?=ATOM))+ \) | \|(?=ATOM))+ \$?""".replace("ATOM", r"[\w./:@,%=-]"),
    re.VERBOSE | re.ASCII,
)
"""The part of POSIX extended regular expressions that is read here in the same way."""


def _pgrep(arguments: Sequence[str]) -> ProcessesRun:
    options = {word for word in arguments if word.startswith("-")}
    names = [word for word in arguments if not word.startswith("-")]
    if not options <= {"-x", "--exact"} or len(names) != 1:
        raise _Unknown
    expression = names[0]
    if not _COMMON_EXPRESSION.fullmatch(expression) or expression.startswith(("|", "^|")):
        raise _Unknown
    return ProcessesRun(patterns=(PgrepName(name=expression, exact=bool(options)),))


def _test(arguments: Sequence[str]) -> Probe:
    match arguments:
        case ["!", *inner] if inner and inner[0] != "!":
            return msgspec.structs.replace(_test(inner), good_if=False)
        case ["-f", path] if path:
            return Probe(asks=FileExists(path=path, kind="file"))
        case ["-e", path] if path:
            return Probe(asks=FileExists(path=path, kind="anything"))
        case ["-d", path] if path:
            return Probe(asks=FileExists(path=path, kind="directory"))
    raise _Unknown

"""Command lines as a configuration writes them: how they are cut into words, and when they are meant for a shell."""

from __future__ import annotations

import re

import msgspec

from kad.config.codes import ConfigCode
from kad.config.values import Value, Words, Wrong, quote, quote_all

_ESCAPES = {"a": "\a", "b": "\b", "E": "\x1b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{1,2})|c(.)|([0-7]{1,3})|(.))", re.DOTALL)
_PIECE = re.compile(r"""(\s+)|"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|((?:[^\s"'\\]|\\.)+)|(.)""", re.DOTALL)
_SHELL_WORD = re.compile(r"&&|\|\||[|;!]|\[\[?|(?:[0-9]*(?:>>?|>\||<|<>|[<>]&|<<<?|<<-)|&>>?)[^\s()]*")


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """A program with its arguments, as written, and who it shall run as."""

    text: str
    user: str | None = None
    group: str | None = None


def split(text: str) -> tuple[str, ...]:
    """The words of a command: both quotes, escapes in and outside of them; raises Wrong."""
    return tuple(word for word, _ in _words(text))


def is_for_shell(text: str) -> bool:
    """A word that is an operator of the shell, or a command to be substituted; never a character inside a word."""
    if "$(" in text or "`" in text:
        return True
    return any(bare and _SHELL_WORD.fullmatch(word) for word, bare in _words(text))


def _words(text: str) -> list[tuple[str, bool]]:
    """Each word, and whether it was written without quotes and escapes."""
    words: list[tuple[str, bool]] = []
    current: list[str] = []
    bare = True
    inside = False
    for piece in _PIECE.finditer(text):
        match piece.lastindex:
            case 1:
                if inside:
                    words.append(("".join(current), bare))
                current, bare, inside = [], True, False
                continue
            case 5:
                raise Wrong(ConfigCode.COMMAND_QUOTE_OPEN(text=text), proposal=text + piece[0])
        assert piece.lastindex is not None
        current.append(_ESCAPE.sub(_unescape, piece[piece.lastindex]))
        bare = bare and piece.lastindex == 4 and "\\" not in piece[0]
        inside = True
    if inside:
        words.append(("".join(current), bare))
    if any("\0" in word for word, _ in words):
        raise Wrong(ConfigCode.COMMAND_HOLDS_NUL(text=text))
    return words


def _unescape(found: re.Match[str]) -> str:
    digits, control, octal, other = found.groups()
    if digits:
        return chr(int(digits, 16))
    if control:
        return chr(ord(control) & 0x1F)
    if octal:
        return chr(int(octal, 8) & 0xFF)
    return _ESCAPES.get(other, other)


def command(*, with_user: bool = True) -> Value:
    """A command line, quoted when it has arguments; a user and a group may follow."""

    def read(words: Words) -> Command:
        text = words[0].text.strip()
        if not text:
            raise Wrong(ConfigCode.COMMAND_EMPTY())
        split(text)
        names = [word.text for word in words[1:3]] if with_user else []
        return Command(text=text, user=names[0] if names else None, group=names[1] if len(names) > 1 else None)

    def write(value: Command) -> str:
        names = [name for name in (value.user, value.group) if name is not None]
        mark = "'" if '"' in _ESCAPE.sub("", value.text) else '"'
        return " ".join([f"{mark}{value.text}{mark}", *map(quote, names)])

    return Value(
        arguments="<QUOTED COMMAND>" + (" [<USER> [<GROUP>]]" if with_user else ""),
        pattern="",
        read=read,
        write=write,
        most=3 if with_user else 1,
        is_command=True,
    )


def user_and_group() -> Value:
    """USER [GROUP]; the group may also be written :GROUP."""

    def read(words: Words) -> Command:
        if not words[0].text:
            raise Wrong(ConfigCode.USER_WITHOUT_NAME())
        group = words[1].text.lstrip(":") if len(words) > 1 else ""
        return Command(text="", user=words[0].text, group=group or None)

    def write(value: Command) -> str:
        return quote_all(name for name in (value.user, value.group) if name)

    return Value(arguments="<USER> [<GROUP>]", pattern=r'\s+([^\s"]+)(?:\s+([^\s"]+))?', read=read, write=write, most=2)

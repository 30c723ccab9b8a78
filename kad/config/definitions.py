"""$NAME definitions and @conditions: what a line says once its names are replaced."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

from kad.config.host import Host
from kad.config.tree import Place, Report

_DEFINE = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)=(.*)\Z", re.DOTALL)
_USE = re.compile(r"\$(?:([A-Za-z_][A-Za-z0-9_]*)(?=[ \t,)]|\Z)|\{([A-Za-z_][A-Za-z0-9_]*)((?:[ \t]+\w+)*)\})")
_CONDITION = re.compile(r"@(\^?)(\S*)[ \t]*(.*)\Z", re.DOTALL)
_MOST_REPLACEMENTS = 1000


class Definitions:
    """The names that are defined so far; text is scanned again after each replacement."""

    def __init__(self, host: Host, config_id: str, report: Report) -> None:
        self._host = host
        self._config_id = config_id
        self._report = report
        self._random = random.Random(host.seed)
        self._values: dict[str, str] = {}
        self._directories: list[str] = []
        self.in_value = False

    def enter(self, directory: str) -> None:
        """A file of that directory is being read from now on."""
        self._directories.append(directory)

    def leave(self, place: Place) -> None:
        """It has ended."""
        self._directories.pop()

    def expand(self, text: str, place: Place) -> Iterator[tuple[str, bool]]:
        """The lines that stand for this one, and whether they are exactly it; none for a definition."""
        original = text
        for _ in range(_MOST_REPLACEMENTS):
            if text.startswith("@"):
                kept = self._condition(text)
                if kept is None:
                    return
                text = kept
                continue
            defined = _DEFINE.match(text)
            if defined:
                self._values[defined[1]] = defined[2].strip()
                return
            replaced = self._replace(text, place)
            if replaced == text:
                if text:
                    yield text, text == original
                return
            text = replaced
        self._report.error(
            place, "the definitions used here never come to an end", proposal="do not define them by each other"
        )

    def _condition(self, text: str) -> str | None:
        matched = _CONDITION.match(text)
        if matched is None:
            return None
        inverted, word, rest = matched[1], matched[2], matched[3]
        return rest if (word == self._config_id) != bool(inverted) else None

    def _replace(self, text: str, place: Place) -> str:
        """The text with its first known name replaced."""
        for used in _USE.finditer(text):
            name = used[1] or used[2]
            value = self._value(name, (used[3] or "").split(), place)
            if value is not None:
                return text[: used.start()] + value + text[used.end() :]
        return text

    def _value(self, name: str, parameters: list[str], place: Place) -> str | None:
        if name in self._values:
            return self._values[name]
        match name:
            case "_PWD":
                return self._directories[-1]
            case "_INSTANCE":
                return self._config_id
            case "_HASH":
                return "#"
            case "_BANG":
                return "!"
            case "_ENV" if len(parameters) == 1:
                if parameters[0] not in self._host.environment:
                    self._report.warning(place, f"the environment has no {parameters[0]}; nothing stands for it")
                return self._host.environment.get(parameters[0], "")
            case "_RANDOM" if len(parameters) <= 2 and all(word.isdecimal() for word in parameters):
                bounds = [int(word) for word in parameters]
                low, high = (0, *bounds)[-2:] if bounds else (0, 32767)
                if low > high:
                    self._report.warning(
                        place, f"${{_RANDOM {low} {high}}}: the bounds are the wrong way round; {low} is used"
                    )
                    high = low
                return str(self._random.randint(low, high))
        return None

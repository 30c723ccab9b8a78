"""How words of the command line are read: attached values, types of values, and usage errors of one line and a hint."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

from kad.shared import output

EXIT_USAGE = 1
Error = argparse.ArgumentTypeError


class Parser(argparse.ArgumentParser):
    """Options as getopt_long() reads them: an option with an optional value has it in the same word, or has none."""

    def __init__(self, **more: Any) -> None:
        super().__init__(allow_abbrev=False, **more)
        self._attached: dict[str, str] = {}
        """Long name by letter of the options that may have a value in the same word."""

    @property
    def actions(self) -> list[argparse.Action]:
        """Every option."""
        return self._actions

    def add_attached(self, letter: str, name: str, **more: Any) -> None:
        """An option with an optional value: -xVALUE, --name=VALUE; empty without one, None where it is not given."""
        self._attached[letter] = name
        self.add_argument(letter, name, **more)

    def read(self, words: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
        """The options, and the words that are neither an option nor a value of one; exits after a wrong use."""
        options, rest = self.parse_known_args(list(self._with_long_names(words)))
        rest = [word for word in rest if word != "--"]
        for word in rest:
            if word.startswith("-") and len(word) > 1:
                name = word.partition("=")[0]
                near = difflib.get_close_matches(name, self._option_string_actions, n=1, cutoff=0.75)
                self.error(f"unknown option {name}" + (f": did you mean {near[0]}?" if near else ""))
        return options, rest

    def _with_long_names(self, words: Sequence[str]) -> Iterator[str]:
        """-xVALUE and -x as --name=VALUE and --name=, also behind letters without a value; the rest as it is."""
        waiting = iter(words)
        for word in waiting:
            if word == "--":
                yield from (word, *waiting)
            elif word in self._attached.values():
                yield f"{word}="
            elif word.startswith("-") and not word.startswith("--"):
                yield from self._letter_by_letter(word)
            else:
                yield word

    def _letter_by_letter(self, word: str) -> Iterator[str]:
        for at, letter in enumerate(word[1:], 1):
            option = f"-{letter}"
            if option in self._attached:
                if at > 1:
                    yield word[:at]
                yield f"{self._attached[option]}={word[at + 1 :]}"
                return
            action = self._option_string_actions.get(option)
            if action is None or action.nargs != 0:
                break
        yield word

    def error(self, message: str) -> NoReturn:
        output.to_error(f"{self.prog}: {message.removeprefix('argument ')}\nSee {self.prog} --help.\n")
        sys.exit(EXIT_USAGE)

    def _print_message(self, message: str, file: Any = None) -> None:
        (output.to_output if file is sys.stdout else output.to_error)(message)


def not_empty(text: str) -> str:
    """A name, of a file or of something else."""
    if not text:
        raise Error("the value is empty")
    return text


def file_name(text: str) -> str:
    """A path whose last part is a name."""
    if text.rpartition("/")[2] in ("", ".", ".."):
        raise Error(f"{text or 'the value'} is not the name of a file")
    return text


def one_of(*choices: str) -> Callable[[str], str]:
    """One of these words."""

    def read(text: str) -> str:
        if text not in choices:
            raise Error(f"{text} is not one of {', '.join(choices)}")
        return text

    return read


def octal(text: str) -> int:
    """A mask of file modes, 0 to 0777."""
    if not text or set(text) - set("01234567") or len(text.lstrip("0")) > 3:
        raise Error(f"{text} is not an octal mask of 0..0777")
    return int(text, 8)


def seconds(text: str) -> float | None:
    """Seconds from 0 to 1e9; never: None."""
    if text == "never":
        return None
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < 1e9:
        raise Error(f"{text} is neither a number of seconds nor never")
    return number

"""The installed files of kad: whether they are still those that this daemon began with."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import kad
from kad import VERSION

_VERSION = re.compile(r'^VERSION = "(.+)"$', re.MULTILINE)


class Installation:
    """As it is when this is made.

    What is imported later would come from what is installed then, and two versions in one process are none.
    """

    def __init__(self) -> None:
        self._folder = Path(kad.__file__).parent
        self._files = hash(frozenset(self._look()))

    def other(self) -> str:
        """What is to be done, in a sentence, where other files are installed by now; empty where they are the same."""
        if hash(frozenset(self._look())) == self._files:
            return ""
        try:
            found = _VERSION.search((self._folder / "__init__.py").read_text())
        except OSError:
            found = None
        if found is None:
            return f"the files of kad v{VERSION}, which still runs, are gone: install it again and restart the daemon"
        return f"kad v{found[1]} was installed over kad v{VERSION}, which still runs: restart the daemon"

    def _look(self) -> Iterator[tuple[str, int, int, int]]:
        """A file that was put in the place of another has another number or time, whatever is in it."""
        for folder, _, names in os.walk(self._folder):
            for path in (os.path.join(folder, name) for name in names if name.endswith(".py")):
                try:
                    found = os.stat(path)
                except OSError:
                    continue
                yield path, found.st_ino, found.st_size, found.st_mtime_ns

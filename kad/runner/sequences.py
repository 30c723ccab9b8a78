"""Recognises a repeated message about an object by its number."""

from __future__ import annotations

from collections import OrderedDict

MOST_OBJECTS = 65_536
"""Beyond it the object that was named longest ago is forgotten."""


class Sequences:
    """The last number of each object."""

    def __init__(self) -> None:
        self._last: OrderedDict[str, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._last)

    def advance(self, name: str, number: int) -> bool:
        """Note the number; False: one as high was noted before."""
        if number <= self._last.get(name, -1):
            return False
        self._last[name] = number
        self._last.move_to_end(name)
        if len(self._last) > MOST_OBJECTS:
            self._last.popitem(last=False)
        return True

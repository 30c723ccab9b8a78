"""Every sentence of findings, causes, faults and problems printed in other letters: nothing may depend on the words."""

from __future__ import annotations

import codecs
from collections.abc import Callable
from typing import Any

from kad.config.remark import Code
from kad.model import cause, fault, problem

Patch = Callable[[object, str, Any], None]


def rotated(text: str) -> str:
    """The same length, no word the same."""
    return codecs.encode(text, "rot13")


def _around(function: Callable[..., str]) -> Callable[..., str]:
    return lambda *arguments: rotated(function(*arguments))


def alter(patch: Patch = setattr) -> None:
    """From now on in this process and in every one that it forks; `patch` as monkeypatch.setattr."""
    patch(Code, "sentence", _around(Code.sentence))
    for printed in (cause._Cause, cause.Contribution, cause.RefusedPeer):
        patch(printed, "__str__", _around(printed.__str__))
    patch(problem, "describe", _around(problem.describe))
    made = fault.Fault.__new__

    def altered_fault(cls: type[fault.Fault], text: str, kind: str, object: str) -> fault.Fault:
        return made(cls, rotated(text), kind, object)

    patch(fault.Fault, "__new__", altered_fault)

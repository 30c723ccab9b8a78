"""Every checker: each module of kad/checker/checks/ declares one."""

from __future__ import annotations

import importlib
import pkgutil

from kad.checker import checks
from kad.checker.check import Checker


def _found() -> tuple[Checker, ...]:
    names = (each.name for each in pkgutil.iter_modules(checks.__path__))
    found: list[Checker] = [importlib.import_module(f"{checks.__name__}.{name}").CHECKER for name in names]
    return tuple(sorted(found, key=lambda checker: (checker.position, checker.check.__name__)))


CHECKERS = _found()
"""In the order of their positions."""

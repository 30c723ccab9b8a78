"""Every checker: each module of kad/checker/checks/ declares one."""

from __future__ import annotations

import importlib
import pkgutil

from kad.checker import checks
from kad.checker.check import Checker


def _found() -> tuple[Checker, ...]:
    modules = (
        importlib.import_module(f"{checks.__name__}.{each.name}") for each in pkgutil.iter_modules(checks.__path__)
    )
    return tuple(
        sorted((module.CHECKER for module in modules), key=lambda checker: (checker.position, str(checker.check)))
    )


CHECKERS = _found()
"""In the order of their positions."""

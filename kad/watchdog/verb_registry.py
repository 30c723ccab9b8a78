"""The verbs of the control socket, found by looking into their package."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

from kad.watchdog import verbs
from kad.watchdog.verb import Verb


def _verb(module_name: str) -> Verb:
    module: Any = importlib.import_module(f"{verbs.__name__}.{module_name}")
    verb = module.VERB
    assert isinstance(verb, Verb)
    assert verb.name == module_name
    return verb


VERBS = {module.name: _verb(module.name) for module in pkgutil.iter_modules(verbs.__path__)}
"""By name."""

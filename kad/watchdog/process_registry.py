"""The child processes of kad, each with the spec of its own package."""

from __future__ import annotations

import importlib
from typing import Any

from kad.child.process_spec import ProcessSpec

_PACKAGES = ("runner", "vrrp", "bfd", "ipvs", "checker")
"""In the order in which the processes are started; `process_spec.py` of each defines SPEC."""


def _spec(package: str) -> ProcessSpec:
    module: Any = importlib.import_module(f"kad.{package}.process_spec")
    spec = module.SPEC
    assert isinstance(spec, ProcessSpec)
    return spec


PROCESS_SPECS = {spec.name: spec for spec in map(_spec, _PACKAGES)}
"""By name, in the same order."""

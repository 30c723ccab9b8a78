"""Fixtures of the lab: each test gets its own LAN, and none runs where something is missing."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.namespaces import missing


@functools.cache
def _lacking() -> str:
    return ", ".join(missing())


@pytest.fixture
def lab() -> Iterator[Lab]:
    """An empty LAN."""
    if _lacking():
        pytest.skip(f"the lab needs {_lacking()}")
    with Lab() as made:
        yield made


@pytest.fixture
def pair(lab: Lab) -> tuple[Lab, Node, Node]:
    """A LAN with the nodes a and b: eth0, 10.77.0.1/24 and 10.77.0.2/24."""
    return lab, lab.node("a", {"eth0": "10.77.0.1/24"}), lab.node("b", {"eth0": "10.77.0.2/24"})

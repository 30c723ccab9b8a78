"""Fixtures of the checker's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.checker.room import Stage, staged
from tests.unit.checker.servers import Servers


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    with staged(monkeypatch) as made:
        yield made


@pytest.fixture
def servers() -> Iterator[Servers]:
    made = Servers()
    try:
        yield made
    finally:
        made.close()

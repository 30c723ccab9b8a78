"""A parent for each test."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from kad.watchdog import process_specs
from tests.unit.watchdog import Parent


@pytest.fixture
def parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Parent]:
    made = Parent(tmp_path)
    monkeypatch.setattr(process_specs, "fork_member", made.fork_member)
    yield made
    made.close()
    # Descriptors of what is left in cycles would be closed in the middle of the next test.
    gc.collect()

"""How well kad reads: errors planted in a good file, and files that keepalived judges too."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path
from typing import NamedTuple

from tests.config import test_oracle as oracle
from tests.config.hosts import judged
from tests.config.test_planted import PLANTS, named, proposed


class Planted(NamedTuple):
    """Shares of 1."""

    named: float
    """A finding names the line."""
    proposed: float
    """It says the fix too; 1 where there is no single one."""


def planted(what: str, each: int) -> Planted:
    """Errors of this kind, planted so often."""
    plant = next(plant for plant in PLANTS if plant.__name__ == what)
    rng = random.Random(f"bench {what}")
    hits = fixes = 0
    for _ in range(each):
        text, lines, fix = plant(rng)
        analysis = judged(text)
        hit = named(analysis, lines)
        hits += hit
        fixes += hit and proposed(analysis, lines, fix)
    return Planted(hits / each, fixes / each)


def agreement(files: int) -> tuple[int, int]:
    """Of so many damaged files, how many both judged, and how many of them alike."""
    rng = random.Random("bench")
    with oracle.network() as host, tempfile.TemporaryDirectory() as folder:
        both, different = oracle.differences([oracle.damaged(rng) for _ in range(files)], host, Path(folder))
    return both, both - len(different)

"""The wall clock dates what is told and decides nothing: it may jump by a day, and nothing happens."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "kad"
WALL_CLOCKS = {"time.time", "time.time_ns", "datetime.now", "datetime.utcnow", "datetime.today"}
ABOUT_DATES = {
    "watchdog/reload_triggers.py": "an operator orders a reload for an hour of the day",
    "checker/process/worker.py": "a certificate ends on a date",
    "shared/log.py": "a line of the log begins with the date",
}
"""Who may reckon with the wall clock, and why."""


def reckonings(text: str) -> Iterator[int]:
    """Lines in which the wall clock is part of a sum or a comparison, or is kept as something to reckon with."""
    tree = ast.parse(text)
    parents = {child: parent for parent in ast.walk(tree) for child in ast.iter_child_nodes(parent)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in WALL_CLOCKS:
            above: ast.AST = node
            while isinstance(above, ast.expr):
                above = parents[above]
                if isinstance(above, ast.BinOp | ast.Compare):
                    yield node.lineno
                    break
            else:
                if isinstance(above, ast.Assign) and "now" in ast.unparse(above.targets[0]):
                    yield node.lineno


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_decision_asks_the_wall_clock(path: Path) -> None:
    found = list(reckonings(path.read_text()))
    assert bool(found) == (str(path.relative_to(PACKAGE)) in ABOUT_DATES), f"{path}: lines {found}"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("import time\nlate = time.time() - then\n", [2]),
        ("import time\nif time.time() > deadline:\n    stop()\n", [2]),
        ("import time\nnow = time.time()\n", [2]),
        ("import time\nwait(max(0.0, min(1.0, then - time.time())))\n", [2]),
        ("import time\nsay(Event(when=time.time()))\nself.since = time.time()\nlate = time.monotonic() - then\n", []),
    ],
)
def test_a_reckoning_is_seen(text: str, lines: list[int]) -> None:
    assert list(reckonings(text)) == lines

"""Complaints: one of a cause in a minute, and a bounded number of causes."""

from __future__ import annotations

import time
from collections.abc import Iterable

from kad.shared.log_limit import MOST_CAUSES, ComplaintLimit


def test_a_cause_is_due_once_in_a_minute() -> None:
    limit = ComplaintLimit()
    assert [limit.is_due("a", moment) for moment in (0.0, 1.0, 59.9, 60.0)] == [True, False, False, True]
    assert limit.is_due("b", 60.0)
    assert limit.left_out == 2


def test_causes_without_end_are_neither_logged_nor_kept() -> None:
    limit = ComplaintLimit()
    assert sum(limit.is_due(cause, 1.0) for cause in range(100_000)) == MOST_CAUSES
    assert limit.left_out == 100_000 - MOST_CAUSES
    assert limit.is_due("later", 61.0)


def seconds(limit: ComplaintLimit, causes: Iterable[object]) -> float:
    """Of 20,000 complaints."""
    begin = time.perf_counter()
    for cause in causes:
        limit.is_due(cause, 1.0)
    return time.perf_counter() - begin


def test_causes_without_end_cost_no_search_each() -> None:
    """Each packet of a flood may be a new cause, and those that count wait behind them."""
    limit = ComplaintLimit()
    seconds(limit, range(MOST_CAUSES))
    known = min(seconds(limit, [0] * 20_000) for _ in range(3))
    made_up = min(seconds(limit, range(1000, 21_000)) for _ in range(3))
    assert made_up < 10 * known


def test_room_is_made_as_soon_as_there_is_some() -> None:
    limit = ComplaintLimit(2)
    assert [limit.is_due(*each) for each in (("a", 1.0), ("b", 31.0), ("c", 40.0), ("d", 60.9))] == [True, True] + [
        False
    ] * 2
    assert limit.is_due("e", 61.0)
    assert [limit.is_due(*each) for each in (("f", 61.0), ("f", 90.9), ("f", 91.0))] == [False, False, True]
    assert len(limit) == 2

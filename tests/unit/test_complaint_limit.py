"""Complaints: one of a cause in a minute, and a bounded number of causes."""

from __future__ import annotations

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

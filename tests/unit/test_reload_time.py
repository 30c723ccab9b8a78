"""The content of reload_time_file as a moment, with literal dates."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from kad.watchdog.reload_time import BadTime, is_daily, moment

EAST = timezone(timedelta(hours=2))
NOW = datetime(2026, 3, 28, 22, 30, 0, tzinfo=EAST)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("23:00:00", datetime(2026, 3, 28, 23, 0, 0, tzinfo=EAST)),
        ("22:30:00", datetime(2026, 3, 29, 22, 30, 0, tzinfo=EAST)),
        ("01:02:03\n", datetime(2026, 3, 29, 1, 2, 3, tzinfo=EAST)),
        ("21:00:00Z", datetime(2026, 3, 28, 21, 0, 0, tzinfo=UTC)),
        ("2026-04-01 00:00:00", datetime(2026, 4, 1, 0, 0, 0, tzinfo=EAST)),
        ("26-04-01 00:00:00", datetime(2026, 4, 1, 0, 0, 0, tzinfo=EAST)),
        ("2026-03-28 22:30:00", None),
        ("2025-12-31 23:59:59", None),
    ],
)
def test_moments(text: str, expected: datetime | None) -> None:
    assert moment(text, NOW) == expected


@pytest.mark.parametrize("text", ["", "soon", "24:00:00", "2026-02-30 10:00:00", "1:2:3", "12:00:00 tomorrow"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(BadTime):
        moment(text, NOW)


def test_only_a_time_without_a_date_is_daily() -> None:
    assert is_daily("23:00:00Z")
    assert not is_daily("2026-04-01 23:00:00")
    assert not is_daily("soon")

"""When a reload was ordered for: the content of reload_time_file as a moment; pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_FORM = re.compile(r"(?:(\d{2}|\d{4})-(\d\d)-(\d\d)[ T])?(\d\d):(\d\d):(\d\d)(Z?)")


class BadTime(ValueError):
    """The text is no time; the sentence says what it should be."""


def moment(text: str, now: datetime) -> datetime | None:
    """The moment that the text names, seen from `now` (with a zone); None when it is past. Raises BadTime.

    HH:MM:SS is the next such time, today or tomorrow; with [YY]YY-MM-DD before it, that one; Z means UTC.
    """
    found = _FORM.fullmatch(text.strip())
    if found is None:
        raise BadTime(f"{text.strip()!r} is neither HH:MM:SS nor YYYY-MM-DD HH:MM:SS")
    year, month, day, hour, minute, second, utc = found.groups()
    here = now.astimezone(UTC) if utc else now
    try:
        time = here.replace(hour=int(hour), minute=int(minute), second=int(second), microsecond=0)
        if year is None:
            return time if time > now else time + timedelta(days=1)
        century = here.year // 100 * 100 if len(year) == 2 else 0
        time = time.replace(year=century + int(year), month=int(month), day=int(day))
    except ValueError as error:
        raise BadTime(f"{text.strip()!r}: {error}") from error
    return time if time > now else None


def is_time(text: str) -> bool:
    """Whether the text has the form of a time: another content is no order."""
    return _FORM.fullmatch(text.strip()) is not None


def is_daily(text: str) -> bool:
    """A time without a date, which reload_repeat repeats."""
    found = _FORM.fullmatch(text.strip())
    return found is not None and found.group(1) is None

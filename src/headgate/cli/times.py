"""This file is where times are read as people write them, and written as people read them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from headgate.errors import Invalid

_AGO = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d|w)(?:\s+ago)?")
_UNIT = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def moment(text: str, now: datetime) -> datetime:
    """A time as RFC 3339 (`2026-01-31T08:00:00Z`; without a zone it is UTC; a date is its midnight) or as ago (`2h`).

    Raises:
        Invalid: it is neither.
    """
    if ago := _AGO.fullmatch(text.strip()):
        try:
            return now - timedelta(**{_UNIT[ago[2]]: float(ago[1])})
        except OverflowError as error:
            raise Invalid(f"{text!r} is longer ago than there is a calendar for") from error
    try:
        given = datetime.fromisoformat(text.strip())
    except ValueError as error:
        expected = "expected 2026-01-31T08:00:00Z, 2026-01-31, or how long ago: 30m, 2h, 7d"
        raise Invalid(f"{text!r} is no time; {expected}") from error
    return given if given.tzinfo else given.replace(tzinfo=UTC)


def length(text: str) -> float:
    """Seconds of a length such as 90s, 30m, 12h, 30d. Raises Invalid."""
    found = _AGO.fullmatch(text.strip())
    if found is None:
        raise Invalid(f"{text!r} is no length of time; expected such as 90s, 30m, 12h or 30d")
    return timedelta(**{_UNIT[found[2]]: float(found[1])}).total_seconds()


def clock(text: str | None) -> str:
    """An RFC 3339 time as a table shows it: UTC, to the second; "" for none."""
    if not text:
        return ""
    return datetime.fromisoformat(text).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def seconds(start: str | None, end: str | None) -> float | None:
    """Seconds between two RFC 3339 times; None where one is missing."""
    if not start or not end:
        return None
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()


def span(length: float | None) -> str:
    """A number of seconds as people say it: 0.4s, 12s, 3m05s, 2h10m."""
    if length is None:
        return ""
    if length < 10:
        return f"{max(length, 0.0):.1f}s"
    whole = round(length)
    if whole < 60:
        return f"{whole}s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}m{rest:02d}s"
    return f"{minutes // 60}h{minutes % 60:02d}m"

"""`Retry-After`, in seconds or as a date. fal does not document it; it is honoured if there."""

from __future__ import annotations

from datetime import datetime
from email.utils import parsedate_to_datetime

LONGEST_SECONDS = 3600.0


def retry_after_seconds(value: str | None, date: str | None) -> float | None:
    """Seconds to wait, measured by the answer's own `date`, where it names a moment."""
    if not value:
        return None
    seconds = _number(value)
    if seconds is None:
        moment, now = _moment(value), _moment(date)
        seconds = (moment - now).total_seconds() if moment and now else None
    return None if seconds is None else min(max(seconds, 0.0), LONGEST_SECONDS)


def _number(value: str) -> float | None:
    return float(value) if value.strip().isdecimal() else None


def _moment(value: str | None) -> datetime | None:
    try:
        return parsedate_to_datetime(value) if value else None
    except ValueError:
        return None

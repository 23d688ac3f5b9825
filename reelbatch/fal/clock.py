"""How far fal's clock is from ours, from the `Date` of its answers.

A Date is cut to the second, so each answer only bounds the offset; the bounds of many
answers together are far narrower. When they no longer meet, a clock was set: start anew.
"""

from __future__ import annotations

from email.utils import parsedate_to_datetime


class FalClock:
    """The running estimate: fal's time is about ours plus `offset_seconds`."""

    def __init__(self) -> None:
        self._low = float("-inf")
        self._high = float("inf")
        self._last_date = ""

    @property
    def offset_seconds(self) -> float:
        """0 until fal has answered once."""
        return (self._low + self._high) / 2 if self._low > float("-inf") else 0.0

    def observe(self, date: str | None, *, sent_at: float, received_at: float) -> None:
        """Learn from one answer. Times are unix seconds of our clock."""
        if not date or date == self._last_date:
            return
        try:
            fal_second = parsedate_to_datetime(date).timestamp()
        except ValueError:
            return
        self._last_date = date
        self._narrow(fal_second - received_at, fal_second + 1 - sent_at)

    def _narrow(self, low: float, high: float) -> None:
        met = max(low, self._low), min(high, self._high)
        self._low, self._high = met if met[0] <= met[1] else (low, high)

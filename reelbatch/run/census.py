"""How many requests of ours fal runs at once, found by bisection over the line.

fal starts them in about the order it took them, so the running ones stand before the queued
ones: each answer moves one of two bounds. Now and then it is asked again, for it changes.
"""

from __future__ import annotations

FIRST_AFTER = 0.25
GROWTH = 1.5
AGAIN_AFTER = 10.0


class Census:
    """Bounds of the number of slots: `low` are known to run, a queued one shows `high`."""

    def __init__(self, slots: int | None = None) -> None:
        self.slots = slots
        self._low = 0
        self._high: int | None = None
        self._next_at: float | None = None
        self._pause = FIRST_AFTER
        self._counting = True

    def queued(self, *, ahead: int) -> None:
        """A request with so many before it has not started."""
        self._high = max(1, ahead if self._high is None else min(self._high, ahead))
        self._low = min(self._low, self._high)
        self.slots = self._high
        if self._low < self._high and self._counting:
            self._next_at = 0.0  # The two ends are known: close in on it at once.

    def runs(self, *, ahead: int, unforeseen: bool) -> None:
        """A request with so many before it runs; `unforeseen`: it should have been queued.

        Some of those before it may be done and unseen, so only the unforeseen shows more slots.
        """
        low = ahead + 1
        if self._high is not None and not unforeseen:
            low = min(low, self._high)
        self._low = max(self._low, low)
        if self._high is not None and self._low > self._high:
            self._high = None
        if unforeseen and self.slots is not None and self._low > self.slots:
            self.slots = None

    def ended_early(self) -> None:
        """A request is done that should have been queued: there are more slots than we knew."""
        self.slots, self._high = None, None

    def next_place(self, line: int, now: float, run_seconds: float | None) -> int | None:
        """Whom to ask about next, by place in the line; None: nobody now."""
        if self._next_at is None:
            self._next_at = now + FIRST_AFTER
        if now < self._next_at or line < 2:
            return None
        self._counting = True
        if self._high is not None and (self._low >= self._high or self._low >= line):
            self._begin_again(now, run_seconds)
            return None
        if self._high is None:
            self._pause *= GROWTH
            self._next_at = now + self._pause
            return line - 1 if line > self._low else None
        self._next_at = now
        return min(line - 1, (self._low + self._high) // 2)

    def _begin_again(self, now: float, run_seconds: float | None) -> None:
        """Known for now. Slots change: after a while both bounds are open again."""
        self._low, self._high, self._pause = 0, None, FIRST_AFTER
        self._counting = False
        self._next_at = now + max(AGAIN_AFTER, 2 * (run_seconds or 0.0))

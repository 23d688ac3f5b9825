"""How long fal computes on one job, learned from its own metrics. Spans are in seconds."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import deque

REMEMBERED = 100
FIRST_LOOK = 0.8
"""Share of the jobs that are done at the first look: one in five comes too early."""
EAGER_FIRST_LOOK = 0.5
"""When nothing waits for a place any more, only the end of the batch counts."""
SHORTEST = 0.05
SLACK_UP, SLACK_DOWN, MOST_SLACK = 0.01, 0.002, 0.15
"""fal shows a completion a little after it happened; how much, the early looks tell."""


class RunTimes:
    """The last hundred run times, and when to look at a request that runs."""

    def __init__(self, prior: float | None = None) -> None:
        self._prior = prior
        self._newest: deque[float] = deque()
        self._sorted: list[float] = []
        self._slack = 0.02

    def add(self, seconds: float) -> None:
        self._newest.append(seconds)
        insort(self._sorted, seconds)
        if len(self._newest) > REMEMBERED:
            oldest = self._newest.popleft()
            del self._sorted[bisect_right(self._sorted, oldest) - 1]

    @property
    def known(self) -> bool:
        """Whether a job of this run has completed yet."""
        return bool(self._sorted)

    @property
    def prior(self) -> float | None:
        """What the account showed in an earlier run."""
        return self._prior

    @property
    def median(self) -> float | None:
        """Of this run; else what was known before."""
        return self._quantile(0.5) if self._sorted else self._prior

    def first_look(self, *, eager: bool) -> float:
        """From a request's start to the first look at it."""
        share = EAGER_FIRST_LOOK if eager else FIRST_LOOK
        return self._quantile(share) * (1 + self._slack)

    def next_look(self, elapsed: float) -> float:
        """From now to the next look at one that has been running for so long."""
        longer = self._sorted[bisect_right(self._sorted, elapsed) :]
        if not longer:
            return max(SHORTEST, 0.1 * elapsed)
        return max(SHORTEST, longer[(2 * len(longer)) // 3] - elapsed)

    def was_early(self) -> None:
        """A first look came too early."""
        self._slack = min(MOST_SLACK, self._slack + SLACK_UP)

    def was_late(self) -> None:
        """A first look found it done, nobody knows for how long."""
        self._slack = max(0.0, self._slack - SLACK_DOWN)

    def _quantile(self, share: float) -> float:
        return self._sorted[min(len(self._sorted) - 1, int(share * len(self._sorted)))]

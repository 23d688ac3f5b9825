"""When to ask fal about a request: learned from how long the others took.

The first look is timed so that about one in five comes too early. If none ever did, we
would not know how late we are. Times are in seconds on one monotonic clock.
"""

from __future__ import annotations

from collections import deque
from statistics import median

EARLY_STEP = 0.06
"""How far an early look moves the expectation up; a late one moves it down by a quarter of it."""
SCOUT_GROWTH = 0.12
SHORTEST = 0.1
SCOUT_SHORTEST = 0.25
AGAIN_SHARE = 0.12
REMEMBERED = 50


class Schedule:
    """One expectation for all jobs of a run; a run has jobs of one kind, or nearly."""

    def __init__(self, run_seconds: float | None = None) -> None:
        self._prior = run_seconds
        self._expected: float | None = None
        self._runs: deque[float] = deque(maxlen=REMEMBERED)

    @property
    def knows(self) -> bool:
        """Whether a job of this run has completed yet."""
        return self._expected is not None

    @property
    def expected_seconds(self) -> float | None:
        """From acceptance to completion, as expected of the next job."""
        return self._expected

    @property
    def run_seconds(self) -> float | None:
        """How long fal computes on one job: this run's median, or what was known before."""
        return median(self._runs) if self._runs else self._prior

    def first_look(self, age: float) -> float:
        """Seconds from now until the first look at a request of this age."""
        if self._expected is None:
            return self.scout(age)
        return max(0.0, self._expected - age)

    def scout(self, age: float) -> float:
        """While nothing is known, one request is followed closely, in growing steps."""
        growth = SCOUT_GROWTH
        if self._prior is not None and age < 0.6 * self._prior:
            growth = 3 * SCOUT_GROWTH
        return max(SCOUT_SHORTEST, growth * age)

    def next_look(self, *, age: float, queued: bool, looks: int) -> float:
        """Seconds until the next look at a request that was not done yet.

        One still in the queue needs at least a whole run; one that runs, a short step.
        """
        if self._expected is None:
            return self.scout(age)
        if looks == 1:
            self._expected *= 1 + EARLY_STEP
        run = self.run_seconds or age
        if queued:
            return max(SHORTEST, run)
        return max(SHORTEST, AGAIN_SHARE * run * 1.3 ** max(0, looks - 2))

    def completed(self, *, age: float, looks: int, run_seconds: float | None) -> None:
        """A look found it done at this age, at its `looks`-th look."""
        if run_seconds is not None:
            self._runs.append(run_seconds)
        if self._expected is None:
            self._expected = age
        elif looks == 1:
            self._expected *= 1 - EARLY_STEP / 4
        else:
            # Found in short steps, so this age is nearly the true one.
            self._expected += 0.2 * (age - self._expected)

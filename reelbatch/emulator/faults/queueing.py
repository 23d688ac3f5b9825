"""Faults of the wait: the queue that does not move, and the model that is slow."""

from random import Random

from reelbatch.emulator.faults.moments import Enqueued
from reelbatch.emulator.faults.registry import fault


@fault(at="enqueue")
def stuck(enqueued: Enqueued) -> None:
    """IN_QUEUE at position 0 for ever."""
    enqueued.submission.stuck = True


@fault(at="enqueue")
def other_peoples_queue(enqueued: Enqueued, *, ahead: int = 100, per_second: float = 50.0) -> None:
    """Other people's requests in front of ours, leaving at a steady pace."""
    enqueued.submission.ahead = ahead
    enqueued.submission.ahead_per_second = per_second


@fault(at="enqueue")
def slow_service(
    enqueued: Enqueued, *, luck: Random, median: float = 1.5, sigma: float = 0.5
) -> None:
    """Run time multiplied by a log-normal factor (median, sigma)."""
    enqueued.submission.slowness *= median * luck.lognormvariate(0, sigma)

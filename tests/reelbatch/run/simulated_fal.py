"""fal in virtual time: slots, a line, first in first out; and a batch driven through it."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Awaitable, Callable, Sequence
from statistics import median

from aiolimiter import AsyncLimiter

from reelbatch.fal.answers import Completed, Queued, Running, Status, Submission
from reelbatch.jobs import RequestId
from reelbatch.run.polling import Poller
from reelbatch.run.run_times import RunTimes
from reelbatch.run.schedule import Schedule
from tests.reelbatch.run.virtual_time import now

ANSWERS_AFTER = 0.05


def new_poller(
    ask: Callable[[Submission], Awaitable[Status]],
    *,
    known_seconds: float | None = None,
    calls_per_second: float | None = None,
    run_timeout_seconds: float = 3600.0,
) -> Poller:
    return Poller(
        ask,
        Schedule(RunTimes(known_seconds)),
        pace=AsyncLimiter(1, 1 / calls_per_second) if calls_per_second else None,
        run_timeout_seconds=run_timeout_seconds,
        clock=now,
    )


def submission(name: str) -> Submission:
    return Submission(request_id=RequestId(name), status_url="", response_url="", cancel_url="")


class SimulatedFal:
    """Every request's start and end are settled as it is accepted."""

    def __init__(self, *, slots: int) -> None:
        self.looks: dict[str, list[float]] = {}
        """When each request was asked about."""
        self._free = [0.0] * slots
        self._spans: dict[str, tuple[float, float]] = {}

    def accept(self, name: str, seconds: float) -> Submission:
        start = max(now(), heapq.heappop(self._free))
        heapq.heappush(self._free, start + seconds)
        self._spans[name] = (start, start + seconds)
        self.looks[name] = []
        return submission(name)

    async def status(self, asked: Submission) -> Status:
        start, end = self._spans[asked.request_id]
        self.looks[asked.request_id].append(now())
        state: Status = Running() if now() >= start else Queued(position=None)
        if now() >= end:
            state = Completed(inference_seconds=end - start)
        await asyncio.sleep(ANSWERS_AFTER)
        return state

    def end_of(self, name: str) -> float:
        return self._spans[name][1]


class Outcome:
    """What a batch needed."""

    def __init__(self, fal: SimulatedFal, seen: dict[str, float]) -> None:
        self.calls_a_job = sum(map(len, fal.looks.values())) / len(fal.looks)
        self.early = sum(looks[0] < fal.end_of(name) for name, looks in fal.looks.items()) / len(
            fal.looks
        )
        self.median_lateness = median(at - fal.end_of(name) for name, at in seen.items())


async def drive(
    seconds: Sequence[float], *, slots: int, window: int, known_seconds: float | None = None
) -> Outcome:
    """As many as the window holds are at fal at once, until all have been seen done."""
    fal = SimulatedFal(slots=slots)
    poller = new_poller(fal.status, known_seconds=known_seconds)
    places = asyncio.Semaphore(window)
    seen: dict[str, float] = {}

    async def one(name: str, takes: float) -> None:
        async with places:
            await poller.finished(fal.accept(name, takes), age=0.0)
            seen[name] = now()

    work = asyncio.create_task(poller.work())
    await asyncio.gather(*(one(f"job-{n}", takes) for n, takes in enumerate(seconds)))
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    return Outcome(fal, seen)

"""`--max-in-flight auto`: count how many of the account's requests run while others wait.

A window of twice the slots keeps all of them busy and the line at fal short. Who polls asks
fal how each request stands; who listens goes by how fast webhooks come.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic

from reelbatch.errors import Permanent, Transient
from reelbatch.fal.answers import Completed, Queued, Running, Status, Submission
from reelbatch.ledger import slots
from reelbatch.ledger.slots import Standing
from reelbatch.run.entries import submission_in
from reelbatch.run.run import Run

LOOK_EVERY_SECONDS = 1.0
FULL_SECONDS = 1.0
FULL = 0.75
"""Of the window: what has ended is replaced a moment later."""
AGAIN_SECONDS = 10.0
STEADY_SECONDS = 600.0
SAMPLE = 200
"""Of more requests than that, as many drawn by lot: 400 slots are found to about 6 %."""
NEWS = 0.1
"""What changes by less, sampling alone may have changed."""
NEARLY_ALL = 0.75
"""Half of a window that is wide enough runs; of one that is not, all but what we see late."""
RUN_TIMES = 3
AT_ONCE = 4
"""The poller's own looks go on meanwhile."""


@dataclass(frozen=True, kw_only=True)
class Count:
    """How the account's requests stood: of `in_flight`, so many answered, ran, and waited."""

    in_flight: int
    answered: int
    running: int
    waiting: int


def slots_in(count: Count, known: int | None) -> int | None:
    """How many slots a count shows, beside what was known; None where it shows nothing.

    Where none waits there may be more slots than we have seen; where none runs, other people's
    work stands in front of ours, and says nothing of our limit.
    """
    too_few = 2 * count.answered < min(count.in_flight, SAMPLE)
    if not count.running or too_few:
        return None
    running = max(1, round(count.in_flight * count.running / count.answered))
    return running if count.waiting else max(running, known or 0)


def is_news(before: int | None, after: int | None) -> bool:
    """Whether the slots have changed, so that it is worth counting again soon."""
    return after is not None and abs(after - (before or 0)) > NEWS * (before or 0)


async def keep_window(run: Run) -> None:
    """Count whenever it is time, for ever; cancel it to stop."""
    census = WindowCensus(run)
    while True:
        await census.look()
        await asyncio.sleep(LOOK_EVERY_SECONDS)


class WindowCensus:
    """When to count, and how. The answer is kept with the account, for every process on it."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._full_since: float | None = None
        self._last: Standing | None = None
        self._steady = False
        """The last two counts said the same."""

    async def look(self) -> None:
        """Take over what is known by now; count, where the time has come."""
        run = self._run
        if not run.auto:
            return
        now = await run.book(slots.standing, run.ledger, run.settings.account_id)
        run.found_window(now.window)
        self._compare(now)
        if self._is_full(now) and await self._is_due(now):
            await self._take(now)

    def _compare(self, now: Standing) -> None:
        """Whoever counted: did it bring news?"""
        before, self._last = self._last, now
        if before and before.counted_at != now.counted_at:
            self._steady = not is_news(before.slots_seen, now.slots_seen)

    def _is_full(self, now: Standing) -> bool:
        if now.ordered is not None or now.in_flight < FULL * now.window:
            self._full_since = None
            return False
        self._full_since = self._full_since or monotonic()
        return monotonic() - self._full_since >= FULL_SECONDS

    async def _is_due(self, now: Standing) -> bool:
        if now.counted_at is None:
            return True
        passed = (now.at - now.counted_at).total_seconds()
        if passed < AGAIN_SECONDS:
            return False
        return not self._steady or passed >= STEADY_SECONDS or await self._none_waits(now)

    async def _none_waits(self, now: Standing) -> bool:
        """So many end that nearly all must be running: there are more slots than we fill."""
        running = await self._running_lately()
        return running is not None and running >= NEARLY_ALL * now.in_flight

    async def _take(self, now: Standing) -> None:
        run, account = self._run, self._run.settings.account_id
        if not await run.book(slots.take_turn, run.ledger, account, now.counted_at):
            return
        count = await (self._by_completions(now) if run.listens else self._by_asking())
        found = slots_in(count, now.slots_seen) if count else None
        if found is not None:
            await run.book(slots.keep_count, run.ledger, account, found)

    async def _by_asking(self) -> Count:
        """One status call each, in no order: what starts or ends meanwhile evens out."""
        run = self._run
        known = await run.book(slots.submissions, run.ledger, run.settings.account_id)
        chosen = [submission_in(one) for one in random.sample(known, min(SAMPLE, len(known)))]
        told = Counter(type(status) for status in await self._ask_all(chosen))
        return Count(
            in_flight=len(known),
            answered=told.total() - told[type(None)],
            running=told[Running],
            waiting=told[Queued],
        )

    async def _ask_all(self, chosen: Sequence[Submission]) -> list[Status | None]:
        few = asyncio.Semaphore(AT_ONCE)

        async def in_turn(one: Submission) -> Status | None:
            async with few:
                return await self._ask(one)

        return await asyncio.gather(*(in_turn(one) for one in chosen))

    async def _ask(self, submission: Submission) -> Status | None:
        try:
            return await self._run.poller.ask(submission)
        except (Transient, Permanent):
            return None

    async def _by_completions(self, now: Standing) -> Count | None:
        """Little's law: completions a second times the run time is how many run."""
        await self._learn_run_time()
        running = await self._running_lately()
        if running is None:
            return None
        running = min(now.in_flight, round(running))
        none_waits = running >= NEARLY_ALL * now.in_flight
        return Count(
            in_flight=now.in_flight,
            answered=now.in_flight,
            running=running,
            waiting=0 if none_waits else now.in_flight - running,
        )

    async def _running_lately(self) -> float | None:
        """How many ran, on average, over whole run times in which the window was full.

        In one run time each busy slot ends one request, however the ends are bunched.
        """
        run, seconds = self._run, self._run.poller.schedule.run_times.median
        if not seconds or self._full_since is None:
            return None
        full = monotonic() - self._full_since
        spans = int(min(full, max(RUN_TIMES * seconds, AGAIN_SECONDS)) / seconds)
        if spans < 1:
            return None
        account = run.settings.account_id
        ended = await run.book(slots.finished_within, run.ledger, account, spans * seconds)
        return ended / spans

    async def _learn_run_time(self) -> None:
        """A webhook does not tell it: one status call about what has just ended does."""
        run = self._run
        last = await run.book(slots.last_finished, run.ledger, run.batch.id)
        status = await self._ask(submission_in(last)) if last else None
        if isinstance(status, Completed) and status.inference_seconds is not None:
            run.poller.schedule.run_times.add(status.inference_seconds)

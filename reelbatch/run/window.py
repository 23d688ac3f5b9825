"""`--max-in-flight auto`: count how many of the account's requests run while others wait.

A window of twice the slots keeps all of them busy and the line at fal short. Who listens for
webhooks counts the same way: how fast they come says how the receiver fares, and one that was
away for an hour hears of more requests at once than ever ran.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic

from reelbatch.errors import Permanent, Transient
from reelbatch.fal.answers import Queued, Running, Status, Submission
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
    work stands in front of ours, and says nothing of our limit. Where more have ended than run,
    it took too long to count them.
    """
    too_few = 2 * count.answered < min(count.in_flight, SAMPLE)
    too_late = count.answered - count.waiting > 2 * count.running
    if not count.running or too_few or too_late:
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
        self._peeked_at = 0.0
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
            known = now.slots_seen is not None
            self._steady = known and not is_news(before.slots_seen, now.slots_seen)

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
        return not self._steady or passed >= STEADY_SECONDS or await self._none_waits()

    async def _none_waits(self) -> bool:
        """Whether even the last in line runs: then there are more slots than we fill.

        What its stream has said, else one status call in ten seconds, and no more than two in
        a run time.
        """
        run = self._run
        usual = run.poller.schedule.run_times.median or run.webhook_waits.median or 0.0
        if monotonic() - self._peeked_at < max(AGAIN_SECONDS, usual / 2):
            return False
        self._peeked_at = monotonic()
        line = await run.book(slots.submissions, run.ledger, run.settings.account_id)
        last = await self._ask(submission_in(line[-1])) if line else None
        return isinstance(last, Running)

    async def _take(self, now: Standing) -> None:
        run, account = self._run, self._run.settings.account_id
        if not await run.book(slots.take_turn, run.ledger, account, now.counted_at):
            return
        found = slots_in(await self._count(), now.slots_seen)
        if found is not None:
            await run.book(slots.keep_count, run.ledger, account, found)
            if is_news(now.slots_seen, found):
                run.journal.say(f"fal runs {found} requests of this account at once")

    async def _count(self) -> Count:
        """What their streams have said, else one status call each, in no order: what starts or
        ends meanwhile evens out."""
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

"""Settle doubts: ask fal's list for the submissions whose answer was lost.

What is found is adopted and produced like any other; what is proved absent waits again; the
rest is held, and the report says how much it may have cost.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import groupby

from reelbatch.errors import Permanent, Transient
from reelbatch.jobs import JobId, RowId, State
from reelbatch.ledger import answers, doubts
from reelbatch.ledger.doubts import Doubt
from reelbatch.run.evidence import Reading, judge, present
from reelbatch.run.run import Run

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
MARGIN = timedelta(minutes=30)
"""Around a doubt: fal does not say which of its times `start` and `end` filter on."""

Settled = tuple[JobId, RowId, State]


async def settled_doubts(run: Run) -> AsyncIterator[list[Settled]]:
    """Jobs that can go on, as evidence comes in; ends when none is left or the grace is over."""
    if run.request.in_doubt == "resubmit":
        yield await _send_again(run)
        return
    end = datetime.now(UTC) + timedelta(seconds=run.settings.in_doubt_grace)
    pause = FIRST_PAUSE_SECONDS
    while not run.leaving.is_set():
        open_doubts = await run.book(doubts.doubts_of, run.ledger, run.batch.id)
        if not open_doubts:
            return
        try:
            settled = await settle(run, open_doubts)
        except Permanent:
            # The key may not read the list: there is no evidence to be had, so hold.
            return
        if settled:
            yield settled
            continue
        if datetime.now(UTC) >= end:
            return
        await _pause(run, pause)
        pause = min(LONGEST_PAUSE_SECONDS, 1.5 * pause)


async def settle(run: Run, open_doubts: list[Doubt]) -> list[Settled]:
    """One reading of the list for each endpoint. Raises Permanent where it may not be read."""
    settled: list[Settled] = []
    by_endpoint = sorted(open_doubts, key=lambda doubt: doubt.endpoint_id)
    for endpoint_id, group in groupby(by_endpoint, key=lambda doubt: doubt.endpoint_id):
        mine = list(group)
        try:
            reading = await _read(run, endpoint_id, mine)
        except Transient:
            continue
        settled += await _judged(run, mine, reading)
    return settled


async def _read(run: Run, endpoint_id: str, mine: list[Doubt]) -> Reading:
    offset = timedelta(seconds=run.fal.clock_offset_seconds)
    made_at = datetime.now(UTC)
    times = [doubt.claimed_at + offset for doubt in mine]
    requests = run.fal.requests(
        endpoint_id, start=min(times) - MARGIN, end=max(made_at + offset, *times) + MARGIN
    )
    return Reading(
        made_at=made_at, listed=tuple([one async for one in requests]), clock_offset=offset
    )


async def _judged(run: Run, mine: list[Doubt], reading: Reading) -> list[Settled]:
    taken = await run.book(doubts.held_requests, run.ledger, reading.ids)
    settled: list[Settled] = []
    for doubt in mine:
        if found := present(doubt, reading, taken):
            taken.add(str(found.request_id))
            if await _adopt(run, doubt, str(found.request_id)):
                settled.append((JobId(doubt.job_id), RowId(doubt.row_id), State.SUBMITTED))
        elif run.request.in_doubt == "auto":
            near = await run.book(doubts.neighbours_of, run.ledger, run.settings.account_id, doubt)
            if judge(doubt, reading, near) == "absent" and await run.book(
                doubts.absent, run.ledger, doubt.attempt_id
            ):
                settled.append((JobId(doubt.job_id), RowId(doubt.row_id), State.PENDING))
    return settled


async def _adopt(run: Run, doubt: Doubt, request_id: str) -> bool:
    """It is ours: from here on it is collected like any other."""
    submission = run.fal.submission(doubt.endpoint_id, request_id)
    handle = answers.Accepted(
        request_id=request_id,
        status_url=submission.status_url,
        response_url=submission.response_url,
        cancel_url=submission.cancel_url,
    )
    return await run.book(answers.accepted, run.ledger, doubt.attempt_id, handle)


async def _send_again(run: Run) -> list[Settled]:
    """The user's own word, for every doubt of the batch."""
    sent = []
    for doubt in await run.book(doubts.doubts_of, run.ledger, run.batch.id):
        price = run.prices.of(doubt.endpoint_id)
        if await run.book(doubts.resubmit, run.ledger, doubt.attempt_id, price):
            sent.append((JobId(doubt.job_id), RowId(doubt.row_id), State.PENDING))
    return sent


async def _pause(run: Run, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await run.leaving.wait()
    except TimeoutError:
        return

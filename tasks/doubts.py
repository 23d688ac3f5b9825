"""Settle doubts: ask fal's list for the submissions whose answer was lost.

What is found is adopted and produced like any other; what is proved absent waits again; the
rest is held, and the report says how much it may have cost.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Literal

from reelbatch.errors import Permanent, Transient
from reelbatch.ledger import answers, doubts
from reelbatch.ledger.doubts import Doubt
from reelbatch.ledger.overdue import NO_HOPE_AFTER
from reelbatch.run.entries import handle_of
from reelbatch.run.evidence import Reading, judge, present
from reelbatch.run.run import Run
from tasks.tell import tell

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
MARGIN = timedelta(minutes=30)
"""Around a doubt: fal does not say which of its times `start` and `end` filter on."""

Lists = Literal["read", "unread", "forbidden"]
"""`unread`: ask again. `forbidden`: this key may not, and there is no evidence to be had."""


async def settled_doubts(run: Run) -> AsyncIterator[int]:
    """How many doubts were settled, each time some were; ends with the last or with the grace.

    What was settled can go on, and so can whatever waited for it.
    """
    end = datetime.now(UTC) + timedelta(seconds=run.settings.in_doubt_grace)
    pause = FIRST_PAUSE_SECONDS
    while not run.leaving.is_set():
        open_doubts = await run.book(doubts.doubts_of, run.ledger, run.batch.id)
        if cleared := run.doubted - {doubt.job_id for doubt in open_doubts}:
            # A webhook, or another process, was first.
            run.doubted.clear()
            yield len(cleared)
            continue
        if not open_doubts:
            return
        is_last = datetime.now(UTC) >= end
        settled, lists = await settle(run, open_doubts)
        if run.request.in_doubt == "resubmit" and (is_last or lists != "unread"):
            settled += await _send_again(run)
        if settled:
            run.doubted.clear()
            yield settled
            continue
        if is_last or (lists == "forbidden" and not run.listens):
            return
        await _pause(run, pause)
        pause = min(LONGEST_PAUSE_SECONDS, 1.5 * pause)


async def settle_doubts_at_hand(run: Run) -> int:
    """How many doubts one look at fal's list settled; the others are left to the next sweep."""
    open_doubts = await run.book(doubts.doubts_of, run.ledger, run.batch.id)
    hopeful = datetime.now(UTC) - NO_HOPE_AFTER
    settled, _ = await settle(run, [one for one in open_doubts if one.deadline_at > hopeful])
    return settled


async def settle(run: Run, open_doubts: list[Doubt]) -> tuple[int, Lists]:
    """How many doubts one reading of each endpoint's list settled, and whether all were read."""
    settled = 0
    lists: Lists = "read"
    by_endpoint = sorted(open_doubts, key=lambda doubt: doubt.endpoint_id)
    for endpoint_id, group in groupby(by_endpoint, key=lambda doubt: doubt.endpoint_id):
        mine = list(group)
        try:
            settled += await _judged(run, mine, await _read(run, endpoint_id, mine))
        except Transient:
            lists = "unread"
        except Permanent as error:
            if error.error == "not_allowed":
                return settled, "forbidden"
            lists = "unread"
    return settled, lists


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


async def _judged(run: Run, mine: list[Doubt], reading: Reading) -> int:
    taken = await run.book(doubts.held_requests, run.ledger, reading.ids)
    settled = 0
    for doubt in mine:
        near = await run.book(doubts.neighbours_of, run.ledger, run.settings.account_id, doubt)
        if found := present(doubt, reading, near, taken):
            taken.add(str(found.request_id))
            settled += await _adopt(run, doubt, str(found.request_id))
        elif run.request.in_doubt != "hold" and judge(doubt, reading, near, taken) == "absent":
            settled += await _absent(run, doubt)
    return settled


async def _adopt(run: Run, doubt: Doubt, request_id: str) -> bool:
    """It is ours: from here on it is collected like any other."""
    submission = run.fal.submission(doubt.endpoint_id, request_id)
    handle = handle_of(submission)
    adopted = await run.book(answers.accepted, run.ledger, doubt.attempt_id, handle)
    if adopted:
        await tell(run, doubt.job_id, "no longer in doubt: fal's list has its request, adopted")
    return adopted


async def _absent(run: Run, doubt: Doubt) -> bool:
    """It never arrived: whoever runs the batch may send it again."""
    absent = await run.book(doubts.absent, run.ledger, doubt.attempt_id)
    if absent:
        await tell(run, doubt.job_id, "no longer in doubt: it never reached fal, and waits again")
    return absent


async def _send_again(run: Run) -> int:
    """The user's own word, for the chosen rows: what the list does not show is sent anew.

    The word is about what was in doubt when the run began. What came since may still be in
    fal's queue, where no list shows it: it is held, like any other.
    """
    sent = 0
    for doubt in await run.book(doubts.doubts_of, run.ledger, run.batch.id):
        chosen = run.selected is None or doubt.row_id in run.selected
        if chosen and doubt.claimed_at < run.started_at:
            price = run.prices.of(doubt.endpoint_id)
            if await run.book(doubts.resubmit, run.ledger, doubt.attempt_id, price):
                sent += 1
                await tell(run, doubt.job_id, "in doubt, and to be sent again as was ordered")
    return sent


async def _pause(run: Run, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await run.leaving.wait()
    except TimeoutError:
        return

"""Produce: a shard's journey. Each job goes on from whatever state it is in.

`generate`, `sweep` and "run it again" are this same function over different jobs; there is
no second path for recovery.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from itertools import groupby
from typing import Any, assert_never

from prefect import task
from prefect.cache_policies import NO_CACHE

from reelbatch.jobs import JobId, RowId, State
from reelbatch.ledger import answers, reading
from reelbatch.run.run import Run
from reelbatch.run.unshaken import all_ended
from tasks.archive import archive
from tasks.collect import collect
from tasks.submit import submit
from tasks.tell import told

SMALL = 50
SHARDS = 25
"""Each is a Prefect task: 5 ms of CPU here and 12 in its server (prefect.md)."""
AHEAD = 16
"""Jobs of begun shards that wait for their claim, so that the line never runs dry. More of them
would only begin shards while the first submissions are due."""
MOST_ASIDE = 1000
"""Jobs that wait for something of their own while later shards go ahead: each takes memory."""
LATE_SECONDS = answers.LATE.total_seconds() + 1

Job = tuple[JobId, RowId, State]


async def jobs_to_produce(run: Run) -> list[Job]:
    """What this run sees through: its rows, and whatever of the batch is in flight."""
    selected = set(run.selected) if run.selected is not None else None
    found = await run.book(
        reading.jobs_to_drive, run.ledger, run.batch.id, selected=selected, only=run.only_jobs
    )
    return [(job_id, row_id, state) for job_id, row_id, state, _ in found]


async def produce_all(run: Run, jobs: Sequence[Job]) -> None:
    """Take up one shard after the other, as long as the window has room for more."""
    try:
        async with asyncio.TaskGroup() as group:
            for shard in shards_of(jobs):
                await _room(run)
                run.unsubmitted |= {job_id for job_id, _, _ in shard}
                group.create_task(produce_shard(name_of(shard), partial(side_by_side, run, shard)))
            run.all_taken_up()
    except BaseExceptionGroup as broken:
        # One ledger that cannot be written breaks every shard alike: say it once.
        raise broken.exceptions[0] from broken


def shards_of(jobs: Sequence[Job]) -> Iterator[list[Job]]:
    """One row a shard while there are few, some twenty shards where there are many."""
    by_row = [list(group) for _, group in groupby(jobs, key=lambda job: job[1])]
    size = 1 if len(by_row) <= SMALL else -(-len(by_row) // SHARDS)
    for first in range(0, len(by_row), size):
        yield [job for row in by_row[first : first + size] for job in row]


def name_of(shard: Sequence[Job]) -> str:
    """The rows of a shard, for Prefect's page."""
    first, last = shard[0][1], shard[-1][1]
    return first if first == last else f"{first} to {last}"


async def _room(run: Run) -> None:
    while _enough(run) and not run.gate.closed.is_set():
        run.room.clear()
        await run.room.wait()


def _enough(run: Run) -> bool:
    return len(run.unsubmitted) >= min(AHEAD, run.window) or len(run.aside) >= MOST_ASIDE


@task(name="produce", task_run_name="{name}", cache_policy=NO_CACHE, log_prints=False)
async def produce_shard(name: str, work: Callable[[], Awaitable[None]]) -> None:
    """A shard, as Prefect sees it: it looks through all it is given, but not into a function."""
    await work()


async def side_by_side(run: Run, jobs: Sequence[Job]) -> None:
    """See every job of a shard through."""
    waiting = [job_id for job_id, _, state in jobs if state is State.PENDING]
    found = await run.book(reading.jobs_with_handles, run.ledger, waiting)
    run.at_hand.update({job_id: dict(row) for job_id, row in found.items()})
    work = [asyncio.create_task(produce(run, job_id, state)) for job_id, _, state in jobs]
    gone = asyncio.create_task(run.gone.wait())
    try:
        await _all_of(work, gone)
    finally:
        for one in (*work, gone):
            one.cancel()
        await all_ended([*work, gone])


async def _all_of(work: Sequence[asyncio.Task[None]], gone: asyncio.Task[bool]) -> None:
    """Until all is done, something breaks, or everybody is to go."""
    waiting: set[asyncio.Task[Any]] = {*work, gone}
    while len(waiting) > 1 and not gone.done():
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for one in done - {gone}:
            one.result()


async def produce(run: Run, job_id: JobId, state: State) -> None:
    """Advance one job until it is archived, failed or in doubt, or this run may not go on."""
    run.driving.add(job_id)
    try:
        await _advance(run, job_id, state)
    finally:
        run.driving.discard(job_id)
        run.submitted(job_id)


async def _advance(run: Run, job_id: JobId, state: State) -> None:
    left_behind = state is not State.PENDING
    while True:
        if state is not State.PENDING and job_id in run.unsubmitted:
            run.submitted(job_id)
        match state:
            case State.PENDING if run.gate.closed.is_set():
                state = await _claimed_by_others(run, job_id)
                if state is State.PENDING:
                    break
            case State.PENDING:
                after = await submit(run, job_id)
                if after is None:
                    break
                state = await told(run, job_id, state, after)
            case State.SUBMITTED | State.COMPLETED if not left_behind and job_id not in run.mine:
                before = state
                state = await run.elsewhere.changed(job_id, state, patience=run.patience_seconds)
                left_behind = state is before
            case State.SUBMITTED:
                after = await collect(run, job_id, left_behind=left_behind)
                state = await told(run, job_id, state, after)
                left_behind = False
                if state is State.SUBMITTED:
                    break
            case State.SUBMITTING:
                state = await run.elsewhere.changed(job_id, state, patience=LATE_SECONDS)
                if state is State.SUBMITTING:
                    await run.doubt_the_late()
            case State.COMPLETED:
                state = await told(run, job_id, state, await archive(run, job_id))
                if state is State.COMPLETED:
                    break
            case State.IN_DOUBT:
                run.doubted.add(job_id)
                break
            case State.ARCHIVED | State.FAILED | State.CANCELLED:
                break
            case never:
                assert_never(never)


async def _claimed_by_others(run: Run, job_id: JobId) -> State:
    """A run that buys nothing more still does not end while others have the batch in flight."""
    if run.leaving.is_set():
        return State.PENDING
    return (await run.book(reading.states_of, run.ledger, [job_id]))[job_id]

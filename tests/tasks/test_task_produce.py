"""A job goes on from whatever state it is in; shards are named by their rows."""

from __future__ import annotations

import asyncio
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from reelbatch.jobs import JobId, RowId, State
from reelbatch.ledger import claims, open_ledger
from reelbatch.run.run import Run
from tasks.archive import archive
from tasks.collect import collect
from tasks.produce import jobs_to_produce, name_of, produce, shards_of
from tasks.submit import submit
from tests.parts.emulator import Emulator
from tests.parts.waiting import async_wait_until
from tests.tasks.conftest import Studio

HEADER = "id,prompt,seed"
TOM = "tom,A cat,1"


def jobs(rows: int, takes: int = 1) -> list[tuple[JobId, RowId, State]]:
    return [
        (JobId(f"job-{n}-{take}"), RowId(f"row-{n}"), State.PENDING)
        for n in range(1, rows + 1)
        for take in range(takes)
    ]


@pytest.mark.parametrize("rows", [1, 3, 50])
def test_a_small_batch_has_one_row_a_shard_with_all_its_takes(rows: int) -> None:
    shards = list(shards_of(jobs(rows, takes=3)))
    assert [name_of(shard) for shard in shards] == [f"row-{n}" for n in range(1, rows + 1)]
    assert all(len(shard) == 3 for shard in shards)


@pytest.mark.parametrize("rows", [51, 1000, 10_001])
def test_a_large_batch_has_some_twenty_shards_named_first_to_last(rows: int) -> None:
    shards = list(shards_of(jobs(rows)))
    assert 15 < len(shards) <= 25
    assert [job for shard in shards for job in shard] == jobs(rows)
    first, last = shards[1][0][1], shards[1][-1][1]
    assert name_of(shards[1]) == f"{first} to {last}"


def test_no_jobs_are_no_shards() -> None:
    assert list(shards_of([])) == []


async def reach(studio: Studio, run: Run, state: State) -> JobId:
    """Bring the only job to a state, the way it gets there in life."""
    (job,) = studio.jobs()
    job_id = JobId(job["id"])
    if state is State.SUBMITTING:
        claims.claim(studio.ledger, job_id, job["arguments"], run.terms(job["endpoint_id"]))
    if state in (State.SUBMITTED, State.COMPLETED, State.ARCHIVED):
        await submit(run, job_id)
    if state in (State.COMPLETED, State.ARCHIVED):
        await collect(run, job_id)
    if state is State.ARCHIVED:
        await archive(run, job_id)
    assert studio.job("tom")["state"] == state
    return job_id


@pytest.mark.parametrize(
    ("state", "posts"),
    [(State.PENDING, 1), (State.SUBMITTED, 0), (State.COMPLETED, 0), (State.ARCHIVED, 0)],
)
async def test_a_job_is_advanced_from_where_another_process_left_it(
    studio: Studio, state: State, posts: int
) -> None:
    studio.write(HEADER, TOM)
    async with studio.open() as run:
        job_id = await reach(studio, run, state)
        before = studio.accepted
    async with studio.open() as run:
        await produce(run, job_id, state)
    assert studio.states() == {"tom": State.ARCHIVED}
    assert studio.accepted - before == posts


async def test_a_post_that_died_on_the_wire_is_doubted_and_not_sent_again(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process was killed between claim and answer."""
    monkeypatch.setattr("tasks.produce.LATE_SECONDS", 0.5)
    monkeypatch.setattr("reelbatch.ledger.answers.LATE", timedelta(seconds=0.2))
    studio.write(HEADER, TOM)
    async with studio.open() as run:
        await reach(studio, run, State.SUBMITTING)
        assert await studio.produce(run) == {"tom": State.IN_DOUBT}
    assert studio.accepted == 0


async def test_a_job_that_another_process_drives_is_waited_for(studio: Studio) -> None:
    studio.write(HEADER, TOM)
    async with studio.open() as mine, studio.open() as theirs:
        await asyncio.gather(studio.produce(mine), studio.produce(theirs))
    assert (studio.states(), studio.accepted) == ({"tom": State.ARCHIVED}, 1)


async def test_two_runs_of_one_batch_share_its_rows_and_pay_each_once(studio: Studio) -> None:
    studio.write(HEADER, *(f"row-{n},A cat no {n},{n}" for n in range(1, 21)))
    async with studio.open() as mine, studio.open() as theirs:
        await asyncio.gather(studio.produce(mine), studio.produce(theirs))
    assert set(studio.states().values()) == {State.ARCHIVED}
    assert (studio.accepted, len(studio.videos())) == (20, 20)


async def test_what_is_in_flight_is_seen_through_even_when_others_were_chosen(
    studio: Studio,
) -> None:
    studio.write("id,prompt,seed,kind", "tom,A cat,1,cat", "rex,A dog,2,dog")
    async with studio.open() as run:
        await submit(run, studio.job("rex")["id"])
    async with studio.open(where=["kind=cat"]) as run:
        wanted = {row_id for _, row_id, _ in await jobs_to_produce(run)}
        assert wanted == {"tom", "rex"}
        assert set((await studio.produce(run)).values()) == {State.ARCHIVED}


async def test_of_two_runs_one_fetches_the_video(studio: Studio) -> None:
    """Who settles a job archives it; the other one waits for that, and takes over only late."""
    studio.fal.break_("slow_media", with_={"seconds": 1.0})
    studio.write(HEADER, *(f"cat-{n},A cat {n},{n}" for n in range(4)))
    async with studio.open() as one, studio.open() as other:
        await asyncio.gather(studio.produce(one), studio.produce(other))
    assert set(studio.states().values()) == {State.ARCHIVED}
    assert (studio.calls["result"], studio.calls["media"]) == (4, 4)


async def test_a_run_that_stops_waits_for_what_another_has_in_flight(studio: Studio) -> None:
    """It buys nothing more, but the batch has not ended, and its report would be wrong."""
    studio.fal.set(service_seconds=0.5)
    studio.write(HEADER, TOM)
    async with studio.open() as one, studio.open() as other:
        (wanted,) = await jobs_to_produce(other)
        theirs = asyncio.create_task(studio.produce(one))
        await async_wait_until(lambda: studio.accepted, description="one has submitted it")
        other.stop("budget")
        await produce(other, wanted[0], wanted[2])
        assert studio.states() == {"tom": State.ARCHIVED}
        await theirs


async def test_a_database_that_went_away_for_a_moment_is_asked_again(
    tmp_path: Path, fal: Emulator, postgres: str
) -> None:
    """It was started anew, or it let go of a machine that slept within a transaction."""
    with closing(open_ledger(postgres)) as ledger:
        studio = Studio(tmp_path, ledger, fal)
        studio.write(HEADER, "tom,A cat,1")
        broken: list[int] = []

        def write() -> None:
            with ledger.writing() as tx:
                if not broken:
                    broken.append(1)
                    tx.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

        async with studio.open() as run:
            await run.book(write)
            assert await studio.produce(run) == {"tom": State.ARCHIVED}

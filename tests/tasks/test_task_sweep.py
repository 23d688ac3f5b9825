"""A sweep finishes what was left behind, whatever it finds, and never submits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from reelbatch.jobs import State
from reelbatch.ledger.reading import account_facts
from reelbatch.ledger.schema import accounts, attempts, jobs
from reelbatch.run.handover import HANDOVER, Handover
from reelbatch.run.opening import open_run
from reelbatch.run.request import GenerateRequest
from reelbatch.run.run import Run
from reelbatch.run.swept import Swept
from tasks.doubts import settle_doubts_at_hand
from tasks.load import take_batch
from tasks.produce import produce
from tasks.stragglers import settle_stragglers
from tasks.sweep import as_they_stand, left_behind, told
from tests.parts.emulator import Emulator
from tests.parts.waiting import async_wait_until, wait_until
from tests.tasks.conftest import Studio
from tests.tasks.doubt_parts import FELIX, HEADER, TOM, lose_tom, past_its_deadline

ARCHIVED, COMPLETED, IN_DOUBT = State.ARCHIVED, State.COMPLETED, State.IN_DOUBT
PENDING, SUBMITTED = State.PENDING, State.SUBMITTED


@pytest.fixture(autouse=True)
def _no_long_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clocks: six tries to archive take hundredths."""
    monkeypatch.setattr("tasks.archive.LONGEST_PAUSE_SECONDS", 0.01)


@asynccontextmanager
async def sweeping(studio: Studio) -> AsyncIterator[Run]:
    request = GenerateRequest(batch="cats")
    HANDOVER.set(Handover(settings=studio.settings_of({}), ledger=studio.ledger))
    batch, settings = take_batch(None, request, studio.ledger)
    async with open_run(request, settings, studio.ledger, batch, None, sweeps=True) as run:
        beside = asyncio.create_task(run.elsewhere.work())
        try:
            yield run
        finally:
            beside.cancel()
            await asyncio.gather(beside, return_exceptions=True)


async def sweep(studio: Studio) -> Swept:
    """As the flow does it; its poller is not at work, for nothing is waited for."""
    async with sweeping(studio) as run:
        jobs = await left_behind(run, timedelta(0))
        await settle_stragglers(run)
        await settle_doubts_at_hand(run)
        stand = await as_they_stand(run, jobs)
        await asyncio.gather(*(produce(run, job_id, state) for job_id, _, state in stand))
        return await told(run, jobs)


async def leave_at_fal(studio: Studio, fal: Emulator, *rows: str) -> None:
    """A run submits them, and goes while nothing has started."""
    fal.set(concurrency=0)
    studio.write(HEADER, *rows)
    async with studio.open() as run:
        work = asyncio.create_task(studio.produce(run))
        await async_wait_until(
            lambda: set(studio.states().values()) == {SUBMITTED}, description="fal has them"
        )
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


def until_made(fal: Emulator, count: int) -> None:
    fal.set(concurrency=8)
    wait_until(lambda: fal.state()["jobs"]["COMPLETED"] == count, description="fal has made them")


async def test_what_fal_has_made_meanwhile_is_brought_home(studio: Studio, fal: Emulator) -> None:
    await leave_at_fal(studio, fal, TOM, FELIX)
    until_made(fal, 2)
    assert str(await sweep(studio)) == "cats: 2 archived"
    assert studio.states() == {"tom": ARCHIVED, "felix": ARCHIVED}
    assert studio.accepted == 2
    assert (studio.archive / "cats/index.csv").is_file()


async def test_what_fal_still_works_on_is_left_after_one_look(
    studio: Studio, fal: Emulator
) -> None:
    await leave_at_fal(studio, fal, TOM, FELIX)
    looks = studio.calls["status"]
    assert str(await sweep(studio)) == "cats: 2 still at fal"
    assert studio.calls["status"] == looks + 3  # the first asks whether the key is good
    assert not (studio.archive / "cats/index.csv").exists()


async def test_what_waits_is_not_submitted(studio: Studio, fal: Emulator) -> None:
    """A failure that is worth another attempt frees the job, for the next run."""
    await leave_at_fal(studio, fal, TOM)
    fal.break_("runner_error")
    until_made(fal, 1)
    assert str(await sweep(studio)) == "cats: 1 free for the next run to submit"
    assert (studio.accepted, studio.calls["submit"]) == (1, 1)


async def test_a_lost_submission_is_found_and_brought_home(studio: Studio, fal: Emulator) -> None:
    await lose_tom(studio, fal, "accept_then_drop")
    until_made(fal, 2)
    assert str(await sweep(studio)) == "cats: 1 archived"
    assert studio.accepted == 2


async def test_a_submission_proved_absent_waits_for_the_next_run(
    studio: Studio, fal: Emulator
) -> None:
    await lose_tom(studio, fal)
    past_its_deadline(studio)
    assert str(await sweep(studio)) == "cats: 1 free for the next run to submit"
    assert (studio.states()["tom"], studio.accepted) == (PENDING, 1)
    fal.mend()
    assert (await studio.make())["tom"] is ARCHIVED
    assert studio.accepted == 2


async def test_a_doubt_without_evidence_stays_one(studio: Studio, fal: Emulator) -> None:
    await lose_tom(studio, fal)
    assert str(await sweep(studio)) == "cats: 1 in doubt"
    assert studio.states()["tom"] is IN_DOUBT


async def test_a_dead_submitters_post_is_in_doubt_and_then_found(
    studio: Studio, fal: Emulator
) -> None:
    await lose_tom(studio, fal, "accept_then_drop")
    with studio.ledger.writing() as tx:
        tx.execute(attempts.update().where(attempts.c.outcome == "in_doubt").values(outcome=None))
    move(studio, "tom", State.SUBMITTING, seconds=60)
    until_made(fal, 2)
    assert str(await sweep(studio)) == "cats: 1 archived"


async def test_a_result_whose_download_failed_is_fetched_again(
    studio: Studio, fal: Emulator
) -> None:
    fal.break_("media_error")
    studio.write(HEADER, TOM)
    assert await studio.make() == {"tom": COMPLETED}
    said = str(await sweep(studio))
    assert said.startswith("cats: 1 made and not archived yet ("), said
    assert "503" in said
    fal.mend()
    assert str(await sweep(studio)) == "cats: 1 archived"
    assert studio.accepted == 1


async def test_a_result_that_cannot_be_read_now_is_left_to_the_next_sweep(
    studio: Studio, fal: Emulator
) -> None:
    await leave_at_fal(studio, fal, TOM)
    until_made(fal, 1)
    fal.break_("result_flake", times=1)
    assert str(await sweep(studio)) == "cats: 1 still at fal"
    assert str(await sweep(studio)) == "cats: 1 archived"


async def test_a_404_counts_only_after_a_quarter_of_an_hour_of_nothing_else(
    studio: Studio, fal: Emulator
) -> None:
    """Two sweeps with a 404, a quarter of an hour apart, and one between that knew it again."""
    await leave_at_fal(studio, fal, TOM)
    for silent in (True, False, True):
        fal.mend()
        if silent:
            fal.break_("status_missing")
        assert str(await sweep(studio)) == "cats: 1 still at fal"
        gone_since = studio.attempts("tom")[0]["gone_since"]
        assert (gone_since is not None) == silent
        if silent:
            studio.change_attempt("tom", gone_since=datetime.now(UTC) - timedelta(minutes=14))


async def test_a_request_that_may_not_be_asked_about_is_named(
    studio: Studio, fal: Emulator
) -> None:
    """The key goes to fal's own hosts only, and to no address that came with an answer."""
    await leave_at_fal(studio, fal, TOM)
    studio.change_attempt("tom", status_url="https://fal.example/requests/1/status")
    said = str(await sweep(studio))
    assert said.startswith("cats: 1 still at fal (job "), said
    assert "stays at fal" in said


async def test_the_sweep_learns_nothing_and_wakes_nobody(studio: Studio, fal: Emulator) -> None:
    """One look at each job would tell a wrong number of slots; and a parked account stays so."""
    await leave_at_fal(studio, fal, TOM, FELIX)
    later = datetime.now(UTC) + timedelta(minutes=9)
    with studio.ledger.writing() as tx:
        tx.execute(accounts.update().values(parked_reason="storm", parked_until=later))
    fal.set(concurrency=1, service_seconds=30)
    before = account_facts(studio.ledger, studio.settings_of({}).account_id)
    await sweep(studio)
    with studio.ledger.reading() as tx:
        account = tx.execute(accounts.select()).mappings().one()
    assert (account["parked_until"], account["probe_at"]) == (later, None)
    assert account_facts(studio.ledger, account["id"]) == before


def move(studio: Studio, row_id: str, state: State, *, seconds: float) -> None:
    """As if the job had come into this state so long ago."""
    since = datetime.now(UTC) - timedelta(seconds=seconds)
    with studio.ledger.writing() as tx:
        mine = jobs.c.id == studio.job(row_id)["id"]
        tx.execute(jobs.update().where(mine).values(state=state, state_at=since))

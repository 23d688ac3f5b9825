"""A request whose job went on without it is booked or cancelled, and buys nothing twice."""

from __future__ import annotations

from decimal import Decimal

import pytest
from sqlalchemy import update

from reelbatch.jobs import State
from reelbatch.ledger import answers, strays
from reelbatch.ledger.schema import jobs
from reelbatch.run.entries import handle_of
from reelbatch.run.run import Run
from tasks.stragglers import settle_stragglers
from tests.parts.emulator import Emulator
from tests.parts.waiting import wait_until
from tests.tasks.conftest import Studio

HEADER = "id,prompt,seed"
TOM = "tom,A cat,1"


async def overtaken(studio: Studio, run: Run) -> None:
    """fal takes Tom's body once more, on an attempt that his archived job has gone past."""
    body = studio.attempts("tom")[0]["body"]
    outcome = await run.fal.submit("fal-ai/ovi", body, token="late", start_timeout_seconds=60)
    handle = handle_of(outcome.submission)  # type: ignore[union-attr]
    stray = strays.Stray(
        request_id=handle.request_id,
        job_id=studio.job("tom")["id"],
        endpoint_id="fal-ai/ovi",
        sent_at=studio.attempts("tom")[0]["claimed_at"],
    )
    assert strays.adopt(studio.ledger, stray, handle, Decimal("0.20"))


def spent(studio: Studio) -> Decimal:
    return sum((one["cost_usd"] or Decimal(0) for one in studio.attempts("tom")), Decimal(0))


async def test_one_that_still_waits_is_cancelled_and_costs_nothing(
    studio: Studio, fal: Emulator
) -> None:
    studio.write(HEADER, TOM)
    async with studio.open() as run:
        await studio.produce(run)
        fal.set(concurrency=0)
        await overtaken(studio, run)
        await settle_stragglers(run)
    _, late = studio.attempts("tom")
    assert (late["cancel_answer"], late["outcome"]) == ("removed", "failed")
    assert (spent(studio), late["reserved_usd"]) == (Decimal("0.20"), Decimal(0))
    assert studio.states() == {"tom": State.ARCHIVED}


async def test_one_that_was_made_is_booked(studio: Studio, fal: Emulator) -> None:
    studio.write(HEADER, TOM)
    async with studio.open() as run:
        await studio.produce(run)
        await overtaken(studio, run)
        wait_until(lambda: fal.state()["jobs"]["COMPLETED"] == 2, description="it is made")
        await settle_stragglers(run)
    assert (spent(studio), studio.states()) == (Decimal("0.40"), {"tom": State.ARCHIVED})


@pytest.mark.parametrize("state", [State.PENDING, State.FAILED])
async def test_one_that_was_made_serves_an_idle_job(
    studio: Studio, fal: Emulator, state: State
) -> None:
    """A late answer came after its absence was believed, and before it was sent again."""
    studio.write(HEADER, TOM)
    async with studio.open() as run:
        fal.break_("too_many_requests", times=1, with_={"retry_after": 1})
        await studio.produce(run)
        first, second = studio.attempts("tom")
        with studio.ledger.writing() as tx:
            tx.execute(update(jobs).values(state=state, archived_at=None))
        fal.forget()
        body = second["body"]
        outcome = await run.fal.submit("fal-ai/ovi", body, token="late", start_timeout_seconds=60)
        handle = handle_of(outcome.submission)  # type: ignore[union-attr]
        answers.accepted(studio.ledger, first["id"], handle)
        wait_until(lambda: fal.state()["jobs"]["COMPLETED"], description="it is made")
        await settle_stragglers(run)
    assert studio.states() == {"tom": State.COMPLETED}
    assert await studio.make() == {"tom": State.ARCHIVED}
    assert studio.accepted == 1

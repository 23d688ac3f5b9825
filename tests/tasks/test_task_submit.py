"""One POST a claim; what fal answers decides whether another may follow."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from reelbatch.jobs import State
from tasks.produce import jobs_to_produce, produce
from tasks.submit import _wait_for_twin
from tests.parts.emulator import Emulator
from tests.parts.waiting import async_wait_until
from tests.tasks.conftest import Studio

HEADER = "id,prompt,seed"
TOM = "tom,A cat,1"
DOZEN = [f"row-{n},A cat no {n},{n}" for n in range(1, 13)]


@pytest.mark.parametrize(
    "fault", ["accept_then_drop", "drop_before_accept", "nginx_error", "garbled_answer"]
)
async def test_an_answer_that_is_lost_leaves_the_job_in_doubt_and_is_not_asked_again(
    studio: Studio, fal: Emulator, fault: str
) -> None:
    fal.break_(fault)
    studio.write(HEADER, TOM)
    assert await studio.make() == {"tom": State.IN_DOUBT}
    assert len(studio.attempts("tom")) == 1
    assert studio.accepted <= 1


async def test_a_budget_stops_before_the_submission_that_would_cross_it(studio: Studio) -> None:
    studio.write(HEADER, *DOZEN)
    async with studio.open(budget_usd="0.65") as run:
        states = await studio.produce(run)
        assert run.stopped == "budget"
    assert (studio.accepted, list(states.values()).count(State.ARCHIVED)) == (3, 3)


async def test_a_locked_account_stops_the_run_and_nothing_is_lost(
    studio: Studio, fal: Emulator
) -> None:
    studio.write(HEADER, TOM)
    async with studio.open() as run:
        fal.lock()
        assert await studio.produce(run) == {"tom": State.PENDING}
        assert run.stopped == "locked"
        assert "Exhausted balance" in run.stop_detail
    fal.unlock()
    assert await studio.make() == {"tom": State.ARCHIVED}


async def test_ten_first_answers_that_fail_alike_stop_the_batch(
    studio: Studio, fal: Emulator
) -> None:
    fal.break_("model_refusal")
    studio.write(HEADER, *(f"row-{n},A cat no {n},{n}" for n in range(1, 31)))
    async with studio.open(max_in_flight=2) as run:
        states = await studio.produce(run)
        assert (run.stopped, run.stop_detail) == ("failing", "content_policy_violation")
    assert State.PENDING in states.values()


async def test_a_person_may_say_that_it_goes_on_all_the_same(studio: Studio, fal: Emulator) -> None:
    fal.break_("model_refusal")
    studio.write(HEADER, *DOZEN)
    assert set((await studio.make(keep_going=True)).values()) == {State.FAILED}


async def test_no_more_are_at_fal_than_the_window_holds(studio: Studio, fal: Emulator) -> None:
    fal.set(concurrency=1, service_seconds=0.3)
    studio.write(HEADER, *DOZEN)
    async with studio.open(max_in_flight=3) as run:
        work = asyncio.create_task(studio.produce(run))
        await async_wait_until(lambda: studio.accepted >= 3, description="the window is full")
        at_fal = fal.state()["jobs"]
        assert at_fal["IN_QUEUE"] + at_fal["IN_PROGRESS"] <= 3
        run.stop("paused")
        await work


async def test_a_run_that_leaves_lets_what_is_at_fal_be(studio: Studio, fal: Emulator) -> None:
    fal.set(service_seconds=1)
    studio.write(HEADER, TOM)
    async with studio.open() as run:
        ((job_id, _, state),) = await jobs_to_produce(run)
        work = asyncio.create_task(produce(run, job_id, state))
        await async_wait_until(
            lambda: studio.job("tom")["state"] == State.SUBMITTED, description="fal has it"
        )
        run.leave()
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
    assert studio.job("tom")["state"] == State.SUBMITTED
    assert await studio.make() == {"tom": State.ARCHIVED}
    assert studio.accepted == 1


async def test_a_submitter_that_is_cancelled_in_its_post_writes_the_answer_down(
    studio: Studio, fal: Emulator
) -> None:
    fal.break_("slow_answer", with_={"seconds": 1})
    studio.write(HEADER, TOM)
    async with studio.open() as run:
        work = asyncio.create_task(studio.produce(run))
        await async_wait_until(lambda: studio.accepted, description="the POST is out")
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
    assert studio.job("tom")["state"] == State.SUBMITTED


async def test_a_submitter_that_is_cancelled_in_its_post_says_that_there_is_doubt(
    studio: Studio, fal: Emulator
) -> None:
    fal.break_("accept_then_hang")
    studio.write(HEADER, TOM)
    async with studio.open() as run:
        work = asyncio.create_task(studio.produce(run))
        await async_wait_until(lambda: studio.accepted, description="the POST is out")
        run.gone.set()
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
    tom = studio.job("tom")
    assert tom["state"] == State.IN_DOUBT
    assert studio.attempts("tom")[0]["reserved_usd"] == Decimal("0.20")


async def test_nobody_waits_for_a_twin_that_has_come_to_its_end_meanwhile(studio: Studio) -> None:
    """Between the claim that saw it at work and the look at it."""
    studio.write(HEADER, "tom,A cat,1")
    async with studio.open() as run:
        await studio.produce(run)
        async with asyncio.timeout(20):
            assert await _wait_for_twin(run, studio.job("tom")["id"]) is State.PENDING

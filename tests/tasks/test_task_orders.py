"""Pause, resume, another window and cancel, as a live run meets them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest

from reelbatch.jobs import State
from reelbatch.ledger import batches, orders
from reelbatch.ledger.batches import Batch
from reelbatch.run.cancelling import cancel_batch
from reelbatch.run.obeying import obey, obey_now
from reelbatch.run.run import Run
from reelbatch.run.totals import Totals
from tasks.report import totals_of
from tests.parts.emulator import Emulator
from tests.parts.waiting import async_wait_until
from tests.tasks.conftest import Studio

HEADER = "id,prompt,seed"
SIX = [f"row-{n},A cat no {n},{n}" for n in range(1, 7)]


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clocks: what is looked at once a second is looked at twenty times."""
    monkeypatch.setattr("reelbatch.run.obeying.LOOK_EVERY_SECONDS", 0.05)
    monkeypatch.setattr("reelbatch.run.gate.LOOK_AGAIN_SECONDS", 0.05)
    monkeypatch.setattr("reelbatch.run.cancelling.LOOK_AGAIN_SECONDS", 0.05)
    monkeypatch.setattr("reelbatch.run.cancelling.PAUSES_SECONDS", (0.05, 0.05))


@asynccontextmanager
async def live(studio: Studio, **wishes: Any) -> AsyncIterator[tuple[Run, asyncio.Task[None]]]:
    """A run that obeys, and its work."""
    async with studio.open(**wishes) as run:
        obeying = asyncio.create_task(obey(run))
        work = asyncio.create_task(_produce(studio, run))
        try:
            yield run, work
        finally:
            obeying.cancel()
            work.cancel()
            await asyncio.gather(obeying, work, return_exceptions=True)


async def _produce(studio: Studio, run: Run) -> None:
    await studio.produce(run)


def batch_of(studio: Studio) -> Batch:
    (found,) = batches.all_batches(studio.ledger)
    return found


def count(studio: Studio) -> Counter[State]:
    return Counter(studio.states().values())


async def until(studio: Studio, **wanted: int) -> None:
    """The jobs stand like this."""
    await async_wait_until(
        lambda: count(studio) == Counter({State(name): n for name, n in wanted.items()}),
        description=f"the jobs stand at {wanted}, and not at {count(studio)}",
    )


async def call_off(studio: Studio) -> Totals:
    return await cancel_batch(studio.settings_of({}), studio.ledger, batch_of(studio))


async def test_a_paused_run_waits_while_something_is_in_flight_and_goes_on(
    studio: Studio, fal: Emulator
) -> None:
    fal.set(concurrency=0)
    studio.write(HEADER, *SIX)
    async with live(studio, max_in_flight=2) as (run, work):
        await until(studio, submitted=2, pending=4)
        batches.set_mark(studio.ledger, batch_of(studio).id, "pause")
        orders.set_window(studio.ledger, batch_of(studio).account_id, 6)
        await async_wait_until(lambda: run.window == 6, description="the run has looked")
        assert (count(studio)[State.PENDING], work.done(), run.stopped) == (4, False, None)
        batches.set_mark(studio.ledger, batch_of(studio).id, None)
        await until(studio, submitted=6)
        fal.set(concurrency=8)
        await work
    assert (count(studio), run.stopped) == ({State.ARCHIVED: 6}, None)


async def test_a_paused_run_archives_what_is_in_flight_and_then_ends(
    studio: Studio, fal: Emulator
) -> None:
    fal.set(concurrency=0)
    studio.write(HEADER, *SIX)
    async with live(studio, max_in_flight=2) as (run, work):
        await until(studio, submitted=2, pending=4)
        batches.set_mark(studio.ledger, batch_of(studio).id, "pause")
        fal.set(concurrency=8)
        await work
        await obey_now(run)
        totals = totals_of(run)
    assert count(studio) == {State.ARCHIVED: 2, State.PENDING: 4}
    assert (totals.stopped, totals.exit_status, studio.accepted) == ("paused", 4, 2)


async def test_another_window_is_obeyed_by_a_live_run(studio: Studio, fal: Emulator) -> None:
    """Wider than its own, and then its own again."""
    fal.set(concurrency=0)
    studio.write(HEADER, *SIX)
    async with live(studio, max_in_flight=1):
        await until(studio, submitted=1, pending=5)
        orders.set_window(studio.ledger, batch_of(studio).account_id, 4)
        await until(studio, submitted=4, pending=2)
    assert fal.state()["accepted"]["total"] == 4


async def test_a_narrower_window_lets_what_is_in_flight_end_first(
    studio: Studio, fal: Emulator
) -> None:
    fal.set(concurrency=0)
    studio.write(HEADER, *SIX)
    async with live(studio, max_in_flight=3) as (_, work):
        await until(studio, submitted=3, pending=3)
        orders.set_window(studio.ledger, batch_of(studio).account_id, 1)
        fal.set(concurrency=8, service_seconds=0.5)
        await work
    assert count(studio) == {State.ARCHIVED: 6}
    later = [one["claimed_at"] for n in (4, 5, 6) for one in studio.attempts(f"row-{n}")]
    ends = sorted(job["completed_at"] for job in studio.jobs())
    assert all(begin >= end for begin, end in zip(sorted(later), ends[2:], strict=False))


async def test_what_is_queued_is_cancelled_and_what_runs_is_archived(
    studio: Studio, fal: Emulator
) -> None:
    """A live run is told, and waits for nothing that fal has let go."""
    fal.set(concurrency=2, service_seconds=1.0)
    studio.write(HEADER, *SIX)
    async with live(studio, max_in_flight=4) as (run, work):
        await until(studio, submitted=4, pending=2)
        said = await call_off(studio)
        await work
        await obey_now(run)
        totals = totals_of(run)
    assert (said.stopped, said.exit_status, said.counts.cancelled) == ("cancelled", 4, 2)
    assert count(studio) == {State.ARCHIVED: 2, State.CANCELLED: 2, State.PENDING: 2}
    assert (totals.stopped, totals.exit_status, studio.calls["cancel"]) == ("cancelled", 4, 2)
    assert (totals.counts.spent_usd, totals.counts.reserved_usd) == (Decimal("0.40"), Decimal(0))


@pytest.mark.parametrize("shown", ["completed", "gone"])
async def test_a_run_whose_rows_are_all_queued_ends_when_they_are_cancelled(
    studio: Studio, fal: Emulator, shown: str
) -> None:
    """It makes no claim that could meet the mark, and no poll tells it."""
    studio.settings["collect"] = "poll"
    fal.set(concurrency=0, cancelled_status=shown)
    studio.write(HEADER, *SIX)
    async with live(studio) as (run, work):
        await until(studio, submitted=6)
        await call_off(studio)
        fal.break_("status_nginx")
        await asyncio.wait_for(work, 30)
        assert totals_of(run).stopped == "cancelled"
    assert (count(studio), studio.calls["cancel"]) == ({State.CANCELLED: 6}, 6)


async def test_the_next_run_makes_the_cancelled_rows(studio: Studio, fal: Emulator) -> None:
    fal.set(concurrency=0)
    studio.write(HEADER, *SIX)
    async with live(studio) as (_, work):
        await until(studio, submitted=6)
        await call_off(studio)
        await work
    batches.set_mark(studio.ledger, batch_of(studio).id, None)
    fal.set(concurrency=8)
    await studio.make()
    assert count(studio) == {State.ARCHIVED: 6}
    assert batch_of(studio).spent_usd == Decimal("1.20")


async def submitted(studio: Studio) -> None:
    """Three rows queued at fal, and no run is live."""
    studio.fal.set(concurrency=0)
    studio.write(HEADER, *SIX[:3])
    async with live(studio):
        await until(studio, submitted=3)


async def test_without_a_live_run_the_queued_are_cancelled_all_the_same(studio: Studio) -> None:
    await submitted(studio)
    totals = await call_off(studio)
    assert (totals.counts.cancelled, totals.exit_status) == (3, 4)
    assert (await call_off(studio)).counts.cancelled == 3
    assert studio.calls["cancel"] == 3


async def test_what_was_made_meanwhile_stays_in_flight_and_is_archived_by_the_next_run(
    studio: Studio, fal: Emulator
) -> None:
    await submitted(studio)
    fal.set(concurrency=8)
    await async_wait_until(
        lambda: fal.state()["jobs"]["COMPLETED"] == 3, description="fal has made them"
    )
    totals = await call_off(studio)
    assert (totals.counts.cancelled, totals.counts.remaining) == (0, 3)
    assert "cancel" not in studio.calls
    batches.set_mark(studio.ledger, batch_of(studio).id, None)
    assert set((await studio.make()).values()) == {State.ARCHIVED}
    assert studio.accepted == 3


@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize("shown", ["completed", "gone"])
async def test_a_cancellation_whose_answer_is_lost_is_asked_for_again(
    studio: Studio, fal: Emulator, shown: str, done: bool
) -> None:
    """Whether it had worked or not; nothing counts before fal says so."""
    await submitted(studio)
    fal.set(cancelled_status=shown)
    fal.break_("cancel_error", first=1, with_={"done": done})
    totals = await call_off(studio)
    assert (totals.counts.cancelled, totals.warnings) == (3, ())
    assert totals.counts.reserved_usd == 0


async def test_a_fal_that_confirms_nothing_leaves_all_in_flight_and_that_is_said(
    studio: Studio, fal: Emulator
) -> None:
    await submitted(studio)
    fal.break_("cancel_error")
    totals = await call_off(studio)
    assert (totals.counts.cancelled, totals.counts.in_flight) == (0, 3)
    assert totals.counts.reserved_usd == Decimal("0.60")
    assert totals.warnings == ("fal did not answer for 3 requests: cancel again",)


async def test_without_a_key_the_submissions_stop_all_the_same(studio: Studio) -> None:
    await submitted(studio)
    keyless = studio.settings_of({}).model_copy(update={"fal_key": None})
    totals = await cancel_batch(keyless, studio.ledger, batch_of(studio))
    assert (batch_of(studio).mark, totals.counts.in_flight) == ("cancel", 3)
    (warning,) = totals.warnings
    assert "could not be cancelled: There is no fal key." in warning


async def test_a_post_on_the_wire_is_waited_for_and_cancelled(
    studio: Studio, fal: Emulator
) -> None:
    """fal takes it after the mark was set: it would run, and be paid."""
    fal.set(concurrency=0)
    fal.break_("slow_answer", with_={"seconds": 1.5})
    studio.write(HEADER, SIX[0])
    async with live(studio) as (_, work):
        await until(studio, submitting=1)
        totals = await call_off(studio)
        await work
    assert (totals.counts.cancelled, count(studio)) == (1, {State.CANCELLED: 1})

"""A submission is seen through to its result, whatever the reading of it meets."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from reelbatch.fal.answers import GoodResult
from reelbatch.jobs import State
from reelbatch.run import streams
from reelbatch.run.entries import submission_in
from reelbatch.run.run import Run
from reelbatch.run.settling import settle
from tasks.collect import collect as collect_it
from tasks.submit import submit
from tests.parts.emulator import Emulator
from tests.parts.waiting import async_wait_until
from tests.tasks.conftest import Studio

HEADER = "id,prompt,seed"
TOM = "tom,A cat,1"
FELIX = "felix,Another cat,2"
KEY_CHECK = 1
"""A run asks for the status of no request first, to see whether its key is good."""


async def submitted(studio: Studio, run: Run) -> None:
    """Every job of the run at fal, and nobody waiting for it."""
    for job in studio.jobs():
        if job["state"] == State.PENDING:
            assert await submit(run, job["id"]) is State.SUBMITTED


async def started(fal: Emulator, count: int = 1) -> None:
    await async_wait_until(
        lambda: fal.state()["jobs"]["IN_PROGRESS"] == count, description=f"{count} of them run"
    )


@pytest.fixture(autouse=True, params=["stream", "poll"])
def collect(request: pytest.FixtureRequest, studio: Studio) -> str:
    studio.settings["collect"] = request.param
    return str(request.param)


@pytest.mark.parametrize("fault", ["missing", "nginx", "dropped"])
async def test_a_status_that_cannot_be_read_never_fails_a_job(
    studio: Studio, fal: Emulator, collect: str, fault: str
) -> None:
    """A stream that goes wrong again and again is given up for polling, which goes wrong too."""
    fal.break_(f"status_{fault}", first=3)
    if collect == "stream":
        fal.break_("stream_error")
    studio.write(HEADER, TOM)
    assert await studio.make() == {"tom": State.ARCHIVED}
    assert studio.accepted == 1
    assert all(each["strikes"] for each in fal.state()["faults"])


async def test_what_a_receiver_settled_at_that_very_moment_is_ours_to_archive(
    studio: Studio, fal: Emulator
) -> None:
    """It settles and archives nothing; another run would, and would be waited for."""
    studio.write(HEADER, TOM)
    async with studio.open() as run:
        await submitted(studio, run)
    studio.settings["webhook_url"] = "https://hooks.example.com"
    async with studio.open() as run:
        tom = studio.job("tom")
        await async_wait_until(
            lambda: fal.state()["jobs"].get("COMPLETED") == 1, description="it is made"
        )
        answer = await run.fal.result(submission_in(tom))
        assert isinstance(answer, GoodResult)
        settle(run.ledger, tom["attempt_id"], answer, Decimal("0.20"), inference_seconds=None)
        assert await collect_it(run, tom["id"], left_behind=True) is State.COMPLETED
        assert tom["id"] in run.mine


async def test_a_404_of_the_stream_alone_is_no_word_on_the_request(
    studio: Studio, fal: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As from a gateway that does not know it: nothing is lost, and nothing paid for again."""
    monkeypatch.setattr("tasks.collect.COUNTS_AFTER", timedelta(0))
    fal.break_("stream_error", with_={"status": 404})
    fal.set(service_seconds=2)
    studio.write(HEADER, TOM)
    assert await studio.make() == {"tom": State.ARCHIVED}
    assert studio.attempts("tom")[-1]["gone_since"] is None
    assert studio.accepted == 1


async def test_streams_that_fall_silent_are_opened_again(
    studio: Studio, fal: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Something still sends comments, and has lost the request."""
    monkeypatch.setattr(streams, "NEXT_WORD_SECONDS", 1.0)
    fal.break_("stream_silent", times=1)
    studio.write(HEADER, TOM)
    assert await asyncio.wait_for(studio.make(), 60) == {"tom": State.ARCHIVED}


async def test_a_job_is_heard_of_by_one_call(studio: Studio, collect: str) -> None:
    studio.write(HEADER, TOM)
    assert await studio.make() == {"tom": State.ARCHIVED}
    assert studio.calls.get("stream", 0) == (1 if collect == "stream" else 0)
    looks = studio.calls["status"] - KEY_CHECK
    assert looks == 0 if collect == "stream" else looks >= 1


async def test_streams_that_never_begin_are_left_for_polling(
    studio: Studio, fal: Emulator, collect: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As behind a proxy that holds everything back."""
    monkeypatch.setattr(streams, "FIRST_WORD_SECONDS", 0.5)
    fal.break_("stream_hanging")
    studio.write(HEADER, *(f"cat-{n},Cat number {n},{n}" for n in range(20)))
    made = await studio.make(max_in_flight=4)
    assert set(made.values()) == {State.ARCHIVED}
    assert (len(made), studio.accepted) == (20, 20)
    most = 3 * streams.BREAKS if collect == "stream" else 0
    assert studio.calls.get("stream", 0) <= most


@pytest.mark.parametrize(
    "fault", ["result_missing", "result_flake", "result_in_progress", "result_dropped"]
)
async def test_a_result_that_cannot_be_read_is_read_again_and_never_made_again(
    studio: Studio, fal: Emulator, fault: str
) -> None:
    fal.break_(fault, first=2)
    studio.write(HEADER, TOM)
    assert await studio.make() == {"tom": State.ARCHIVED}
    assert (studio.accepted, studio.job("tom")["cost_usd"]) == (1, Decimal("0.20"))


async def test_a_404_that_has_passed_starts_the_fifteen_minutes_anew(
    studio: Studio, fal: Emulator
) -> None:
    fal.break_("result_missing", first=1)
    studio.write(HEADER, TOM)
    async with studio.open() as run:
        await submitted(studio, run)
        studio.change_attempt("tom", gone_since=datetime.now(UTC) - timedelta(minutes=16))
        assert await studio.produce(run) == {"tom": State.ARCHIVED}


async def test_a_result_unheard_of_for_fifteen_minutes_is_lost_and_counts_as_paid(
    studio: Studio, fal: Emulator
) -> None:
    fal.break_("result_missing")
    fal.break_("lost_records")
    studio.write(HEADER, TOM)
    async with studio.open() as run:
        await submitted(studio, run)
        seeing = asyncio.create_task(studio.produce(run))
        await async_wait_until(
            lambda: studio.attempts("tom")[-1]["gone_since"], description="the first 404 is noted"
        )
        studio.change_attempt("tom", gone_since=datetime.now(UTC) - timedelta(minutes=16))
        assert await seeing == {"tom": State.FAILED}
    job = studio.job("tom")
    assert (job["error_type"], job["cost_usd"]) == ("result_lost", Decimal("0.20"))
    assert studio.accepted == 1


async def test_a_job_past_the_run_timeout_is_cancelled_once_and_collected_on(
    studio: Studio, fal: Emulator
) -> None:
    """fal leaves it to the app whether a running request stops: this one does not."""
    studio.settings["run_timeout"] = 0.2
    fal.set(service_seconds=2)
    studio.write(HEADER, TOM)
    assert await studio.make() == {"tom": State.ARCHIVED}
    assert studio.calls["cancel"] == 1
    assert studio.attempts("tom")[-1]["cancel_answer"] == "requested"


async def test_a_404_that_passes_is_no_word_on_a_request_that_may_still_run(
    studio: Studio, fal: Emulator
) -> None:
    """fal was asked to stop it and promised nothing: it completes, and is billed."""
    studio.settings["run_timeout"] = 0.2
    fal.set(service_seconds=3)
    studio.write(HEADER, TOM)
    making = asyncio.create_task(studio.make())
    await async_wait_until(lambda: studio.calls.get("cancel"), description="it is asked to stop")
    fal.break_("status_missing", times=1)
    fal.break_("stream_error", with_={"status": 404}, times=1)
    assert await making == {"tom": State.ARCHIVED}
    assert (studio.accepted, studio.job("tom")["cost_usd"]) == (1, Decimal("0.20"))


async def test_a_request_asked_to_stop_and_unheard_of_for_fifteen_minutes_is_cancelled(
    studio: Studio, fal: Emulator
) -> None:
    """By looks: a stream that was opened before has nothing to say of it."""
    studio.settings["collect"] = "poll"
    studio.settings["run_timeout"] = 0.2
    fal.set(service_seconds=60)
    studio.write(HEADER, TOM)
    making = asyncio.create_task(studio.make())
    await async_wait_until(lambda: studio.calls.get("cancel"), description="it is asked to stop")
    fal.break_("status_missing")
    fal.break_("lost_records")
    await async_wait_until(
        lambda: studio.attempts("tom")[-1]["gone_since"], description="the first 404 is noted"
    )
    studio.change_attempt("tom", gone_since=datetime.now(UTC) - timedelta(minutes=16))
    assert await making == {"tom": State.CANCELLED}


async def test_a_cancelled_job_that_stops_is_cancelled_and_costs_nothing(
    studio: Studio, fal: Emulator
) -> None:
    studio.settings["run_timeout"] = 0.2
    fal.set(service_seconds=5, honour_cancel=True)
    studio.write(HEADER, TOM)
    assert await studio.make() == {"tom": State.CANCELLED}
    assert studio.calls["cancel"] == 1
    assert not studio.job("tom")["cost_usd"]


@pytest.mark.parametrize("shown", ["completed", "gone"])
async def test_a_withdrawn_job_is_cancelled_while_it_is_queued(
    studio: Studio, fal: Emulator, shown: str
) -> None:
    fal.set(concurrency=0, cancelled_status=shown)
    studio.write(HEADER, TOM, FELIX)
    async with studio.open() as run:
        await submitted(studio, run)
    studio.write(HEADER, TOM)
    making = asyncio.create_task(studio.make())
    await async_wait_until(
        lambda: studio.states()["felix"] is State.CANCELLED, description="the cat is cancelled"
    )
    fal.set(concurrency=8)
    assert await making == {"tom": State.ARCHIVED, "felix": State.CANCELLED}
    assert studio.videos() == ["cats/tom/take-1.mp4"]


async def test_a_withdrawn_job_that_runs_is_collected_and_archived(
    studio: Studio, fal: Emulator
) -> None:
    fal.set(service_seconds=1)
    studio.write(HEADER, TOM, FELIX)
    async with studio.open() as run:
        await submitted(studio, run)
        await started(fal, 2)
    studio.write(HEADER, TOM)
    assert await studio.make() == {"tom": State.ARCHIVED, "felix": State.ARCHIVED}
    assert "cancel" not in studio.calls


async def test_a_withdrawn_job_that_waits_is_never_bought(studio: Studio) -> None:
    studio.write(HEADER, TOM, FELIX)
    async with studio.open():
        assert studio.accepted == 0
    studio.write(HEADER, TOM)
    assert await studio.make() == {"tom": State.ARCHIVED, "felix": State.PENDING}
    assert studio.accepted == 1


async def test_a_runner_failure_is_made_again_once(studio: Studio, fal: Emulator) -> None:
    fal.break_("runner_error", times=1, with_={"type": "runner_server_error"})
    studio.write(HEADER, TOM)
    assert await studio.make() == {"tom": State.ARCHIVED}
    assert [attempt["outcome"] for attempt in studio.attempts("tom")][-1] == "good"


async def test_what_never_started_is_asked_for_again_and_costs_nothing(
    studio: Studio, fal: Emulator
) -> None:
    studio.settings["start_timeout"] = 1
    fal.set(concurrency=0)
    studio.write(HEADER, TOM)
    making = asyncio.create_task(studio.make())
    await async_wait_until(lambda: studio.accepted == 2, description="it is asked for again")
    fal.set(concurrency=8)
    assert await making == {"tom": State.ARCHIVED}
    first, second = studio.attempts("tom")
    assert (first["cost_usd"] or 0, second["cost_usd"]) == (0, Decimal("0.20"))

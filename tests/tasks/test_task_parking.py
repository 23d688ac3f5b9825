"""An account in trouble: nothing is bought blindly, nothing in flight is lost, and it goes on."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from reelbatch.jobs import State
from reelbatch.ledger import parking
from reelbatch.run.run import Run
from tasks.report import totals_of, write_files
from tests.parts.emulator import Emulator
from tests.parts.line import Line
from tests.parts.waiting import async_wait_until
from tests.tasks.conftest import Studio

HEADER = "id,prompt,seed"
SIX = [f"row-{n},A cat no {n},{n}" for n in range(1, 7)]


@pytest.fixture(autouse=True)
def short_parking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clocks: ten seconds become a tenth, and the line looks again as soon."""
    for reason in parking.FIRST_SECONDS:
        monkeypatch.setitem(parking.FIRST_SECONDS, reason, 0.1)


def count(states: dict[str, State], state: State) -> int:
    return list(states.values()).count(state)


def parked(run: Run) -> str | None:
    found = parking.parked(run.ledger, run.settings.account_id)
    return found.reason if found else None


async def test_after_a_storm_nothing_is_sent_before_fal_answers_what_is_free(
    studio: Studio, fal: Emulator
) -> None:
    fal.break_("nginx_error", times=3)
    studio.write(HEADER, *SIX)
    async with studio.open(max_in_flight=1) as run:
        fal.break_("unknown_nginx")
        work = asyncio.create_task(studio.produce(run))
        before = studio.calls["status"]
        await async_wait_until(
            lambda: studio.calls["status"] > before + 2, description="it has looked three times"
        )
        assert (studio.calls["submit"], studio.accepted) == (3, 0)
        fal.mend()
        states = await work
    assert (count(states, State.ARCHIVED), count(states, State.IN_DOUBT)) == (3, 3)
    assert studio.accepted == 3


async def test_a_fal_that_answers_nothing_after_a_storm_ends_the_run_after_ten_minutes(
    studio: Studio, fal: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reelbatch.run.run.UNREACHABLE_FOR", timedelta(seconds=0.3))
    fal.break_("nginx_error")
    studio.write(HEADER, *SIX)
    async with studio.open(max_in_flight=1) as run:
        fal.break_("unknown_nginx")
        states = await studio.produce(run)
        assert run.stopped == "unreachable"
    assert (count(states, State.PENDING), studio.calls["submit"]) == (3, 3)


@pytest.mark.parametrize("rule", [{}, {"with_": {"retry_after": 1}}], ids=["plain", "Retry-After"])
async def test_a_burst_of_429_costs_no_job(
    studio: Studio, fal: Emulator, rule: dict[str, Any]
) -> None:
    """The first of them parks; then one at a time asks whether it has passed."""
    fal.break_("too_many_requests", times=3, **rule)
    studio.write(HEADER, *SIX)
    assert set((await studio.make()).values()) == {State.ARCHIVED}
    assert (studio.accepted, studio.calls["submit"]) == (6, 9)


async def test_a_run_may_wait_until_the_account_is_topped_up(studio: Studio, fal: Emulator) -> None:
    """As the deployments do, for six hours: nobody has to type the command again."""
    studio.settings["locked_wait"] = 600
    studio.write(HEADER, *SIX)
    async with studio.open() as run:
        fal.lock()
        work = asyncio.create_task(studio.produce(run))
        await async_wait_until(lambda: parked(run) == "locked", description="it is parked")
        fal.unlock()
        assert set((await work).values()) == {State.ARCHIVED}
        assert run.stopped is None
    assert studio.accepted == 6


@pytest.mark.parametrize("wait", [0, 600])
async def test_a_lock_that_an_upload_meets_parks_like_any_other(
    studio: Studio, fal: Emulator, wait: float
) -> None:
    """The image comes before the claim, so it may be the first to hear of it."""
    studio.settings["locked_wait"] = wait
    studio.paint("cat.png")
    studio.write("id,prompt,seed,image", "row-1,A cat,1,cat.png")
    async with studio.open() as run:
        fal.lock()
        work = asyncio.create_task(studio.produce(run))
        await async_wait_until(lambda: parked(run) == "locked", description="it is parked")
        if wait:
            fal.unlock()
        assert await work == {"row-1": State.ARCHIVED if wait else State.PENDING}
        assert run.stopped == (None if wait else "locked")
    fal.unlock()
    assert await studio.make() == {"row-1": State.ARCHIVED}
    assert studio.accepted == 1


async def test_a_forbidden_model_parks_and_fails_nothing(
    studio: Studio, fal: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """403 without a lock: the key may not do this now, and no row is to blame."""
    monkeypatch.setitem(parking.FIRST_SECONDS, "auth", 600.0)  # A busy machine outlasts a tenth.
    fal.break_("json_error", with_={"status": 403})
    studio.write(HEADER, *SIX)
    async with studio.open(max_in_flight=1) as run:
        assert set((await studio.produce(run)).values()) == {State.PENDING}
        assert (run.stopped, studio.calls["submit"]) == ("auth", 1)
    fal.mend()
    assert set((await studio.make()).values()) == {State.ARCHIVED}


async def test_a_fal_that_goes_away_and_comes_back_costs_nothing(
    studio: Studio, fal: Emulator, line: Line
) -> None:
    """Not a byte of a POST leaves while nobody listens, and what is at fal is collected after."""
    studio.settings["fal_queue_url"] = line.url
    fal.set(concurrency=0)
    studio.write(HEADER, *SIX)
    async with studio.open(max_in_flight=3) as run:
        work = asyncio.create_task(studio.produce(run))
        await async_wait_until(
            lambda: count(studio.states(), State.SUBMITTED) == 3, description="three are at fal"
        )
        run.window = 6
        await line.cut()
        await async_wait_until(lambda: parked(run) == "unreachable", description="it is parked")
        fal.set(concurrency=8)
        await line.mend()
        assert set((await work).values()) == {State.ARCHIVED}
    assert (studio.accepted, run.stopped) == (6, None)


async def test_a_fal_that_stays_away_for_ten_minutes_ends_the_run(
    studio: Studio, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reelbatch.run.run.UNREACHABLE_FOR", timedelta(seconds=0.3))
    studio.settings["fal_queue_url"] = line.url
    studio.write(HEADER, *SIX)
    async with studio.open() as run:
        await line.cut()
        assert set((await studio.produce(run)).values()) == {State.PENDING}
        assert run.stopped == "unreachable"
    assert studio.accepted == 0


async def test_ten_alike_stop_only_a_batch_that_has_more(studio: Studio, fal: Emulator) -> None:
    fal.break_("model_refusal", with_={"billed": 0})
    studio.write(HEADER, *(f"row-{n},A cat no {n},{n}" for n in range(10)))
    async with studio.open() as run:
        assert set((await studio.produce(run)).values()) == {State.FAILED}
        write_files(run)
        totals = totals_of(run)
    assert (totals.stopped, totals.exit_status) == (None, 3)

"""`--max-in-flight auto`, against fal's own slots: found, followed, shared, and not exceeded."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from reelbatch.ledger import orders, slots
from reelbatch.ledger.schema import accounts
from reelbatch.ledger.slots import Standing
from reelbatch.run.obeying import obey
from reelbatch.run.run import Run
from reelbatch.run.window import keep_window
from tests.parts.emulator import Emulator
from tests.parts.waiting import async_wait_until
from tests.tasks.conftest import Studio

HEADER = "id,prompt,seed"
PATIENCE = 120.0
"""For a machine that four others use."""


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clocks: counted after tenths of a second, where it is ten seconds, and after seconds."""
    monkeypatch.setattr("reelbatch.run.window.LOOK_EVERY_SECONDS", 0.1)
    monkeypatch.setattr("reelbatch.run.window.FULL_SECONDS", 0.2)
    monkeypatch.setattr("reelbatch.run.window.AGAIN_SECONDS", 0.5)
    monkeypatch.setattr("reelbatch.run.window.STEADY_SECONDS", 2.0)
    monkeypatch.setattr("reelbatch.run.obeying.LOOK_EVERY_SECONDS", 0.1)
    monkeypatch.setattr("reelbatch.run.gate.LOOK_AGAIN_SECONDS", 0.1)


@asynccontextmanager
async def at_work(
    studio: Studio, rows: int, *, name: str = "cats", **wishes: Any
) -> AsyncIterator[Run]:
    """A run that has more to do than a test waits for; it goes when the block ends."""
    lines = [f"{name}-{n},A {name} no {n},{n}" for n in range(rows)]
    studio.write(HEADER, *lines, name=f"{name}.csv")
    async with studio.open(f"{name}.csv", **wishes) as run:
        beside = [asyncio.create_task(one) for one in (obey(run), keep_window(run))]
        work = asyncio.create_task(_produce(studio, run))
        try:
            yield run
            assert not work.done(), "there was too little to do"
        finally:
            run.leave()
            for task in (*beside, work):
                task.cancel()
            await asyncio.gather(*beside, work, return_exceptions=True)


async def _produce(studio: Studio, run: Run) -> None:
    await studio.produce(run)


def known(studio: Studio, run: Run) -> Standing:
    return slots.standing(studio.ledger, run.settings.account_id)


def put(studio: Studio, **values: object) -> None:
    """Into the account's row, behind everybody's back."""
    with studio.ledger.writing() as tx:
        tx.execute(update(accounts).values(values))


def showed(studio: Studio, run: Run, count: int) -> None:
    """What the account showed some days ago."""
    long_ago = datetime.now(UTC) - timedelta(days=3)
    put(studio, slots_seen=count, slots_seen_at=long_ago)


async def finds(studio: Studio, run: Run, count: int) -> None:
    """A large number is found by sample, to some percent."""
    slack = 0 if count < 100 else count // 4
    await async_wait_until(
        lambda: abs((known(studio, run).slots_seen or 0) - count) <= slack,
        description=f"{count} slots are found",
        timeout_seconds=PATIENCE,
    )


async def at_rest(studio: Studio, fal: Emulator, run: Run) -> None:
    """The run holds the window that was found, and no more are at fal."""
    await async_wait_until(
        lambda: in_flight(fal) <= run.window == known(studio, run).window,
        description="the line has become as short as the window wants it",
        timeout_seconds=PATIENCE,
    )


def in_flight(fal: Emulator) -> int:
    jobs = fal.state()["jobs"]
    return int(jobs["IN_QUEUE"] + jobs["IN_PROGRESS"])


async def ended(fal: Emulator, more: int) -> None:
    before = int(fal.state()["jobs"]["COMPLETED"])
    await async_wait_until(
        lambda: fal.state()["jobs"]["COMPLETED"] >= before + more,
        description=f"{more} more have ended",
        timeout_seconds=PATIENCE,
    )


@pytest.mark.parametrize(
    ("count", "before", "seconds", "rows"),
    [
        pytest.param(2, 4, 3.0, 60, id="2, where there were 4"),
        pytest.param(10, 3, 3.0, 200, id="10, where there were 3"),
        pytest.param(40, None, 5.0, 400, id="40, where nothing is known", marks=pytest.mark.slow),
        pytest.param(
            400, None, 40.0, 2000, id="400, where nothing is known", marks=pytest.mark.slow
        ),
    ],
)
async def test_the_slots_are_found_and_the_line_at_fal_is_short(
    studio: Studio, fal: Emulator, count: int, before: int | None, seconds: float, rows: int
) -> None:
    """All of them work, and behind them wait about as many."""
    fal.set(concurrency=count, service_seconds=seconds)
    async with at_work(studio, rows) as run:
        showed(studio, run, before or 0)
        await finds(studio, run, count)
        await at_rest(studio, fal, run)
        fal.count_anew()
        await ended(fal, min(count, 80))
        line = fal.state()["slots"]
        assert line["max_running"] == count
        assert 1.5 * count <= run.window <= 3 * count
        assert line["max_waiting"] <= run.window - count + 1
    assert fal.state()["accepted"]["duplicates"] == 0


async def test_a_run_follows_the_slots_both_ways(studio: Studio, fal: Emulator) -> None:
    """Up at once; down after a day, for fewer may be due to other people's work."""
    fal.set(concurrency=3, service_seconds=2.5)
    async with at_work(studio, 400) as run:
        showed(studio, run, 4)
        await finds(studio, run, 3)
        fal.set(concurrency=12)
        await finds(studio, run, 12)
        assert known(studio, run).window >= 24
        fal.set(concurrency=4)
        await finds(studio, run, 4)
        assert known(studio, run).window >= 24
        put(studio, most_running_at=datetime.now(UTC) - timedelta(hours=25))
        await async_wait_until(
            lambda: known(studio, run).window <= 12,
            description="the window is narrow",
            timeout_seconds=PATIENCE,
        )
        await at_rest(studio, fal, run)


async def test_two_runs_of_one_account_count_all_of_it(studio: Studio, fal: Emulator) -> None:
    """Each sees only its part of the eight; one of them counts, and both obey."""
    fal.set(concurrency=8, service_seconds=3.0)
    async with AsyncExitStack() as stack:
        cats = await stack.enter_async_context(at_work(studio, 150, name="cats"))
        showed(studio, cats, 10)
        dogs = await stack.enter_async_context(at_work(studio, 150, name="dogs"))
        await async_wait_until(
            lambda: (
                len({one["batch_id"] for one in studio.jobs() if one["state"] == "submitted"}) == 2
            ),
            description="both are at fal",
        )
        await finds(studio, cats, 8)
        await async_wait_until(
            lambda: cats.window == dogs.window, description="both hold the same window"
        )
        await at_rest(studio, fal, cats)
        assert 16 <= cats.window <= 24


async def test_where_none_of_ours_runs_the_window_stays(studio: Studio, fal: Emulator) -> None:
    """All slots are other people's: however often it is counted, nothing more is sent."""
    fal.set(concurrency=8, others=8)
    async with at_work(studio, 60) as run:
        showed(studio, run, 6)
        for _ in range(3):
            before = known(studio, run).counted_at
            await async_wait_until(
                lambda at=before: known(studio, run).counted_at != at,  # type: ignore[misc]
                description="it has counted",
                timeout_seconds=PATIENCE,
            )
        assert (run.window, studio.accepted) == (12, 12)


async def test_what_other_people_leave_is_taken_again(
    studio: Studio, fal: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without waiting for the next count: nearly all of ours run, so there is more to be had."""
    monkeypatch.setattr("reelbatch.run.window.STEADY_SECONDS", 3600.0)
    fal.set(concurrency=10, others=8, service_seconds=3.0)
    async with at_work(studio, 120) as run:
        showed(studio, run, 4)
        await finds(studio, run, 2)
        await at_rest(studio, fal, run)
        assert run.window <= 6
        fal.set(others=0)
        await finds(studio, run, 10)


async def test_who_has_been_told_a_number_does_not_count(studio: Studio, fal: Emulator) -> None:
    """By the run's own flag, or from another terminal; until it is left to `auto` again."""
    fal.set(concurrency=2, service_seconds=1.0)
    async with at_work(studio, 60, max_in_flight=6) as run:
        await ended(fal, 6)
        assert (run.window, known(studio, run).counted_at) == (6, None)
    async with at_work(studio, 60) as run:
        orders.set_window(studio.ledger, run.settings.account_id, 7)
        await async_wait_until(lambda: run.window == 7, description="it obeys")
        await ended(fal, 6)
        assert known(studio, run).counted_at is None
        showed(studio, run, 5)
        orders.set_window(studio.ledger, run.settings.account_id, None)
        await finds(studio, run, 2)


@pytest.fixture
def receiver(studio: Studio, fal: Emulator) -> Iterator[str]:
    """`reelbatch serve` over the same ledger; its address."""
    own = {
        "HOME": str(studio.folder),
        "REELBATCH_LEDGER": f"sqlite:///{studio.folder / 'ledger.db'}",
        "REELBATCH_WEBHOOK_JWKS_URL": fal.jwks_url,
    }
    command = [str(Path(sys.executable).parent / "reelbatch"), "serve", "--port=0", "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, env={**os.environ, **fal.environment, **own}
    ) as serving:
        assert serving.stdout is not None
        yield str(json.loads(serving.stdout.readline())["url"])
        serving.terminate()


@pytest.mark.slow
async def test_who_listens_counts_too_and_asks_for_little_else(
    studio: Studio, fal: Emulator, receiver: str
) -> None:
    """How fast webhooks come says nothing certain; what is asked are two counts, and then peeks."""
    fal.set(concurrency=6, service_seconds=3.0)
    studio.settings |= {"collect": "webhook", "webhook_url": receiver}
    async with at_work(studio, 200) as run:
        showed(studio, run, 10)
        await finds(studio, run, 6)
        await at_rest(studio, fal, run)
        fal.count_anew()
        await ended(fal, 12)
        assert fal.state()["slots"]["max_waiting"] <= run.window - 6

"""No cliff: what one job waits for holds no other up, and a pause costs what fal asks for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from operator import itemgetter
from typing import Any

import pytest

from reelbatch.errors import Refused
from reelbatch.jobs import State
from reelbatch.ledger import parking
from reelbatch.ledger.parking import Parked
from reelbatch.run.run import UPLOADS_AT_ONCE, Run
from tasks.produce import jobs_to_produce, produce_all, produce_shard
from tests.parts.emulator import Emulator
from tests.parts.line import Line
from tests.parts.waiting import async_wait_until
from tests.tasks.conftest import Studio

HEADER = "id,prompt,seed"
SLOW = "slow,The slow one,1"
OTHERS = [f"row-{n},A cat no {n},{n}" for n in range(1, 13)]
PATIENCE = 120.0
"""For a machine that four others use."""


@pytest.fixture(autouse=True)
def shards_without_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each shard as it is, without Prefect's server to show it."""
    monkeypatch.setattr("tasks.produce.produce_shard", produce_shard.fn)


@asynccontextmanager
async def at_work(studio: Studio, name: str = "cats.csv", **wishes: Any) -> AsyncIterator[Run]:
    """A run that takes up its shards as a command does; it goes when the block ends."""
    async with studio.open(name, **wishes) as run:
        work = asyncio.create_task(produce_all(run, await jobs_to_produce(run)))
        try:
            yield run
        finally:
            run.leave()
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)


def count(studio: Studio, state: State) -> int:
    return list(studio.states().values()).count(state)


async def archived(studio: Studio, many: int) -> None:
    await async_wait_until(
        lambda: count(studio, State.ARCHIVED) >= many,
        description=f"{many} are archived",
        timeout_seconds=PATIENCE,
    )


async def test_a_run_that_does_not_end_holds_up_no_other(studio: Studio, fal: Emulator) -> None:
    """It has one of two slots, and one of three places in the window, all the while."""
    fal.set(concurrency=2)
    fal.break_("slow_service", prompt="slow one", with_={"median": 1e6, "sigma": 0.0})
    studio.write(HEADER, SLOW, *OTHERS)
    async with at_work(studio, max_in_flight=3):
        await archived(studio, len(OTHERS))
        assert studio.states()["slow"] == State.SUBMITTED
        assert fal.state()["jobs"]["IN_PROGRESS"] == 1


async def test_a_download_that_does_not_end_holds_up_no_other(
    studio: Studio, fal: Emulator, line: Line
) -> None:
    studio.settings["fal_queue_url"] = line.url
    fal.break_("slow_media", prompt="slow one", with_={"seconds": 6000.0})
    studio.write(HEADER, SLOW, *OTHERS)
    async with at_work(studio, max_in_flight=2):
        await archived(studio, len(OTHERS))
        assert studio.states()["slow"] == State.COMPLETED
        assert studio.calls["media"] == 1 + len(OTHERS)
        await line.cut()


async def test_a_job_that_fails_and_waits_for_its_next_try_holds_up_no_other(
    studio: Studio, fal: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reelbatch.ledger.results.BACKOFF_SECONDS", 6000.0)
    fal.break_("runner_error", prompt="slow one", with_={"type": "internal_error"})
    studio.write(HEADER, SLOW, *OTHERS)
    async with at_work(studio, max_in_flight=1):
        await archived(studio, len(OTHERS))
        assert studio.states()["slow"] == State.PENDING
        assert len(studio.attempts("slow")) == 1


async def test_what_waits_for_its_next_try_since_an_earlier_run_holds_up_no_other(
    studio: Studio, fal: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reelbatch.ledger.results.BACKOFF_SECONDS", 6000.0)
    fal.break_("runner_error", prompt="slow one", with_={"type": "internal_error"})
    studio.write(HEADER, *(f"slow-{n},The slow one,{n}" for n in range(1, 4)))
    async with at_work(studio):
        await async_wait_until(
            lambda: all(job["not_before"] for job in studio.jobs()), description="all wait"
        )
    studio.write(HEADER, *(f"slow-{n},The slow one,{n}" for n in range(1, 4)), *OTHERS)
    async with at_work(studio, max_in_flight=2):
        await archived(studio, len(OTHERS))


async def test_twins_of_a_run_that_does_not_end_hold_up_no_other(
    studio: Studio, fal: Emulator
) -> None:
    """They wait for its video, which will serve them for nothing, and others go ahead."""
    fal.break_("stuck", prompt="slow one")
    studio.write(HEADER, SLOW, *(f"twin-{n},The slow one,1" for n in range(1, 6)), *OTHERS)
    async with at_work(studio, max_in_flight=3):
        await archived(studio, len(OTHERS))
        assert studio.states()["slow"] == State.SUBMITTED
        assert studio.accepted == 1 + len(OTHERS)


async def test_an_upload_that_hangs_holds_up_no_other(studio: Studio, fal: Emulator) -> None:
    """Neither do those who wait for the same image."""
    fal.break_("upload_hanging", times=1)
    studio.paint("slow.png", "black")
    slow = [f"slow-{n},A cat,{n},slow.png" for n in range(1, 6)]
    studio.write(f"{HEADER},image", *slow, *(f"{row}," for row in OTHERS))
    async with at_work(studio, max_in_flight=2):
        await archived(studio, len(OTHERS))
        assert count(studio, State.PENDING) == len(slow)
        assert (studio.calls["upload"], studio.accepted) == (1, len(OTHERS))
    assert set((await studio.make()).values()) == {State.ARCHIVED}
    assert fal.state()["accepted"]["duplicates"] == 0


async def test_in_a_large_batch_no_shard_waits_for_the_end_of_another(
    studio: Studio, fal: Emulator
) -> None:
    """Three rows a shard: one of the first shard runs on while all others are archived."""
    fal.break_("slow_service", prompt="slow one", with_={"median": 1e6, "sigma": 0.0})
    many = [f"row-{n},A cat no {n},{n}" for n in range(1, 61)]
    studio.write(HEADER, SLOW, *many)
    async with at_work(studio, max_in_flight=6):
        await archived(studio, len(many))
        assert studio.states()["slow"] == State.SUBMITTED


async def test_while_fal_stands_still_the_window_is_full_over_several_shards(
    studio: Studio, fal: Emulator
) -> None:
    """So there is always a next one at fal already when a slot becomes free."""
    fal.set(concurrency=0)
    studio.write(HEADER, *(f"row-{n},A cat no {n},{n}" for n in range(1, 61)))
    async with at_work(studio, max_in_flight=20) as run:
        await async_wait_until(lambda: studio.accepted == 20, description="the window is full")
        fal.set(concurrency=8)
        await archived(studio, 60)
        assert run.unsubmitted == set()
    assert fal.state()["accepted"]["duplicates"] == 0


async def test_a_burst_of_429_costs_one_pause_and_nobody_knocks_meanwhile(
    studio: Studio, fal: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then one POST asks whether it is over, and at its answer all others follow."""
    monkeypatch.setattr("reelbatch.ledger.parking.LOOK_AGAIN", timedelta(hours=1))
    monkeypatch.setattr("reelbatch.run.gate.LONGEST_LOOK_SECONDS", 3600.0)
    fal.set(concurrency=0)
    fal.break_("too_many_requests", with_={"retry_after": 3})
    studio.write(HEADER, *OTHERS)
    async with at_work(studio, max_in_flight=8) as run:
        pause = await async_wait_until(lambda: paused(studio, run), description="all are refused")
        fal.mend()
        refused = studio.calls["submit"] - studio.accepted
        await async_wait_until(lambda: studio.accepted == 8, description="the window is full")
        fal.set(concurrency=8)
        await archived(studio, len(OTHERS))
    tries = [one for row_id in studio.states() for one in studio.attempts(row_id)]
    probe, *others = sorted(
        (one for one in tries if one["request_id"]), key=itemgetter("claimed_at")
    )
    assert not [one for one in tries if pause.since < one["claimed_at"] < pause.until]
    assert probe["claimed_at"] >= pause.until
    assert all(one["claimed_at"] >= probe["answered_at"] for one in others)
    assert (studio.calls["submit"], studio.accepted) == (refused + len(OTHERS), len(OTHERS))
    assert fal.state()["accepted"]["duplicates"] == 0


def paused(studio: Studio, run: Run) -> Parked | None:
    """How the account is parked, once every POST of the burst is answered."""
    parked = parking.parked(run.ledger, run.settings.account_id)
    return None if count(studio, State.SUBMITTING) else parked


IMAGES = [f"cat-{n}.png" for n in range(120)]


def paint_all(studio: Studio) -> None:
    for n, name in enumerate(IMAGES):
        studio.paint(name, f"#0000{n:02x}")


def with_images(*names: str) -> list[str]:
    return [f"{HEADER},image", *(f"row-{n},A cat,{n},{name}" for n, name in enumerate(names))]


async def test_the_first_are_at_fal_long_before_the_last_image_is(
    studio: Studio, fal: Emulator
) -> None:
    """While fal stands still only the images of those at the head of the line are brought."""
    fal.set(concurrency=0)
    paint_all(studio)
    studio.write(*with_images(*IMAGES))
    async with at_work(studio, max_in_flight=4):
        await async_wait_until(lambda: studio.accepted == 4, description="the window is full")
        assert studio.calls["upload"] < len(IMAGES) / 2


async def test_no_more_than_a_few_images_are_on_their_way_at_once(
    studio: Studio, fal: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of them at once over a thin line, and none arrives before it is given up."""
    monkeypatch.setattr("tasks.submit.IMAGE_SECONDS", 0.3)
    fal.break_("upload_hanging")
    paint_all(studio)
    studio.write(*with_images(*IMAGES))
    async with at_work(studio) as run:
        await async_wait_until(
            lambda: len(run.aside) == len(IMAGES), description="all wait for theirs"
        )
        assert studio.calls["upload"] == UPLOADS_AT_ONCE


async def test_nothing_is_uploaded_nor_submitted_before_the_last_row_was_found_sound(
    studio: Studio,
) -> None:
    paint_all(studio)
    (studio.folder / "broken.png").write_bytes(b"no image at all")
    studio.write(*with_images(*IMAGES, "broken.png"))
    with pytest.raises(Refused, match=r"cats\.csv:122: The image cannot be decoded"):
        await studio.make()
    assert not {"token", "upload", "submit"} & {*studio.calls}
    assert studio.jobs() == []

"""A result comes home checked and once; what is paid is never left out or made anew."""

from __future__ import annotations

import asyncio
import json
import shutil

import pytest

from reelbatch.jobs import State
from tasks.collect import collect
from tasks.submit import submit
from tests.parts.emulator import Emulator
from tests.tasks.conftest import Studio

HEADER = "id,prompt,seed"
ROWS = [f"row-{n},A cat no {n},{n}" for n in range(1, 13)]
TOM = "tom,A cat,1"


def block(studio: Studio, row_id: str, batch: str = "cats") -> None:
    """A file lies where the row's folder should be."""
    (studio.archive / batch).mkdir(parents=True, exist_ok=True)
    (studio.archive / batch / row_id).write_text("in the way")


async def test_an_archive_that_refuses_three_times_stops_the_buying(
    studio: Studio, fal: Emulator
) -> None:
    studio.write(HEADER, *ROWS)
    async with studio.open(max_in_flight=1) as run:
        for n in range(1, 13):
            block(studio, f"row-{n}")
        states = await studio.produce(run)
        assert run.stopped == "archive"
    assert list(states.values()).count(State.COMPLETED) == studio.accepted
    assert State.PENDING in states.values()


async def test_what_an_archive_refused_is_brought_home_by_the_next_run(studio: Studio) -> None:
    studio.write(HEADER, *ROWS[:3])
    async with studio.open() as run:
        for n in range(1, 4):
            block(studio, f"row-{n}")
        assert set((await studio.produce(run)).values()) == {State.COMPLETED}
    shutil.rmtree(studio.archive / "cats")
    assert set((await studio.make()).values()) == {State.ARCHIVED}
    assert (studio.accepted, len(studio.videos())) == (3, 3)


async def test_while_the_archive_is_behind_nothing_more_is_bought(studio: Studio) -> None:
    studio.write(HEADER, TOM)
    async with studio.open(max_in_flight=2) as run:
        run.waiting_for_archive = 3
        work = asyncio.create_task(studio.produce(run))
        await asyncio.wait({work}, timeout=0.3)
        assert studio.accepted == 0
        run.waiting_for_archive = 0
        assert await work == {"tom": State.ARCHIVED}


@pytest.mark.parametrize("fault", ["truncated_media", "html_media", "corrupt_media", "media_error"])
async def test_a_download_that_fails_is_downloaded_again_and_never_made_again(
    studio: Studio, fal: Emulator, fault: str
) -> None:
    fal.break_(fault, times=1)
    studio.write(HEADER, TOM)
    assert await studio.make() == {"tom": State.ARCHIVED}
    assert studio.accepted == 1


async def test_hash_and_key_are_written_down_before_the_put(studio: Studio) -> None:
    """After a crash in between, a look at the archive is enough."""
    studio.write(HEADER, TOM)
    async with studio.open() as run:
        block(studio, "tom")
        run.archive_refusals = 2
        await studio.produce(run)
    job = studio.job("tom")
    assert (job["state"], job["key"]) == (State.COMPLETED, "cats/tom/take-1.mp4")
    assert len(job["sha256"]) == 64


async def test_another_video_in_its_place_is_kept_and_ours_lies_beside_it(studio: Studio) -> None:
    studio.write(HEADER, TOM)
    async with studio.open() as run:
        await asyncio.to_thread(
            run.archive.put, "cats/tom/take-1.mp4", b"somebody else's", "video/mp4"
        )
        assert await studio.produce(run) == {"tom": State.ARCHIVED}
        assert any("take-1.mp4" in warning for warning in run.warnings)
    job = studio.job("tom")
    assert (studio.archive / "cats/tom/take-1.mp4").read_bytes() == b"somebody else's"
    assert studio.videos() == sorted([job["key"], "cats/tom/take-1.mp4"])
    assert job["id"] in job["key"]


async def test_two_rows_with_one_request_are_paid_once_and_delivered_twice(
    studio: Studio,
) -> None:
    studio.write(HEADER, "tom,A cat,1", "felix,A cat,1")
    assert await studio.make() == {"tom": State.ARCHIVED, "felix": State.ARCHIVED}
    assert studio.accepted == 1
    assert studio.videos() == ["cats/felix/take-1.mp4", "cats/tom/take-1.mp4"]
    assert sorted(job["cost_basis"] for job in studio.jobs()) == ["priced", "reused"]


async def test_a_copy_whose_source_is_gone_fails_and_is_not_paid_again(studio: Studio) -> None:
    studio.write(HEADER, TOM)
    await studio.make()
    (studio.archive / "cats/tom/take-1.mp4").unlink()
    studio.write(HEADER, TOM, "felix,A cat,1")
    assert await studio.make() == {"tom": State.ARCHIVED, "felix": State.FAILED}
    felix = studio.job("felix")
    assert felix["error_type"] == "source_lost"
    assert "--fresh" in felix["error_message"]
    assert studio.accepted == 1


async def test_the_sidecar_tells_the_whole_story(studio: Studio) -> None:
    studio.write("id,prompt,seed,campaign", "tom,A cat,1,spring")
    await studio.make()
    sidecar = json.loads((studio.archive / "cats/tom/take-1.json").read_text())
    job = studio.job("tom")
    assert sidecar["labels"] == {"campaign": "spring"}
    assert sidecar["input"]["arguments"] == {"prompt": "A cat", "seed": 1}
    assert sidecar["provider"]["request_id"] == job["request_id"]
    assert sidecar["output"]["sha256"] == job["sha256"]
    assert sidecar["cost"] == {"usd": "0.20", "basis": "priced"}


async def test_a_result_left_by_another_process_is_archived_without_a_new_one(
    studio: Studio,
) -> None:
    studio.write(HEADER, TOM)
    async with studio.open() as run:
        (job,) = studio.jobs()
        await submit(run, job["id"])
        assert await collect(run, job["id"]) is State.COMPLETED
    assert await studio.make() == {"tom": State.ARCHIVED}
    assert studio.accepted == 1

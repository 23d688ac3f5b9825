"""An image is brought to fal shortly before its first submission, once per content."""

from __future__ import annotations

from reelbatch.jobs import State
from tests.parts.emulator import Emulator
from tests.tasks.conftest import Studio

HEADER = "id,prompt,image,seed"


async def test_two_rows_with_one_image_share_its_upload(studio: Studio) -> None:
    studio.paint("tom.png")
    studio.paint("felix.png")
    studio.write(HEADER, "tom,A cat,tom.png,1", "felix,Another cat,felix.png,2")
    assert await studio.make() == {"tom": State.ARCHIVED, "felix": State.ARCHIVED}
    assert studio.calls["upload"] == 1
    urls = {submission["body"]["image_url"] for submission in studio.fal.submissions()}
    assert len(urls) == 1


async def test_the_next_run_trusts_the_upload(studio: Studio) -> None:
    studio.paint("tom.png")
    studio.write(HEADER, "tom,A cat,tom.png,1")
    await studio.make()
    studio.write(HEADER, "tom,A cat,tom.png,1", "felix,Another cat,tom.png,2")
    assert await studio.make() == {"tom": State.ARCHIVED, "felix": State.ARCHIVED}
    assert studio.calls["upload"] == 1


async def test_an_image_changed_since_the_plan_is_refused_and_costs_nothing(
    studio: Studio,
) -> None:
    studio.paint("tom.png")
    studio.write(HEADER, "tom,A cat,tom.png,1")
    async with studio.open() as run:
        studio.paint("tom.png", "black")
        assert await studio.produce(run) == {"tom": State.FAILED}
    assert studio.job("tom")["error_type"] == "image_changed"
    assert studio.accepted == 0


async def test_the_changed_image_is_another_revision_of_the_next_run(studio: Studio) -> None:
    studio.paint("tom.png")
    studio.write(HEADER, "tom,A cat,tom.png,1")
    async with studio.open() as run:
        studio.paint("tom.png", "black")
        await studio.produce(run)
    assert await studio.make() == {"tom": State.ARCHIVED}
    assert studio.job("tom")["revision"] == 2


async def test_an_image_that_fal_lost_is_uploaded_anew_once(studio: Studio, fal: Emulator) -> None:
    fal.break_("upload_lost", times=1)
    studio.paint("tom.png")
    studio.write(HEADER, "tom,A cat,tom.png,1")
    assert await studio.make() == {"tom": State.ARCHIVED}
    assert studio.calls["upload"] == 2
    first, second = studio.attempts("tom")
    assert first["error_type"] == "file_download_error"
    assert first["body"]["image_url"] != second["body"]["image_url"]


async def test_an_image_that_fal_loses_twice_fails(studio: Studio, fal: Emulator) -> None:
    fal.break_("upload_lost")
    studio.paint("tom.png")
    studio.write(HEADER, "tom,A cat,tom.png,1")
    assert await studio.make() == {"tom": State.FAILED}
    assert studio.job("tom")["error_type"] == "file_download_error"
    assert (studio.calls["upload"], studio.accepted) == (2, 2)


async def test_an_upload_that_fails_is_tried_again_before_anything_is_bought(
    studio: Studio, fal: Emulator
) -> None:
    fal.break_("upload_error", times=1, with_={"status": 503})
    studio.paint("tom.png")
    studio.write(HEADER, "tom,A cat,tom.png,1")
    assert await studio.make() == {"tom": State.ARCHIVED}
    assert studio.accepted == 1

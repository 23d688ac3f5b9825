"""A paid video is looked for everywhere before it counts as lost, and again before it is paid."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from reelbatch.cli.again import settle_what_fal_holds
from reelbatch.jobs import State
from reelbatch.ledger import retrying
from reelbatch.run.choosing import failed_takes
from tests.parts.emulator import Emulator
from tests.parts.waiting import async_wait_until
from tests.tasks.conftest import Studio

HEADER = "id,prompt,seed"
TOM = "tom,A cat,1"


@pytest.fixture(autouse=True)
def few_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.archive.TRIES", 2)
    monkeypatch.setattr("tasks.archive.FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr("reelbatch.cli.again.PAUSES_SECONDS", (0.01, 0.01))


def long_ago(studio: Studio) -> None:
    """As if fal had not shown it for a quarter of an hour."""
    studio.change_attempt("tom", gone_since=datetime.now(UTC) - timedelta(minutes=16))


async def lose(studio: Studio, fal: Emulator, fault: str = "media_missing") -> None:
    """A video that was made, paid, and could not be fetched for sixteen minutes."""
    fal.break_(fault)
    studio.write(HEADER, TOM)
    assert await studio.make() == {"tom": State.COMPLETED}
    long_ago(studio)
    assert await studio.make() == {"tom": State.FAILED}


async def test_a_video_that_is_not_there_yet_is_fetched_by_the_next_run(
    studio: Studio, fal: Emulator
) -> None:
    fal.break_("media_missing")
    studio.write(HEADER, TOM)
    assert await studio.make() == {"tom": State.COMPLETED}
    assert studio.job("tom")["error_type"] == "not_found"
    fal.mend()
    assert await studio.make() == {"tom": State.ARCHIVED}
    assert studio.accepted == 1


async def test_a_video_that_stays_away_is_lost_and_stays_paid(
    studio: Studio, fal: Emulator
) -> None:
    await lose(studio, fal)
    job = studio.job("tom")
    assert (job["error_type"], job["cost_usd"], studio.accepted) == (
        "result_lost",
        Decimal("0.20"),
        1,
    )


async def test_a_file_that_stays_broken_says_what_is_wrong_with_it(
    studio: Studio, fal: Emulator
) -> None:
    await lose(studio, fal, "mute_video")
    assert studio.job("tom")["error_type"] == "no_audio"


@pytest.mark.parametrize("fault", ["media_error", "media_dropped"])
async def test_a_host_that_is_down_loses_nothing(studio: Studio, fal: Emulator, fault: str) -> None:
    fal.break_(fault)
    studio.write(HEADER, TOM)
    await studio.make()
    long_ago(studio)
    assert await studio.make() == {"tom": State.COMPLETED}
    assert studio.job("tom")["error_type"] == "download_later"


async def test_a_result_that_only_the_list_still_shows_is_archived(
    studio: Studio, fal: Emulator
) -> None:
    fal.break_("result_missing")
    studio.write(HEADER, TOM)
    async with studio.open() as run:
        run.leaving.set()
        await studio.produce(run)
    await async_wait_until(
        lambda: fal.state()["jobs"]["COMPLETED"] == 1, description="fal is done with it"
    )
    long_ago(studio)
    assert await studio.make() == {"tom": State.ARCHIVED}
    assert (studio.accepted, studio.job("tom")["cost_usd"]) == (1, Decimal("0.20"))


async def test_a_list_that_does_not_answer_proves_no_loss(studio: Studio, fal: Emulator) -> None:
    fal.break_("media_missing")
    fal.break_("history_error")
    studio.write(HEADER, TOM)
    await studio.make()
    long_ago(studio)
    assert await studio.make() == {"tom": State.COMPLETED}


async def retry(studio: Studio) -> dict[str, State]:
    """As `reelbatch retry` does: ask fal, and only then put back in line."""
    async with studio.open() as run:
        failed = failed_takes(studio.ledger, run.batch.id, [])
        unknown = await settle_what_fal_holds(run.settings, studio.ledger, failed)
        retrying.put_back(studio.ledger, [one for one in failed if one not in unknown])
    return await studio.make()


async def test_a_lost_video_that_is_back_is_not_paid_again(studio: Studio, fal: Emulator) -> None:
    await lose(studio, fal)
    fal.mend()
    assert await retry(studio) == {"tom": State.ARCHIVED}
    assert (studio.accepted, studio.job("tom")["cost_usd"]) == (1, Decimal("0.20"))


async def test_a_lost_video_that_stays_lost_is_made_anew_when_asked(
    studio: Studio, fal: Emulator
) -> None:
    fal.break_("media_missing", times=8)
    studio.write(HEADER, TOM)
    await studio.make()
    long_ago(studio)
    while studio.states() == {"tom": State.COMPLETED}:
        await studio.make()
    fal.mend()
    fal.break_("media_missing", times=1)
    assert await retry(studio) == {"tom": State.ARCHIVED}
    assert (studio.accepted, studio.job("tom")["cost_usd"]) == (2, Decimal("0.40"))


@pytest.mark.parametrize(
    "fault", ["result_flake", "result_in_progress", "result_dropped", "media_error"]
)
async def test_nothing_is_paid_again_while_fal_says_nothing_of_what_was_paid(
    studio: Studio, fal: Emulator, fault: str
) -> None:
    await lose(studio, fal)
    fal.mend()
    fal.break_(fault)
    assert await retry(studio) == {"tom": State.FAILED}
    fal.mend()
    assert await retry(studio) == {"tom": State.ARCHIVED}
    assert studio.accepted == 1


async def test_fal_is_asked_several_times_about_what_was_paid(
    studio: Studio, fal: Emulator
) -> None:
    await lose(studio, fal)
    fal.mend()
    fal.break_("result_flake", times=2)
    assert await retry(studio) == {"tom": State.ARCHIVED}
    assert studio.accepted == 1


async def test_every_request_that_is_held_is_asked_for_not_only_the_last(
    studio: Studio, fal: Emulator
) -> None:
    """Lost, made anew when asked, and refused then: but the first one is back by now."""
    fal.break_("media_missing", times=8)
    studio.write(HEADER, TOM)
    await studio.make()
    long_ago(studio)
    while studio.states() == {"tom": State.COMPLETED}:
        await studio.make()
    fal.mend()
    fal.break_("media_missing", times=1)
    fal.break_("model_refusal", with_={"billed": 0})
    assert await retry(studio) == {"tom": State.FAILED}
    fal.mend()
    assert await retry(studio) == {"tom": State.ARCHIVED}
    first, _ = studio.attempts("tom")
    assert (studio.job("tom")["request_id"], studio.accepted) == (first["request_id"], 2)
    assert studio.job("tom")["cost_usd"] == Decimal("0.20")

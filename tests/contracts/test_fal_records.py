"""fal's list, bill and prices: the evidence that settles doubts."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import httpx
import pytest

from reelbatch.cli.emulated import EmulatedFal
from reelbatch.config import read_settings
from reelbatch.errors import Permanent, Transient
from reelbatch.fal.answers import (
    GoodResult,
    KeyCheck,
    ListedRequest,
    NotSent,
)
from reelbatch.fal.client import Fal, open_fal
from reelbatch.fal.endpoints import OVI_TEXT
from tests.contracts.fal_parts import accepted, changes_of, finished, submit
from tests.parts.emulator import Emulator

pytest_plugins = ["tests.contracts.fal_parts"]


async def requests_since(fal: Fal, start: datetime) -> list[ListedRequest]:
    end = start + timedelta(hours=2)
    return [request async for request in fal.requests(OVI_TEXT.id, start=start, end=end)]


async def test_what_ran_is_listed_with_the_body_as_sent(
    shared_emulator: Emulator, emulated_fal: Fal
) -> None:
    start = datetime.now(UTC) - timedelta(minutes=2)
    submission = await finished(emulated_fal, seed=4711)
    listed = {request.request_id: request for request in await requests_since(emulated_fal, start)}
    ours = listed[submission.request_id]
    assert ours.endpoint_id == OVI_TEXT.id
    assert ours.json_input is not None
    assert ours.json_input["seed"] == 4711
    assert ours.json_output is not None
    assert ours.status_code == 200
    assert start < ours.sent_at < datetime.now(UTC) + timedelta(seconds=1)


async def test_a_list_of_many_pages_is_read_whole(emulated_fal: Fal) -> None:
    start = datetime.now(UTC) - timedelta(minutes=2)
    submissions = await asyncio.gather(*(accepted(emulated_fal) for _ in range(101)))
    await asyncio.gather(*(changes_of(emulated_fal, submission) for submission in submissions))
    listed = {request.request_id for request in await requests_since(emulated_fal, start)}
    assert {submission.request_id for submission in submissions} <= listed


@pytest.mark.parametrize(("code", "error"), [(403, Permanent), (429, Transient), (503, Transient)])
async def test_a_list_that_is_refused_says_so(
    shared_emulator: Emulator, emulated_fal: Fal, code: int, error: type[Exception]
) -> None:
    shared_emulator.break_("history_error", with_={"status": code})
    with pytest.raises(error) as raised:
        await requests_since(emulated_fal, datetime.now(UTC))
    assert getattr(raised.value, "error", "not_allowed") == "not_allowed"


async def test_the_bill_names_what_was_paid(emulated_fal: Fal) -> None:
    start = datetime.now(UTC) - timedelta(minutes=2)
    submission = await finished(emulated_fal)
    end = start + timedelta(hours=2)
    billed = {
        event.request_id: event.usd
        async for event in emulated_fal.billing_events(start=start, end=end)
    }
    assert billed[submission.request_id] == Decimal("0.2")


async def test_unknown_prices_are_none(shared_emulator: Emulator, emulated_fal: Fal) -> None:
    shared_emulator.break_("unknown_price")
    assert await emulated_fal.prices([OVI_TEXT.id]) == {}


@pytest.mark.parametrize(("code", "error"), [(403, Permanent), (429, Transient), (500, Transient)])
async def test_refused_prices_say_so(
    shared_emulator: Emulator, emulated_fal: Fal, code: int, error: type[Exception]
) -> None:
    shared_emulator.break_("pricing_error", with_={"status": code})
    with pytest.raises(error):
        await emulated_fal.prices([OVI_TEXT.id])


async def test_the_token_and_the_deadline_arrive(
    shared_emulator: Emulator, emulated_fal: Fal
) -> None:
    submission = await accepted(emulated_fal)
    seen = next(
        s for s in shared_emulator.submissions() if s["request_id"] == submission.request_id
    )
    text = str(seen).lower()
    assert "reelbatch" in text
    assert "t0" in text


async def test_fals_clock_is_close_to_ours_on_one_machine(emulated_fal: Fal) -> None:
    await emulated_fal.check_key()
    assert abs(emulated_fal.clock_offset_seconds) < 2


async def test_a_fal_that_has_gone_is_not_sent_to() -> None:
    gone = EmulatedFal.start(concurrency=1, service_seconds=1)
    settings = read_settings(**gone.settings)
    gone.stop()
    async with open_fal(settings) as fal:
        assert isinstance(await submit(fal), NotSent)
        assert await fal.check_key() is KeyCheck.UNREACHABLE


async def test_the_video_can_be_downloaded_without_the_key(emulated_fal: Fal) -> None:
    result = await emulated_fal.result(await finished(emulated_fal))
    assert isinstance(result, GoodResult)
    async with httpx.AsyncClient(trust_env=False) as anyone:
        video = await anyone.get(result.output.url)
    assert video.status_code == 200
    assert len(video.content) == result.output.file_size

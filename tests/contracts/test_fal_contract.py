"""The behaviour we rely on at fal: run against the emulator, and on fal itself with a key.

Client and emulator were written apart from the same description (fal.md): where they
disagree, one of them has misread it.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import httpx
import pytest

from reelbatch.cli.emulated import EmulatedFal
from reelbatch.config import Settings, read_settings
from reelbatch.errors import Permanent, Transient
from reelbatch.fal.answers import (
    Accepted,
    Ambiguous,
    CancelAnswer,
    Completed,
    FailedResult,
    Gone,
    GoodResult,
    KeyCheck,
    ListedRequest,
    NotSent,
    NotYet,
    Queued,
    Rejected,
    Running,
    Status,
    Submission,
    SubmitOutcome,
)
from reelbatch.fal.client import Fal, open_fal
from reelbatch.fal.endpoints import OVI_IMAGE, OVI_TEXT
from reelbatch.fal.error_types import Family
from reelbatch.fal.failures import PermanentFailure
from tests.parts.emulator import Emulator

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489"
    "0000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082"
)
REAL_FAL = pytest.param(
    "real fal",
    marks=[
        pytest.mark.paid,
        pytest.mark.skipif(
            not (os.environ.get("FAL_KEY") and os.environ.get("REELBATCH_TEST_REAL_FAL") == "1"),
            reason="spends money: wants FAL_KEY and REELBATCH_TEST_REAL_FAL=1",
        ),
    ],
)


@pytest.fixture(scope="module")
def running() -> Iterator[Emulator]:
    """One program for all tests here: each begins without faults."""
    program = EmulatedFal.start(concurrency=8, service_seconds=0.1, options=["--media=tiny"])
    emulator = Emulator(program)
    yield emulator
    emulator.stop()


@pytest.fixture
def emulator(running: Emulator) -> Iterator[Emulator]:
    yield running
    running.mend()
    running.unlock()
    running.set(service_seconds=0.1, honour_cancel=False)


@pytest.fixture
async def fal(emulator: Emulator) -> AsyncIterator[Fal]:
    async with open_fal(settings_of(emulator)) as opened:
        yield opened


@pytest.fixture(params=["emulator", REAL_FAL])
async def any_fal(request: pytest.FixtureRequest) -> AsyncIterator[Fal]:
    if request.param == "real fal":
        settings = read_settings()
    else:
        settings = settings_of(request.getfixturevalue("emulator"))
    async with open_fal(settings) as opened:
        yield opened


def settings_of(emulator: Emulator) -> Settings:
    return read_settings(**emulator.settings)


def body(prompt: str = "A cat says <S>hello<E>") -> dict[str, object]:
    """Never the same twice: the seed makes it ours."""
    return {"prompt": prompt, "seed": random.randrange(2**31)}


async def submit(fal: Fal, **changes: object) -> SubmitOutcome:
    return await fal.submit(OVI_TEXT.id, body() | changes, token="t0", start_timeout_seconds=600)


async def accepted(fal: Fal, **changes: object) -> Submission:
    outcome = await submit(fal, **changes)
    assert isinstance(outcome, Accepted), outcome
    return outcome.submission


async def changes_of(fal: Fal, submission: Submission) -> list[Status]:
    """All the way to the end; no clock is asked."""
    return [status async for status in fal.stream(submission)]


async def finished(fal: Fal, **changes: object) -> Submission:
    submission = await accepted(fal, **changes)
    last = (await changes_of(fal, submission))[-1]
    assert isinstance(last, Completed)
    return submission


async def test_a_good_key_is_known(any_fal: Fal) -> None:
    assert await any_fal.check_key() is KeyCheck.GOOD


async def test_ovi_has_a_price_a_video(any_fal: Fal) -> None:
    prices = await any_fal.prices([OVI_TEXT.id, OVI_IMAGE.id])
    assert {price.usd for price in prices.values()} == {Decimal("0.2")}


async def test_a_video_is_made_as_asked(any_fal: Fal) -> None:
    """Submit, follow, collect: the result repeats the seed and has a video."""
    ours = body()
    outcome = await any_fal.submit(OVI_TEXT.id, ours, token="t0", start_timeout_seconds=600)
    assert isinstance(outcome, Accepted)
    submission = outcome.submission
    assert isinstance(await any_fal.status(submission), Queued | Running | Completed)
    assert isinstance((await changes_of(any_fal, submission))[-1], Completed)
    assert isinstance(await any_fal.status(submission), Completed)
    result = await any_fal.result(submission)
    assert isinstance(result, GoodResult)
    assert result.seed == ours["seed"]
    assert result.billable_units == 1
    assert await any_fal.cancel(submission) is CancelAnswer.ALREADY_COMPLETED


async def test_an_uploaded_image_becomes_a_video(any_fal: Fal) -> None:
    url = await any_fal.upload(PNG, "image/png", "dot.png")
    outcome = await any_fal.submit(
        OVI_IMAGE.id, body() | {"image_url": url}, token="t0", start_timeout_seconds=600
    )
    assert isinstance(outcome, Accepted)
    assert isinstance((await changes_of(any_fal, outcome.submission))[-1], Completed)
    assert isinstance(await any_fal.result(outcome.submission), GoodResult | FailedResult)


async def test_an_unknown_request_is_gone(any_fal: Fal) -> None:
    nobody = any_fal.submission(OVI_TEXT.id, "00000000-0000-0000-0000-000000000000")
    assert isinstance(await any_fal.status(nobody), Gone)
    assert isinstance(await any_fal.result(nobody), Gone)
    assert await any_fal.cancel(nobody) is CancelAnswer.NOT_FOUND


async def test_an_unknown_model_is_rejected_at_once(any_fal: Fal) -> None:
    outcome = await any_fal.submit(
        "nosuchvendor/nosuchmodel", body(), token="t0", start_timeout_seconds=600
    )
    assert isinstance(outcome, Rejected)
    assert outcome.failure.error_type == "app_not_found"


async def test_the_urls_can_be_told_from_the_id_alone(fal: Fal) -> None:
    """A webhook knows nothing else of a request."""
    submission = await accepted(fal)
    assert fal.submission(OVI_TEXT.id, submission.request_id) == submission


async def test_image_and_text_requests_share_one_id_space(fal: Fal) -> None:
    submission = await accepted(fal)
    assert fal.submission(OVI_IMAGE.id, submission.request_id) == submission


async def test_a_bad_body_is_accepted_and_fails_in_the_result(fal: Fal) -> None:
    result = await fal.result(await finished(fal, num_inference_steps=51))
    assert isinstance(result, FailedResult)
    assert result.failure.family is Family.PERMANENT
    assert result.failure.http_status == 422
    assert (result.own, result.billable_units == 0) == (True, True)


async def test_an_unknown_path_of_a_known_model_fails_in_the_result(fal: Fal) -> None:
    outcome = await fal.submit(
        "fal-ai/ovi/image-to-vido", body(), token="t0", start_timeout_seconds=600
    )
    assert isinstance(outcome, Accepted)
    await changes_of(fal, outcome.submission)
    result = await fal.result(outcome.submission)
    assert isinstance(result, FailedResult)
    assert result.failure.error_type == "path_not_found"


async def test_what_waits_or_runs_has_no_result_yet(emulator: Emulator, fal: Fal) -> None:
    emulator.set(service_seconds=600)
    submission = await accepted(fal)
    assert await fal.result(submission) == NotYet()


async def test_waiting_requests_have_a_position(emulator: Emulator, fal: Fal) -> None:
    emulator.break_("other_peoples_queue", with_={"ahead": 100, "per_second": 0.001})
    submission = await accepted(fal)
    status = await fal.status(submission)
    assert isinstance(status, Queued)
    assert status.position is not None
    assert status.position >= 99
    assert await fal.cancel(submission) is CancelAnswer.REMOVED


async def test_a_cancelled_request_in_the_queue_never_runs(emulator: Emulator, fal: Fal) -> None:
    """fal.md does not say what its status is then: both answers are understood."""
    emulator.break_("stuck")
    submission = await accepted(fal)
    assert await fal.cancel(submission) is CancelAnswer.REMOVED
    result = await fal.result(submission)
    match result:
        case FailedResult(failure=failure):
            assert failure.family is Family.CANCELLED
        case other:
            assert isinstance(other, Gone)


async def test_a_running_request_may_complete_in_spite_of_a_cancellation(
    emulator: Emulator, fal: Fal
) -> None:
    emulator.set(service_seconds=1)
    submission = await accepted(fal)
    async for status in fal.stream(submission):
        if isinstance(status, Running):
            assert await fal.cancel(submission) is CancelAnswer.REQUESTED
    assert isinstance(await fal.result(submission), GoodResult)


async def test_a_running_request_may_honour_a_cancellation(emulator: Emulator, fal: Fal) -> None:
    emulator.set(service_seconds=600, honour_cancel=True)
    submission = await accepted(fal)
    async for status in fal.stream(submission):
        if isinstance(status, Running):
            assert await fal.cancel(submission) is CancelAnswer.REQUESTED
    result = await fal.result(submission)
    assert isinstance(result, FailedResult)
    assert result.failure.family is Family.CANCELLED


async def test_what_does_not_start_in_time_ends_as_our_own_deadline(
    emulator: Emulator, fal: Fal
) -> None:
    emulator.break_("stuck")
    outcome = await fal.submit(OVI_TEXT.id, body(), token="t0", start_timeout_seconds=0.2)
    assert isinstance(outcome, Accepted)
    await changes_of(fal, outcome.submission)
    result = await fal.result(outcome.submission)
    assert isinstance(result, FailedResult)
    assert result.failure.family is Family.START_TIMEOUT


RUN_ERRORS = [
    ("runner_error", {"type": "runner_server_error"}, "runner_server_error", Family.TRANSIENT),
    ("runner_error", {"type": "runner_disconnected"}, "runner_disconnected", Family.TRANSIENT),
    ("runner_error", {"type": "request_timeout"}, "request_timeout", Family.TRANSIENT),
    ("model_refusal", {}, "content_policy_violation", Family.PERMANENT),
    ("model_refusal", {"type": "no_media_generated"}, "no_media_generated", Family.PERMANENT),
    ("missing_video", {}, "no_output", Family.PERMANENT),
]


async def test_fals_own_word_on_retrying_is_heard(emulator: Emulator, fal: Fal) -> None:
    """A failure inside is worth another try, unless `X-Fal-Retryable` says false."""
    emulator.break_("model_refusal", with_={"type": "internal_server_error"})
    result = await fal.result(await finished(fal))
    assert isinstance(result, FailedResult)
    assert result.failure.family is Family.PERMANENT


@pytest.mark.parametrize(("fault", "parameters", "error_type", "family"), RUN_ERRORS)
async def test_a_run_that_fails_says_why(
    emulator: Emulator,
    fal: Fal,
    fault: str,
    parameters: dict[str, object],
    error_type: str,
    family: Family,
) -> None:
    emulator.break_(fault, with_=parameters)
    result = await fal.result(await finished(fal))
    assert isinstance(result, FailedResult)
    assert (result.failure.error_type, result.failure.family) == (error_type, family)
    assert result.own


LOST = {
    "accept_then_drop": {},
    "garbled_answer": {},
    "empty_answer": {},
    "answer_without_id": {},
    "nginx_error": {"status": 502, "accepted": True},
    "json_error": {"status": 503, "accepted": True},
}


@pytest.mark.parametrize("fault", LOST)
async def test_a_lost_answer_is_in_doubt_and_fal_was_asked_once(
    emulator: Emulator, fal: Fal, fault: str
) -> None:
    before = len(emulator.submissions())
    emulator.break_(fault, with_=LOST[fault])
    assert isinstance(await submit(fal), Ambiguous)
    assert len(emulator.submissions()) == before + 1


UNACCEPTED = {"drop_before_accept": {}, "nginx_error": {"status": 503}, "json_error": {}}


@pytest.mark.parametrize("fault", UNACCEPTED)
async def test_doubt_is_doubt_even_where_fal_accepted_nothing(
    emulator: Emulator, fal: Fal, fault: str
) -> None:
    """From outside the two cannot be told apart."""
    before = len(emulator.submissions())
    emulator.break_(fault, with_=UNACCEPTED[fault])
    assert isinstance(await submit(fal), Ambiguous)
    assert len(emulator.submissions()) == before


@pytest.mark.parametrize(
    ("fault", "parameters", "family"),
    [
        ("too_many_requests", {"retry_after": 7}, Family.THROTTLED),
        ("too_many_requests", {}, Family.THROTTLED),
        ("locked", {}, Family.LOCKED),
        ("locked", {"reason": "Locked by an administrator."}, Family.LOCKED),
        ("unauthorized", {}, Family.AUTH),
        ("json_error", {"status": 422}, Family.PERMANENT),
        ("redirected", {}, Family.PERMANENT),
        ("redirected", {"status": 301}, Family.PERMANENT),
    ],
)
async def test_a_rejection_names_its_family_and_nothing_runs(
    emulator: Emulator, fal: Fal, fault: str, parameters: dict[str, object], family: Family
) -> None:
    before = len(emulator.submissions())
    emulator.break_(fault, with_=parameters)
    outcome = await submit(fal)
    assert isinstance(outcome, Rejected)
    assert outcome.failure.family is family
    assert outcome.retry_after == parameters.get("retry_after")
    assert len(emulator.submissions()) == before


@pytest.mark.parametrize(
    "fault",
    ["status_error", "status_nginx", "status_garbled", "status_locked", "status_dropped"],
)
async def test_a_status_that_cannot_be_read_harms_nothing(
    emulator: Emulator, fal: Fal, fault: str
) -> None:
    submission = await finished(fal)
    emulator.break_(fault, times=1)
    with pytest.raises(Transient):
        await fal.status(submission)
    assert isinstance(await fal.status(submission), Completed)


@pytest.mark.parametrize("fault", ["result_flake", "result_garbled", "result_dropped"])
async def test_a_result_that_cannot_be_read_is_collected_again(
    emulator: Emulator, fal: Fal, fault: str
) -> None:
    submission = await finished(fal)
    emulator.break_(fault, times=1)
    with pytest.raises(Transient):
        await fal.result(submission)
    assert isinstance(await fal.result(submission), GoodResult)


async def test_a_result_may_lag_behind_its_status(emulator: Emulator, fal: Fal) -> None:
    submission = await finished(fal)
    emulator.break_("result_in_progress", times=1)
    assert await fal.result(submission) == NotYet()


@pytest.mark.parametrize("code", [404, 410])
async def test_an_expired_result_is_gone(emulator: Emulator, fal: Fal, code: int) -> None:
    submission = await finished(fal)
    emulator.break_("result_expired", with_={"status": code})
    assert await fal.result(submission) == Gone(status_code=code)


@pytest.mark.parametrize("fault", ["stream_error", "stream_broken"])
async def test_a_stream_that_breaks_says_so(emulator: Emulator, fal: Fal, fault: str) -> None:
    emulator.break_("stuck")
    emulator.break_(fault)
    submission = await accepted(fal)
    with pytest.raises(Transient):
        await changes_of(fal, submission)


@pytest.mark.parametrize(
    ("fault", "parameters"),
    [
        ("token_error", {}),
        ("upload_error", {}),
        ("upload_without_url", {}),
    ],
)
async def test_an_upload_in_trouble_may_be_tried_again(
    emulator: Emulator, fal: Fal, fault: str, parameters: dict[str, object]
) -> None:
    emulator.break_(fault, with_=parameters)
    with pytest.raises(Transient):
        await fal.upload(PNG, "image/png", "dot.png")


async def test_a_locked_account_cannot_upload(emulator: Emulator, fal: Fal) -> None:
    emulator.break_("token_locked")
    with pytest.raises(PermanentFailure) as raised:
        await fal.upload(PNG, "image/png", "dot.png")
    assert raised.value.failure.family is Family.LOCKED


async def requests_since(fal: Fal, start: datetime) -> list[ListedRequest]:
    end = start + timedelta(hours=2)
    return [request async for request in fal.requests(OVI_TEXT.id, start=start, end=end)]


async def test_what_ran_is_listed_with_the_body_as_sent(emulator: Emulator, fal: Fal) -> None:
    start = datetime.now(UTC) - timedelta(minutes=2)
    submission = await finished(fal, seed=4711)
    listed = {request.request_id: request for request in await requests_since(fal, start)}
    ours = listed[submission.request_id]
    assert ours.endpoint_id == OVI_TEXT.id
    assert ours.json_input is not None
    assert ours.json_input["seed"] == 4711
    assert ours.json_output is not None
    assert ours.status_code == 200
    assert start < ours.sent_at < datetime.now(UTC) + timedelta(seconds=1)


async def test_a_list_of_many_pages_is_read_whole(fal: Fal) -> None:
    start = datetime.now(UTC) - timedelta(minutes=2)
    submissions = await asyncio.gather(*(accepted(fal) for _ in range(101)))
    await asyncio.gather(*(changes_of(fal, submission) for submission in submissions))
    listed = {request.request_id for request in await requests_since(fal, start)}
    assert {submission.request_id for submission in submissions} <= listed


@pytest.mark.parametrize(("code", "error"), [(403, Permanent), (429, Transient), (503, Transient)])
async def test_a_list_that_is_refused_says_so(
    emulator: Emulator, fal: Fal, code: int, error: type[Exception]
) -> None:
    emulator.break_("history_error", with_={"status": code})
    with pytest.raises(error) as raised:
        await requests_since(fal, datetime.now(UTC))
    assert getattr(raised.value, "error", "not_allowed") == "not_allowed"


async def test_the_bill_names_what_was_paid(fal: Fal) -> None:
    start = datetime.now(UTC) - timedelta(minutes=2)
    submission = await finished(fal)
    end = start + timedelta(hours=2)
    billed = {
        event.request_id: event.usd async for event in fal.billing_events(start=start, end=end)
    }
    assert billed[submission.request_id] == Decimal("0.2")


async def test_unknown_prices_are_none(emulator: Emulator, fal: Fal) -> None:
    emulator.break_("unknown_price")
    assert await fal.prices([OVI_TEXT.id]) == {}


@pytest.mark.parametrize(("code", "error"), [(403, Permanent), (429, Transient), (500, Transient)])
async def test_refused_prices_say_so(
    emulator: Emulator, fal: Fal, code: int, error: type[Exception]
) -> None:
    emulator.break_("pricing_error", with_={"status": code})
    with pytest.raises(error):
        await fal.prices([OVI_TEXT.id])


async def test_the_token_and_the_deadline_arrive(emulator: Emulator, fal: Fal) -> None:
    submission = await accepted(fal)
    seen = next(s for s in emulator.submissions() if s["request_id"] == submission.request_id)
    text = str(seen).lower()
    assert "reelbatch" in text
    assert "t0" in text


async def test_fals_clock_is_close_to_ours_on_one_machine(fal: Fal) -> None:
    await fal.check_key()
    assert abs(fal.clock_offset_seconds) < 2


async def test_a_fal_that_has_gone_is_not_sent_to() -> None:
    gone = EmulatedFal.start(concurrency=1, service_seconds=1)
    settings = read_settings(**gone.settings)
    gone.stop()
    async with open_fal(settings) as fal:
        assert isinstance(await submit(fal), NotSent)
        assert await fal.check_key() is KeyCheck.UNREACHABLE


async def test_the_video_can_be_downloaded_without_the_key(fal: Fal) -> None:
    result = await fal.result(await finished(fal))
    assert isinstance(result, GoodResult)
    async with httpx.AsyncClient(trust_env=False) as anyone:
        video = await anyone.get(result.output.url)
    assert video.status_code == 200
    assert len(video.content) == result.output.file_size

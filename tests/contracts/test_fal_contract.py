"""The behaviour we rely on at fal: run against the emulator, and on fal itself with a key.

Client and emulator were written apart from the same description (fal.md): where they
disagree, one of them has misread it.
"""

from __future__ import annotations

from decimal import Decimal

from reelbatch.fal.answers import (
    Accepted,
    CancelAnswer,
    Completed,
    FailedResult,
    Gone,
    GoodResult,
    KeyCheck,
    NotYet,
    Queued,
    Rejected,
    Running,
)
from reelbatch.fal.client import Fal
from reelbatch.fal.endpoints import OVI_IMAGE, OVI_TEXT
from reelbatch.fal.error_types import Family
from tests.contracts.fal_parts import PNG, accepted, body, changes_of, finished
from tests.parts.emulator import Emulator

pytest_plugins = ["tests.contracts.fal_parts"]


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


async def test_the_urls_can_be_told_from_the_id_alone(emulated_fal: Fal) -> None:
    """A webhook knows nothing else of a request."""
    submission = await accepted(emulated_fal)
    assert emulated_fal.submission(OVI_TEXT.id, submission.request_id) == submission


async def test_image_and_text_requests_share_one_id_space(emulated_fal: Fal) -> None:
    submission = await accepted(emulated_fal)
    assert emulated_fal.submission(OVI_IMAGE.id, submission.request_id) == submission


async def test_a_bad_body_is_accepted_and_fails_in_the_result(emulated_fal: Fal) -> None:
    result = await emulated_fal.result(await finished(emulated_fal, num_inference_steps=51))
    assert isinstance(result, FailedResult)
    assert result.failure.family is Family.PERMANENT
    assert result.failure.http_status == 422
    assert (result.own, result.billable_units == 0) == (True, True)


async def test_an_unknown_path_of_a_known_model_fails_in_the_result(emulated_fal: Fal) -> None:
    outcome = await emulated_fal.submit(
        "fal-ai/ovi/image-to-vido", body(), token="t0", start_timeout_seconds=600
    )
    assert isinstance(outcome, Accepted)
    await changes_of(emulated_fal, outcome.submission)
    result = await emulated_fal.result(outcome.submission)
    assert isinstance(result, FailedResult)
    assert result.failure.error_type == "path_not_found"


async def test_what_waits_or_runs_has_no_result_yet(
    shared_emulator: Emulator, emulated_fal: Fal
) -> None:
    shared_emulator.set(service_seconds=600)
    submission = await accepted(emulated_fal)
    assert await emulated_fal.result(submission) == NotYet()


async def test_waiting_requests_have_a_position(
    shared_emulator: Emulator, emulated_fal: Fal
) -> None:
    shared_emulator.break_("other_peoples_queue", with_={"ahead": 100, "per_second": 0.001})
    submission = await accepted(emulated_fal)
    status = await emulated_fal.status(submission)
    assert isinstance(status, Queued)
    assert status.position is not None
    assert status.position >= 99
    assert await emulated_fal.cancel(submission) is CancelAnswer.REMOVED


async def test_a_cancelled_request_in_the_queue_never_runs(
    shared_emulator: Emulator, emulated_fal: Fal
) -> None:
    """fal.md does not say what its status is then: both answers are understood."""
    shared_emulator.break_("stuck")
    submission = await accepted(emulated_fal)
    assert await emulated_fal.cancel(submission) is CancelAnswer.REMOVED
    result = await emulated_fal.result(submission)
    match result:
        case FailedResult(failure=failure):
            assert failure.family is Family.CANCELLED
        case other:
            assert isinstance(other, Gone)


async def test_a_running_request_may_complete_in_spite_of_a_cancellation(
    shared_emulator: Emulator, emulated_fal: Fal
) -> None:
    shared_emulator.set(service_seconds=1)
    submission = await accepted(emulated_fal)
    async for status in emulated_fal.stream(submission):
        if isinstance(status, Running):
            assert await emulated_fal.cancel(submission) is CancelAnswer.REQUESTED
    assert isinstance(await emulated_fal.result(submission), GoodResult)


async def test_a_running_request_may_honour_a_cancellation(
    shared_emulator: Emulator, emulated_fal: Fal
) -> None:
    shared_emulator.set(service_seconds=600, honour_cancel=True)
    submission = await accepted(emulated_fal)
    async for status in emulated_fal.stream(submission):
        if isinstance(status, Running):
            assert await emulated_fal.cancel(submission) is CancelAnswer.REQUESTED
    result = await emulated_fal.result(submission)
    assert isinstance(result, FailedResult)
    assert result.failure.family is Family.CANCELLED


async def test_what_does_not_start_in_time_ends_as_our_own_deadline(
    shared_emulator: Emulator, emulated_fal: Fal
) -> None:
    shared_emulator.break_("stuck")
    outcome = await emulated_fal.submit(OVI_TEXT.id, body(), token="t0", start_timeout_seconds=0.2)
    assert isinstance(outcome, Accepted)
    await changes_of(emulated_fal, outcome.submission)
    result = await emulated_fal.result(outcome.submission)
    assert isinstance(result, FailedResult)
    assert result.failure.family is Family.START_TIMEOUT

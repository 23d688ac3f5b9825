"""What goes wrong at fal, and what we make of it: each fault made by the emulator."""

from __future__ import annotations

import pytest

from reelbatch.errors import Transient
from reelbatch.fal.answers import (
    Ambiguous,
    Completed,
    FailedResult,
    Gone,
    GoodResult,
    NotYet,
    Rejected,
)
from reelbatch.fal.client import Fal
from reelbatch.fal.error_types import Family
from reelbatch.fal.failures import PermanentFailure
from tests.contracts.fal_parts import PNG, accepted, changes_of, finished, submit
from tests.parts.emulator import Emulator

pytest_plugins = ["tests.contracts.fal_parts"]

RUN_ERRORS = [
    ("runner_error", {"type": "runner_server_error"}, "runner_server_error", Family.TRANSIENT),
    ("runner_error", {"type": "runner_disconnected"}, "runner_disconnected", Family.TRANSIENT),
    ("runner_error", {"type": "request_timeout"}, "request_timeout", Family.TRANSIENT),
    ("model_refusal", {}, "content_policy_violation", Family.PERMANENT),
    ("model_refusal", {"type": "no_media_generated"}, "no_media_generated", Family.PERMANENT),
    ("missing_video", {}, "no_output", Family.PERMANENT),
]


async def test_fals_own_word_on_retrying_is_heard(
    shared_emulator: Emulator, emulated_fal: Fal
) -> None:
    """A failure inside is worth another try, unless `X-Fal-Retryable` says false."""
    shared_emulator.break_("model_refusal", with_={"type": "internal_server_error"})
    result = await emulated_fal.result(await finished(emulated_fal))
    assert isinstance(result, FailedResult)
    assert result.failure.family is Family.PERMANENT


@pytest.mark.parametrize(("fault", "parameters", "error_type", "family"), RUN_ERRORS)
async def test_a_run_that_fails_says_why(
    shared_emulator: Emulator,
    emulated_fal: Fal,
    fault: str,
    parameters: dict[str, object],
    error_type: str,
    family: Family,
) -> None:
    shared_emulator.break_(fault, with_=parameters)
    result = await emulated_fal.result(await finished(emulated_fal))
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
    shared_emulator: Emulator, emulated_fal: Fal, fault: str
) -> None:
    before = len(shared_emulator.submissions())
    shared_emulator.break_(fault, with_=LOST[fault])
    assert isinstance(await submit(emulated_fal), Ambiguous)
    assert len(shared_emulator.submissions()) == before + 1


UNACCEPTED = {"drop_before_accept": {}, "nginx_error": {"status": 503}, "json_error": {}}


@pytest.mark.parametrize("fault", UNACCEPTED)
async def test_doubt_is_doubt_even_where_fal_accepted_nothing(
    shared_emulator: Emulator, emulated_fal: Fal, fault: str
) -> None:
    """From outside the two cannot be told apart."""
    before = len(shared_emulator.submissions())
    shared_emulator.break_(fault, with_=UNACCEPTED[fault])
    assert isinstance(await submit(emulated_fal), Ambiguous)
    assert len(shared_emulator.submissions()) == before


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
    shared_emulator: Emulator,
    emulated_fal: Fal,
    fault: str,
    parameters: dict[str, object],
    family: Family,
) -> None:
    before = len(shared_emulator.submissions())
    shared_emulator.break_(fault, with_=parameters)
    outcome = await submit(emulated_fal)
    assert isinstance(outcome, Rejected)
    assert outcome.failure.family is family
    assert outcome.retry_after == parameters.get("retry_after")
    assert len(shared_emulator.submissions()) == before


ASKED = {"status_dropped": 2, "result_dropped": 2}
"""What only reads is asked once more where nothing at all came back."""


@pytest.mark.parametrize(
    "fault",
    ["status_error", "status_nginx", "status_garbled", "status_locked", "status_dropped"],
)
async def test_a_status_that_cannot_be_read_harms_nothing(
    shared_emulator: Emulator, emulated_fal: Fal, fault: str
) -> None:
    submission = await finished(emulated_fal)
    shared_emulator.break_(fault, times=ASKED.get(fault, 1))
    with pytest.raises(Transient):
        await emulated_fal.status(submission)
    assert isinstance(await emulated_fal.status(submission), Completed)


@pytest.mark.parametrize("fault", ["result_flake", "result_garbled", "result_dropped"])
async def test_a_result_that_cannot_be_read_is_collected_again(
    shared_emulator: Emulator, emulated_fal: Fal, fault: str
) -> None:
    submission = await finished(emulated_fal)
    shared_emulator.break_(fault, times=ASKED.get(fault, 1))
    with pytest.raises(Transient):
        await emulated_fal.result(submission)
    assert isinstance(await emulated_fal.result(submission), GoodResult)


async def test_a_result_may_lag_behind_its_status(
    shared_emulator: Emulator, emulated_fal: Fal
) -> None:
    submission = await finished(emulated_fal)
    shared_emulator.break_("result_in_progress", times=1)
    assert await emulated_fal.result(submission) == NotYet()


@pytest.mark.parametrize("code", [404, 410])
async def test_an_expired_result_is_gone(
    shared_emulator: Emulator, emulated_fal: Fal, code: int
) -> None:
    submission = await finished(emulated_fal)
    shared_emulator.break_("result_expired", with_={"status": code})
    assert await emulated_fal.result(submission) == Gone(status_code=code)


@pytest.mark.parametrize("fault", ["stream_error", "stream_broken"])
async def test_a_stream_that_breaks_says_so(
    shared_emulator: Emulator, emulated_fal: Fal, fault: str
) -> None:
    shared_emulator.break_("stuck")
    shared_emulator.break_(fault)
    submission = await accepted(emulated_fal)
    with pytest.raises(Transient):
        await changes_of(emulated_fal, submission)


@pytest.mark.parametrize(
    ("fault", "parameters"),
    [
        ("token_error", {}),
        ("upload_error", {}),
        ("upload_without_url", {}),
    ],
)
async def test_an_upload_in_trouble_may_be_tried_again(
    shared_emulator: Emulator, emulated_fal: Fal, fault: str, parameters: dict[str, object]
) -> None:
    shared_emulator.break_(fault, with_=parameters)
    with pytest.raises(Transient):
        await emulated_fal.upload(PNG, "image/png", "dot.png")


async def test_a_locked_account_cannot_upload(shared_emulator: Emulator, emulated_fal: Fal) -> None:
    shared_emulator.break_("token_locked")
    with pytest.raises(PermanentFailure) as raised:
        await emulated_fal.upload(PNG, "image/png", "dot.png")
    assert raised.value.failure.family is Family.LOCKED

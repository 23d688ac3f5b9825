"""Settle: a result counts once, whoever brings it, and a good one is never lost."""

from __future__ import annotations

from decimal import Decimal

import pytest

from reelbatch.jobs import State
from reelbatch.ledger import Ledger
from reelbatch.ledger.answers import Why, accepted, doubted, not_sent, rejected
from reelbatch.ledger.keeping import Kept, about_to_keep, kept, source_lost
from reelbatch.ledger.results import (
    Charge,
    Ending,
    back,
    cancel_asked,
    gone,
    note_trouble,
    settle_failed,
    settle_good,
)
from tests.contracts.ledger_parts import (
    CRASHED,
    PRICE,
    REFUSED_PROMPT,
    account,
    archived,
    attempt,
    check_books,
    claimed,
    good,
    handle,
    job,
    pending,
    put_job,
    state,
    submitted,
    unpark,
)

LOST = Why(error_type="result_lost", message="fal has forgotten it.", http_status=404)
NEVER_STARTED = Why(error_type="start_timeout", message="It never started.", http_status=504)
CALLED_OFF = Why(error_type="cancelled", message="Cancelled.", http_status=499)


def _fail(
    ledger: Ledger,
    attempt_id: str,
    why: Why = CRASHED,
    *,
    ending: Ending = "transient",
    charge: Charge = "none",
) -> State:
    return settle_failed(ledger, attempt_id, why, ending=ending, charge=charge, price=PRICE)


def _submitted(ledger: Ledger) -> tuple[str, str]:
    (job_id,) = pending(ledger)
    return job_id, submitted(ledger, job_id)


def _due(ledger: Ledger, job_id: str) -> None:
    put_job(ledger, job_id, not_before=None)


def test_a_good_result_is_booked_and_handed_to_the_archiver(ledger: Ledger) -> None:
    job_id, attempt_id = _submitted(ledger)
    assert settle_good(ledger, attempt_id, good(), PRICE)
    done = job(ledger, job_id)
    assert done["state"] == State.COMPLETED
    assert done["output_url"] == good().output_url
    assert done["result"] == good().payload
    assert (done["cost_usd"], done["cost_basis"]) == (PRICE, "priced")
    assert account(ledger)["spent_usd"] == PRICE
    assert account(ledger)["reserved_usd"] == Decimal(0)
    check_books(ledger)


def test_a_second_result_for_the_same_request_changes_nothing(ledger: Ledger) -> None:
    """fal calls webhooks twice, and a poll may race them; the ledger counts the first."""
    job_id, attempt_id = _submitted(ledger)
    settle_good(ledger, attempt_id, good(), PRICE)
    before = job(ledger, job_id), attempt(ledger, attempt_id), account(ledger)
    assert not settle_good(ledger, attempt_id, good("other"), Decimal("0.40"))
    assert (job(ledger, job_id), attempt(ledger, attempt_id), account(ledger)) == before
    check_books(ledger)


def test_a_free_result_is_booked_once_too(ledger: Ledger) -> None:
    job_id, attempt_id = _submitted(ledger)
    assert settle_good(ledger, attempt_id, good(), Decimal(0))
    assert not settle_good(ledger, attempt_id, good(), PRICE)
    assert job(ledger, job_id)["cost_usd"] == Decimal(0)
    check_books(ledger)


def test_a_failure_after_the_good_result_changes_nothing(ledger: Ledger) -> None:
    job_id, attempt_id = _submitted(ledger)
    settle_good(ledger, attempt_id, good(), PRICE)
    before = job(ledger, job_id), attempt(ledger, attempt_id), account(ledger)
    assert _fail(ledger, attempt_id, charge="maybe") is State.COMPLETED
    assert (job(ledger, job_id), attempt(ledger, attempt_id), account(ledger)) == before


def test_the_same_failure_twice_counts_once(ledger: Ledger) -> None:
    """Webhook and poll bring it both; the one retry is not used up by that."""
    job_id, attempt_id = _submitted(ledger)
    assert _fail(ledger, attempt_id, charge="maybe") is State.PENDING
    before = job(ledger, job_id), attempt(ledger, attempt_id), account(ledger)
    assert _fail(ledger, attempt_id, charge="maybe") is State.PENDING
    assert (job(ledger, job_id), attempt(ledger, attempt_id), account(ledger)) == before
    check_books(ledger)


def test_an_old_attempt_s_failure_moves_nobody(ledger: Ledger) -> None:
    job_id, old = _submitted(ledger)
    _fail(ledger, old)
    _due(ledger, job_id)
    submitted(ledger, job_id)
    assert _fail(ledger, old) is State.SUBMITTED
    assert state(ledger, job_id) is State.SUBMITTED


def test_a_good_result_beats_a_doubt(ledger: Ledger) -> None:
    (job_id,) = pending(ledger)
    attempt_id = claimed(ledger, job_id).attempt_id
    doubted(ledger, attempt_id, "no answer")
    assert settle_good(ledger, attempt_id, good(), PRICE)
    assert state(ledger, job_id) is State.COMPLETED
    check_books(ledger)


@pytest.mark.parametrize(
    ("why", "ending", "charge"),
    [
        (LOST, "permanent", "lost"),
        (CRASHED, "permanent", "none"),
        (CALLED_OFF, "cancelled", "none"),
    ],
)
def test_a_late_good_result_beats_failure_and_cancellation(
    ledger: Ledger, why: Why, ending: Ending, charge: Charge
) -> None:
    """It was paid: a video is there, and it is charged once."""
    job_id, attempt_id = _submitted(ledger)
    assert _fail(ledger, attempt_id, why, ending=ending, charge=charge) is not State.PENDING
    assert settle_good(ledger, attempt_id, good(), PRICE)
    done = job(ledger, job_id)
    assert (done["state"], done["error_type"]) == (State.COMPLETED, None)
    assert account(ledger)["spent_usd"] == done["cost_usd"] == PRICE
    assert attempt(ledger, attempt_id)["outcome"] == "good"
    check_books(ledger)


def test_a_good_result_saves_the_retry_that_waits(ledger: Ledger) -> None:
    """It failed, they said, and then it is there: nothing is sent again."""
    job_id, attempt_id = _submitted(ledger)
    assert _fail(ledger, attempt_id) is State.PENDING
    assert settle_good(ledger, attempt_id, good(), PRICE)
    assert state(ledger, job_id) is State.COMPLETED
    check_books(ledger)


def test_an_old_attempt_s_good_result_saves_a_job_that_failed_since(ledger: Ledger) -> None:
    """`retry` asks for every request it holds before it pays for a new one."""
    job_id, old = _submitted(ledger)
    _fail(ledger, old)
    _due(ledger, job_id)
    new = submitted(ledger, job_id)
    assert _fail(ledger, new) is State.FAILED
    assert settle_good(ledger, old, good(), PRICE)
    saved = job(ledger, job_id)
    assert (saved["state"], saved["attempt_id"]) == (State.COMPLETED, old)
    check_books(ledger)


def test_an_old_attempt_s_good_result_leaves_a_newer_post_alone(ledger: Ledger) -> None:
    """The newer request is running and will be paid; the old one is booked."""
    job_id, old = _submitted(ledger)
    _fail(ledger, old)
    _due(ledger, job_id)
    new = submitted(ledger, job_id)
    assert not settle_good(ledger, old, good(), PRICE)
    assert (state(ledger, job_id), job(ledger, job_id)["attempt_id"]) == (State.SUBMITTED, new)
    assert account(ledger)["spent_usd"] == account(ledger)["reserved_usd"] == PRICE
    check_books(ledger)


def test_a_transient_failure_is_tried_once_more(ledger: Ledger) -> None:
    """fal has retried its runner ten times already; we add one POST, a little later."""
    job_id, attempt_id = _submitted(ledger)
    assert _fail(ledger, attempt_id) is State.PENDING
    waiting = job(ledger, job_id)
    assert waiting["not_before"] > waiting["state_at"]
    assert waiting["error_message"] == CRASHED.message
    _due(ledger, job_id)
    assert _fail(ledger, submitted(ledger, job_id)) is State.FAILED
    assert state(ledger, job_id) is State.FAILED
    check_books(ledger)


def test_a_permanent_failure_is_told_at_once(ledger: Ledger) -> None:
    job_id, attempt_id = _submitted(ledger)
    assert _fail(ledger, attempt_id, REFUSED_PROMPT, ending="permanent") is State.FAILED
    assert job(ledger, job_id)["error_type"] == REFUSED_PROMPT.error_type


def test_a_job_that_never_starts_is_given_up_after_three_more_posts(ledger: Ledger) -> None:
    """None of them was billed."""
    (job_id,) = pending(ledger)
    for _ in range(3):
        attempt_id = submitted(ledger, job_id)
        assert _fail(ledger, attempt_id, NEVER_STARTED, ending="start_timeout") is State.PENDING
    attempt_id = submitted(ledger, job_id)
    assert _fail(ledger, attempt_id, NEVER_STARTED, ending="start_timeout") is State.FAILED
    assert job(ledger, job_id)["error_type"] == "start_timeout"
    assert account(ledger)["spent_usd"] == Decimal(0)
    check_books(ledger)


@pytest.mark.parametrize("ending", ["transient", "start_timeout"])
def test_a_withdrawn_job_is_not_tried_again(ledger: Ledger, ending: Ending) -> None:
    job_id, attempt_id = _submitted(ledger)
    put_job(ledger, job_id, withdrawn=True)
    assert _fail(ledger, attempt_id, ending=ending) is State.FAILED
    assert state(ledger, job_id) is State.FAILED


def test_a_withdrawn_job_that_runs_is_still_collected(ledger: Ledger) -> None:
    """It is paid: it belongs into the archive."""
    job_id, attempt_id = _submitted(ledger)
    put_job(ledger, job_id, withdrawn=True)
    assert settle_good(ledger, attempt_id, good(), PRICE)
    assert state(ledger, job_id) is State.COMPLETED


def test_what_fal_cancelled_before_its_start_costs_nothing(ledger: Ledger) -> None:
    _, attempt_id = _submitted(ledger)
    cancel_asked(ledger, attempt_id, "CANCELLATION_REQUESTED")
    assert attempt(ledger, attempt_id)["cancel_answer"] == "CANCELLATION_REQUESTED"
    assert _fail(ledger, attempt_id, CALLED_OFF, ending="cancelled") is State.CANCELLED
    assert account(ledger)["reserved_usd"] == account(ledger)["spent_usd"] == Decimal(0)
    check_books(ledger)


@pytest.mark.parametrize("charge", ["maybe", "lost"])
def test_what_may_have_been_paid_is_counted_as_paid(ledger: Ledger, charge: Charge) -> None:
    job_id, attempt_id = _submitted(ledger)
    _fail(ledger, attempt_id, LOST, ending="permanent", charge=charge)
    assert account(ledger)["spent_usd"] == PRICE
    assert attempt(ledger, attempt_id)["cost_basis"] == charge
    assert job(ledger, job_id)["cost_basis"] == charge
    check_books(ledger)


def test_a_job_costs_what_all_its_attempts_cost(ledger: Ledger) -> None:
    job_id, attempt_id = _submitted(ledger)
    _fail(ledger, attempt_id, charge="maybe")
    _due(ledger, job_id)
    archived(ledger, job_id)
    assert job(ledger, job_id)["cost_usd"] == 2 * PRICE
    check_books(ledger)


def test_a_result_before_the_submit_response_settles_the_job(ledger: Ledger) -> None:
    """The webhook's token finds the attempt; the submitter's acceptance comes second."""
    (job_id,) = pending(ledger)
    attempt_id = claimed(ledger, job_id).attempt_id
    assert settle_good(ledger, attempt_id, good(), PRICE)
    assert accepted(ledger, attempt_id, handle("r-1"))
    assert state(ledger, job_id) is State.COMPLETED
    assert attempt(ledger, attempt_id)["request_id"] == "r-1"
    assert attempt(ledger, attempt_id)["outcome"] == "good"
    check_books(ledger)


@pytest.mark.parametrize("late", ["doubted", "not_sent", "rejected"])
def test_no_answer_takes_back_a_result(ledger: Ledger, late: str) -> None:
    """A broken connection says nothing about a job whose webhook has come."""
    (job_id,) = pending(ledger)
    attempt_id = claimed(ledger, job_id).attempt_id
    settle_good(ledger, attempt_id, good(), PRICE)
    match late:
        case "doubted":
            doubted(ledger, attempt_id, "no answer")
        case "not_sent":
            not_sent(ledger, attempt_id, "no route", park=False)
        case _:
            rejected(ledger, attempt_id, REFUSED_PROMPT, park=None)
    assert state(ledger, job_id) is State.COMPLETED
    assert attempt(ledger, attempt_id)["outcome"] == "good"
    check_books(ledger)


def test_a_request_fal_does_not_know_is_remembered_since_the_first_404(ledger: Ledger) -> None:
    """Only 15 minutes of nothing else count; one other answer starts them anew."""
    _, attempt_id = _submitted(ledger)
    gone(ledger, attempt_id)
    since = attempt(ledger, attempt_id)["gone_since"]
    assert gone(ledger, attempt_id).total_seconds() >= 0
    assert attempt(ledger, attempt_id)["gone_since"] == since
    back(ledger, attempt_id)
    assert attempt(ledger, attempt_id)["gone_since"] is None


def test_trouble_is_noted_and_forgotten_once_the_video_is_kept(ledger: Ledger) -> None:
    job_id, attempt_id = _submitted(ledger)
    settle_good(ledger, attempt_id, good(), PRICE)
    note_trouble(ledger, job_id, Why(error_type="archive", message="No space left."))
    assert job(ledger, job_id)["error_message"] == "No space left."
    assert state(ledger, job_id) is State.COMPLETED
    kept(ledger, job_id, "cats/a.mp4")
    assert job(ledger, job_id)["error_message"] is None


def test_one_of_two_archivers_keeps_a_video(ledger: Ledger) -> None:
    """What is put is on record before the put; who comes second is told."""
    job_id, attempt_id = _submitted(ledger)
    settle_good(ledger, attempt_id, good(), PRICE)
    video = Kept(key="cats/a.mp4", sha256="ab" * 32, bytes=1000, media={"fps": 24})
    about_to_keep(ledger, job_id, video)
    known = job(ledger, job_id)
    assert (known["state"], known["sha256"]) == (State.COMPLETED, video.sha256)
    assert kept(ledger, job_id, video.key)
    assert not kept(ledger, job_id, "cats/elsewhere.mp4")
    about_to_keep(ledger, job_id, Kept(key="no", sha256="cd" * 32, bytes=1, media={}))
    done = job(ledger, job_id)
    assert (done["state"], done["key"], done["media"]) == (State.ARCHIVED, video.key, video.media)
    assert not settle_good(ledger, attempt_id, good(), PRICE)


def test_a_lost_source_fails_its_copy_and_costs_nothing(ledger: Ledger) -> None:
    """It is never silently paid: the user hears why, and may say --fresh."""
    job_id, attempt_id = _submitted(ledger)
    _fail(ledger, attempt_id, charge="maybe")
    put_job(ledger, job_id, state=State.COMPLETED, reused_from="another", cost_basis="reused")
    source_lost(ledger, job_id, Why(error_type="source_lost", message="The video is gone."))
    failed = job(ledger, job_id)
    assert (failed["state"], failed["error_type"]) == (State.FAILED, "source_lost")
    assert failed["reused_from"] is None
    unpark(ledger)
    check_books(ledger)

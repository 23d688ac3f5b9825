"""What came of a POST: every answer counts once, however late, and none is sent again blindly."""

from __future__ import annotations

from decimal import Decimal

import pytest

from reelbatch.jobs import State
from reelbatch.ledger import Ledger
from reelbatch.ledger.answers import (
    Accepted,
    Why,
    accepted,
    doubt_the_late,
    doubted,
    not_sent,
    rejected,
)
from reelbatch.ledger.parking import ParkReason, parked
from reelbatch.ledger.results import settle_failed, settle_good
from tests.contracts.ledger_parts import (
    ACCOUNT,
    CRASHED,
    PRICE,
    REFUSED_PROMPT,
    THROTTLED,
    account,
    age,
    attempt,
    batch_named,
    check_books,
    claimed,
    entered,
    good,
    handle,
    job,
    pending,
    put_job,
    rows,
    state,
    submitted,
    unpark,
)


def _claimed(ledger: Ledger) -> tuple[str, str]:
    (job_id,) = pending(ledger)
    return job_id, claimed(ledger, job_id).attempt_id


def test_an_accepted_request_is_on_record_with_its_urls(ledger: Ledger) -> None:
    job_id, attempt_id = _claimed(ledger)
    assert accepted(ledger, attempt_id, handle("r-1"))
    kept = attempt(ledger, attempt_id)
    assert state(ledger, job_id) is State.SUBMITTED
    assert handle("r-1") == Accepted(**{name: kept[name] for name in Accepted.__dataclass_fields__})
    assert kept["outcome"] == "accepted"
    assert kept["answered_at"] >= kept["claimed_at"]


def test_the_same_acceptance_twice_is_fine(ledger: Ledger) -> None:
    """The webhook said it first; the submitter's lost race is success."""
    job_id, attempt_id = _claimed(ledger)
    assert accepted(ledger, attempt_id, handle("r-1"))
    before = attempt(ledger, attempt_id)
    assert accepted(ledger, attempt_id, handle("r-1"))
    assert attempt(ledger, attempt_id) == before
    assert state(ledger, job_id) is State.SUBMITTED


def test_another_request_on_the_same_attempt_is_a_stray(ledger: Ledger) -> None:
    """The first one stands; the caller cancels and books the other."""
    job_id, attempt_id = _claimed(ledger)
    accepted(ledger, attempt_id, handle("r-1"))
    before = attempt(ledger, attempt_id)
    assert not accepted(ledger, attempt_id, handle("r-2"))
    assert attempt(ledger, attempt_id) == before
    assert state(ledger, job_id) is State.SUBMITTED


def test_a_request_belongs_to_one_attempt(ledger: Ledger) -> None:
    """Two doubtful twins find the same request in fal's list: one of them adopts it."""
    first, second = pending(ledger, 2)
    one, other = (claimed(ledger, job_id).attempt_id for job_id in (first, second))
    doubted(ledger, one, "no answer")
    doubted(ledger, other, "no answer")
    assert accepted(ledger, one, handle("r-1"))
    assert not accepted(ledger, other, handle("r-1"))
    assert state(ledger, second) is State.IN_DOUBT
    check_books(ledger)


def test_what_was_not_sent_is_free_and_waits_again(ledger: Ledger) -> None:
    job_id, attempt_id = _claimed(ledger)
    not_sent(ledger, attempt_id, "connection refused", park=False)
    assert state(ledger, job_id) is State.PENDING
    assert account(ledger)["reserved_usd"] == account(ledger)["day_usd"] == Decimal(0)
    assert attempt(ledger, attempt_id)["outcome"] == "not_sent"
    assert parked(ledger, ACCOUNT) is None
    assert claimed(ledger, job_id).n == 2
    check_books(ledger)


def test_what_was_not_sent_is_told_even_after_somebody_doubted_it(ledger: Ledger) -> None:
    """The process was only slow: its word ends the doubt, and the money is free."""
    job_id, attempt_id = _claimed(ledger)
    age(ledger, job_id, 46)
    doubt_the_late(ledger, ACCOUNT)
    not_sent(ledger, attempt_id, "connection refused", park=False)
    assert state(ledger, job_id) is State.PENDING
    check_books(ledger)


def test_fal_s_no_fails_the_job_in_fal_s_words(ledger: Ledger) -> None:
    job_id, attempt_id = _claimed(ledger)
    rejected(ledger, attempt_id, REFUSED_PROMPT, park=None)
    failed = job(ledger, job_id)
    assert failed["state"] == State.FAILED
    assert failed["error_type"] == REFUSED_PROMPT.error_type
    assert failed["error_message"] == REFUSED_PROMPT.message
    kept = attempt(ledger, attempt_id)
    assert (kept["outcome"], kept["http_status"]) == ("rejected", 422)
    assert account(ledger)["reserved_usd"] == Decimal(0)
    check_books(ledger)


@pytest.mark.parametrize("reason", ["throttled", "locked", "auth"])
def test_an_account_s_trouble_is_no_job_s_fault(ledger: Ledger, reason: ParkReason) -> None:
    job_id, attempt_id = _claimed(ledger)
    rejected(ledger, attempt_id, Why(error_type="account", message="Not now."), park=reason)
    assert state(ledger, job_id) is State.PENDING
    found = parked(ledger, ACCOUNT)
    assert found is not None
    assert (found.reason, found.detail) == (reason, "Not now.")
    assert account(ledger)["reserved_usd"] == Decimal(0)
    check_books(ledger)


def test_a_rejection_ends_a_doubt(ledger: Ledger) -> None:
    """The late answer of a POST that somebody had given up."""
    job_id, attempt_id = _claimed(ledger)
    age(ledger, job_id, 46)
    doubt_the_late(ledger, ACCOUNT)
    rejected(ledger, attempt_id, REFUSED_PROMPT, park=None)
    assert state(ledger, job_id) is State.FAILED
    check_books(ledger)


def test_doubt_keeps_the_money_reserved(ledger: Ledger) -> None:
    """fal may have accepted: it counts as spent until the evidence is in."""
    job_id, attempt_id = _claimed(ledger)
    doubted(ledger, attempt_id, "the connection broke")
    assert state(ledger, job_id) is State.IN_DOUBT
    assert account(ledger)["reserved_usd"] == PRICE
    kept = attempt(ledger, attempt_id)
    assert (kept["outcome"], kept["error_message"]) == ("in_doubt", "the connection broke")


def test_an_accepted_request_is_not_doubted_any_more(ledger: Ledger) -> None:
    """The webhook was faster than the broken connection."""
    job_id, attempt_id = _claimed(ledger)
    accepted(ledger, attempt_id, handle("r-1"))
    doubted(ledger, attempt_id, "the connection broke")
    assert state(ledger, job_id) is State.SUBMITTED
    assert attempt(ledger, attempt_id)["outcome"] == "accepted"


def test_a_late_acceptance_ends_a_doubt(ledger: Ledger) -> None:
    job_id, attempt_id = _claimed(ledger)
    doubted(ledger, attempt_id, "the connection broke")
    assert accepted(ledger, attempt_id, handle("r-1"))
    assert state(ledger, job_id) is State.SUBMITTED
    assert account(ledger)["reserved_usd"] == PRICE


def test_an_acceptance_that_comes_after_all_saves_the_next_post(ledger: Ledger) -> None:
    """Its absence seemed proved, and it was there: the job goes on with it, money and all."""
    job_id, attempt_id = _claimed(ledger)
    not_sent(ledger, attempt_id, "we thought so", park=False)
    assert accepted(ledger, attempt_id, handle("r-1"))
    assert state(ledger, job_id) is State.SUBMITTED
    assert account(ledger)["reserved_usd"] == account(ledger)["day_usd"] == PRICE
    check_books(ledger)
    settle_good(ledger, attempt_id, good(), PRICE)
    assert account(ledger)["spent_usd"] == account(ledger)["day_usd"] == PRICE
    check_books(ledger)


def test_an_old_attempt_s_acceptance_moves_nobody(ledger: Ledger) -> None:
    """The job has a newer POST on the wire; the old request is on record, and that is all."""
    job_id, old = _claimed(ledger)
    not_sent(ledger, old, "connection refused", park=False)
    new = claimed(ledger, job_id).attempt_id
    accepted(ledger, old, handle("r-old"))
    assert state(ledger, job_id) is State.SUBMITTING
    assert job(ledger, job_id)["attempt_id"] == new
    assert attempt(ledger, old)["request_id"] == "r-old"
    check_books(ledger)


@pytest.mark.parametrize("late", ["doubted", "not_sent", "rejected"])
def test_an_old_attempt_s_answer_moves_nobody(ledger: Ledger, late: str) -> None:
    job_id, old = _claimed(ledger)
    not_sent(ledger, old, "connection refused", park=False)
    submitted(ledger, job_id)
    match late:
        case "doubted":
            doubted(ledger, old, "no answer")
        case "not_sent":
            not_sent(ledger, old, "no route", park=False)
        case _:
            rejected(ledger, old, REFUSED_PROMPT, park=None)
    assert state(ledger, job_id) is State.SUBMITTED
    assert account(ledger)["reserved_usd"] == PRICE
    check_books(ledger)


def test_an_acceptance_after_the_failure_of_that_request_moves_nobody(ledger: Ledger) -> None:
    """The webhook told the end before the submitter told the beginning."""
    job_id, attempt_id = _claimed(ledger)
    settle_failed(ledger, attempt_id, CRASHED, ending="transient", charge="none", price=PRICE)
    assert accepted(ledger, attempt_id, handle("r-1"))
    assert state(ledger, job_id) is State.PENDING
    assert attempt(ledger, attempt_id)["request_id"] == "r-1"
    assert attempt(ledger, attempt_id)["outcome"] == "failed"
    check_books(ledger)


@pytest.mark.parametrize("late", ["not_sent", "rejected"])
def test_no_answer_takes_back_an_acceptance(ledger: Ledger, late: str) -> None:
    """fal has the request: it will be paid, whatever else is said."""
    job_id, attempt_id = _claimed(ledger)
    accepted(ledger, attempt_id, handle("r-1"))
    if late == "not_sent":
        not_sent(ledger, attempt_id, "no route", park=False)
    else:
        rejected(ledger, attempt_id, THROTTLED, park="throttled")
    assert state(ledger, job_id) is State.SUBMITTED
    assert attempt(ledger, attempt_id)["outcome"] == "accepted"
    assert account(ledger)["reserved_usd"] == PRICE
    check_books(ledger)


def test_anyone_doubts_a_post_of_which_nothing_is_heard_for_45_seconds(ledger: Ledger) -> None:
    """Its process died. No lease, no owner: whoever looks says so."""
    late, early = pending(ledger, 2)
    claimed(ledger, late)
    claimed(ledger, early)
    age(ledger, late, 46)
    age(ledger, early, 30)
    assert doubt_the_late(ledger, ACCOUNT) == 1
    assert state(ledger, late) is State.IN_DOUBT
    assert state(ledger, early) is State.SUBMITTING
    assert doubt_the_late(ledger, ACCOUNT) == 0
    assert account(ledger)["reserved_usd"] == 2 * PRICE


def test_a_death_is_no_storm(ledger: Ledger) -> None:
    """Three POSTs of a killed process say nothing about fal."""
    for job_id in pending(ledger, 3):
        claimed(ledger, job_id)
        age(ledger, job_id, 60)
    assert doubt_the_late(ledger, ACCOUNT) == 3
    assert parked(ledger, ACCOUNT) is None


@pytest.mark.parametrize("answer", ["not_sent", "throttled"])
def test_a_withdrawn_job_never_waits_again(ledger: Ledger, answer: str) -> None:
    """Its row was edited while the POST was on the wire; it is sent only if the row returns."""
    job_id, attempt_id = _claimed(ledger)
    put_job(ledger, job_id, withdrawn=True)
    if answer == "not_sent":
        not_sent(ledger, attempt_id, "connection refused", park=False)
    else:
        rejected(ledger, attempt_id, THROTTLED, park="throttled")
    assert state(ledger, job_id) is State.CANCELLED
    check_books(ledger)
    entered(ledger, batch_named(ledger), [])
    assert state(ledger, job_id) is State.CANCELLED
    unpark(ledger)
    entered(ledger, batch_named(ledger), rows(1))
    assert claimed(ledger, job_id).n == 2

"""A doubt ends by evidence, or by a person's word; until then its money is held."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from reelbatch.jobs import State
from reelbatch.ledger import Ledger
from reelbatch.ledger.answers import accepted, doubted
from reelbatch.ledger.doubts import absent, doubts_of, held_requests, neighbours_of, resubmit
from reelbatch.ledger.results import settle_good
from reelbatch.ledger.schema import attempts
from tests.contracts.ledger_parts import (
    ACCOUNT,
    PRICE,
    account,
    attempt,
    batch_named,
    check_books,
    claimed,
    good,
    handle,
    job,
    pending,
    put,
    put_job,
    state,
    submitted,
)


def _doubted(ledger: Ledger) -> tuple[str, str]:
    (job_id,) = pending(ledger)
    attempt_id = claimed(ledger, job_id).attempt_id
    doubted(ledger, attempt_id, "no answer")
    return job_id, attempt_id


def test_proved_absence_frees_job_and_money(ledger: Ledger) -> None:
    job_id, attempt_id = _doubted(ledger)
    assert absent(ledger, attempt_id)
    assert state(ledger, job_id) is State.PENDING
    assert account(ledger)["reserved_usd"] == Decimal(0)
    assert not absent(ledger, attempt_id)
    assert claimed(ledger, job_id).n == 2
    check_books(ledger)


def test_an_adopted_request_is_not_absent_any_more(ledger: Ledger) -> None:
    """The webhook came while we read fal's list."""
    job_id, attempt_id = _doubted(ledger)
    accepted(ledger, attempt_id, handle("r-1"))
    assert not absent(ledger, attempt_id)
    assert not resubmit(ledger, attempt_id, PRICE)
    assert state(ledger, job_id) is State.SUBMITTED
    assert held_requests(ledger, ["r-1", "r-2"]) == {"r-1"}
    check_books(ledger)


def test_a_withdrawn_job_s_absence_sends_nothing(ledger: Ledger) -> None:
    job_id, attempt_id = _doubted(ledger)
    put_job(ledger, job_id, withdrawn=True)
    assert not resubmit(ledger, attempt_id, PRICE)
    assert absent(ledger, attempt_id)
    assert state(ledger, job_id) is State.CANCELLED
    check_books(ledger)


def test_a_person_s_word_sends_again_and_books_the_old_attempt(ledger: Ledger) -> None:
    """It may have been paid, so it counts; should it come home after all, it counts once."""
    job_id, attempt_id = _doubted(ledger)
    assert resubmit(ledger, attempt_id, PRICE)
    assert state(ledger, job_id) is State.PENDING
    assert (account(ledger)["spent_usd"], account(ledger)["reserved_usd"]) == (PRICE, Decimal(0))
    assert attempt(ledger, attempt_id)["cost_basis"] == "maybe"
    settle_good(ledger, attempt_id, good(), PRICE)
    assert (state(ledger, job_id), job(ledger, job_id)["cost_usd"]) == (State.COMPLETED, PRICE)
    check_books(ledger)


def test_a_doubt_tells_what_its_evidence_needs(ledger: Ledger) -> None:
    """What was sent, when, and from when its absence counts; withdrawn jobs too."""
    job_id, attempt_id = _doubted(ledger)
    put_job(ledger, job_id, withdrawn=True)
    (doubt,) = doubts_of(ledger, batch_named(ledger).id)
    kept = attempt(ledger, attempt_id)
    assert (doubt.job_id, doubt.attempt_id, doubt.body) == (job_id, attempt_id, kept["body"])
    assert (doubt.claimed_at, doubt.deadline_at) == (kept["claimed_at"], kept["deadline_at"])
    assert doubt.reserved_usd == PRICE


def test_only_started_neighbours_within_a_quarter_of_an_hour_speak_for_the_list(
    ledger: Ledger,
) -> None:
    doubtful, started, waiting, long_ago = pending(ledger, 4)
    doubted(ledger, claimed(ledger, doubtful).attempt_id, "no answer")
    near, _, far = (submitted(ledger, job_id) for job_id in (started, waiting, long_ago))
    for attempt_id in (near, far):
        settle_good(ledger, attempt_id, good(), PRICE)
    since = attempt(ledger, far)["claimed_at"] - timedelta(minutes=16)
    put(ledger, attempts, attempts.c.id == far, claimed_at=since)
    (doubt,) = doubts_of(ledger, batch_named(ledger).id)
    claimed_at = attempt(ledger, near)["claimed_at"]
    assert neighbours_of(ledger, ACCOUNT, doubt) == {f"request-{near}": claimed_at}

"""What fal ran for us and no job waits for: held, booked, and never bought again."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from reelbatch.jobs import State
from reelbatch.ledger import Ledger
from reelbatch.ledger.answers import accepted, doubted
from reelbatch.ledger.doubts import absent, resubmit
from reelbatch.ledger.results import settle_failed, settle_good
from reelbatch.ledger.strays import Stray, adopt, note_strays, stragglers_of, strays_of
from tests.contracts.ledger_parts import (
    CRASHED,
    PRICE,
    account,
    archived,
    attempt,
    batch_named,
    check_books,
    claimed,
    good,
    handle,
    job,
    pending,
    state,
    submitted,
)


def overtaken(ledger: Ledger) -> tuple[str, str, str]:
    """A job, its first attempt that was taken for absent, and the second that fal has."""
    (job_id,) = pending(ledger)
    first = claimed(ledger, job_id).attempt_id
    doubted(ledger, first, "no answer")
    absent(ledger, first)
    return job_id, first, submitted(ledger, job_id)


def stragglers(ledger: Ledger) -> list[str]:
    return [one["id"] for one in stragglers_of(ledger, batch_named(ledger).id)]


def astray(ledger: Ledger, job_id: str, request_id: str = "r-9", seconds: float = 0) -> Stray:
    first = attempt(ledger, f"{job_id}-1")
    return Stray(
        request_id=request_id,
        job_id=job_id,
        endpoint_id="fal-ai/ovi",
        sent_at=first["claimed_at"] + timedelta(seconds=seconds),
    )


def test_a_late_acceptance_is_held_and_its_money_set_aside(ledger: Ledger) -> None:
    job_id, first, second = overtaken(ledger)
    assert accepted(ledger, first, handle("r-late"))
    assert (state(ledger, job_id), job(ledger, job_id)["attempt_id"]) == (State.SUBMITTED, second)
    assert account(ledger)["reserved_usd"] == 2 * PRICE
    assert stragglers(ledger) == [first]
    check_books(ledger)


def test_what_a_straggler_made_is_booked_and_the_first_result_wins(ledger: Ledger) -> None:
    job_id, first, second = overtaken(ledger)
    accepted(ledger, first, handle("r-late"))
    assert settle_good(ledger, second, good("second"), PRICE)
    assert not settle_good(ledger, first, good("first"), PRICE)
    kept = job(ledger, job_id)
    assert (kept["attempt_id"], kept["cost_usd"]) == (second, 2 * PRICE)
    assert stragglers(ledger) == []
    check_books(ledger)


def test_a_straggler_serves_a_job_that_has_nothing_else(ledger: Ledger) -> None:
    job_id, first, second = overtaken(ledger)
    accepted(ledger, first, handle("r-late"))
    settle_failed(ledger, second, CRASHED, ending="permanent", charge="none", price=PRICE)
    assert settle_good(ledger, first, good("first"), PRICE)
    assert (state(ledger, job_id), job(ledger, job_id)["attempt_id"]) == (State.COMPLETED, first)
    check_books(ledger)


def test_money_booked_on_a_persons_word_is_not_booked_again(ledger: Ledger) -> None:
    (job_id,) = pending(ledger)
    first = claimed(ledger, job_id).attempt_id
    doubted(ledger, first, "no answer")
    resubmit(ledger, first, PRICE)
    submitted(ledger, job_id)
    accepted(ledger, first, handle("r-late"))
    settle_good(ledger, first, good("first"), PRICE)
    assert (account(ledger)["spent_usd"], account(ledger)["reserved_usd"]) == (PRICE, PRICE)
    check_books(ledger)


def test_a_stray_is_remembered_until_somebody_holds_it(ledger: Ledger) -> None:
    (job_id,) = pending(ledger)
    archived(ledger, job_id)
    batch = batch_named(ledger)
    stray = astray(ledger, job_id)
    note_strays(ledger, batch.id, [stray])
    note_strays(ledger, batch.id, [stray])
    assert strays_of(ledger, batch.id) == [stray]
    assert adopt(ledger, stray, handle("r-9"), PRICE)
    assert strays_of(ledger, batch.id) == []
    assert not adopt(ledger, stray, handle("r-9"), PRICE)


def test_an_adopted_stray_of_an_archived_job_is_a_straggler(ledger: Ledger) -> None:
    (job_id,) = pending(ledger)
    paid_for = archived(ledger, job_id)
    adopt(ledger, astray(ledger, job_id), handle("r-9"), PRICE)
    assert (state(ledger, job_id), job(ledger, job_id)["attempt_id"]) == (State.ARCHIVED, paid_for)
    assert stragglers(ledger) == [f"{job_id}-2"]
    assert account(ledger)["reserved_usd"] == PRICE
    settle_good(ledger, f"{job_id}-2", good("again"), PRICE)
    assert account(ledger)["spent_usd"] == 2 * PRICE
    check_books(ledger)


def test_an_idle_job_collects_the_stray_it_adopts(ledger: Ledger) -> None:
    (job_id,) = pending(ledger)
    first = submitted(ledger, job_id)
    settle_failed(ledger, first, CRASHED, ending="permanent", charge="none", price=PRICE)
    assert state(ledger, job_id) is State.FAILED
    adopt(ledger, astray(ledger, job_id), handle("r-9"), PRICE)
    assert state(ledger, job_id) is State.SUBMITTED
    assert settle_good(ledger, f"{job_id}-2", good(), PRICE)
    assert state(ledger, job_id) is State.COMPLETED
    check_books(ledger)


def test_a_stray_of_that_time_is_the_post_whose_answer_was_lost(ledger: Ledger) -> None:
    (job_id,) = pending(ledger)
    doubtful = claimed(ledger, job_id).attempt_id
    doubted(ledger, doubtful, "no answer")
    assert adopt(ledger, astray(ledger, job_id, seconds=20), handle("r-9"), PRICE)
    assert attempt(ledger, doubtful)["request_id"] == "r-9"
    assert (state(ledger, job_id), job(ledger, job_id)["attempts"]) == (State.SUBMITTED, 1)
    check_books(ledger)


def test_a_stray_of_another_time_leaves_the_doubt_alone(ledger: Ledger) -> None:
    (job_id,) = pending(ledger)
    doubtful = claimed(ledger, job_id).attempt_id
    doubted(ledger, doubtful, "no answer")
    assert adopt(ledger, astray(ledger, job_id, seconds=600), handle("r-9"), PRICE)
    assert attempt(ledger, doubtful)["request_id"] is None
    assert state(ledger, job_id) is State.IN_DOUBT
    assert account(ledger)["reserved_usd"] == Decimal(2) * PRICE
    check_books(ledger)

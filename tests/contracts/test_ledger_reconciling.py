"""The ledger beside fal's own records: who is held, what was listed, what was billed."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from reelbatch.jobs import State
from reelbatch.ledger import Ledger
from reelbatch.ledger.reconciling import (
    OVERLAP,
    billed,
    bodies_sent,
    books_of,
    compared_until,
    endpoints_of,
    listed,
    read_from,
)
from reelbatch.ledger.results import settle_failed
from reelbatch.ledger.schema import attempts
from reelbatch.ledger.strays import Stray, note_strays
from tests.contracts.ledger_parts import (
    CRASHED,
    PRICE,
    REFUSED_PROMPT,
    account,
    archived,
    attempt,
    batch_named,
    body,
    check_books,
    job,
    pending,
    put,
    state,
    submitted,
)


def began(ledger: Ledger, attempt_id: str) -> datetime:
    found: datetime = attempt(ledger, attempt_id)["claimed_at"]
    return found


def test_nothing_is_read_before_anything_was_sent(ledger: Ledger) -> None:
    pending(ledger)
    assert read_from(ledger, batch_named(ledger).id) is None


def test_reading_begins_with_the_first_submission_and_goes_on_from_there(ledger: Ledger) -> None:
    (job_id,) = pending(ledger)
    first = began(ledger, submitted(ledger, job_id))
    batch = batch_named(ledger)
    assert read_from(ledger, batch.id) == first
    until = first + timedelta(days=3)
    compared_until(ledger, batch.id, until)
    compared_until(ledger, batch.id, first)
    assert read_from(ledger, batch.id) == until - OVERLAP


def test_it_tells_what_was_sent_and_where(ledger: Ledger) -> None:
    one, _ = pending(ledger, 2)
    submitted(ledger, one)
    batch = batch_named(ledger)
    (sent,) = bodies_sent(ledger, batch.id)
    assert (sent.job_id, sent.body, sent.outcome) == (one, body(one), "accepted")
    assert endpoints_of(ledger, batch.id) == ["fal-ai/ovi"]


def test_only_what_we_hold_counts_as_listed(ledger: Ledger) -> None:
    one, two = (submitted(ledger, job_id) for job_id in pending(ledger, 2))
    at = began(ledger, two) + timedelta(minutes=1)
    assert listed(ledger, {f"request-{one}", "of-another"}, at) == {f"request-{one}"}
    listed(ledger, {f"request-{one}"}, at + timedelta(hours=1))
    assert attempt(ledger, one)["listed_at"] == at
    books = books_of(ledger, batch_named(ledger).id, at)
    assert (books.held, books.listed) == (2, 1)


def test_fals_bill_is_the_last_word_on_what_was_paid(ledger: Ledger) -> None:
    (job_id,) = pending(ledger)
    paid_for = archived(ledger, job_id)
    lines = {f"request-{paid_for}": Decimal("0.15"), "of-another": Decimal("3")}
    billed(ledger, lines)
    billed(ledger, lines)
    assert account(ledger)["spent_usd"] == Decimal("0.15")
    assert job(ledger, job_id)["cost_usd"] == Decimal("0.15")
    books = books_of(ledger, batch_named(ledger).id, began(ledger, paid_for))
    assert (books.held_usd, books.billed_usd) == (Decimal("0.15"), Decimal("0.15"))
    check_books(ledger)


def test_a_line_that_fal_corrects_is_corrected(ledger: Ledger) -> None:
    (job_id,) = pending(ledger)
    request_id = f"request-{archived(ledger, job_id)}"
    for usd in ("0.15", "0.18"):
        billed(ledger, {request_id: Decimal(usd)})
        assert account(ledger)["spent_usd"] == Decimal(usd)
    check_books(ledger)


@pytest.mark.parametrize("charge", ["none", "maybe"])
def test_a_failure_that_fal_billed_is_paid(ledger: Ledger, charge: str) -> None:
    (job_id,) = pending(ledger)
    failed = submitted(ledger, job_id)
    settle_failed(
        ledger,
        failed,
        REFUSED_PROMPT if charge == "maybe" else CRASHED,
        ending="permanent",
        charge="maybe" if charge == "maybe" else "none",
        price=PRICE,
    )
    billed(ledger, {f"request-{failed}": PRICE})
    assert state(ledger, job_id) is State.FAILED
    assert (account(ledger)["spent_usd"], attempt(ledger, failed)["cost_basis"]) == (
        PRICE,
        "billed",
    )
    check_books(ledger)


def test_a_result_fal_did_not_bill_is_told_once_the_bill_had_time(ledger: Ledger) -> None:
    (job_id,) = pending(ledger)
    paid_for = archived(ledger, job_id)
    at = attempt(ledger, paid_for)["completed_at"]
    batch = batch_named(ledger)
    assert books_of(ledger, batch.id, at + timedelta(minutes=1)).unbilled == 0
    late = at + timedelta(minutes=16)
    assert books_of(ledger, batch.id, late).unbilled == 1
    billed(ledger, {f"request-{paid_for}": PRICE})
    assert books_of(ledger, batch.id, late).unbilled == 0


def test_what_fal_billed_for_a_stray_is_in_its_sum(ledger: Ledger) -> None:
    (job_id,) = pending(ledger)
    paid_for = archived(ledger, job_id)
    batch, at = batch_named(ledger), began(ledger, paid_for)
    stray = Stray(request_id="r-9", job_id=job_id, endpoint_id="fal-ai/ovi", sent_at=at)
    note_strays(ledger, batch.id, [stray])
    billed(ledger, {f"request-{paid_for}": PRICE, "r-9": PRICE})
    books = books_of(ledger, batch.id, at)
    assert (books.held_usd, books.billed_usd) == (PRICE, 2 * PRICE)


def test_billed_money_of_another_day_is_no_gift_to_this_one(ledger: Ledger) -> None:
    (job_id,) = pending(ledger)
    paid_for = archived(ledger, job_id)
    yesterday = began(ledger, paid_for) - timedelta(days=1)
    put(ledger, attempts, attempts.c.id == paid_for, claimed_at=yesterday)
    before = account(ledger)["day_usd"]
    billed(ledger, {f"request-{paid_for}": Decimal("0.05")})
    assert account(ledger)["day_usd"] == before

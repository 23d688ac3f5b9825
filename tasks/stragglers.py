"""Settle stragglers: requests whose job went on without them, and that fal took after all.

Nobody waits for them, so what still runs is cancelled; what was made is booked, and serves the
job if it has no video yet.
"""

from __future__ import annotations

from sqlalchemy import RowMapping

from reelbatch.errors import Permanent, Transient
from reelbatch.fal.answers import (
    Completed,
    FailedResult,
    Gone,
    GoodResult,
    NotYet,
    Queued,
    Running,
    Submission,
)
from reelbatch.fal.endpoints import ENDPOINTS
from reelbatch.ledger import results, strays
from reelbatch.ledger.answers import Why
from reelbatch.run.entries import submission_in
from reelbatch.run.run import Run
from reelbatch.run.settling import settle, settle_cancelled
from tasks.lost import COUNTS_AFTER


async def settle_stragglers(run: Run) -> None:
    """One look at each; what is not over yet is left to the next run."""
    for straggler in await run.book(strays.stragglers_of, run.ledger, run.batch.id):
        try:
            await _settle(run, straggler)
        except (Transient, Permanent):
            continue


async def _settle(run: Run, attempt: RowMapping) -> None:
    submission = submission_in(attempt)
    match await run.fal.status(submission):
        case Completed():
            await _book(run, attempt, submission)
        case Gone():
            await _gone(run, attempt)
        case Queued() | Running():
            await _cancel(run, attempt, submission)


async def _book(run: Run, attempt: RowMapping, submission: Submission) -> None:
    output = ENDPOINTS[attempt["endpoint_id"]].output
    match await run.fal.result(submission, output=output):
        case GoodResult() | FailedResult() as answer:
            price = run.prices.of(attempt["endpoint_id"])
            await run.book(settle, run.ledger, attempt["id"], answer, price)
        case NotYet() | Gone():
            return


async def _cancel(run: Run, attempt: RowMapping, submission: Submission) -> None:
    if attempt["cancel_asked_at"] is not None:
        return
    answer = await run.fal.cancel(submission)
    message = "Its job had gone on without it."
    price = run.prices.of(attempt["endpoint_id"])
    await run.book(settle_cancelled, run.ledger, attempt["id"], answer, price, message=message)


async def _gone(run: Run, attempt: RowMapping) -> None:
    silence = await run.book(results.gone, run.ledger, attempt["id"])
    if silence >= COUNTS_AFTER:
        why = Why(error_type="result_lost", message="fal no longer knows the request.")
        await run.book(
            results.settle_failed,
            run.ledger,
            attempt["id"],
            why,
            ending="permanent",
            charge="lost",
            price=run.prices.of(attempt["endpoint_id"]),
        )

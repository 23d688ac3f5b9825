"""Settle stragglers: requests whose job went on without them, and that fal took after all.

Nobody waits for them, so what still runs is cancelled; what was made is booked, and serves the
job if it has no video yet.
"""

from __future__ import annotations

from sqlalchemy import RowMapping

from reelbatch.errors import Permanent, Transient
from reelbatch.fal.answers import (
    CancelAnswer,
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
from reelbatch.jobs import RequestId
from reelbatch.ledger import results, strays
from reelbatch.ledger.answers import Why
from reelbatch.ledger.results import Charge, Ending
from reelbatch.run.run import Run
from reelbatch.run.settling import settle
from tasks.lost import COUNTS_AFTER

REMOVED = (CancelAnswer.REMOVED, CancelAnswer.NOT_FOUND)


async def settle_stragglers(run: Run) -> None:
    """One look at each; what is not over yet is left to the next run."""
    for straggler in await run.book(strays.stragglers_of, run.ledger, run.batch.id):
        try:
            await _settle(run, straggler)
        except (Transient, Permanent):
            continue


async def _settle(run: Run, attempt: RowMapping) -> None:
    submission = Submission(
        request_id=RequestId(attempt["request_id"]),
        status_url=attempt["status_url"],
        response_url=attempt["response_url"],
        cancel_url=attempt["cancel_url"],
    )
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
    await run.book(results.cancel_asked, run.ledger, attempt["id"], answer)
    if answer in REMOVED:
        why = Why(error_type="client_cancelled", message="Its job had gone on without it.")
        await _failed(run, attempt, why, "cancelled", "none")


async def _gone(run: Run, attempt: RowMapping) -> None:
    silence = await run.book(results.gone, run.ledger, attempt["id"])
    if silence >= COUNTS_AFTER:
        why = Why(error_type="result_lost", message="fal no longer knows the request.")
        await _failed(run, attempt, why, "permanent", "lost")


async def _failed(run: Run, attempt: RowMapping, why: Why, ending: Ending, charge: Charge) -> None:
    price = run.prices.of(attempt["endpoint_id"])
    await run.book(
        results.settle_failed,
        run.ledger,
        attempt["id"],
        why,
        ending=ending,
        charge=charge,
        price=price,
    )

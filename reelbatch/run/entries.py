"""fal's answers in the ledger's words: what is written down of them."""

from __future__ import annotations

from reelbatch.fal.answers import GoodResult, Submission
from reelbatch.ledger.answers import Accepted
from reelbatch.ledger.results import Good


def handle_of(submission: Submission) -> Accepted:
    """fal's handle on a request, as an attempt keeps it."""
    return Accepted(
        request_id=submission.request_id,
        status_url=submission.status_url,
        response_url=submission.response_url,
        cancel_url=submission.cancel_url,
    )


def good_of(answer: GoodResult, *, inference_seconds: float | None = None) -> Good:
    """A finished request, as a job keeps it."""
    units = answer.billable_units
    return Good(
        payload=answer.payload,
        output_url=answer.output.url,
        output_bytes=answer.output.file_size,
        inference_seconds=inference_seconds,
        billable_units=None if units is None else str(units),
    )

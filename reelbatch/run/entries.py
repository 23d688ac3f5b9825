"""fal's answers in the ledger's words: what is written down of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import RowMapping

from reelbatch.fal.answers import GoodResult, Submission
from reelbatch.jobs import RequestId
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


def submission_in(attempt: Mapping[str, Any] | RowMapping) -> Submission:
    """And back: the handle that an attempt has kept."""
    return Submission(
        request_id=RequestId(attempt["request_id"]),
        status_url=attempt["status_url"],
        response_url=attempt["response_url"],
        cancel_url=attempt["cancel_url"],
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

"""What became of a request: its video, or why there is none.

fal replays the model's own answer, so a 422 here is the job's and a 502 may be nobody's.
An answer is certainly the job's own only if it carries `x-fal-request-id` or
`X-Fal-Error-Type`; any other 5xx is a flake, and the result is asked for again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from reelbatch.fal.answers import (
    FailedResult,
    Gone,
    NotYet,
    ResultAnswer,
    Submission,
)
from reelbatch.fal.error_types import Family
from reelbatch.fal.failures import Failure, failure_of
from reelbatch.fal.outputs import good_result
from reelbatch.fal.reply import Reply
from reelbatch.fal.status import GONE
from reelbatch.fal.wire import Wire

OWN_HEADERS = ("x-fal-request-id", "x-fal-error-type", "x-fal-request-timeout-type")
NOT_THE_JOBS = {Family.LOCKED, Family.AUTH, Family.THROTTLED, Family.FLAKE}
"""These speak of the account, the key or a gateway, whatever headers they carry."""

VIDEO = ("video",)


async def read_result(
    wire: Wire, submission: Submission, *, output: Sequence[str] = VIDEO
) -> ResultAnswer:
    """The result, its file at the path `output`. Raises Transient when it must be asked again."""
    return result_in(await wire.call("GET", submission.response_url), output)


def result_in(reply: Reply, output: Sequence[str] = VIDEO) -> ResultAnswer:
    if reply.status == 202 or _still_running(reply):
        return NotYet()
    if reply.ok:
        return _finished(reply, output)
    if reply.broken or reply.status < 400:
        raise reply.transient("a result")
    return _unfinished(reply)


def _still_running(reply: Reply) -> bool:
    return reply.status == 400 and b"still in progress" in reply.body


def _finished(reply: Reply, output: Sequence[str]) -> ResultAnswer:
    """A body that is no JSON is the line's fault: it was paid, so it is asked for again."""
    try:
        content = reply.parsed()
    except ValueError:
        raise reply.transient("a result") from None
    if good := good_result(content, output, billable_units=_billable_units(reply)):
        return good
    if not _is_own(reply):
        raise reply.transient("a result")
    words = f"fal's result holds no usable {'.'.join(output)}"
    return _failed(reply, failure_of("no_output", words=words, http_status=reply.status))


def _unfinished(reply: Reply) -> ResultAnswer:
    failure = reply.failure()
    if reply.status in GONE and not _names_the_fault(failure):
        return Gone(status_code=reply.status)
    if not _is_the_jobs(reply, failure):
        raise reply.transient("a result")
    return _failed(reply, failure)


def _is_the_jobs(reply: Reply, failure: Failure) -> bool:
    """Without its headers, only a plain refusal in fal's own shape is believed."""
    if failure.family in NOT_THE_JOBS:
        return False
    if _is_own(reply) or failure.family is Family.CANCELLED:
        return True
    return reply.status < 500 and failure.family is Family.PERMANENT and reply.is_json


def _names_the_fault(failure: Failure) -> bool:
    """A 404 of the model itself, unlike the queue's 404 for an id it does not know."""
    return failure.error_type not in ("request_not_found", f"http_{failure.http_status}")


def _failed(reply: Reply, failure: Failure) -> FailedResult:
    return FailedResult(failure=failure, billable_units=_billable_units(reply), own=_is_own(reply))


def _is_own(reply: Reply) -> bool:
    return any(name in reply.headers for name in OWN_HEADERS)


def _billable_units(reply: Reply) -> Decimal | None:
    return units_in(reply.headers)


def units_in(headers: Mapping[str, Any]) -> Decimal | None:
    """`x-fal-billable-units`, where it is a number."""
    try:
        units = Decimal(headers.get("x-fal-billable-units", ""))
    except InvalidOperation:
        return None
    return units if units.is_finite() else None

"""What fal can answer, as values: whoever asks matches on them and never sees a status code.

Every union is closed, so a `match` over it can end in `assert_never`. What is none of
these is raised: Transient (ask again) or Permanent (tell the user).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from reelbatch.fal.failures import Failure
from reelbatch.jobs import RequestId


@dataclass(frozen=True, kw_only=True)
class Submission:
    """One accepted request at fal. The URLs lie on the configured queue host."""

    request_id: RequestId
    status_url: str
    response_url: str
    cancel_url: str


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """fal has the request and will run it, once."""

    submission: Submission


@dataclass(frozen=True, kw_only=True)
class NotSent:
    """No connection was made: fal cannot have seen the request. Safe to send again."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class Rejected:
    """fal read the request and refused it. Nothing runs, nothing is billed."""

    failure: Failure
    retry_after: float | None = None
    """Seconds, where fal named them."""


@dataclass(frozen=True, kw_only=True)
class Ambiguous:
    """fal may have accepted the request. It must not be sent again without evidence."""

    reason: str
    failure: Failure | None = None


SubmitOutcome = Accepted | NotSent | Rejected | Ambiguous


@dataclass(frozen=True, kw_only=True)
class Queued:
    """Waiting at fal, with this many requests ahead of it."""

    position: int | None


@dataclass(frozen=True, kw_only=True)
class Running:
    """A runner has it. It may still go back into the queue (fal.md, section 3.8)."""

    logs: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Completed:
    """fal is done with it, well or not: only the result tells."""

    error: str | None = None
    error_type: str | None = None
    inference_seconds: float | None = None
    logs: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Gone:
    """fal does not know the request (404) or no longer keeps it (410)."""

    status_code: int


Status = Queued | Running | Completed | Gone


@dataclass(frozen=True, kw_only=True)
class OutputFile:
    """A file of a result. Only its URL is certain (fal.md, section 14)."""

    url: str
    content_type: str | None = None
    file_name: str | None = None
    file_size: int | None = None


@dataclass(frozen=True, kw_only=True)
class GoodResult:
    """A video, and fal's whole payload with it."""

    payload: Mapping[str, Any]
    output: OutputFile
    seed: int | None = None
    billable_units: Decimal | None = None


@dataclass(frozen=True, kw_only=True)
class FailedResult:
    """The job ended without a video.

    `own` says whether the answer is certainly the job's own, and not a gateway's.
    """

    failure: Failure
    billable_units: Decimal | None = None
    own: bool = True


@dataclass(frozen=True)
class NotYet:
    """The request is still in the queue or running."""


ResultAnswer = GoodResult | FailedResult | NotYet | Gone


class CancelAnswer(StrEnum):
    """What fal says to a cancellation (fal.md, section 3.6)."""

    REMOVED = "removed"
    """It left the queue without running."""
    REQUESTED = "requested"
    """It runs; it may stop, or complete and be billed all the same."""
    ALREADY_COMPLETED = "already_completed"
    """Too late: collect it."""
    NOT_FOUND = "not_found"
    """fal does not know the request."""


class KeyCheck(StrEnum):
    """What a free look at fal says of the key."""

    GOOD = "good"
    """fal knows it. A lock for want of balance may still show only at a submission."""
    BAD = "bad"
    """fal refuses it."""
    MISSING = "missing"
    """There is none in the settings; nothing was asked."""
    LOCKED = "locked"
    """fal knows it, and the account is locked."""
    UNKNOWN = "unknown"
    """fal answered something that says nothing of the key."""
    UNREACHABLE = "unreachable"
    """No answer."""


@dataclass(frozen=True, kw_only=True)
class Price:
    """Dollars for one unit of an endpoint's output."""

    usd: Decimal
    unit: str


@dataclass(frozen=True, kw_only=True)
class ListedRequest:
    """One line of fal's list of what an account has run. Times are fal's own clock."""

    request_id: RequestId
    endpoint_id: str
    sent_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    status_code: int | None = None
    json_input: Mapping[str, Any] | None = None
    json_output: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class BillingEvent:
    """One line of fal's bill. Failures have none."""

    request_id: RequestId
    endpoint_id: str
    usd: Decimal
    billed_at: datetime | None = None
    output_units: Decimal | None = None

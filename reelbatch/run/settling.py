"""One settle for polls, webhooks and sweeps: fal's answer is booked, and moves its job on."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import RowMapping

from reelbatch.fal.answers import CancelAnswer, FailedResult, GoodResult
from reelbatch.fal.error_types import Family
from reelbatch.jobs import State
from reelbatch.ledger import Ledger, images, reading, results
from reelbatch.ledger.answers import Why
from reelbatch.ledger.results import Charge, Ending
from reelbatch.run.entries import good_of

IMAGE_NOT_LOADED = frozenset({"file_download_error", "image_load_error"})

ENDINGS: dict[Family, Ending] = {
    Family.TRANSIENT: "transient",
    Family.THROTTLED: "transient",
    Family.FLAKE: "transient",
    Family.START_TIMEOUT: "start_timeout",
    Family.CANCELLED: "cancelled",
}


@dataclass(frozen=True, kw_only=True)
class Settled:
    """Where the job stands, and whether it was this call that brought it there."""

    state: State
    by_us: bool


def settle(
    ledger: Ledger,
    attempt_id: str,
    answer: GoodResult | FailedResult,
    price: Decimal,
    *,
    inference_seconds: float | None = None,
) -> Settled:
    """Book it. Settling twice changes nothing."""
    if isinstance(answer, FailedResult):
        return Settled(state=_settle_failed(ledger, attempt_id, answer, price), by_us=True)
    good = good_of(answer, inference_seconds=inference_seconds)
    if results.settle_good(ledger, attempt_id, good, price):
        return Settled(state=State.COMPLETED, by_us=True)
    state = reading.job_of_attempt(ledger, attempt_id)["state"]
    return Settled(state=State(state), by_us=False)


def _settle_failed(ledger: Ledger, attempt_id: str, answer: FailedResult, price: Decimal) -> State:
    failure = answer.failure
    return results.settle_failed(
        ledger,
        attempt_id,
        Why(
            error_type=failure.error_type,
            message=failure.message,
            http_status=failure.http_status,
        ),
        ending=_ending(ledger, attempt_id, answer),
        charge=charge_of(answer),
        price=price,
    )


def _ending(ledger: Ledger, attempt_id: str, answer: FailedResult) -> Ending:
    """An upload that fal could not load is forgotten, and its job gets one more try."""
    failure = answer.failure
    if failure.error_type in IMAGE_NOT_LOADED:
        job = reading.job_of_attempt(ledger, attempt_id)
        if _was_uploaded(job) and not job["transient_failures"]:
            images.forget_upload(ledger, job["account_id"], job["image_sha256"])
            return "transient"
    return ENDINGS.get(failure.family, "permanent")


def settle_cancelled(
    ledger: Ledger,
    attempt_id: str,
    answer: CancelAnswer,
    price: Decimal,
    *,
    message: str = "fal removed it.",
) -> State | None:
    """Book fal's answer to our cancellation. None: it is not gone, and is collected all the same.

    Only what fal confirms is cancelled: a running request may still end well, and be billed.
    """
    results.cancel_asked(ledger, attempt_id, answer)
    if answer not in (CancelAnswer.REMOVED, CancelAnswer.NOT_FOUND):
        return None
    why = Why(error_type="client_cancelled", message=message)
    return results.settle_failed(
        ledger, attempt_id, why, ending="cancelled", charge="none", price=price
    )


def _was_uploaded(job: RowMapping) -> bool:
    location = job["image_location"] or ""
    return bool(job["image_sha256"]) and not location.startswith(("http://", "https://"))


def is_permanent(answer: FailedResult) -> bool:
    """Whether the same request would fail again."""
    return ENDINGS.get(answer.failure.family, "permanent") == "permanent"


def charge_of(answer: FailedResult) -> Charge:
    """5xx is never billed; a 4xx may be, unless fal says 0 units (fal.md, section 5)."""
    status = answer.failure.http_status or 0
    if status >= 500 or status == 499 or answer.billable_units == Decimal(0):
        return "none"
    return "maybe"

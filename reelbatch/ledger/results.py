"""Settle: one idempotent way to reach a result, for polls, webhooks and sweeps alike.

A good result beats doubt, failure and cancellation, however late: it was paid.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from sqlalchemy import Connection, RowMapping

from reelbatch.jobs import State
from reelbatch.ledger import bills
from reelbatch.ledger.answers import Why, attempt_and_account, move
from reelbatch.ledger.engine import Ledger
from reelbatch.ledger.schema import attempts, jobs

TRANSIENT_RETRIES = 1
"""fal retries runner failures itself up to 10 times (fal.md, section 3.8)."""
START_TIMEOUTS = 3
BACKOFF_SECONDS = 5.0

Ending = Literal["transient", "permanent", "start_timeout", "cancelled"]
Charge = Literal["none", "maybe", "lost"]

_OPEN = {State.SUBMITTING, State.IN_DOUBT, State.SUBMITTED}
_BEATEN = _OPEN | {State.PENDING, State.FAILED, State.CANCELLED}


@dataclass(frozen=True, kw_only=True)
class Good:
    """A finished request: fal's payload, and where its video is."""

    payload: Mapping[str, Any]
    output_url: str
    output_bytes: int | None
    inference_seconds: float | None
    billable_units: str | None


def settle_good(ledger: Ledger, attempt_id: str, good: Good, price: Decimal) -> bool:
    """Book the result and hand the job to the archiver. False when it was settled already."""
    with ledger.writing() as tx:
        job, _, at = attempt_and_account(tx, attempt_id)
        bills.settle(tx, job, attempt_id, price, "priced", at)
        _finished(tx, attempt_id, at, outcome="good", inference_seconds=good.inference_seconds,
                  billable_units=good.billable_units)  # fmt: skip
        return move(
            tx, job["id"], _BEATEN, State.COMPLETED, at,
            attempt_id=attempt_id, completed_at=at, result=dict(good.payload),
            output_url=good.output_url, output_bytes=good.output_bytes,
            error_type=None, error_message=None,
        )  # fmt: skip


def settle_failed(
    ledger: Ledger,
    attempt_id: str,
    why: Why,
    *,
    ending: Ending,
    charge: Charge,
    price: Decimal,
) -> State:
    """Book a failure; returns where the job stands now: PENDING if it is tried again."""
    with ledger.writing() as tx:
        job, _, at = attempt_and_account(tx, attempt_id)
        if charge == "none":
            bills.release(tx, job, attempt_id, at)
        else:
            bills.settle(tx, job, attempt_id, price, charge, at)
        _finished(tx, attempt_id, at, outcome="failed", http_status=why.http_status,
                  error_type=why.error_type, error_message=why.message)  # fmt: skip
        to, values = _after(job, ending, why, at)
        move(tx, job["id"], _OPEN, to, at, attempt_id=attempt_id, **values)
        return to


def _after(
    job: RowMapping, ending: Ending, why: Why, at: datetime
) -> tuple[State, dict[str, object]]:
    """Where a failure leads: a start timeout was never run, a transient one gets one more try."""
    reason: dict[str, object] = {"error_type": why.error_type, "error_message": why.message}
    if ending == "cancelled":
        return State.CANCELLED, reason
    if job["withdrawn"]:
        return State.FAILED, reason
    if ending == "start_timeout" and job["start_timeouts"] < START_TIMEOUTS:
        return State.PENDING, reason | {"start_timeouts": job["start_timeouts"] + 1}
    if ending == "transient" and job["transient_failures"] < TRANSIENT_RETRIES:
        tries = job["transient_failures"] + 1
        return State.PENDING, reason | {"transient_failures": tries, "not_before": _later(at)}
    return State.FAILED, reason


def _later(at: datetime) -> datetime:
    return at + timedelta(seconds=BACKOFF_SECONDS * random.uniform(0.5, 1.5))


def gone(ledger: Ledger, attempt_id: str) -> timedelta:
    """fal does not know the request, now. Returns for how long it has said nothing else."""
    with ledger.writing() as tx:
        _, _, at = attempt_and_account(tx, attempt_id)
        attempt = attempts.c
        tx.execute(
            attempts.update()
            .where(attempt.id == attempt_id, attempt.gone_since.is_(None))
            .values(gone_since=at)
        )
        row = tx.execute(attempts.select().where(attempt.id == attempt_id)).mappings().one()
        since: datetime = row["gone_since"]
        return at - since


def back(ledger: Ledger, attempt_id: str) -> None:
    """fal knows the request again: the 404 has passed."""
    with ledger.writing() as tx:
        tx.execute(attempts.update().where(attempts.c.id == attempt_id).values(gone_since=None))


def cancel_asked(ledger: Ledger, attempt_id: str, answer: str) -> None:
    """A job is cancelled once at fal; this remembers that, and what fal said."""
    with ledger.writing() as tx:
        _, _, at = attempt_and_account(tx, attempt_id)
        tx.execute(
            attempts.update()
            .where(attempts.c.id == attempt_id)
            .values(cancel_asked_at=at, cancel_answer=answer)
        )


def note_trouble(ledger: Ledger, job_id: str, why: Why) -> None:
    """Collecting or archiving did not work yet; the job stays where it is, with the reason."""
    with ledger.writing() as tx:
        tx.execute(
            jobs.update()
            .where(jobs.c.id == job_id)
            .values(error_type=why.error_type, error_message=why.message)
        )


def _finished(tx: Connection, attempt_id: str, at: datetime, **values: object) -> None:
    tx.execute(
        attempts.update().where(attempts.c.id == attempt_id).values(completed_at=at, **values)
    )

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

from sqlalchemy import Connection, select

from reelbatch.jobs import State
from reelbatch.ledger import bills
from reelbatch.ledger.answers import Why, move
from reelbatch.ledger.engine import Ledger, now
from reelbatch.ledger.posts import Post, lock_post
from reelbatch.ledger.schema import attempts, jobs
from reelbatch.ledger.writing import change, job_in

TRANSIENT_RETRIES = 1
"""fal retries runner failures itself up to 10 times (fal.md, section 3.8)."""
START_TIMEOUTS = 3
BACKOFF_SECONDS = 5.0

Ending = Literal["transient", "permanent", "start_timeout", "cancelled"]
Charge = Literal["none", "maybe", "lost"]

_OPEN = frozenset({State.SUBMITTING, State.IN_DOUBT, State.SUBMITTED})
_IDLE = frozenset({State.PENDING, State.FAILED, State.CANCELLED})
"""No request is out for the job: any good result, even an old attempt's, is welcome."""


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
        post = lock_post(tx, attempt_id)
        bills.settle(tx, post, price, "priced")
        if post.outcome != "good":
            _finished(
                tx,
                post,
                outcome="good",
                inference_seconds=good.inference_seconds,
                billable_units=good.billable_units,
            )
        return _complete(tx, post, good)


def _complete(tx: Connection, post: Post, good: Good) -> bool:
    beaten = _OPEN | _IDLE if post.is_newest else _IDLE
    completed = {
        "this_id": post.job_id,
        "state": State.COMPLETED,
        "state_at": post.at,
        "attempt_id": post.attempt_id,
        "completed_at": post.at,
        "result": dict(good.payload),
        "output_url": good.output_url,
        "output_bytes": good.output_bytes,
        "error_type": None,
        "error_message": None,
    }
    return bool(tx.execute(job_in(beaten), completed).rowcount == 1)


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
        post = lock_post(tx, attempt_id)
        if post.is_settled:
            return post.state
        if charge == "none":
            bills.release(tx, post)
        else:
            bills.settle(tx, post, price, charge)
        _finished(
            tx,
            post,
            outcome="failed",
            http_status=why.http_status,
            error_type=why.error_type,
            error_message=why.message,
        )
        to, values = _after(post, ending, why)
        moved = move(tx, post.job_id, _OPEN, to, post.at, attempt_id=attempt_id, **values)
        return to if moved else post.state


def _after(post: Post, ending: Ending, why: Why) -> tuple[State, dict[str, object]]:
    """Where a failure leads: a start timeout was never run, a transient one gets one more try."""
    reason: dict[str, object] = {"error_type": why.error_type, "error_message": why.message}
    if ending == "cancelled":
        return State.CANCELLED, reason
    if post.withdrawn:
        return State.FAILED, reason
    if ending == "start_timeout" and post.start_timeouts < START_TIMEOUTS:
        return State.PENDING, reason | {"start_timeouts": post.start_timeouts + 1}
    if ending == "transient" and post.transient_failures < TRANSIENT_RETRIES:
        tries = post.transient_failures + 1
        return State.PENDING, reason | {"transient_failures": tries, "not_before": _later(post.at)}
    return State.FAILED, reason


def _later(at: datetime) -> datetime:
    return at + timedelta(seconds=BACKOFF_SECONDS * random.uniform(0.5, 1.5))


def gone(ledger: Ledger, attempt_id: str) -> timedelta:
    """fal does not know the request, now. Returns for how long it has said nothing else."""
    attempt = attempts.c
    with ledger.writing() as tx:
        at = now(tx)
        unheard_of = attempts.update().where(attempt.id == attempt_id, attempt.gone_since.is_(None))
        tx.execute(unheard_of.values(gone_since=at))
        since: datetime = tx.execute(
            select(attempt.gone_since).where(attempt.id == attempt_id)
        ).scalar_one()
        return at - since


def back(ledger: Ledger, attempt_id: str) -> None:
    """fal knows the request again: the 404 has passed."""
    with ledger.writing() as tx:
        tx.execute(attempts.update().where(attempts.c.id == attempt_id).values(gone_since=None))


def renewed(ledger: Ledger, attempt_id: str, good: Good) -> None:
    """fal shows the same result's video at another place: it is fetched from there."""
    with ledger.writing() as tx:
        post = lock_post(tx, attempt_id)
        change(tx, attempts, attempt_id, gone_since=None)
        where = {"output_url": good.output_url, "output_bytes": good.output_bytes}
        done = {State.COMPLETED}
        move(tx, post.job_id, done, State.COMPLETED, post.at, attempt_id=attempt_id, **where)


def lost(ledger: Ledger, attempt_id: str, why: Why) -> bool:
    """The video of a paid result cannot be had any more; it stays paid."""
    with ledger.writing() as tx:
        post = lock_post(tx, attempt_id)
        return move(
            tx,
            post.job_id,
            {State.COMPLETED},
            State.FAILED,
            post.at,
            attempt_id=attempt_id,
            error_type=why.error_type,
            error_message=why.message,
        )


def cancel_asked(ledger: Ledger, attempt_id: str, answer: str) -> None:
    """A job is cancelled once at fal; this remembers that, and what fal said first.

    Where two ask, the second hears that it is over: that says nothing of how it ended.
    """
    with ledger.writing() as tx:
        first = (attempts.c.id == attempt_id) & attempts.c.cancel_answer.is_(None)
        values = {"cancel_asked_at": now(tx), "cancel_answer": answer}
        tx.execute(attempts.update().where(first).values(values))


def note_trouble(ledger: Ledger, job_id: str, why: Why) -> None:
    """Collecting or archiving did not work yet; the job stays where it is, with the reason."""
    with ledger.writing() as tx:
        tx.execute(
            jobs.update()
            .where(jobs.c.id == job_id)
            .values(error_type=why.error_type, error_message=why.message)
        )


def _finished(tx: Connection, post: Post, **values: object) -> None:
    change(tx, attempts, post.attempt_id, completed_at=post.at, **values)

"""Requests that fal ran for us and that no job waits for.

A *straggler* is held by an attempt that its job has gone on without; a *stray* is held by
none: fal lists it, with a body of ours. Adopted, it is an attempt like any other.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, RowMapping, and_, exists, func, select

from reelbatch.jobs import BatchId, State
from reelbatch.ledger import answers, bills
from reelbatch.ledger.answers import Accepted
from reelbatch.ledger.engine import Ledger, now
from reelbatch.ledger.posts import lock_account_of_job
from reelbatch.ledger.schema import attempts, jobs, strays
from reelbatch.ledger.writing import add, change, insert_or

NEAR = timedelta(minutes=2)
"""A POST leaves within ten seconds of its claim and is given up after thirty; clocks differ."""
IDLE = (State.PENDING, State.FAILED, State.CANCELLED)
"""No request is out for the job: a stray may be its own."""

STRAGGLING = and_(
    jobs.c.attempts > 1,
    attempts.c.id != jobs.c.attempt_id,
    attempts.c.request_id.is_not(None),
    attempts.c.completed_at.is_(None),
)
"""Of an attempt and its job: fal accepted it, it has no result, and its job has gone on."""


@dataclass(frozen=True, kw_only=True)
class Stray:
    """A request on fal's list that has a body of this job and that no attempt holds."""

    request_id: str
    job_id: str
    endpoint_id: str
    sent_at: datetime
    """By our clock."""


def stragglers_of(ledger: Ledger, batch_id: BatchId) -> list[RowMapping]:
    """Accepted requests without a result whose job has gone on, each with its job's endpoint."""
    query = (
        select(attempts, jobs.c.endpoint_id)
        .join(jobs, jobs.c.id == attempts.c.job_id)
        .where(jobs.c.batch_id == batch_id, STRAGGLING)
        .order_by(attempts.c.claimed_at)
    )
    with ledger.reading() as tx:
        return list(tx.execute(query).mappings())


def note_strays(ledger: Ledger, batch_id: BatchId, found: Iterable[Stray]) -> None:
    """Remember them until somebody holds them; noting one twice changes nothing."""
    with ledger.writing() as tx:
        for stray in found:
            tx.execute(
                insert_or(tx, strays)
                .values(
                    request_id=stray.request_id,
                    batch_id=batch_id,
                    job_id=stray.job_id,
                    sent_at=stray.sent_at,
                    seen_at=now(tx),
                )
                .on_conflict_do_nothing()
            )


def strays_of(ledger: Ledger, batch_id: BatchId) -> list[Stray]:
    """Those that still nobody holds, oldest first."""
    query = (
        select(strays.c.request_id, strays.c.job_id, jobs.c.endpoint_id, strays.c.sent_at)
        .join(jobs, jobs.c.id == strays.c.job_id)
        .where(
            strays.c.batch_id == batch_id,
            ~exists().where(attempts.c.request_id == strays.c.request_id),
        )
        .order_by(strays.c.sent_at)
    )
    with ledger.reading() as tx:
        return [Stray(**row) for row in tx.execute(query).mappings()]


def adopt(ledger: Ledger, stray: Stray, handle: Accepted, price: Decimal) -> bool:
    """Make it an attempt of its job: the POST whose answer was lost, else one of its own.

    A job that waits for nothing else collects it; else it is a straggler. False when another
    attempt holds it by now.
    """
    lost = _lost_attempt(ledger, stray)
    if lost is not None:
        return answers.accepted(ledger, lost, handle)
    return adopt_beside(ledger, stray, handle, price)


def adopt_beside(ledger: Ledger, stray: Stray, handle: Accepted, price: Decimal) -> bool:
    """Make it an attempt of its own, whatever the job's other attempts are."""
    with ledger.writing() as tx:
        account = lock_account_of_job(tx, stray.job_id)
        if answers.belongs_to_another(tx, handle.request_id):
            return False
        _another_attempt(tx, account, stray, handle, price)
        return True


def _another_attempt(
    tx: Connection, account: RowMapping, stray: Stray, handle: Accepted, price: Decimal
) -> None:
    """What fal ran, written down as if we had sent it: for an idle job it is the newest."""
    job = tx.execute(select(jobs).where(jobs.c.id == stray.job_id)).mappings().one()
    at, n = now(tx), job["attempts"] + 1
    attempt_id = f"{job['id']}-{n}"
    add(
        tx,
        attempts,
        id=attempt_id,
        job_id=job["id"],
        n=n,
        token=secrets.token_urlsafe(16),
        body=_body_of(tx, job["id"]),
        claimed_at=stray.sent_at,
        deadline_at=stray.sent_at,
        answered_at=at,
        outcome="accepted",
        reserved_usd=price,
        **asdict(handle),
    )
    bills.reserve(tx, account, job["batch_id"], job["id"], attempt_id, price, at)
    change(tx, jobs, job["id"], attempts=n)
    if State(job["state"]) in IDLE:
        waits = {"state": State.SUBMITTED, "state_at": at, "attempt_id": attempt_id}
        change(tx, jobs, job["id"], error_type=None, error_message=None, **waits)


def _body_of(tx: Connection, job_id: str) -> Mapping[str, Any]:
    """As the job was sent before; a stray was found by it."""
    sent = select(attempts.c.body).where(attempts.c.job_id == job_id)
    body: Mapping[str, Any] = tx.execute(sent.order_by(attempts.c.n).limit(1)).scalar_one()
    return body


def _lost_attempt(ledger: Ledger, stray: Stray) -> str | None:
    """The attempt of that time that has no request yet; one in doubt first."""
    attempt = attempts.c
    query = (
        select(attempt.id)
        .where(
            attempt.job_id == stray.job_id,
            attempt.request_id.is_(None),
            attempt.outcome.is_not(None),
            attempt.claimed_at.between(stray.sent_at - NEAR, stray.sent_at + NEAR),
        )
        .order_by(func.coalesce(attempt.outcome, "") != "in_doubt", attempt.n.desc())
        .limit(1)
    )
    with ledger.reading() as tx:
        return tx.execute(query).scalar()

"""The ledger's side of a reconciliation: what was compared with fal's own records, and when."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, func, select

from reelbatch.jobs import BatchId
from reelbatch.ledger import bills
from reelbatch.ledger.engine import Ledger
from reelbatch.ledger.entering import CHUNK, in_chunks
from reelbatch.ledger.posts import lock_post
from reelbatch.ledger.schema import attempts, batches, jobs, strays

OVERLAP = timedelta(hours=24)
"""fal's records have lagged for fifteen hours (fal.md, section 9): so much is read again."""
BILLED_WITHIN = timedelta(minutes=15)
"""fal's bill shows a result within minutes (fal.md, section 9)."""


@dataclass(frozen=True, kw_only=True)
class Sent:
    """One body this batch has sent, or may have."""

    job_id: str
    endpoint_id: str
    body: Mapping[str, Any]
    claimed_at: datetime
    outcome: str | None


@dataclass(frozen=True, kw_only=True)
class Books:
    """Requests and money of a batch, over all of its time."""

    held: int
    listed: int
    """Those of them that fal's list has shown."""
    unbilled: int
    """Results booked as paid, without a line on fal's bill when it should have one."""
    held_usd: Decimal
    billed_usd: Decimal


def read_from(ledger: Ledger, batch_id: BatchId) -> datetime | None:
    """Where the next reading begins; None when nothing was ever sent."""
    first = (
        select(func.min(attempts.c.claimed_at))
        .join(jobs, jobs.c.id == attempts.c.job_id)
        .where(jobs.c.batch_id == batch_id)
    )
    with ledger.reading() as tx:
        began: datetime | None = tx.execute(first).scalar()
        until: datetime | None = tx.execute(
            select(batches.c.reconciled_until).where(batches.c.id == batch_id)
        ).scalar()
    if began is None or until is None:
        return began
    return max(began, until - OVERLAP)


def endpoints_of(ledger: Ledger, batch_id: BatchId) -> list[str]:
    """The endpoints this batch has jobs for."""
    with ledger.reading() as tx:
        found = select(jobs.c.endpoint_id).where(jobs.c.batch_id == batch_id).distinct()
        return sorted(tx.execute(found).scalars())


def bodies_sent(ledger: Ledger, batch_id: BatchId) -> list[Sent]:
    """Every body of the batch."""
    query = (
        select(
            attempts.c.job_id,
            jobs.c.endpoint_id,
            attempts.c.body,
            attempts.c.claimed_at,
            attempts.c.outcome,
        )
        .join(jobs, jobs.c.id == attempts.c.job_id)
        .where(jobs.c.batch_id == batch_id)
    )
    with ledger.reading() as tx:
        return [Sent(**row) for row in tx.execute(query).mappings()]


def listed(ledger: Ledger, request_ids: Collection[str], at: datetime) -> set[str]:
    """Note that fal's list shows these; returns those that an attempt of ours holds."""
    held: set[str] = set()
    for chunk in in_chunks(sorted(request_ids), CHUNK):
        with ledger.writing() as tx:
            ours = attempts.c.request_id.in_(chunk)
            held.update(tx.execute(select(attempts.c.request_id).where(ours)).scalars())
            new = ours & attempts.c.listed_at.is_(None)
            tx.execute(attempts.update().where(new).values(listed_at=at))
    return held


def failed_here(ledger: Ledger, request_ids: Collection[str]) -> dict[str, str]:
    """Those of these requests that our books call failed, each with its attempt."""
    found: dict[str, str] = {}
    for chunk in in_chunks(sorted(request_ids), CHUNK):
        with ledger.reading() as tx:
            query = select(attempts.c.request_id, attempts.c.id).where(
                attempts.c.request_id.in_(chunk), attempts.c.outcome == "failed"
            )
            found |= {row.request_id: row.id for row in tx.execute(query)}
    return found


def billed(ledger: Ledger, bill: Mapping[str, Decimal]) -> None:
    """Book fal's lines, dollars by request id; those of others are left alone."""
    for chunk in in_chunks(sorted(bill), CHUNK):
        with ledger.writing() as tx:
            for request_id, attempt_id in _holders(tx, chunk):
                bills.bill(tx, lock_post(tx, attempt_id), bill[request_id])
            for request_id in chunk:
                stray = strays.c.request_id == request_id
                tx.execute(strays.update().where(stray).values(billed_usd=bill[request_id]))


def _holders(tx: Connection, request_ids: Iterable[str]) -> list[tuple[str, str]]:
    query = select(attempts.c.request_id, attempts.c.id)
    found = tx.execute(query.where(attempts.c.request_id.in_(list(request_ids))))
    return [(row.request_id, row.id) for row in found]


def compared_until(ledger: Ledger, batch_id: BatchId, until: datetime) -> None:
    """Everything sent before then was compared; the position only moves forward."""
    position = batches.c.reconciled_until
    earlier = position.is_(None) | (position < until)
    with ledger.writing() as tx:
        mine = batches.c.id == batch_id
        tx.execute(batches.update().where(mine & earlier).values(reconciled_until=until))


def books_of(ledger: Ledger, batch_id: BatchId, at: datetime) -> Books:
    """The books as they are at that time."""
    attempt = attempts.c
    ours = jobs.c.batch_id == batch_id
    late = (
        (attempt.outcome == "good")
        & attempt.cost_basis.in_(("priced", "maybe", "adopted"))
        & (attempt.completed_at < at - BILLED_WITHIN)
    )
    paid = attempt.cost_basis == "billed"
    query = (
        select(
            func.count(attempt.request_id).label("held"),
            func.count(attempt.listed_at).label("listed"),
            func.count(attempt.id).filter(late).label("unbilled"),
            func.coalesce(func.sum(attempt.cost_usd).filter(paid), Decimal(0)).label("billed_usd"),
        )
        .join(jobs, jobs.c.id == attempt.job_id)
        .where(ours)
    )
    by_strays = select(func.coalesce(func.sum(strays.c.billed_usd), Decimal(0)))
    with ledger.reading() as tx:
        found = tx.execute(query).one()
        held_usd = tx.execute(select(batches.c.spent_usd).where(batches.c.id == batch_id))
        astray = tx.execute(by_strays.where(_astray(batch_id))).scalar_one()
        return Books(
            held=found.held,
            listed=found.listed,
            unbilled=found.unbilled,
            held_usd=held_usd.scalar_one(),
            billed_usd=found.billed_usd + astray,
        )


def _astray(batch_id: BatchId) -> Any:
    held = select(attempts.c.id).where(attempts.c.request_id == strays.c.request_id).exists()
    return (strays.c.batch_id == batch_id) & ~held

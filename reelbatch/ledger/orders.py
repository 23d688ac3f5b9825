"""What people order while runs are live: a mark on the batch, a window for the account.

Claims obey at once; a run reads them now and then, for what it does besides claiming.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import RowMapping, bindparam, func, select

from reelbatch.jobs import BatchId, JobId, State
from reelbatch.ledger.batches import Mark
from reelbatch.ledger.engine import Ledger
from reelbatch.ledger.schema import accounts, attempts, batches, jobs

UNDER_WAY = (State.SUBMITTING, State.SUBMITTED, State.COMPLETED)


@dataclass(frozen=True, kw_only=True)
class Orders:
    """The last word of a person, from whatever terminal."""

    mark: Mark | None
    window: int | None
    """Requests in flight for the account; None leaves it to each run."""


def read_orders(ledger: Ledger, batch_id: BatchId) -> Orders:
    with ledger.reading() as tx:
        return Orders(**tx.execute(_ORDERS, {"batch_id": batch_id}).mappings().one())


_ORDERS = (
    select(batches.c.mark, accounts.c.window)
    .join(accounts, accounts.c.id == batches.c.account_id)
    .where(batches.c.id == bindparam("batch_id"))
)


def set_window(ledger: Ledger, account_id: str, window: int | None) -> None:
    """Another window for every run of the account, at its next claim; None: each its own."""
    with ledger.writing() as tx:
        tx.execute(accounts.update().where(accounts.c.id == account_id).values(window=window))


def under_way(ledger: Ledger, batch_id: BatchId) -> set[JobId]:
    """Jobs of the batch between their claim and the archive."""
    with ledger.reading() as tx:
        return {JobId(found) for found in tx.execute(_UNDER_WAY, {"batch_id": batch_id}).scalars()}


_UNDER_WAY = select(jobs.c.id).where(
    jobs.c.batch_id == bindparam("batch_id"), jobs.c.state.in_(UNDER_WAY)
)


def on_the_wire(ledger: Ledger, batch_id: BatchId) -> int:
    """POSTs of the batch that have no answer yet."""
    query = select(func.count()).where(
        jobs.c.batch_id == batch_id, jobs.c.state == State.SUBMITTING
    )
    with ledger.reading() as tx:
        return int(tx.execute(query).scalar_one())


def submitted(ledger: Ledger, batch_id: BatchId) -> list[RowMapping]:
    """The attempts whose request fal has and nobody has cancelled yet, oldest first."""
    query = (
        select(attempts, jobs.c.endpoint_id)
        .join(jobs, jobs.c.attempt_id == attempts.c.id)
        .where(
            jobs.c.batch_id == batch_id,
            jobs.c.state == State.SUBMITTED,
            attempts.c.cancel_answer.is_(None),
        )
        .order_by(attempts.c.claimed_at)
    )
    with ledger.reading() as tx:
        return list(tx.execute(query).mappings())


def cancelled_requests(ledger: Ledger, batch_id: BatchId) -> set[str]:
    """Requests that are out of fal's queue, so that nobody need wait for them."""
    query = (
        select(attempts.c.request_id)
        .join(jobs, jobs.c.attempt_id == attempts.c.id)
        .where(jobs.c.batch_id == batch_id, jobs.c.state == State.CANCELLED)
    )
    with ledger.reading() as tx:
        return {found for found in tx.execute(query).scalars() if found}

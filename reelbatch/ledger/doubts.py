"""Submissions that nobody knows the fate of, and what settles them: evidence, or a word.

Presence adopts the request that is ours. Absence frees the job and its money. A person's
`resubmit` sends again, and books the old attempt as perhaps paid.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, func, select

from reelbatch.jobs import BatchId, State
from reelbatch.ledger import bills
from reelbatch.ledger.answers import move
from reelbatch.ledger.engine import Ledger, now
from reelbatch.ledger.entering import CHUNK, in_chunks
from reelbatch.ledger.posts import lock_post
from reelbatch.ledger.schema import attempts, jobs
from reelbatch.ledger.writing import change

NEAR = timedelta(minutes=15)
"""How far another submission may be to speak for the list at that time."""


@dataclass(frozen=True, kw_only=True)
class Doubt:
    """One POST without a usable answer."""

    job_id: str
    row_id: str
    attempt_id: str
    endpoint_id: str
    body: Mapping[str, Any]
    claimed_at: datetime
    deadline_at: datetime
    """The last moment at which a request of this POST could still show itself."""
    reserved_usd: Decimal


def doubts_of(ledger: Ledger, batch_id: BatchId) -> list[Doubt]:
    """Every doubt of a batch, oldest first; withdrawn jobs too, for they may be paid."""
    query = (
        select(
            jobs.c.id.label("job_id"),
            jobs.c.row_id,
            attempts.c.id.label("attempt_id"),
            jobs.c.endpoint_id,
            attempts.c.body,
            attempts.c.claimed_at,
            attempts.c.deadline_at,
            attempts.c.reserved_usd,
        )
        .join(attempts, attempts.c.id == jobs.c.attempt_id)
        .where(jobs.c.batch_id == batch_id, jobs.c.state == State.IN_DOUBT)
        .order_by(attempts.c.claimed_at)
    )
    with ledger.reading() as tx:
        return [Doubt(**row) for row in tx.execute(query).mappings()]


def held_requests(ledger: Ledger, request_ids: Collection[str]) -> set[str]:
    """Those of these requests that an attempt of ours holds already."""
    found: set[str] = set()
    with ledger.reading() as tx:
        for chunk in in_chunks(sorted(request_ids), CHUNK):
            query = select(attempts.c.request_id).where(attempts.c.request_id.in_(chunk))
            found.update(tx.execute(query).scalars())
    return found


def neighbours_of(ledger: Ledger, account_id: str, doubt: Doubt) -> dict[str, datetime]:
    """Our other submissions to this endpoint, around that time, that fal has started.

    By request_id, when each was claimed.
    """
    query = (
        select(attempts.c.request_id, attempts.c.claimed_at)
        .join(jobs, jobs.c.id == attempts.c.job_id)
        .where(
            jobs.c.account_id == account_id,
            jobs.c.endpoint_id == doubt.endpoint_id,
            attempts.c.id != doubt.attempt_id,
            attempts.c.request_id.is_not(None),
            attempts.c.claimed_at.between(doubt.claimed_at - NEAR, doubt.claimed_at + NEAR),
            attempts.c.completed_at.is_not(None),
            func.coalesce(attempts.c.error_type, "").not_in(("start_timeout", "client_cancelled")),
        )
    )
    with ledger.reading() as tx:
        return dict(tx.execute(query).tuples().all())


def absent(ledger: Ledger, attempt_id: str) -> bool:
    """Evidence says that fal never had it: the job waits again and its money is free."""
    with ledger.writing() as tx:
        post = lock_post(tx, attempt_id)
        if not _doubted(post.state, post.request_id):
            return False
        _close(tx, attempt_id, "absent", "fal's list shows that it never arrived")
        bills.release(tx, post)
        to = State.CANCELLED if post.withdrawn else State.PENDING
        return move(tx, post.job_id, {State.IN_DOUBT}, to, post.at, attempt_id=attempt_id)


def resubmit(ledger: Ledger, attempt_id: str, price: Decimal) -> bool:
    """A person's word: send it again. The old attempt is booked as perhaps paid."""
    with ledger.writing() as tx:
        post = lock_post(tx, attempt_id)
        if not _doubted(post.state, post.request_id) or post.withdrawn:
            return False
        _close(tx, attempt_id, "given_up", "sent again on the user's word")
        bills.settle(tx, post, price, "maybe")
        return move(
            tx, post.job_id, {State.IN_DOUBT}, State.PENDING, post.at, attempt_id=attempt_id
        )


def _doubted(state: State, request_id: str | None) -> bool:
    return state is State.IN_DOUBT and request_id is None


def _close(tx: Connection, attempt_id: str, outcome: str, words: str) -> None:
    change(tx, attempts, attempt_id, outcome=outcome, error_message=words, answered_at=now(tx))

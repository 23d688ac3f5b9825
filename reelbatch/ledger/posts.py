"""One POST as the ledger has it, read under its account's lock.

What is read before the lock is history by the time it is granted; so the lock comes first.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, bindparam, func, select

from reelbatch.jobs import State
from reelbatch.ledger.engine import now
from reelbatch.ledger.schema import accounts, attempts, jobs


@dataclass(frozen=True, kw_only=True, slots=True)
class Post:
    """An attempt with its job and its account, nobody else's until the transaction ends."""

    attempt_id: str
    claimed_at: datetime
    outcome: str | None
    request_id: str | None
    reserved_usd: Decimal
    cost_usd: Decimal
    cost_basis: str | None
    job_id: str
    batch_id: str
    account_id: str
    state: State
    state_at: datetime
    withdrawn: bool
    newest_attempt_id: str | None
    transient_failures: int
    start_timeouts: int
    account: RowMapping
    at: datetime

    @property
    def is_settled(self) -> bool:
        """Its result is booked."""
        return self.outcome in ("good", "failed")

    @property
    def is_unanswered(self) -> bool:
        """Nobody knows yet whether fal has it."""
        return self.request_id is None and self.outcome in (None, "in_doubt")

    @property
    def is_newest(self) -> bool:
        """The job has not gone on without it."""
        return self.attempt_id == self.newest_attempt_id


_FOUND = (
    select(
        attempts.c.id.label("attempt_id"),
        attempts.c.claimed_at,
        attempts.c.outcome,
        attempts.c.request_id,
        attempts.c.reserved_usd,
        func.coalesce(attempts.c.cost_usd, Decimal(0)).label("cost_usd"),
        attempts.c.cost_basis,
        jobs.c.id.label("job_id"),
        jobs.c.batch_id,
        jobs.c.account_id,
        jobs.c.state,
        jobs.c.state_at,
        jobs.c.withdrawn,
        jobs.c.attempt_id.label("newest_attempt_id"),
        jobs.c.transient_failures,
        jobs.c.start_timeouts,
    )
    .join(jobs, jobs.c.id == attempts.c.job_id)
    .where(attempts.c.id == bindparam("attempt_id"))
)


def lock_post(tx: Connection, attempt_id: str) -> Post:
    """The attempt's job and locked account, as they are now."""
    mine = {"attempt_id": attempt_id}
    account = tx.execute(_OF_ATTEMPT, mine).mappings().one()
    found = tx.execute(_FOUND, mine).mappings().one()
    return Post(**{**found, "state": State(found["state"])}, account=account, at=now(tx))


def lock_account(tx: Connection, account_id: str) -> RowMapping:
    """The account as it is, and nobody else's until this transaction ends."""
    return tx.execute(_BY_NAME, {"account_id": account_id}).mappings().one()


def lock_account_of_job(tx: Connection, job_id: str) -> RowMapping:
    return tx.execute(_OF_JOB, {"job_id": job_id}).mappings().one()


def _locked(account_id: ColumnElement[str]) -> Select[Any]:
    """Postgres: new jobs may refer to the account meanwhile (FOR NO KEY UPDATE)."""
    return select(accounts).where(accounts.c.id == account_id).with_for_update(key_share=True)


_BY_NAME = _locked(bindparam("account_id"))
_OF_JOB = _locked(
    select(jobs.c.account_id).where(jobs.c.id == bindparam("job_id")).scalar_subquery()
)
_OF_ATTEMPT = _locked(
    select(jobs.c.account_id)
    .join(attempts, attempts.c.job_id == jobs.c.id)
    .where(attempts.c.id == bindparam("attempt_id"))
    .scalar_subquery()
)

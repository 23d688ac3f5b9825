"""The whole ledger in a few numbers, for whoever watches it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import func, select

from reelbatch.jobs import State
from reelbatch.ledger.engine import Ledger
from reelbatch.ledger.schema import accounts, attempts, jobs


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Counts over all batches; `attempts` by what came of each POST."""

    jobs: dict[str, int]
    attempts: dict[str, int]
    spent_usd: Decimal
    reserved_usd: Decimal
    last_webhook_at: datetime | None


def read(ledger: Ledger) -> Figures:
    """Counts everything: seconds for millions of jobs. Raises Transient."""
    by_state = select(jobs.c.state, func.count()).where(jobs.c.withdrawn.is_(False))
    by_outcome = select(func.coalesce(attempts.c.outcome, "on_the_wire"), func.count())
    sums = select(
        func.coalesce(func.sum(accounts.c.spent_usd), Decimal(0)),
        func.coalesce(func.sum(accounts.c.reserved_usd), Decimal(0)),
        func.max(accounts.c.last_webhook_at),
    )
    with ledger.reading() as tx:
        states = dict(tx.execute(by_state.group_by(jobs.c.state)).tuples().all())
        outcomes = dict(tx.execute(by_outcome.group_by(attempts.c.outcome)).tuples().all())
        spent, reserved, last = tx.execute(sums).one()
    return Figures(
        jobs={state: states.get(state, 0) for state in State},
        attempts=outcomes,
        spent_usd=spent,
        reserved_usd=reserved,
        last_webhook_at=last,
    )


def answers(ledger: Ledger) -> None:
    """Whether the ledger can be reached at all. Raises Transient."""
    with ledger.reading() as tx:
        tx.execute(select(accounts.c.id).limit(1)).first()

"""A glance at a batch, cheap enough to repeat every second beside runs at work.

Counts come out of an index alone, times and rate out of the last few hundred results.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Row, bindparam, func, select

from reelbatch.jobs import BatchId, State
from reelbatch.ledger.batches import Mark
from reelbatch.ledger.engine import Ledger, now
from reelbatch.ledger.reading import causes_in
from reelbatch.ledger.schema import accounts, attempts, batches, jobs, money_events

LATEST = 400
LATELY = timedelta(minutes=5)


@dataclass(frozen=True, kw_only=True)
class Glance:
    """How a batch stands now, and how it has gone lately."""

    states: dict[State, int]
    """Takes that count, by state."""
    mark: Mark | None
    window: int | None
    """Requests in flight for the account, where a person has ordered it."""
    slots_seen: int | None
    """How many of the account's requests fal ran at once, when somebody last looked."""
    parked_reason: str | None
    parked_until: datetime | None
    spent_usd: Decimal
    reserved_usd: Decimal
    per_minute: float | None
    """Takes archived a minute, lately; None while there is nothing to go by."""
    run_seconds: tuple[float, ...]
    """How long fal ran the latest of them, shortest first."""
    causes: dict[str, int]
    """Failed takes by what they failed with, most first."""

    def count(self, *states: State) -> int:
        return sum(self.states.get(state, 0) for state in states)


def glance(ledger: Ledger, batch_id: BatchId) -> Glance:
    """One snapshot."""
    with ledger.reading() as tx:
        mine = {"batch_id": batch_id}
        states = {State(state): n for state, n in tx.execute(_COUNTS, mine)}
        about = tx.execute(_ABOUT, mine).mappings().one()
        latest = tx.execute(_LATEST, mine).all()
        return Glance(
            states=states,
            **about,
            per_minute=_per_minute(latest, now(tx)),
            run_seconds=_run_seconds(latest),
            causes=causes_in(tx, batch_id) if states.get(State.FAILED) else {},
        )


_COUNTS = (
    select(jobs.c.state, func.count())
    .where(jobs.c.batch_id == bindparam("batch_id"), jobs.c.withdrawn.is_(False))
    .group_by(jobs.c.state)
)

_ABOUT = (
    select(
        batches.c.mark,
        batches.c.spent_usd,
        batches.c.reserved_usd,
        accounts.c.window,
        accounts.c.slots_seen,
        accounts.c.parked_reason,
        accounts.c.parked_until,
    )
    .join(accounts, accounts.c.id == batches.c.account_id)
    .where(batches.c.id == bindparam("batch_id"))
)

_LATEST = (
    select(jobs.c.archived_at, attempts.c.inference_seconds)
    .select_from(money_events)
    .join(jobs, jobs.c.id == money_events.c.job_id)
    .join(attempts, attempts.c.id == money_events.c.attempt_id)
    .where(money_events.c.batch_id == bindparam("batch_id"), money_events.c.kind == "settle")
    .order_by(money_events.c.at.desc())
    .limit(LATEST)
)
"""By the index `money_of_batch`, from its end: what was settled last."""


def _per_minute(latest: Sequence[Row[Any]], at: datetime) -> float | None:
    """Of those archived within five minutes, from the first of them until now."""
    archived: list[datetime] = [row.archived_at for row in latest if row.archived_at]
    lately = [one for one in archived if one > at - LATELY]
    if len(lately) < 2:
        return None
    return 60 * len(lately) / max(1.0, (at - min(lately)).total_seconds())


def _run_seconds(latest: Sequence[Row[Any]]) -> tuple[float, ...]:
    found = (row.inference_seconds for row in latest)
    return tuple(sorted(seconds for seconds in found if seconds is not None))

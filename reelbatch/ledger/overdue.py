"""What nobody drives any more, over all batches of an account: work for the sweep.

A run that lives moves its jobs on within minutes; what has stood still for longer was left
behind. To look at something that a run does drive costs a question and changes nothing.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, exists, or_, select

from reelbatch.jobs import BatchId, JobId, RowId, State
from reelbatch.ledger.answers import LATE
from reelbatch.ledger.engine import Ledger, now
from reelbatch.ledger.schema import attempts, batches, jobs
from reelbatch.ledger.strays import STRAGGLING

NO_HOPE_AFTER = timedelta(days=1)
"""Beyond its deadline a doubt waits for a run, or a word: fal's list has said all it will."""
UNSETTLED = (State.SUBMITTING, State.IN_DOUBT, State.SUBMITTED, State.COMPLETED)


def batches_to_sweep(ledger: Ledger, account_id: str, overdue: timedelta) -> list[str]:
    """The names of those with something left behind for so long, oldest first."""
    with ledger.reading() as tx:
        at = now(tx)
        mine = jobs.c.batch_id == batches.c.id
        query = (
            select(batches.c.name)
            .where(
                batches.c.account_id == account_id,
                or_(
                    exists().where(mine, _left_behind(at, overdue)),
                    exists().where(mine, attempts.c.job_id == jobs.c.id, STRAGGLING),
                ),
            )
            .order_by(batches.c.created_at)
        )
        return list(tx.execute(query).scalars())


def jobs_to_sweep(
    ledger: Ledger, batch_id: BatchId, overdue: timedelta
) -> list[tuple[JobId, RowId, State]]:
    """Those left behind, withdrawn ones too, and those whose straggler may serve them."""
    straggles = exists().where(attempts.c.job_id == jobs.c.id, STRAGGLING)
    with ledger.reading() as tx:
        query = (
            select(jobs.c.id, jobs.c.row_id, jobs.c.state)
            .where(jobs.c.batch_id == batch_id, or_(_left_behind(now(tx), overdue), straggles))
            .order_by(jobs.c.position, jobs.c.revision)
        )
        return [(JobId(one.id), RowId(one.row_id), State(one.state)) for one in tx.execute(query)]


def _left_behind(at: datetime, overdue: timedelta) -> ColumnElement[bool]:
    state, since = jobs.c.state, jobs.c.state_at
    hopeful = exists().where(
        attempts.c.id == jobs.c.attempt_id, attempts.c.deadline_at > at - NO_HOPE_AFTER
    )
    return and_(
        state.in_(UNSETTLED),
        or_(
            and_(state.in_((State.SUBMITTED, State.COMPLETED)), since <= at - overdue),
            and_(state == State.SUBMITTING, since < at - LATE),
            and_(state == State.IN_DOUBT, hopeful),
        ),
    )

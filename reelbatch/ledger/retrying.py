"""Failed jobs, and how they are put back in line."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import RowMapping, select

from reelbatch.jobs import BatchId, JobId, State
from reelbatch.ledger.engine import Ledger, now
from reelbatch.ledger.entering import CHUNK, in_chunks
from reelbatch.ledger.schema import jobs, rows


def failed_jobs(ledger: Ledger, batch_id: BatchId) -> Sequence[RowMapping]:
    """Failed takes that count, each with its row, in the manifest's order."""
    query = (
        select(jobs, rows.c.file, rows.c.line, rows.c.labels)
        .join(rows, (rows.c.batch_id == jobs.c.batch_id) & (rows.c.row_id == jobs.c.row_id))
        .where(
            jobs.c.batch_id == batch_id,
            jobs.c.state == State.FAILED,
            jobs.c.withdrawn.is_(False),
        )
        .order_by(jobs.c.position)
    )
    with ledger.reading() as tx:
        return tx.execute(query).mappings().all()


def put_back(ledger: Ledger, job_ids: Sequence[JobId]) -> None:
    """Those that are still failed wait anew, with all of their tries."""
    with ledger.writing() as tx:
        for chunk in in_chunks(job_ids, CHUNK):
            tx.execute(
                jobs.update()
                .where(jobs.c.id.in_(chunk), jobs.c.state == State.FAILED)
                .values(
                    state=State.PENDING,
                    state_at=now(tx),
                    transient_failures=0,
                    start_timeouts=0,
                    not_before=None,
                )
            )

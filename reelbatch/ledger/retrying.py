"""Failed jobs, chosen by what failed or by their row, and put back in line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import RowMapping, select

from reelbatch.errors import Refused
from reelbatch.jobs import BatchId, JobId, State
from reelbatch.ledger.engine import Ledger, now
from reelbatch.ledger.entering import CHUNK, in_chunks
from reelbatch.ledger.schema import jobs, rows


def failed_jobs(ledger: Ledger, batch_id: BatchId, where: Sequence[str]) -> list[JobId]:
    """Failed takes that count. `where` is `column=value`, of results, row or labels; all hold."""
    wanted = [_condition(text) for text in where]
    query = (
        select(jobs, rows.c.labels)
        .join(rows, (rows.c.batch_id == jobs.c.batch_id) & (rows.c.row_id == jobs.c.row_id))
        .where(
            jobs.c.batch_id == batch_id,
            jobs.c.state == State.FAILED,
            jobs.c.withdrawn.is_(False),
        )
        .order_by(jobs.c.position)
    )
    with ledger.reading() as tx:
        found = tx.execute(query).mappings().all()
    return [
        JobId(job["id"])
        for job in found
        if all(_value(job, column) == value for column, value in wanted)
    ]


def _condition(text: str) -> tuple[str, str]:
    column, equals, value = text.partition("=")
    if not equals or not column.strip():
        raise Refused(f"--where {text!r} is not column=value.", advice="For instance error=TYPE.")
    return column.strip(), value.strip()


def _value(job: RowMapping, column: str) -> str:
    known: dict[str, Any] = {
        **job["labels"],
        **job["arguments"],
        "id": job["row_id"],
        "row_id": job["row_id"],
        "take": job["take"],
        "endpoint": job["endpoint_id"],
        "error": job["error_type"],
    }
    return str(known.get(column, ""))


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

"""How things stand: counts, failures, and the story of a row. Reads only."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, bindparam, func, select

from reelbatch.jobs import BatchId, JobId, RowId, State
from reelbatch.ledger.engine import Ledger
from reelbatch.ledger.entering import CHUNK, in_chunks
from reelbatch.ledger.schema import accounts, attempts, batches, jobs, rows

UNFINISHED = (State.PENDING, State.SUBMITTING, State.IN_DOUBT, State.SUBMITTED, State.COMPLETED)
DRIVEN = (State.SUBMITTING, State.SUBMITTED, State.COMPLETED)
"""What a run must see through, withdrawn or not."""


@dataclass(frozen=True, kw_only=True)
class Counts:
    """A batch as it stands, in takes of rows; withdrawn ones are out of it."""

    jobs: int
    archived: int
    failed: int
    in_doubt: int
    cancelled: int
    in_flight: int
    pending: int
    completed: int
    reused: int
    spent_usd: Decimal
    """For the whole batch, withdrawn jobs too: it was paid."""
    reserved_usd: Decimal

    @property
    def remaining(self) -> int:
        return self.pending + self.in_flight + self.completed

    @property
    def finished(self) -> int:
        return self.archived + self.failed + self.cancelled


@dataclass(frozen=True, kw_only=True)
class FailedJob:
    """One failed take, for people and for `--json`."""

    job_id: JobId
    row_id: RowId
    take: int
    file: str
    line: int
    error: str
    message: str
    request_id: str | None


def counts(ledger: Ledger, batch_id: BatchId, *, selected: Iterable[RowId] | None = None) -> Counts:
    """Rows by state, and money. With a selection, only its jobs are counted."""
    with ledger.reading() as tx:
        states: dict[str, int] = {}
        reused = 0
        for where in _chosen(selected):
            query = (
                select(jobs.c.state, jobs.c.cost_basis, func.count())
                .where(jobs.c.batch_id == batch_id, jobs.c.withdrawn.is_(False), *where)
                .group_by(jobs.c.state, jobs.c.cost_basis)
            )
            for state, basis, n in tx.execute(query):
                states[state] = states.get(state, 0) + n
                reused += n if basis == "reused" else 0
        money = select(batches.c.spent_usd, batches.c.reserved_usd)
        spent, reserved = tx.execute(money.where(batches.c.id == batch_id)).one()
    return Counts(
        jobs=sum(states.values()),
        archived=states.get(State.ARCHIVED, 0),
        failed=states.get(State.FAILED, 0),
        in_doubt=states.get(State.IN_DOUBT, 0),
        cancelled=states.get(State.CANCELLED, 0),
        in_flight=states.get(State.SUBMITTING, 0) + states.get(State.SUBMITTED, 0),
        pending=states.get(State.PENDING, 0),
        completed=states.get(State.COMPLETED, 0),
        reused=reused,
        spent_usd=spent,
        reserved_usd=reserved,
    )


def attempts_made(ledger: Ledger, batch_id: BatchId) -> int:
    """How many POSTs were ever prepared for a batch; it only grows."""
    query = select(func.coalesce(func.sum(jobs.c.attempts), 0)).where(jobs.c.batch_id == batch_id)
    with ledger.reading() as tx:
        return int(tx.execute(query).scalar_one())


def _chosen(selected: Iterable[RowId] | None) -> Iterator[Sequence[ColumnElement[bool]]]:
    if selected is None:
        yield ()
        return
    for chunk in in_chunks(sorted(selected), CHUNK):
        yield (jobs.c.row_id.in_(chunk),)


def jobs_to_drive(
    ledger: Ledger,
    batch_id: BatchId,
    *,
    selected: set[RowId] | None = None,
    only: Collection[JobId] | None = None,
) -> list[tuple[JobId, RowId, State, bool]]:
    """What a run has to see through, oldest stage first: (job, row, state, withdrawn)."""
    last_first = (State.COMPLETED, State.SUBMITTED, State.SUBMITTING, State.IN_DOUBT)
    with ledger.reading() as tx:
        found = tx.execute(
            select(jobs.c.id, jobs.c.row_id, jobs.c.state, jobs.c.withdrawn)
            .where(jobs.c.batch_id == batch_id, jobs.c.state.in_(UNFINISHED))
            .order_by(jobs.c.position, jobs.c.revision)
        ).all()
    wanted = [
        (JobId(row.id), RowId(row.row_id), State(row.state), row.withdrawn)
        for row in found
        if _is_driven(row, selected, only)
    ]
    ranks = {state: rank for rank, state in enumerate(last_first)}
    return sorted(wanted, key=lambda job: ranks.get(job[2], len(ranks)))


def _is_driven(row: Any, selected: set[RowId] | None, only: Collection[JobId] | None) -> bool:
    """What is in flight or completed is paid: always. What waits: only if it was chosen."""
    if row.state in DRIVEN:
        return True
    if only is not None and row.id not in only:
        return False
    return not row.withdrawn and (selected is None or row.row_id in selected)


def failures(ledger: Ledger, batch_id: BatchId, *, limit: int | None = None) -> list[FailedJob]:
    """Failed takes in the manifest's order."""
    query = (
        select(jobs, rows.c.file, rows.c.line, attempts.c.request_id)
        .join(rows, (rows.c.batch_id == jobs.c.batch_id) & (rows.c.row_id == jobs.c.row_id))
        .outerjoin(attempts, attempts.c.id == jobs.c.attempt_id)
        .where(
            jobs.c.batch_id == batch_id, jobs.c.state == State.FAILED, jobs.c.withdrawn.is_(False)
        )
        .order_by(jobs.c.position)
        .limit(limit)
    )
    with ledger.reading() as tx:
        return [
            FailedJob(
                job_id=JobId(row["id"]),
                row_id=RowId(row["row_id"]),
                take=row["take"],
                file=row["file"],
                line=row["line"],
                error=row["error_type"] or "error",
                message=row["error_message"] or "",
                request_id=row["request_id"],
            )
            for row in tx.execute(query).mappings()
        ]


def failure_causes(ledger: Ledger, batch_id: BatchId) -> dict[str, int]:
    """How many takes failed for which reason, most first."""
    with ledger.reading() as tx:
        return causes_in(tx, batch_id)


def causes_in(tx: Connection, batch_id: BatchId) -> dict[str, int]:
    found = tx.execute(
        select(jobs.c.error_type, func.count())
        .where(
            jobs.c.batch_id == batch_id,
            jobs.c.state == State.FAILED,
            jobs.c.withdrawn.is_(False),
        )
        .group_by(jobs.c.error_type)
        .order_by(func.count().desc())
    )
    return {kind or "error": n for kind, n in found}


_JOBS_AND_HANDLES = (
    select(
        jobs,
        rows.c.file,
        rows.c.line,
        rows.c.labels,
        rows.c.output,
        attempts.c.request_id,
        attempts.c.status_url,
        attempts.c.response_url,
        attempts.c.cancel_url,
        attempts.c.claimed_at,
        attempts.c.answered_at,
        attempts.c.cancel_asked_at,
        attempts.c.cancel_answer,
        attempts.c.gone_since,
        attempts.c.inference_seconds,
    )
    .join(rows, (rows.c.batch_id == jobs.c.batch_id) & (rows.c.row_id == jobs.c.row_id))
    .outerjoin(attempts, attempts.c.id == jobs.c.attempt_id)
)
_JOB = _JOBS_AND_HANDLES.where(jobs.c.id == bindparam("job_id"))
_JOBS = _JOBS_AND_HANDLES.where(jobs.c.id.in_(bindparam("job_ids", expanding=True)))
_ATTEMPTS = select(attempts).where(attempts.c.job_id == bindparam("job_id")).order_by(attempts.c.n)


def job(ledger: Ledger, job_id: str) -> RowMapping:
    """One job, with its row's labels and template, and its newest attempt's handle."""
    with ledger.reading() as tx:
        return tx.execute(_JOB, {"job_id": job_id}).mappings().one()


def jobs_with_handles(ledger: Ledger, job_ids: Sequence[str]) -> dict[str, RowMapping]:
    """Several jobs at once, as `job` gives one."""
    with ledger.reading() as tx:
        found = tx.execute(_JOBS, {"job_ids": list(job_ids)}).mappings().all()
    return {row["id"]: row for row in found}


def job_of_attempt(ledger: Ledger, attempt_id: str) -> RowMapping:
    """The job that an attempt was made for."""
    with ledger.reading() as tx:
        return tx.execute(_JOB_OF_ATTEMPT, {"attempt_id": attempt_id}).mappings().one()


_JOB_OF_ATTEMPT = (
    select(jobs)
    .join(attempts, attempts.c.job_id == jobs.c.id)
    .where(attempts.c.id == bindparam("attempt_id"))
)


def states_of(ledger: Ledger, job_ids: Sequence[str]) -> dict[str, State]:
    """Where these jobs stand; for those that wait for somebody else's work."""
    found: dict[str, State] = {}
    with ledger.reading() as tx:
        for chunk in in_chunks(job_ids, CHUNK):
            query = select(jobs.c.id, jobs.c.state).where(jobs.c.id.in_(chunk))
            found |= {row.id: State(row.state) for row in tx.execute(query)}
    return found


def attempts_of(ledger: Ledger, job_id: str) -> list[RowMapping]:
    """Every attempt of a job, first to last."""
    with ledger.reading() as tx:
        return attempts_in(tx, job_id)


def attempts_in(tx: Connection, job_id: str) -> list[RowMapping]:
    """The same, for those who are at the ledger already."""
    return list(tx.execute(_ATTEMPTS, {"job_id": job_id}).mappings())


def takes_of(ledger: Ledger, batch_id: BatchId, row_id: str) -> list[JobId]:
    """All jobs of a row, withdrawn revisions too."""
    with ledger.reading() as tx:
        query = (
            select(jobs.c.id)
            .where(jobs.c.batch_id == batch_id, jobs.c.row_id == row_id)
            .order_by(jobs.c.take, jobs.c.revision)
        )
        return [JobId(found) for found in tx.execute(query).scalars()]


def everything(ledger: Ledger, batch_id: BatchId) -> Iterator[RowMapping]:
    """Every job that counts, with its row and newest attempt, in the manifest's order."""
    query = (
        select(jobs, rows.c.file, rows.c.line, rows.c.labels, attempts.c.request_id)
        .join(rows, (rows.c.batch_id == jobs.c.batch_id) & (rows.c.row_id == jobs.c.row_id))
        .outerjoin(attempts, attempts.c.id == jobs.c.attempt_id)
        .where(jobs.c.batch_id == batch_id, jobs.c.withdrawn.is_(False))
        .order_by(jobs.c.position)
    )
    with ledger.reading() as tx:
        yield from tx.execution_options(yield_per=1000).execute(query).mappings()


@dataclass(frozen=True, kw_only=True)
class AccountFacts:
    """What the account has shown so far."""

    slots_seen: int | None
    run_seconds: float | None
    window: int | None
    spent_usd: Decimal
    reserved_usd: Decimal


def account_facts(ledger: Ledger, account_id: str) -> AccountFacts | None:
    with ledger.reading() as tx:
        row = tx.execute(select(accounts).where(accounts.c.id == account_id)).mappings().first()
    if row is None:
        return None
    return AccountFacts(**{name: row[name] for name in AccountFacts.__dataclass_fields__})


@dataclass(frozen=True, kw_only=True)
class AtFal:
    """Submissions whose video fal has and we have not. `accepted_at`: the oldest one's."""

    jobs: int
    accepted_at: datetime | None


def at_fal(ledger: Ledger, batch_id: BatchId) -> AtFal:
    """What is in flight, and what is made and not archived: fal keeps results about an hour."""
    query = (
        select(func.count(), func.min(attempts.c.answered_at))
        .join(jobs, jobs.c.attempt_id == attempts.c.id)
        .where(jobs.c.batch_id == batch_id, jobs.c.reused_from.is_(None))
        .where(jobs.c.state.in_((State.SUBMITTED, State.COMPLETED)))
    )
    with ledger.reading() as tx:
        row = tx.execute(query).one()
    return AtFal(jobs=row[0], accepted_at=row[1])


@dataclass(frozen=True, kw_only=True)
class Unkept:
    """Videos that are made and could not be archived, by what was said of one of them."""

    jobs: int
    message: str


def unkept(ledger: Ledger, batch_id: BatchId) -> list[Unkept]:
    """What keeps made videos out of the archive, the commonest cause first."""
    query = (
        select(func.count().label("jobs"), func.min(jobs.c.error_message).label("message"))
        .where(jobs.c.batch_id == batch_id, jobs.c.state == State.COMPLETED)
        .where(jobs.c.error_message.is_not(None))
        .group_by(jobs.c.error_type)
        .order_by(func.count().desc())
    )
    with ledger.reading() as tx:
        return [Unkept(jobs=row.jobs, message=row.message) for row in tx.execute(query)]


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where the bytes of an archived job lie."""

    archive: str
    key: str
    sha256: str


def source(ledger: Ledger, job_id: str) -> Source:
    """The archived job that another one is served from."""
    with ledger.reading() as tx:
        row = tx.execute(
            select(batches.c.archive, jobs.c.key, jobs.c.sha256)
            .join(batches, batches.c.id == jobs.c.batch_id)
            .where(jobs.c.id == job_id)
        ).one()
    return Source(archive=row.archive, key=row.key, sha256=row.sha256)

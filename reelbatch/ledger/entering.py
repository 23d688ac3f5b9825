"""Let a plan into the ledger: new and edited jobs in, replaced and absent ones withdrawn.

Compared and written in one transaction under the account's lock, so that two runs of one
manifest enter it once, and a claim meanwhile waits instead of dying of a deadlock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Connection, func, select, update

from reelbatch.jobs import HELD, RowId, State
from reelbatch.ledger.batches import Batch, newest_in
from reelbatch.ledger.comparing import Comparison, compare, next_roll
from reelbatch.ledger.engine import Ledger, now
from reelbatch.ledger.posts import lock_account
from reelbatch.ledger.schema import batches, jobs, rows
from reelbatch.ledger.writing import insert_or
from reelbatch.manifest.rows import Row

CHUNK = 500
T = TypeVar("T")


def preview(
    ledger: Ledger | None,
    batch: Batch | None,
    queue_url: str,
    manifest_rows: Sequence[Row],
    *,
    selected: set[RowId] | None,
    complete: bool,
    fresh: bool,
) -> Comparison:
    """What `enter` would do, without writing; all is new where there is no ledger yet."""
    if ledger is None:
        return _with_reuse(
            None,
            compare(
                queue_url, {}, manifest_rows, selected=selected, complete=complete, fresh_roll=None
            ),
        )
    with ledger.reading() as tx:
        return _compared(
            tx,
            batch,
            queue_url,
            manifest_rows,
            selected=selected,
            complete=complete,
            fresh_key="?" if fresh else None,
        )[0]


def enter(
    ledger: Ledger,
    batch: Batch,
    manifest_rows: Sequence[Row],
    *,
    selected: set[RowId] | None,
    complete: bool,
    fresh_key: str | None,
) -> Comparison:
    """Bring the batch to what its manifest says now. Entering it twice changes nothing."""
    with ledger.writing() as tx:
        lock_account(tx, batch.account_id)
        found, roll = _compared(
            tx,
            batch,
            batch.queue_url,
            manifest_rows,
            selected=selected,
            complete=complete,
            fresh_key=fresh_key,
        )
        at = now(tx)
        _write_rows(tx, batch, manifest_rows)
        _insert(tx, batch, found, at)
        replaced = [job.replaces for job in found.edited if job.replaces]
        _withdraw(tx, [*replaced, *(job.id for job in found.withdrawn)], withdrawn=True)
        _withdraw(tx, [job.id for job in found.back], withdrawn=False)
        _uncancel(tx, batch, selected, at)
        if fresh_key is not None:
            values = {"roll": roll, "roll_keys": _with(_roll_of(tx, batch)[1], fresh_key)}
            tx.execute(update(batches).where(batches.c.id == batch.id).values(values))
        return found


def _compared(
    tx: Connection,
    batch: Batch | None,
    queue_url: str,
    manifest_rows: Sequence[Row],
    *,
    selected: set[RowId] | None,
    complete: bool,
    fresh_key: str | None,
) -> tuple[Comparison, int]:
    held = newest_in(tx, batch.id) if batch else {}
    before, roll_keys = _roll_of(tx, batch)

    def compared_at(fresh_roll: int | None) -> Comparison:
        return compare(
            queue_url,
            held,
            manifest_rows,
            selected=selected,
            complete=complete,
            fresh_roll=fresh_roll,
        )

    if fresh_key is None:
        return _with_reuse(tx, compared_at(None)), before
    roll = next_roll(before, roll_keys, list(held.values()), selected, fresh_key)
    found = compared_at(roll)
    begins = roll > before or (not held and fresh_key not in roll_keys)
    if begins and _are_known(tx, found):
        roll = _highest_roll(tx) + 1
        found = compared_at(roll)
    return _with_reuse(tx, found), roll


def _are_known(tx: Connection, found: Comparison) -> bool:
    """Whether some of what should be made anew was asked for before, under another batch's roll."""
    known = jobs.c.state.in_((State.ARCHIVED, *HELD, State.PENDING))
    for chunk in in_chunks([job.fingerprint for job in found.to_enter], CHUNK):
        query = select(jobs.c.id).where(jobs.c.fingerprint.in_(chunk), known).limit(1)
        if tx.execute(query).first():
            return True
    return False


def _highest_roll(tx: Connection) -> int:
    """Of any batch: beyond it no seed was ever drawn."""
    return int(tx.execute(select(func.coalesce(func.max(batches.c.roll), 0))).scalar_one())


def _roll_of(tx: Connection, batch: Batch | None) -> tuple[int, list[str]]:
    if batch is None:
        return 0, []
    columns = select(batches.c.roll, batches.c.roll_keys)
    roll, keys = tx.execute(columns.where(batches.c.id == batch.id)).one()
    return roll, keys


def _with(keys: list[str], key: str) -> list[str]:
    return keys if key in keys else [*keys, key]


def _with_reuse(tx: Connection | None, found: Comparison) -> Comparison:
    """Count the jobs that will be served by a copy: archived already, or asked for twice here."""
    archived: set[str] = set()
    if tx is not None:
        for chunk in in_chunks(found.to_enter, CHUNK):
            prints = [job.fingerprint for job in chunk]
            query = select(jobs.c.fingerprint).where(
                jobs.c.fingerprint.in_(prints), jobs.c.state == State.ARCHIVED,
                func.coalesce(jobs.c.review, "") != "rejected",
            )  # fmt: skip
            archived.update(tx.execute(query).scalars())
    asked: set[str] = set()
    for job in found.to_enter:
        if job.fingerprint in archived or job.fingerprint in asked:
            found.copies.add(job.values["id"])
        asked.add(job.fingerprint)
    return found


def _write_rows(tx: Connection, batch: Batch, manifest_rows: Sequence[Row]) -> None:
    statement = insert_or(tx, rows)
    changes = {name: statement.excluded[name] for name in ("file", "line", "labels", "output")}
    statement = statement.on_conflict_do_update(
        index_elements=[rows.c.batch_id, rows.c.row_id], set_=changes
    )
    for chunk in in_chunks(manifest_rows, CHUNK):
        tx.execute(statement, [_row(batch, row) for row in chunk])


def _row(batch: Batch, row: Row) -> dict[str, Any]:
    return {
        "batch_id": batch.id,
        "row_id": row.row_id,
        "file": row.file,
        "line": row.line,
        "labels": dict(row.labels),
        "output": row.output,
    }


def _insert(tx: Connection, batch: Batch, found: Comparison, at: datetime) -> None:
    common = {
        "batch_id": batch.id,
        "account_id": batch.account_id,
        "state": State.PENDING,
        "state_at": at,
        "withdrawn": False,
        "attempts": 0,
    }
    for chunk in in_chunks(found.to_enter, CHUNK):
        tx.execute(jobs.insert(), [{**job.values, **common} for job in chunk])


def _withdraw(tx: Connection, job_ids: Sequence[str], *, withdrawn: bool) -> None:
    for chunk in in_chunks(job_ids, CHUNK):
        tx.execute(jobs.update().where(jobs.c.id.in_(chunk)).values(withdrawn=withdrawn))


def _uncancel(tx: Connection, batch: Batch, selected: set[RowId] | None, at: datetime) -> None:
    """A job fal cancelled is wanted again by the next run, unless it was withdrawn."""
    where = [
        jobs.c.batch_id == batch.id,
        jobs.c.state == State.CANCELLED,
        jobs.c.withdrawn.is_(False),
    ]
    if selected is None:
        tx.execute(jobs.update().where(*where).values(state=State.PENDING, state_at=at))
        return
    for chunk in in_chunks(sorted(selected), CHUNK):
        chosen = [*where, jobs.c.row_id.in_(chunk)]
        tx.execute(jobs.update().where(*chosen).values(state=State.PENDING, state_at=at))


def in_chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of at most `size` items."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk

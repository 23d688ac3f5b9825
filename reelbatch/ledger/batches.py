"""Accounts and batches: found or made, and what is known of a batch before it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal
from uuid import uuid4

from sqlalchemy import Connection, RowMapping, Select, select

from reelbatch.errors import Refused
from reelbatch.jobs import BatchId, JobId, RowId, State
from reelbatch.ledger.comparing import Held, Take
from reelbatch.ledger.engine import Ledger, now
from reelbatch.ledger.posts import lock_account
from reelbatch.ledger.schema import accounts, batches, jobs, known_images
from reelbatch.ledger.writing import insert_or

Mark = Literal["pause", "cancel"]
MARKED: Mapping[Mark, Literal["paused", "cancelled"]] = {"pause": "paused", "cancel": "cancelled"}
"""What a mark stops the batch's runs with."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """The rows of one manifest under one name."""

    id: BatchId
    name: str
    account_id: str
    queue_url: str
    place: str
    archive: str
    budget_usd: Decimal | None
    """The manifest's own, for runs that have no manifest at hand."""
    roll: int
    roll_keys: Sequence[str]
    mark: Mark | None
    created_at: datetime
    spent_usd: Decimal
    reserved_usd: Decimal


def find_batch(ledger: Ledger, name: str) -> Batch | None:
    """The batch of this name, if the ledger has one."""
    with ledger.reading() as tx:
        return _find(tx, name)


def all_batches(ledger: Ledger) -> list[Batch]:
    """Newest first."""
    with ledger.reading() as tx:
        rows = tx.execute(_joined().order_by(batches.c.created_at.desc())).mappings().all()
        return [_batch(row) for row in rows]


def check_batch(batch: Batch, *, account_id: str, place: str, named_by_hand: bool) -> None:
    """Raises Refused when this name already belongs to another manifest or account."""
    if batch.place != place and not named_by_hand:
        raise Refused(
            f"A batch named {batch.name!r} was already made from {batch.place}.",
            advice=f"Give this manifest another name, or say --batch {batch.name} "
            "if it is the same batch, moved.",
        )
    if batch.account_id != account_id:
        raise Refused(
            f"Batch {batch.name!r} was made at {batch.queue_url}, not at the fal configured now.",
            advice="Use another --batch name, or another ledger, or set REELBATCH_FAL_QUEUE_URL.",
        )


def open_account(ledger: Ledger, account_id: str, queue_url: str) -> None:
    """Make the account's row if there is none."""
    with ledger.writing() as tx:
        new = insert_or(tx, accounts).on_conflict_do_nothing()
        tx.execute(new, {"id": account_id, "queue_url": queue_url, "created_at": now(tx)})


def open_batch(
    ledger: Ledger,
    name: str,
    *,
    account_id: str,
    place: str,
    archive: str,
    named_by_hand: bool,
    budget_usd: Decimal | None = None,
) -> Batch:
    """Find or make a batch; a batch named by hand follows its manifest and archive."""
    with ledger.writing() as tx:
        batch = _find(tx, name)
        if batch is None:
            new = insert_or(tx, batches).on_conflict_do_nothing().values(
                id=uuid4().hex[:16], account_id=account_id, name=name, place=place,
                named_by_hand=named_by_hand, archive=archive, created_at=now(tx),
            )  # fmt: skip
            tx.execute(new)
            batch = _find(tx, name)
        assert batch is not None
        check_batch(batch, account_id=account_id, place=place, named_by_hand=named_by_hand)
        changes = {"place": place, "archive": archive, "budget_usd": budget_usd}
        if (batch.place, batch.archive, batch.budget_usd) != (place, archive, budget_usd):
            tx.execute(batches.update().where(batches.c.id == batch.id).values(changes))
    return replace(batch, place=place, archive=archive, budget_usd=budget_usd)


def newest_jobs(ledger: Ledger, batch_id: BatchId) -> dict[Take, Held]:
    """The newest revision of every take of a batch."""
    with ledger.reading() as tx:
        return newest_in(tx, batch_id)


def newest_in(tx: Connection, batch_id: BatchId) -> dict[Take, Held]:
    columns = [jobs.c[name] for name in Held.__dataclass_fields__]
    found = tx.execute(
        select(*columns).where(jobs.c.batch_id == batch_id).order_by(jobs.c.revision)
    )
    newest: dict[Take, Held] = {}
    for row in found:
        newest[(RowId(row.row_id), row.take)] = _held(row._mapping)
    return newest


def _held(row: RowMapping) -> Held:
    return Held(**{**row, "id": JobId(row["id"]), "state": State(row["state"])})


def set_mark(ledger: Ledger, batch_id: BatchId, mark: Mark | None) -> None:
    """Pause or cancel a batch for every process at work on it; None lifts the mark.

    Under the account's lock: a claim under way ends first, so none follows the mark.
    """
    with ledger.writing() as tx:
        owner = select(batches.c.account_id).where(batches.c.id == batch_id)
        lock_account(tx, tx.execute(owner).scalar_one())
        tx.execute(
            batches.update().where(batches.c.id == batch_id).values(mark=mark, mark_at=now(tx))
        )


def remember_images(ledger: Ledger, facts: Mapping[str, str]) -> None:
    """Keep what was read at these addresses (location -> sha256), so that it is read once."""
    with ledger.writing() as tx:
        at = now(tx)
        read = [
            {"location": location, "sha256": sha256, "checked_at": at}
            for location, sha256 in sorted(facts.items())
        ]
        if read:
            tx.execute(insert_or(tx, known_images).on_conflict_do_nothing(), read)


def images_read_before(ledger: Ledger) -> dict[str, str]:
    """Remote images that were read before: location -> sha256."""
    with ledger.reading() as tx:
        columns = select(known_images.c.location, known_images.c.sha256)
        return dict(tx.execute(columns).tuples().all())


def _find(tx: Connection, name: str) -> Batch | None:
    row = tx.execute(_joined().where(batches.c.name == name)).mappings().first()
    return _batch(row) if row else None


def _joined() -> Select[Any]:
    return select(batches, accounts.c.queue_url).join(
        accounts, accounts.c.id == batches.c.account_id
    )


def _batch(row: RowMapping) -> Batch:
    return Batch(**{name: row[name] for name in Batch.__dataclass_fields__})

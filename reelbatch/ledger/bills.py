"""Money: reserved by a claim, then settled or released, each in its event's transaction."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Literal

from sqlalchemy import Connection, RowMapping, select

from reelbatch.ledger.schema import accounts, attempts, batches, jobs, money_events

Basis = Literal["priced", "billed", "maybe", "lost", "adopted"]


def reserve(tx: Connection, job: RowMapping, attempt_id: str, price: Decimal, at: datetime) -> None:
    """Set money aside for one POST; it counts for the day of the claim (UTC)."""
    account = accounts.c
    tx.execute(
        accounts.update()
        .where(account.id == job["account_id"])
        .values(reserved_usd=account.reserved_usd + price, day_usd=account.day_usd + price)
    )
    _batch_moves(tx, job, reserved=price)
    _note(tx, job, attempt_id, "reserve", price, None, at)


def release(tx: Connection, job: RowMapping, attempt_id: str, at: datetime) -> None:
    """The POST costs nothing after all. Releasing twice, or after settling, changes nothing."""
    reserved = _still_reserved(tx, attempt_id)
    if not reserved:
        return
    tx.execute(
        attempts.update()
        .where(attempts.c.id == attempt_id)
        .values(reserved_usd=Decimal(0), cost_usd=Decimal(0), cost_basis="released")
    )
    account = accounts.c
    values = {account.reserved_usd: account.reserved_usd - reserved}
    if _claimed_on(tx, attempt_id) == _today_of(tx, job["account_id"]):
        values[account.day_usd] = account.day_usd - reserved
    tx.execute(accounts.update().where(account.id == job["account_id"]).values(values))
    _batch_moves(tx, job, reserved=-reserved)
    _note(tx, job, attempt_id, "release", reserved, None, at)


def settle(
    tx: Connection, job: RowMapping, attempt_id: str, price: Decimal, basis: Basis, at: datetime
) -> None:
    """The POST was paid, or may have been. Settling twice changes nothing."""
    cost, reserved = tx.execute(
        select(attempts.c.cost_usd, attempts.c.reserved_usd).where(attempts.c.id == attempt_id)
    ).one()
    if cost:
        return
    tx.execute(
        attempts.update()
        .where(attempts.c.id == attempt_id)
        .values(reserved_usd=Decimal(0), cost_usd=price, cost_basis=basis)
    )
    account = accounts.c
    tx.execute(
        accounts.update()
        .where(account.id == job["account_id"])
        .values(
            reserved_usd=account.reserved_usd - reserved,
            spent_usd=account.spent_usd + price,
            # What was released and is paid after all still belongs to a day.
            day_usd=account.day_usd + (price - reserved),
        )
    )
    _batch_moves(tx, job, reserved=-reserved, spent=price)
    _job_costs(tx, job["id"], price, basis)
    _note(tx, job, attempt_id, "settle", price, basis, at)


def _job_costs(tx: Connection, job_id: str, price: Decimal, basis: Basis) -> None:
    """A job costs what all of its attempts cost; the basis is that of the last one."""
    before = tx.execute(select(jobs.c.cost_usd).where(jobs.c.id == job_id)).scalar_one()
    tx.execute(
        jobs.update()
        .where(jobs.c.id == job_id)
        .values(cost_usd=(before or Decimal(0)) + price, cost_basis=basis)
    )


def _batch_moves(
    tx: Connection, job: RowMapping, *, reserved: Decimal, spent: Decimal | None = None
) -> None:
    batch = batches.c
    values = {batch.reserved_usd: batch.reserved_usd + reserved}
    if spent is not None:
        values[batch.spent_usd] = batch.spent_usd + spent
    tx.execute(batches.update().where(batch.id == job["batch_id"]).values(values))


def _still_reserved(tx: Connection, attempt_id: str) -> Decimal:
    found = tx.execute(select(attempts.c.reserved_usd).where(attempts.c.id == attempt_id))
    return found.scalar_one() or Decimal(0)


def _claimed_on(tx: Connection, attempt_id: str) -> str:
    found = tx.execute(select(attempts.c.claimed_at).where(attempts.c.id == attempt_id))
    return day_of(found.scalar_one())


def _today_of(tx: Connection, account_id: str) -> str | None:
    return tx.execute(select(accounts.c.day).where(accounts.c.id == account_id)).scalar()


def day_of(at: datetime) -> str:
    """The day a budget belongs to, in UTC."""
    return at.date().isoformat()


def _note(
    tx: Connection,
    job: RowMapping,
    attempt_id: str,
    kind: str,
    amount: Decimal,
    basis: str | None,
    at: datetime,
) -> None:
    tx.execute(
        money_events.insert().values(
            at=at, account_id=job["account_id"], batch_id=job["batch_id"], job_id=job["id"],
            attempt_id=attempt_id, kind=kind, usd=amount, basis=basis,
        )
    )  # fmt: skip

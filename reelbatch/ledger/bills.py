"""Money: reserved by a claim, then settled or released, each in its event's transaction."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Literal

from sqlalchemy import Connection, RowMapping, func, select

from reelbatch.ledger.posts import Post
from reelbatch.ledger.schema import accounts, attempts, batches, jobs, money_events

Basis = Literal["priced", "billed", "maybe", "lost", "adopted"]

NOTHING = Decimal(0)
RELEASED = "released"


def reserve(
    tx: Connection,
    account: RowMapping,
    batch_id: str,
    job_id: str,
    attempt_id: str,
    price: Decimal,
    at: datetime,
    **account_values: object,
) -> None:
    """Set money aside for one POST; it counts for the day of the claim (UTC).

    `account_values` are what else the claim changes in its account.
    """
    today = day_of(at)
    so_far = accounts.c.day_usd if account["day"] == today else NOTHING
    tx.execute(
        accounts.update()
        .where(accounts.c.id == account["id"])
        .values(
            reserved_usd=accounts.c.reserved_usd + price,
            day=today,
            day_usd=so_far + price,
            **account_values,
        )
    )
    _batch_moves(tx, batch_id, reserved=price)
    _note(tx, account["id"], batch_id, job_id, attempt_id, "reserve", price, None, at)


def reserve_again(tx: Connection, post: Post) -> None:
    """fal has it after all: what was released is set aside once more."""
    if post.cost_basis != RELEASED:
        return
    event = money_events.c
    first = select(event.usd).where(
        event.batch_id == post.batch_id,
        event.attempt_id == post.attempt_id,
        event.kind == "reserve",
    )
    price = tx.execute(first.order_by(event.id).limit(1)).scalar_one()
    _attempt_becomes(tx, post, reserved_usd=price, cost_usd=None, cost_basis=None)
    reserve(tx, post.account, post.batch_id, post.job_id, post.attempt_id, price, post.at)


def release(tx: Connection, post: Post) -> None:
    """The POST costs nothing after all. Releasing twice, or after settling, changes nothing."""
    if post.cost_basis is not None:
        return
    reserved = post.reserved_usd
    _attempt_becomes(tx, post, reserved_usd=NOTHING, cost_usd=NOTHING, cost_basis=RELEASED)
    values = {
        "reserved_usd": accounts.c.reserved_usd - reserved,
        "day_usd": accounts.c.day_usd + _on_this_day(post, -reserved),
    }
    tx.execute(accounts.update().where(accounts.c.id == post.account_id).values(values))
    _batch_moves(tx, post.batch_id, reserved=-reserved)
    _note_of(tx, post, "release", reserved, None)


def settle(tx: Connection, post: Post, price: Decimal, basis: Basis) -> None:
    """The POST was paid, or may have been. Settling twice changes nothing."""
    if post.cost_basis not in (None, RELEASED):
        return
    reserved = post.reserved_usd
    _attempt_becomes(tx, post, reserved_usd=NOTHING, cost_usd=price, cost_basis=basis)
    tx.execute(
        accounts.update()
        .where(accounts.c.id == post.account_id)
        .values(
            reserved_usd=accounts.c.reserved_usd - reserved,
            spent_usd=accounts.c.spent_usd + price,
            day_usd=accounts.c.day_usd + _on_this_day(post, price - reserved),
        )
    )
    _batch_moves(tx, post.batch_id, reserved=-reserved, spent=price)
    _job_costs(tx, post.job_id, price, basis)
    _note_of(tx, post, "settle", price, basis)


def _on_this_day(post: Post, more: Decimal) -> Decimal:
    """What is paid on top of the reservation counts now; what another day saved is no gift."""
    return more if day_of(post.claimed_at) == post.account["day"] else max(more, NOTHING)


def _attempt_becomes(tx: Connection, post: Post, **values: object) -> None:
    tx.execute(attempts.update().where(attempts.c.id == post.attempt_id).values(values))


def _job_costs(tx: Connection, job_id: str, price: Decimal, basis: Basis) -> None:
    """A job costs what all of its attempts cost; the basis is that of the last one."""
    before = func.coalesce(jobs.c.cost_usd, NOTHING)
    tx.execute(
        jobs.update().where(jobs.c.id == job_id).values(cost_usd=before + price, cost_basis=basis)
    )


def _batch_moves(
    tx: Connection, batch_id: str, *, reserved: Decimal, spent: Decimal = NOTHING
) -> None:
    batch = batches.c
    values = {
        batch.reserved_usd: batch.reserved_usd + reserved,
        batch.spent_usd: batch.spent_usd + spent,
    }
    tx.execute(batches.update().where(batch.id == batch_id).values(values))


def day_of(at: datetime) -> str:
    """The day a budget belongs to, in UTC."""
    return at.date().isoformat()


def _note_of(tx: Connection, post: Post, kind: str, amount: Decimal, basis: str | None) -> None:
    _note(
        tx,
        post.account_id,
        post.batch_id,
        post.job_id,
        post.attempt_id,
        kind,
        amount,
        basis,
        post.at,
    )


def _note(
    tx: Connection,
    account_id: str,
    batch_id: str,
    job_id: str,
    attempt_id: str,
    kind: str,
    amount: Decimal,
    basis: str | None,
    at: datetime,
) -> None:
    tx.execute(
        money_events.insert().values(
            at=at,
            account_id=account_id,
            batch_id=batch_id,
            job_id=job_id,
            attempt_id=attempt_id,
            kind=kind,
            usd=amount,
            basis=basis,
        )
    )

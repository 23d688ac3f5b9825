"""Money: reserved by a claim, then settled or released, each in its event's transaction."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Literal

from sqlalchemy import Connection, RowMapping, bindparam, func, select

from reelbatch.ledger.posts import Post
from reelbatch.ledger.schema import accounts, attempts, batches, jobs, money_events
from reelbatch.ledger.writing import add, by_id, change

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
    yesterday = account["day_usd"] if account["day"] != today else NOTHING
    _totals_move(
        tx, account["id"], batch_id, reserved=price, day=price - yesterday,
        values={"day": today, **account_values},
    )  # fmt: skip
    add(
        tx, money_events, at=at, account_id=account["id"], batch_id=batch_id, job_id=job_id,
        attempt_id=attempt_id, kind="reserve", usd=price, basis=None,
    )  # fmt: skip


def reserve_again(tx: Connection, post: Post) -> None:
    """fal has it after all: what was released is set aside once more."""
    if post.cost_basis != RELEASED:
        return
    price = first_reserved(tx, post.attempt_id)
    _attempt_becomes(tx, post, reserved_usd=price, cost_usd=None, cost_basis=None)
    reserve(tx, post.account, post.batch_id, post.job_id, post.attempt_id, price, post.at)


def first_reserved(tx: Connection, attempt_id: str) -> Decimal:
    """What was set aside for the POST when it was claimed, whatever became of it since."""
    event, of_attempt = money_events.c, attempts.c.id == attempt_id
    batch_id = select(jobs.c.batch_id).join(attempts, attempts.c.job_id == jobs.c.id)
    first = select(event.usd).where(
        event.batch_id == batch_id.where(of_attempt).scalar_subquery(),
        event.attempt_id == attempt_id,
        event.kind == "reserve",
    )
    price: Decimal = tx.execute(first.order_by(event.id).limit(1)).scalar_one()
    return price


def release(tx: Connection, post: Post) -> None:
    """The POST costs nothing after all. Releasing twice, or after settling, changes nothing."""
    if post.cost_basis is not None:
        return
    reserved = post.reserved_usd
    _attempt_becomes(tx, post, reserved_usd=NOTHING, cost_usd=NOTHING, cost_basis=RELEASED)
    day = _on_this_day(post, -reserved)
    _totals_move(tx, post.account_id, post.batch_id, reserved=-reserved, day=day)
    _note(tx, post, "release", reserved, None)


def settle(tx: Connection, post: Post, price: Decimal, basis: Basis) -> None:
    """The POST was paid, or may have been. Settling twice changes nothing."""
    if post.cost_basis not in (None, RELEASED):
        return
    reserved = post.reserved_usd
    _attempt_becomes(tx, post, reserved_usd=NOTHING, cost_usd=price, cost_basis=basis)
    day = _on_this_day(post, price - reserved)
    _totals_move(tx, post.account_id, post.batch_id, reserved=-reserved, spent=price, day=day)
    _job_costs(tx, post.job_id, price, basis)
    _note(tx, post, "settle", price, basis)


def bill(tx: Connection, post: Post, usd: Decimal) -> None:
    """fal's own bill: what was booked for the POST becomes what fal took."""
    if post.cost_basis == "billed" and post.cost_usd == usd:
        return
    if post.cost_basis in (None, RELEASED):
        return settle(tx, post, usd, "billed")
    more = usd - post.cost_usd
    _attempt_becomes(tx, post, cost_usd=usd, cost_basis="billed")
    day = _on_this_day(post, more)
    _totals_move(tx, post.account_id, post.batch_id, reserved=NOTHING, spent=more, day=day)
    _job_costs(tx, post.job_id, more, "billed")
    _note(tx, post, "settle", usd, "billed")


def _on_this_day(post: Post, more: Decimal) -> Decimal:
    """What is paid on top of the reservation counts now; what another day saved is no gift."""
    return more if day_of(post.claimed_at) == post.account["day"] else max(more, NOTHING)


def _attempt_becomes(tx: Connection, post: Post, **values: object) -> None:
    change(tx, attempts, post.attempt_id, **values)


def _job_costs(tx: Connection, job_id: str, price: Decimal, basis: Basis) -> None:
    """A job costs what all of its attempts cost; the basis is that of the last one."""
    tx.execute(_JOB_COSTS, {"this_id": job_id, "price": price, "cost_basis": basis})


def _totals_move(
    tx: Connection,
    account_id: str,
    batch_id: str,
    *,
    reserved: Decimal,
    spent: Decimal = NOTHING,
    day: Decimal,
    values: Mapping[str, object] | None = None,
) -> None:
    """Account and batch together; `values` are what else changes in the account."""
    sums = {"reserved": reserved, "spent": spent}
    tx.execute(_ACCOUNT_MOVES, {"this_id": account_id, "today": day, **sums, **(values or {})})
    tx.execute(_BATCH_MOVES, {"this_id": batch_id, **sums})


_JOB_COSTS = by_id(jobs).values(
    cost_usd=func.coalesce(jobs.c.cost_usd, NOTHING) + bindparam("price")
)
_ACCOUNT_MOVES = by_id(accounts).values(
    reserved_usd=accounts.c.reserved_usd + bindparam("reserved"),
    spent_usd=accounts.c.spent_usd + bindparam("spent"),
    day_usd=accounts.c.day_usd + bindparam("today"),
)
_BATCH_MOVES = by_id(batches).values(
    reserved_usd=batches.c.reserved_usd + bindparam("reserved"),
    spent_usd=batches.c.spent_usd + bindparam("spent"),
)


def day_of(at: datetime) -> str:
    """The day a budget belongs to, in UTC."""
    return at.date().isoformat()


def _note(tx: Connection, post: Post, kind: str, amount: Decimal, basis: str | None) -> None:
    add(
        tx, money_events, at=post.at, account_id=post.account_id, batch_id=post.batch_id,
        job_id=post.job_id, attempt_id=post.attempt_id, kind=kind, usd=amount, basis=basis,
    )  # fmt: skip

"""How many requests fal runs at once for an account, and the window that follows from it.

Both belong to the account, so they are kept in its row: a claim of any process reads them
there, and a count by one of them holds for all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import RowMapping, bindparam, func, select

from reelbatch.jobs import State
from reelbatch.ledger.engine import Ledger, now
from reelbatch.ledger.posts import lock_account
from reelbatch.ledger.schema import IN_FLIGHT_SQL, accounts, attempts, jobs

AT_FIRST = 80
LEAST, MOST = 4, 5000
"""fal gives a new account two slots (fal.md, section 6)."""
REMEMBERED = timedelta(hours=24)


def window_of(account: Mapping[str, Any] | RowMapping, at: datetime) -> int:
    """Twice the slots, so that none ever waits for us: those counted last, or, while it is less
    than a day ago, the most seen at work. Other people's queue is not our account's limit.
    """
    slots = max(account["slots_seen"] or 0, most_lately(account, at))
    return min(MOST, max(LEAST, 2 * slots)) if slots else AT_FIRST


def most_lately(account: Mapping[str, Any] | RowMapping, at: datetime) -> int:
    """The most requests seen running at once within a day; nought where nobody has looked."""
    seen_at = account["most_running_at"]
    return account["most_running"] if seen_at and at - seen_at < REMEMBERED else 0


@dataclass(frozen=True, kw_only=True)
class Standing:
    """The account as every process on it sees it."""

    at: datetime
    ordered: int | None
    """A person's window, for every run of the account."""
    window: int
    """What `auto` makes of what is known."""
    in_flight: int
    slots_seen: int | None
    counted_at: datetime | None
    """When somebody counted last, or began to."""


def standing(ledger: Ledger, account_id: str) -> Standing:
    with ledger.reading() as tx:
        mine = {"account_id": account_id}
        account = tx.execute(_ACCOUNT, mine).mappings().one()
        at = now(tx)
        return Standing(
            at=at,
            ordered=account["window"],
            window=window_of(account, at),
            in_flight=tx.execute(_IN_FLIGHT, mine).scalar_one(),
            slots_seen=account["slots_seen"],
            counted_at=account["slots_seen_at"],
        )


_ACCOUNT = select(accounts).where(accounts.c.id == bindparam("account_id"))
_IN_FLIGHT = (
    select(func.count())
    .select_from(jobs)
    .where(jobs.c.account_id == bindparam("account_id"), IN_FLIGHT_SQL)
)


def take_turn(ledger: Ledger, account_id: str, counted_at: datetime | None) -> bool:
    """Whether it is ours to count now: of those who saw the same last time, one."""
    as_seen = accounts.c.slots_seen_at.is_not_distinct_from(counted_at)
    with ledger.writing() as tx:
        taken = accounts.update().where(accounts.c.id == account_id, as_seen)
        return tx.execute(taken.values(slots_seen_at=now(tx))).rowcount == 1


def keep_count(ledger: Ledger, account_id: str, slots: int) -> None:
    """So many run at once: for every claim from now on."""
    with ledger.writing() as tx:
        account = lock_account(tx, account_id)
        at = now(tx)
        values: dict[str, object] = {"slots_seen": slots, "slots_seen_at": at}
        if slots >= most_lately(account, at):
            values |= {"most_running": slots, "most_running_at": at}
        tx.execute(accounts.update().where(accounts.c.id == account_id).values(values))


def submissions(ledger: Ledger, account_id: str) -> list[RowMapping]:
    """fal's handle on everything of the account that it has not finished, as far as is known;
    what was sent last stands last.
    """
    with ledger.reading() as tx:
        return list(tx.execute(_SUBMISSIONS, {"account_id": account_id}).mappings())


_SUBMISSIONS = (
    select(
        attempts.c.request_id,
        attempts.c.status_url,
        attempts.c.response_url,
        attempts.c.cancel_url,
    )
    .join(jobs, jobs.c.attempt_id == attempts.c.id)
    .where(
        jobs.c.account_id == bindparam("account_id"),
        IN_FLIGHT_SQL,
        jobs.c.state == State.SUBMITTED,
    )
    .order_by(attempts.c.claimed_at)
)

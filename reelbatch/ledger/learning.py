"""What an account has shown: its slots and run times, for the next plan and the next run."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import RowMapping

from reelbatch.ledger.engine import Ledger, now
from reelbatch.ledger.posts import lock_account
from reelbatch.ledger.schema import accounts
from reelbatch.ledger.slots import REMEMBERED


def remember_account(
    ledger: Ledger,
    account_id: str,
    *,
    slots: int | None,
    run_seconds: float | None,
    since: datetime,
) -> None:
    """Keep what a run that began then saw; what it did not see stays as it was."""
    with ledger.writing() as tx:
        account, at = lock_account(tx, account_id), now(tx)
        values: dict[str, object] = {}
        if slots is not None and _is_news(account, slots, since, at):
            values |= {"slots_seen": slots, "slots_seen_at": at}
        if run_seconds is not None:
            values["run_seconds"] = run_seconds
        if values:
            tx.execute(accounts.update().where(accounts.c.id == account_id).values(values))


def _is_news(account: RowMapping, slots: int, since: datetime, at: datetime) -> bool:
    """One run sees only its part: it may raise what is known, but lower only what is old, and
    it knows nothing better than a count of the whole account that was taken meanwhile.
    """
    counted_at = account["slots_seen_at"]
    if counted_at is None or at - counted_at >= REMEMBERED:
        return True
    return bool(counted_at < since and slots > (account["slots_seen"] or 0))

"""What an account has shown: its slots and run times, for the next plan and the next run."""

from __future__ import annotations

from reelbatch.ledger.engine import Ledger, now
from reelbatch.ledger.schema import accounts


def remember_account(
    ledger: Ledger, account_id: str, *, slots: int | None, run_seconds: float | None
) -> None:
    """Keep what this run saw; what it did not see stays as it was."""
    with ledger.writing() as tx:
        values: dict[str, object] = {}
        if slots is not None:
            values |= {"slots_seen": slots, "slots_seen_at": now(tx)}
        if run_seconds is not None:
            values["run_seconds"] = run_seconds
        if values:
            tx.execute(accounts.update().where(accounts.c.id == account_id).values(values))

"""What counts against the budgets that a claim respects."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import select

from reelbatch.jobs import BatchId
from reelbatch.ledger import bills
from reelbatch.ledger.engine import Ledger, now
from reelbatch.ledger.schema import accounts, batches


@dataclass(frozen=True, kw_only=True)
class Held:
    """Dollars that are spent or reserved."""

    batch_usd: Decimal
    today_usd: Decimal
    """For the whole account, in UTC."""


def held(ledger: Ledger, batch_id: BatchId) -> Held:
    """As the next claim would see it. Raises Transient."""
    query = (
        select(batches.c.spent_usd, batches.c.reserved_usd, accounts.c.day, accounts.c.day_usd)
        .join(accounts, accounts.c.id == batches.c.account_id)
        .where(batches.c.id == batch_id)
    )
    with ledger.reading() as tx:
        found = tx.execute(query).one()
        is_today = found.day == bills.day_of(now(tx))
    return Held(
        batch_usd=found.spent_usd + found.reserved_usd,
        today_usd=found.day_usd if is_today else Decimal(0),
    )

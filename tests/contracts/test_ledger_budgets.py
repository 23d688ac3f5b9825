"""What counts against a budget: spent and reserved, for a batch in all and an account today."""

from __future__ import annotations

from decimal import Decimal

from reelbatch.ledger import Ledger
from reelbatch.ledger.budgets import Held, held
from reelbatch.ledger.results import settle_good
from tests.contracts.ledger_parts import (
    PRICE,
    batch_named,
    claimed,
    good,
    pending,
    put_account,
    submitted,
)


def test_what_is_spent_and_what_is_reserved_counts(ledger: Ledger) -> None:
    paid, flying, _ = pending(ledger, 3)
    settle_good(ledger, submitted(ledger, paid), good(), PRICE)
    claimed(ledger, flying)
    both = Decimal("0.40")
    assert held(ledger, batch_named(ledger).id) == Held(batch_usd=both, today_usd=both)


def test_other_batches_count_for_the_account_alone(ledger: Ledger) -> None:
    claimed(ledger, pending(ledger)[0])
    claimed(ledger, pending(ledger, name="dogs")[0])
    found = held(ledger, batch_named(ledger).id)
    assert found == Held(batch_usd=Decimal("0.20"), today_usd=Decimal("0.40"))


def test_yesterday_s_money_is_not_today_s(ledger: Ledger) -> None:
    claimed(ledger, pending(ledger)[0])
    put_account(ledger, day="2026-01-01")
    found = held(ledger, batch_named(ledger).id)
    assert found == Held(batch_usd=Decimal("0.20"), today_usd=Decimal(0))

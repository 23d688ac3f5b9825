"""A budget is nearly spent from 80 % on; of several, the one with the least left is told."""

from __future__ import annotations

from decimal import Decimal

import pytest

from reelbatch.ledger.budgets import Held
from reelbatch.run.budgets import worded

HELD = Held(batch_usd=Decimal("8.00"), today_usd=Decimal("40.00"))


@pytest.mark.parametrize(
    ("budget", "budget_per_day", "said"),
    [
        (None, None, None),
        ("10.01", None, None),
        ("10.00", None, "$8.00 of $10.00, the budget of the batch"),
        ("10.00", "1000", "the budget of the batch"),
        ("10.00", "45", "$40.00 of $45.00, the budget of the account for today (UTC)"),
        (None, "50", "are spent or reserved (80 %)"),
        ("100", "50.1", None),
    ],
)
def test_the_budget_with_the_least_left_is_told(
    budget: str | None, budget_per_day: str | None, said: str | None
) -> None:
    of_batch, of_day = (Decimal(most) if most else None for most in (budget, budget_per_day))
    words = worded(HELD, of_batch, of_day)
    assert words is None if said is None else said in str(words)

"""Whether a budget is nearly spent: of those that hold for a run, the one with the least left."""

from __future__ import annotations

from decimal import Decimal

from reelbatch.ledger import budgets
from reelbatch.ledger.budgets import Held
from reelbatch.money import as_text
from reelbatch.run.run import Run

NEARLY = Decimal("0.8")


def has_budget(run: Run) -> bool:
    return run.settings.budget is not None or run.settings.budget_per_day is not None


async def nearly_spent(run: Run) -> str | None:
    """A sentence once 80 % of it is spent or reserved."""
    held = await run.book(budgets.held, run.ledger, run.batch.id)
    return worded(held, run.settings.budget, run.settings.budget_per_day)


def worded(held: Held, budget: Decimal | None, budget_per_day: Decimal | None) -> str | None:
    known = [
        (held.batch_usd, budget, "of the batch"),
        (held.today_usd, budget_per_day, "of the account for today (UTC)"),
    ]
    shares = [(used / most, used, most, whose) for used, most, whose in known if most]
    share, used, most, whose = max(shares, default=(Decimal(0), Decimal(0), Decimal(0), ""))
    if share < NEARLY:
        return None
    return (
        f"${as_text(used)} of ${as_text(most)}, the budget {whose}, are spent or reserved "
        f"({100 * share:.0f} %)."
    )

"""Tell Prefect once that a run's budget is nearly spent, for whoever wants to be told."""

from __future__ import annotations

import asyncio

from flows.events import BUDGET_NEARLY_SPENT, emit
from reelbatch.run.budgets import has_budget, nearly_spent
from reelbatch.run.run import Run

LOOK_EVERY_SECONDS = 1.0


class BudgetWatch:
    """One run's. Those that joined it and the sweep leave the telling to others."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._quiet = run.sweeps or run.request.join or not has_budget(run)

    async def work(self) -> None:
        """Look until there is something to tell; cancel it to stop."""
        while not self._quiet:
            await self.look()
            await asyncio.sleep(LOOK_EVERY_SECONDS)

    async def look(self) -> None:
        """A short run may have ended between two looks: look once more then."""
        if self._quiet:
            return
        if words := await nearly_spent(self._run):
            self._quiet = True
            emit(BUDGET_NEARLY_SPENT, name=self._run.batch.name, message=words)

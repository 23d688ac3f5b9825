"""The flow run's name, so that a list of runs reads: which batch, how many rows."""

from __future__ import annotations

import asyncio

from prefect.client.orchestration import get_client
from prefect.runtime import flow_run

from reelbatch.run.plan import Plan
from reelbatch.run.request import GenerateRequest

PATIENCE_SECONDS = 5.0
TAG = "reelbatch"
"""What automations know our runs by, as prefect.yaml gives it to the deployments."""


async def name_this_run(plan: Plan | None, request: GenerateRequest) -> None:
    """Tell Prefect the name; without a reachable Prefect the run goes on without one."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS), get_client() as client:
            await client.update_flow_run(flow_run.id, name=name_of_run(plan, request))
    except Exception:  # The money path does not need Prefect to live.
        return


def name_of_run(plan: Plan | None, request: GenerateRequest) -> str:
    """`cats: 3 rows`; without a manifest the rows are those the ledger has."""
    if plan is None:
        return f"{request.batch}: {'joined' if request.join else 'carried on'}"
    rows = len(plan.manifest.rows) if plan.selected is None else len(plan.selected)
    return f"{plan.batch_name}: {rows} row{'' if rows == 1 else 's'}"

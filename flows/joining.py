"""More machines join: further runs of this deployment make rows of the same batch.

Nobody is given a slice: they claim from one ledger, under one window and one budget, so what
a dead one leaves the others finish. Prefect links them to the run that started them: cancel
that one, and they stop too.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.context import FlowRunContext
from prefect.deployments import arun_deployment
from prefect.runtime import deployment, flow_run
from prefect.states import Cancelling

from reelbatch.errors import Refused
from reelbatch.ledger import Ledger
from reelbatch.run.plan import Plan
from reelbatch.run.request import GenerateRequest
from reelbatch.run.run import Run

PATIENCE_SECONDS = 5.0
"""So long the end of a run waits for Prefect."""
TOO_LATE = "The batch had ended before this run began."


def refuse_joining(request: GenerateRequest, ledger: Ledger, plan: Plan | None) -> None:
    """Raises Refused where nobody could join, or would make rows that were not chosen."""
    if request.workers == 1:
        return
    if deployment.id is None:
        raise Refused(
            f"{request.workers} workers are runs of one deployment, and this run is of none.",
            advice="Set workers to 1, or start it with `prefect deployment run generate/generate`.",
        )
    if ledger.is_sqlite:
        raise Refused(
            f"The ledger {ledger.url} is a file, and {request.workers} workers meet in Postgres.",
            advice="Set REELBATCH_LEDGER, for instance to postgresql://user@host/reelbatch.",
        )
    if plan and plan.selected is not None:
        raise Refused(
            f"{request.workers} workers make a whole batch, and only some rows were chosen.",
            advice="Set workers to 1, or leave the choice of rows out.",
        )


@asynccontextmanager
async def joined(run: Run) -> AsyncIterator[None]:
    """Have the other workers started while the block goes on; it never waits for their work."""
    starting = [asyncio.create_task(_start(run, n)) for n in range(1, run.request.workers)]
    try:
        yield
        await _call_off(starting)
    finally:
        for one in starting:
            one.cancel()
        await asyncio.gather(*starting, return_exceptions=True)


async def _start(run: Run, n: int) -> FlowRun | None:
    """One more run. Without a reachable Prefect the rows are made by fewer."""
    try:
        started = await _run_of_this_deployment(run, f"{flow_run.id}-{n}")
        if started.state and started.state.is_final():
            # That was before this run was started once more.
            again = f"{flow_run.id}-{n}-{flow_run.run_count}"
            started = await _run_of_this_deployment(run, again)
    except Exception as error:  # The money path does not need Prefect to live.
        run.warn(f"Worker {n + 1} was not started: {type(error).__name__}: {error}")
        return None
    return started


async def _run_of_this_deployment(run: Run, key: str) -> FlowRun:
    """A key stands for one run, however often it is asked for; it must not outlive its parent."""
    context = FlowRunContext.get()
    ours = context.flow_run if context else None
    return await arun_deployment(
        deployment.id,
        parameters={"request": invitation(run.request, run.batch.name)},
        flow_run_name=f"{run.batch.name}: joined",
        timeout=0,
        as_subflow=True,
        idempotency_key=key,
        job_variables=ours.job_variables if ours else None,
    )


def invitation(request: GenerateRequest, batch: str) -> dict[str, Any]:
    """The same limits, and nothing to enter. What a person said once is not said again."""
    once = {"manifest": None, "archive": None, "fresh": False, "workers": 1}
    in_doubt = "hold" if request.in_doubt == "hold" else "auto"
    joining = {"batch": batch, "join": True, "in_doubt": in_doubt}
    return request.model_copy(update={**once, **joining}).model_dump(
        mode="json", exclude_defaults=True
    )


async def _call_off(starting: list[asyncio.Task[FlowRun | None]]) -> None:
    """Who has not begun by the end would find nothing left, or what this run stopped for."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS), get_client() as client:
            for one in await asyncio.gather(*starting):
                found = await client.read_flow_run(one.id) if one else None
                if found and found.state and found.state.is_scheduled():
                    too_late: State[Any] = Cancelling(message=TOO_LATE)
                    await client.set_flow_run_state(found.id, too_late)
    except Exception:  # As above.
        return

"""Sweep: finish what no run drives any more, in every batch; submit nothing.

Read it top to bottom: find the batches with something left behind; in each of them book what
went astray, settle what is in doubt, collect and archive what is there. What fal still works
on is left to the next sweep.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows.desk import Desk, at_desk
from flows.outcome import refused, state_of_sweep
from flows.watching import at_work
from reelbatch.errors import Refused
from reelbatch.ledger.overdue import batches_to_sweep
from reelbatch.run.opening import open_run
from reelbatch.run.request import GenerateRequest, SweepRequest
from reelbatch.run.swept import Swept
from tasks.doubts import settle_doubts_at_hand
from tasks.load import take_batch
from tasks.produce import produce_all
from tasks.stragglers import settle_stragglers
from tasks.sweep import as_they_stand, left_behind, told


@flow(name="sweep", validate_parameters=True, log_prints=False)
async def sweep(request: SweepRequest) -> State[Any]:
    """Finish what runs left behind: collect, settle doubts, archive. It buys nothing."""
    try:
        with at_desk(GenerateRequest()) as desk:
            since, account = request.overdue, desk.settings.account_id
            names = batches_to_sweep(desk.ledger, account, since)
            return state_of_sweep([await _swept(desk, name, since) for name in names])
    except Refused as refusal:
        return refused(refusal)


async def _swept(desk: Desk, name: str, since: timedelta) -> Swept:
    """One batch; that it cannot be opened does not keep the others waiting."""
    request = GenerateRequest(batch=name)
    try:
        batch, settings = take_batch(None, request, desk.ledger)
        async with open_run(request, settings, desk.ledger, batch, None, sweeps=True) as run:
            jobs = await left_behind(run, since)
            async with at_work(run):
                await settle_stragglers(run)
                await settle_doubts_at_hand(run)
                await produce_all(run, await as_they_stand(run, jobs))
            return await told(run, jobs)
    except Refused as refusal:
        return Swept(batch=name, refusal=str(refusal))

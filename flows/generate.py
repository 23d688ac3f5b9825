"""Generate: a manifest goes in, every row becomes one archived video.

Read it top to bottom: load the manifest, open the run, let the rows into the ledger,
produce them a shard at a time, settle what is in doubt, report. Run it again and it carries on.
"""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows.desk import at_desk
from flows.joining import joined
from flows.naming import name_this_run
from flows.outcome import refused, state_of
from flows.watching import at_work
from reelbatch.errors import Refused
from reelbatch.run.opening import open_run
from reelbatch.run.request import GenerateRequest
from tasks.doubts import settled_doubts
from tasks.load import enter, load, take_batch
from tasks.produce import jobs_to_produce, produce_all
from tasks.report import report
from tasks.stragglers import settle_stragglers


@flow(name="generate", validate_parameters=True, log_prints=False)
async def generate(request: GenerateRequest) -> State[Any]:
    """Turn a manifest into archived videos, each paid for once.

    Nothing is bought before every row was found sound, and every video is checked, hashed and
    written once. What fal made of each row is in the archive's index.csv and index.parquet.
    """
    try:
        with at_desk(request) as desk:
            plan = await load(request, desk.settings, desk.ledger)
            desk.check(plan)
            await name_this_run(plan, request)
            batch, settings = take_batch(plan, request, desk.ledger)
            async with open_run(request, settings, desk.ledger, batch, plan, only=desk.only) as run:
                await enter(run, plan)
                run.only_jobs = desk.only_jobs
                await run.book(desk.opened)
                async with at_work(run), joined(run):
                    await settle_stragglers(run)
                    await produce_all(run, await jobs_to_produce(run))
                    async for _ in settled_doubts(run):
                        await produce_all(run, await jobs_to_produce(run))
                return state_of(await report(run))
    except Refused as refusal:
        return refused(refusal)

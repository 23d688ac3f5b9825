"""Sweep: what the jobs are that nobody drives, and how they stand once they were looked at.

The stages in between are those of every run (`stragglers`, `doubts`, `produce`): the run is
one that claims nothing, so whatever they find, nothing is submitted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

from reelbatch.ledger import overdue, reading
from reelbatch.run.run import Run
from reelbatch.run.swept import Swept
from tasks.produce import Job
from tasks.report import write_files


async def left_behind(run: Run, since: timedelta) -> list[Job]:
    """What of the batch has not moved for so long."""
    return await run.book(overdue.jobs_to_sweep, run.ledger, run.batch.id, since)


async def as_they_stand(run: Run, jobs: Sequence[Job]) -> list[Job]:
    """The same jobs with the states they have now."""
    states = await run.book(reading.states_of, run.ledger, [job_id for job_id, _, _ in jobs])
    return [(job_id, row_id, states[job_id]) for job_id, row_id, _ in jobs]


async def told(run: Run, before: Sequence[Job]) -> Swept:
    """What became of them; the archive's index follows where something moved."""
    after = await as_they_stand(run, before)
    if after != list(before):
        await run.carry(write_files, run)
    unkept = await run.book(reading.unkept, run.ledger, run.batch.id)
    swept = Swept(
        batch=run.batch.name,
        states=Counter(state for _, _, state in after),
        troubles=[*(one.message for one in unkept), *run.warnings],
    )
    run.journal.say(f"swept: {swept.words}")
    return swept

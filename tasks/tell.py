"""Tell in the log what became of a job, once this process has brought it there."""

from __future__ import annotations

from reelbatch.jobs import JobId, State
from reelbatch.ledger import reading
from reelbatch.run.run import Run

WENT_WELL = {
    State.SUBMITTED: "submitted",
    State.COMPLETED: "made",
    State.ARCHIVED: "archived",
}


async def told(run: Run, job_id: JobId, before: State, after: State) -> State:
    """Returns where the job is now. What goes well is worth no reading of the ledger."""
    told_at_all = after not in WENT_WELL or run.journal.tells_all
    if after is before or after is State.IN_DOUBT or not told_at_all:
        return after
    job = dict(await run.book(reading.job, run.ledger, job_id))
    error, why = job["error_type"], job["error_message"] or ""
    match after:
        case State.FAILED:
            run.journal.trouble(job, f"failed with {error}", why, error=error)
        case State.PENDING:
            run.journal.trouble(job, f"to be sent again after {error}", why, error=error)
        case State.CANCELLED:
            run.journal.trouble(job, "cancelled", why)
        case _:
            run.journal.went_well(job, WENT_WELL.get(after, after))
    return after


async def tell(run: Run, job_id: str, what: str) -> None:
    """Something that has happened to a job beside its way through the stages."""
    job = await run.book(reading.job, run.ledger, job_id)
    run.journal.trouble(dict(job), what)

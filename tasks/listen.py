"""Wait for a webhook: the receiver settles the job, and this run sees it in the ledger.

No status call is made while webhooks come; a job that none came for is overdue and polled.
"""

from __future__ import annotations

from time import monotonic

from reelbatch.fal.endpoints import ENDPOINTS
from reelbatch.jobs import JobId, State
from reelbatch.ledger import reading
from reelbatch.run.run import Run

OVERDUE_TIMES = 3
"""So many times the median time from submission to webhook."""
SOONEST_OVERDUE_SECONDS = 10.0
THINK_AGAIN_SECONDS = 2.0
"""What is usual is learned while we wait."""
SLOWEST_SECONDS = max(endpoint.run_seconds for endpoint in ENDPOINTS.values())


async def heard(run: Run, job_id: JobId) -> State:
    """Where the job stands once its webhook came; SUBMITTED when it is overdue."""
    began = monotonic()
    state = State.SUBMITTED
    while state is State.SUBMITTED:
        left = began + patience_seconds(run) - monotonic()
        if left <= 0:
            return state
        patience = min(left, THINK_AGAIN_SECONDS)
        state = await run.elsewhere.changed(job_id, state, patience=patience)
    run.webhook_waits.add(monotonic() - began)
    run.gate.place_freed()
    if state is State.FAILED:
        job = await run.book(reading.job, run.ledger, job_id)
        run.heard(job["error_type"] or "error")
    else:
        run.heard("good")
    return state


def patience_seconds(run: Run) -> float:
    """Until this run has heard something, as long as the slowest model is known to take."""
    usual = run.webhook_waits.median or 2 * (run.poller.schedule.run_times.prior or SLOWEST_SECONDS)
    return max(SOONEST_OVERDUE_SECONDS, OVERDUE_TIMES * usual)

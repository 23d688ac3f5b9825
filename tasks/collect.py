"""Collect a submission: wait until fal is done with it, and settle what it says.

A result that cannot be read is read again; it never causes a new generation.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any, assert_never

from reelbatch.errors import Permanent, Transient
from reelbatch.fal.answers import (
    CancelAnswer,
    Completed,
    FailedResult,
    Gone,
    GoodResult,
    NotYet,
    Queued,
    Submission,
)
from reelbatch.fal.endpoints import ENDPOINTS
from reelbatch.jobs import JobId, State
from reelbatch.ledger import reading, results
from reelbatch.ledger.answers import Why
from reelbatch.ledger.results import Charge, Ending
from reelbatch.run.entries import submission_in
from reelbatch.run.run import Run
from reelbatch.run.settling import is_permanent, settle, settle_cancelled
from reelbatch.run.watches import Overdue, Seen, Settled, Unfinished
from tasks.listen import heard
from tasks.lost import COUNTS_AFTER, found_again

LOOK_AGAIN_SECONDS = 2.0
REMOVED = frozenset({CancelAnswer.REMOVED, CancelAnswer.NOT_FOUND})
"""After these a 404 is fal's word that it is gone; after REQUESTED it may run on, and be billed."""

Job = Mapping[str, Any]


async def collect(run: Run, job_id: JobId, *, left_behind: bool = False) -> State:
    """See one submission through to its result; returns where the job stands then.

    `left_behind`: another process submitted it, so it may be done already. SUBMITTED comes
    back when this process is leaving, may not ask fal about this request, or only sweeps and
    the request is not over.
    """
    try:
        if run.listens and not left_behind:
            state = await heard(run, job_id)
            if state is not State.SUBMITTED:
                return state
            left_behind = True
        return await _collect(run, job_id, left_behind=left_behind)
    except Permanent as error:
        run.warn(f"job {job_id} stays at fal: {error}")
        return State.SUBMITTED


async def _collect(run: Run, job_id: JobId, *, left_behind: bool) -> State:
    if left_behind:
        run.at_hand.pop(job_id, None)
    job = await run.job(job_id)
    submission = submission_in(job)
    patient = job["cancel_asked_at"] is not None
    if job["withdrawn"] and not patient and await _is_queued(run, submission):
        if state := await _cancel(run, job, submission):
            return state
        patient = True
    unheard_of, spoke = job["gone_since"] is not None, asyncio.Event()
    while not run.leaving.is_set():
        spoke.clear()
        ending = await _ending(run, job, at_once=left_behind, patient=patient, heard=spoke)
        left_behind = True
        if unheard_of and spoke.is_set():
            await run.book(results.back, run.ledger, job["attempt_id"])
            unheard_of = False
        match ending:
            case Overdue():
                if state := await _cancel(run, job, submission):
                    return state
                patient = True
            case Settled():
                return await _stands(run, job)
            case Gone():
                unheard_of = True
                if state := await _missing(run, job):
                    return state
            case Completed(inference_seconds=seconds):
                if state := await _result(run, job, submission, seconds):
                    return state
            case Unfinished():
                pass
            case never:
                assert_never(never)
        if run.sweeps:
            break
    return State.SUBMITTED


async def _ending(
    run: Run, job: Job, *, at_once: bool, patient: bool, heard: asyncio.Event
) -> Seen:
    submission = submission_in(job)
    if run.sweeps:
        return await run.poller.look(submission, heard=heard)
    return await run.poller.finished(
        submission, age=_age(job), at_once=at_once, patient=patient, heard=heard
    )


def _age(job: Job) -> float:
    accepted: datetime = job["answered_at"] or job["claimed_at"]
    return max(0.0, time.time() - accepted.timestamp())


async def _result(
    run: Run, job: Job, submission: Submission, seconds: float | None
) -> State | None:
    """Fetch the result and settle it; None where it has to be asked for again."""
    output = ENDPOINTS[job["endpoint_id"]].output
    try:
        answer = await run.fal.result(submission, output=output)
    except Transient as error:
        await _pause(run, error.retry_after or LOOK_AGAIN_SECONDS)
        return None
    match answer:
        case GoodResult() | FailedResult():
            return await _settled(run, job, answer, seconds)
        case NotYet():
            await _pause(run, LOOK_AGAIN_SECONDS)
            return None
        case Gone():
            return await _missing(run, job)
        case never:
            assert_never(never)


async def _settled(
    run: Run, job: Job, answer: GoodResult | FailedResult, seconds: float | None
) -> State:
    settled = await run.move(
        settle,
        run.ledger,
        job["attempt_id"],
        answer,
        run.prices.of(job["endpoint_id"]),
        inference_seconds=seconds,
    )
    run.gate.place_freed()
    if isinstance(answer, GoodResult):
        run.heard("good")
    elif is_permanent(answer):
        run.heard(answer.failure.error_type)
    if settled.by_us or run.settings.webhook_url:  # A receiver settles, and archives nothing.
        run.mine.add(job["id"])
    return settled.state


async def _missing(run: Run, job: Job) -> State | None:
    """404 or 410 counts only after fifteen minutes of nothing else."""
    silence = await run.book(results.gone, run.ledger, job["attempt_id"])
    now = await run.book(reading.job, run.ledger, job["id"])
    if now["cancel_answer"] in REMOVED:
        return await _end(run, job, "client_cancelled", "fal removed it.", "cancelled", "none")
    if silence >= COUNTS_AFTER:
        return await _found_or_lost(run, {**job, "cancel_answer": now["cancel_answer"]})
    await _pause(run, 5 * LOOK_AGAIN_SECONDS)
    return None


async def _pause(run: Run, seconds: float) -> None:
    """Before the next look; a sweep has only the one."""
    if not run.sweeps:
        await asyncio.sleep(seconds)


async def _found_or_lost(run: Run, job: Job) -> State | None:
    try:
        found = await found_again(run, job)
    except Transient as error:
        await _pause(run, error.retry_after or LOOK_AGAIN_SECONDS)
        return None
    if found:
        return await _settled(run, job, found, None)
    said = "fal no longer knows the request."
    if job["cancel_answer"] == CancelAnswer.REQUESTED:
        return await _end(run, job, "client_cancelled", said, "cancelled", "none")
    return await _end(run, job, "result_lost", said, "permanent", "lost")


async def _end(
    run: Run, job: Job, kind: str, message: str, ending: Ending, charge: Charge
) -> State:
    why = Why(error_type=kind, message=message)
    await run.book(
        results.settle_failed,
        run.ledger,
        job["attempt_id"],
        why,
        ending=ending,
        charge=charge,
        price=run.prices.of(job["endpoint_id"]),
    )
    run.gate.place_freed()
    return await _stands(run, job)


async def _is_queued(run: Run, submission: Submission) -> bool:
    """A row that left the manifest is cancelled while it is queued, else collected."""
    try:
        return isinstance(await run.fal.status(submission), Queued)
    except Transient:
        return False


async def _cancel(run: Run, job: Job, submission: Submission) -> State | None:
    """Ask fal to stop it, once; unless fal says that it is gone, it is collected all the same."""
    try:
        answer = await run.fal.cancel(submission)
    except Transient:
        return None
    price = run.prices.of(job["endpoint_id"])
    state = await run.book(settle_cancelled, run.ledger, job["attempt_id"], answer, price)
    if state is not None:
        run.gate.place_freed()
    return state


async def _stands(run: Run, job: Job) -> State:
    return (await run.book(reading.states_of, run.ledger, [job["id"]]))[job["id"]]

"""Submit a job: its image uploaded, a place claimed, one POST.

The attempt is committed *before* the request leaves, and its token travels with it: if we
die in between, the result still finds its job.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any, assert_never

from reelbatch.errors import Permanent, Transient
from reelbatch.fal.answers import Accepted, Ambiguous, NotSent, Rejected
from reelbatch.fal.error_types import Family
from reelbatch.fal.failures import Failure, PermanentFailure
from reelbatch.jobs import HELD, JobId, State
from reelbatch.ledger import answers, claims, images, parking, reading, strays
from reelbatch.ledger.answers import Why
from reelbatch.ledger.claims import Claim, Claimed, Moved, Reused, Stop, Wait
from reelbatch.run.entries import handle_of
from reelbatch.run.run import Run
from reelbatch.run.unshaken import see_through
from tasks.upload import image_url

Job = Mapping[str, Any]

LATE_SECONDS = claims.POST_BEGINS_WITHIN.total_seconds()

TWIN_LOOK_SECONDS = 5.0

IMAGE_SECONDS = 1.0
"""A job whose image takes longer to bring to fal lets others go before it."""

PARKS: dict[Family, parking.ParkReason] = {
    Family.LOCKED: "locked",
    Family.AUTH: "auth",
    Family.THROTTLED: "throttled",
}


async def submit(run: Run, job_id: JobId) -> State | None:
    """Take the job to fal, once; returns where it stands then.

    PENDING means that this run claims nothing more, or that the job has to wait its turn;
    None that it waits for something nobody is at work on now, a submission in doubt say.
    """
    job = await run.job(job_id)
    try:
        with run.stepping_aside(job_id, after_seconds=IMAGE_SECONDS):
            body = await body_of(run, job)
    except (Transient, Permanent) as error:
        return await _no_image(run, job, error)
    run.on_the_way += 1
    try:
        claim = await run.gate.claim(lambda: _claim(run, job, body))
        if isinstance(claim, Claimed):
            return await _post(run, job, claim, body)
    finally:
        run.on_the_way -= 1
    return await _not_claimed(run, job_id, claim)


async def _not_claimed(
    run: Run, job_id: JobId, claim: Reused | Wait | Moved | Stop | None
) -> State | None:
    match claim:
        case Reused():
            run.mine.add(job_id)
            return State.COMPLETED
        case Wait():
            with run.stepping_aside(job_id):
                return await _wait(run, claim)
        case Moved():
            return (await run.book(reading.states_of, run.ledger, [job_id]))[job_id]
        case Stop():
            run.stop(claim.reason)
            return State.PENDING
        case None:
            return State.PENDING
        case never:
            assert_never(never)


async def body_of(run: Run, job: Job) -> dict[str, Any]:
    """The request body: the job's arguments, and where fal finds its image."""
    body = dict(job["arguments"])
    if job["image_location"]:
        body["image_url"] = await image_url(run, job)
    return body


async def _claim(run: Run, job: Job, body: Mapping[str, Any]) -> Claim:
    """One try at the ledger; while the archive is behind, nobody buys more for it."""
    if run.waiting_for_archive > run.window:
        return Wait(reason="window")
    terms = run.terms(job["endpoint_id"])
    asked_at = time.time()
    claim = await run.move(claims.claim, run.ledger, job["id"], body, terms)
    return replace(claim, asked_at=asked_at) if isinstance(claim, Claimed) else claim


async def _post(run: Run, job: Job, claimed: Claimed, body: Mapping[str, Any]) -> State:
    """Send it once, and see it through: an answer nobody reads may have been paid for."""
    if time.time() - (claimed.asked_at or claimed.claimed_at.timestamp()) > LATE_SECONDS:
        await run.move(
            answers.not_sent, run.ledger, claimed.attempt_id, "the machine slept", park=False
        )
        return State.PENDING
    return await see_through(_sent(run, job, claimed, body), gone=run.gone)


async def _sent(run: Run, job: Job, claimed: Claimed, body: Mapping[str, Any]) -> State:
    """Whatever interrupts us after this line leaves the job IN_DOUBT."""
    answered = False
    try:
        outcome = await run.fal.submit(
            job["endpoint_id"],
            body,
            token=claimed.token,
            start_timeout_seconds=run.settings.start_timeout,
            webhook_url=run.webhook_url(claimed.token),
        )
        state = await _write_down(run, job, claimed, outcome)
        answered = True
        return state
    finally:
        if not answered:
            answers.doubted(run.ledger, claimed.attempt_id, "our process ended while it waited")


async def _write_down(
    run: Run, job: Job, claimed: Claimed, outcome: Accepted | NotSent | Rejected | Ambiguous
) -> State:
    attempt_id = claimed.attempt_id
    match outcome:
        case Accepted(submission=submission):
            handle = handle_of(submission)
            if not await run.move(answers.accepted, run.ledger, attempt_id, handle):
                return await _astray(run, job, claimed, handle)
            run.journal.accepted(claimed.claimed_at)
            if claimed.probes:
                run.gate.probe_answered()
            run.mine.add(job["id"])
            run.at_hand[job["id"]] = _as_submitted(job, claimed, handle)
            return State.SUBMITTED
        case NotSent(reason=reason):
            await run.move(answers.not_sent, run.ledger, attempt_id, reason, park=True)
            run.gate.place_freed()
            return State.PENDING
        case Rejected(failure=failure, retry_after=seconds):
            return await _rejected(run, attempt_id, failure, seconds)
        case Ambiguous(reason=reason):
            await run.move(answers.doubted, run.ledger, attempt_id, reason)
            run.gate.place_freed()
            run.journal.trouble({**job, "attempt_id": attempt_id}, "in doubt", reason)
            return State.IN_DOUBT
        case never:
            assert_never(never)


async def _astray(run: Run, job: Job, claimed: Claimed, handle: answers.Accepted) -> State:
    """Another request stands on this attempt already: both are held, and the first one wins."""
    stray = strays.Stray(
        request_id=handle.request_id,
        job_id=job["id"],
        endpoint_id=job["endpoint_id"],
        sent_at=claimed.claimed_at,
    )
    price = run.prices.of(job["endpoint_id"])
    await run.book(strays.adopt_beside, run.ledger, stray, handle, price)
    astray = {**job, "request_id": handle.request_id}
    run.journal.trouble(astray, "a second request for it is adopted as a stray")
    run.mine.add(job["id"])
    return (await run.book(reading.states_of, run.ledger, [job["id"]]))[job["id"]]


def _as_submitted(job: Job, claimed: Claimed, handle: answers.Accepted) -> Job:
    """The job as the ledger has it now, for the collector."""
    return {
        **job,
        **asdict(handle),
        "attempt_id": claimed.attempt_id,
        "claimed_at": claimed.claimed_at,
        "answered_at": datetime.now(UTC),
        "cancel_asked_at": None,
        "gone_since": None,
    }


async def _rejected(run: Run, attempt_id: str, failure: Failure, seconds: float | None) -> State:
    park = PARKS.get(failure.family)
    why = Why(
        error_type=failure.error_type, message=failure.message, http_status=failure.http_status
    )
    await run.move(answers.rejected, run.ledger, attempt_id, why, park=park, retry_after=seconds)
    run.gate.place_freed()
    if park is not None:
        return State.PENDING
    run.heard(failure.error_type)
    return State.FAILED


async def _wait(run: Run, wait: Wait) -> State | None:
    """The job's own matter: a twin that is on its way, or a pause before the next attempt."""
    if wait.job_id is not None:
        return await _wait_for_twin(run, wait.job_id)
    if wait.until is not None:
        await _sleep_until_closed(run, wait.until.timestamp() - time.time())
    return State.PENDING


async def _wait_for_twin(run: Run, twin_id: str) -> State | None:
    """Its video will serve this job too; but nobody waits for one that nobody drives."""
    twin = (await run.book(reading.states_of, run.ledger, [twin_id]))[twin_id]
    if twin is State.IN_DOUBT:
        return None
    if twin not in HELD:
        return State.PENDING  # It came to its end since the claim saw it.
    patience = TWIN_LOOK_SECONDS if twin_id in run.driving else run.patience_seconds
    after = await run.elsewhere.changed(twin_id, twin, patience=patience)
    return None if after is twin and twin_id not in run.driving else State.PENDING


async def _sleep_until_closed(run: Run, seconds: float) -> None:
    try:
        async with asyncio.timeout(max(0.01, seconds)):
            await run.gate.closed.wait()
    except TimeoutError:
        return


async def _no_image(run: Run, job: Job, error: Transient | Permanent) -> State:
    """The image cannot be brought to fal: that fails the job, and costs nothing."""
    if isinstance(error, PermanentFailure) and (reason := PARKS.get(error.failure.family)):
        account = run.settings.account_id
        await run.book(parking.park_account, run.ledger, account, reason, error.message)
        await run.sit_out()
        return State.PENDING
    kind = error.error if isinstance(error, Permanent) else "upload_failed"
    why = Why(error_type=kind, message=error.message)
    await run.book(images.failed, run.ledger, job["id"], why)
    run.heard(kind)
    return State.FAILED

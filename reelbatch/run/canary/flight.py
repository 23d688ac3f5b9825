"""The canary's way: one POST, then every way of following it, then the video and the bill.

It is no job of the ledger's. A canary that was interrupted is carried on, not paid again.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, assert_never

from reelbatch import __version__
from reelbatch.config import DOWNLOAD_CAP_BYTES, Settings
from reelbatch.errors import Permanent, ReelbatchError, Transient
from reelbatch.fal.answers import (
    Accepted,
    Ambiguous,
    FailedResult,
    Gone,
    GoodResult,
    NotSent,
    NotYet,
    Rejected,
    Submission,
)
from reelbatch.fal.client import Fal, open_fal
from reelbatch.fal.endpoints import OVI_TEXT
from reelbatch.fal.failures import PermanentFailure
from reelbatch.media.mp4 import check_video
from reelbatch.run.canary.catcher import Catcher, catcher
from reelbatch.run.canary.overheard import Overheard
from reelbatch.run.canary.record import VIDEO, Record
from reelbatch.run.canary.watching import MARGIN, Watcher, for_a_while
from reelbatch.run.evidence import covers
from reelbatch.run.opening import fetcher_for

PROMPT = "A yellow canary sings on a branch at sunrise. <AUDCAP>Birdsong, light wind<ENDAUDCAP>"
LATE_SECONDS = 300.0
"""How long list, bill and a second webhook are waited for after the end."""
RESULT_TRIES = 20

Say = Callable[[str], None]


async def fly(settings: Settings, record: Record, say: Say) -> None:
    """Submit a canary, or carry on with the one at fal. Raises Transient and Permanent."""
    if not record.is_paid_and_open(settings.fal_queue_url):
        record.content.clear()
    heard = Overheard()
    token = record.content.get("token") or secrets.token_hex(16)
    async with open_fal(settings, listener=heard) as fal, catcher(settings, token) as caught:
        submission = _known(fal, record)
        if submission is None:
            submission = await _submit(fal, settings, record, heard, caught)
        say(f"fal has it as {submission.request_id}; noted in {record.path}.")
        await _follow(fal, settings, record, heard, submission, caught)
    record.note(finished_at=datetime.now(UTC).isoformat())


async def find_lost(settings: Settings, record: Record) -> bool:
    """Whether fal lists the canary whose POST had no answer; from then on its id is known."""
    sent = record.content["arguments"]
    span = {"start": record.began_at - MARGIN, "end": record.began_at + MARGIN}
    async with open_fal(settings) as fal:
        with suppress(Transient, Permanent):
            async for one in fal.requests(OVI_TEXT.id, **span):
                if one.json_input is not None and covers(one.json_input, sent):
                    record.note(request_id=one.request_id)
                    return True
    return False


def _known(fal: Fal, record: Record) -> Submission | None:
    return fal.submission(OVI_TEXT.id, record.request_id) if record.request_id else None


async def _submit(
    fal: Fal, settings: Settings, record: Record, heard: Overheard, caught: Catcher
) -> Submission:
    """The one POST. What was sent is on disk before it leaves."""
    arguments = {"prompt": PROMPT, "seed": secrets.randbelow(2**31)}
    record.note(
        reelbatch=__version__,
        began_at=datetime.now(UTC).isoformat(),
        queue_url=settings.fal_queue_url,
        endpoint=OVI_TEXT.id,
        arguments=arguments,
        token=caught.token,
    )
    outcome = await fal.submit(
        OVI_TEXT.id,
        arguments,
        token=caught.token,
        start_timeout_seconds=settings.start_timeout,
        webhook_url=caught.url,
    )
    answer = heard.last("submit")
    told = {
        "http_status": answer.http_status,
        "keys": sorted(answer.body),
        "headers": answer.headers,
        "seconds": record.seconds(),
    }
    match outcome:
        case Accepted(submission=submission):
            record.note(request_id=submission.request_id, submit=told)
            return submission
        case NotSent(reason=reason):
            record.note(submit={"refused": reason})
            raise Transient(f"Nothing was submitted: {reason}.")
        case Rejected(failure=failure):
            record.note(submit={**told, "refused": failure.error_type, "raw": failure.raw})
            raise PermanentFailure(f"fal refused it: {failure.message}", failure)
        case Ambiguous(reason=reason):
            record.note(submit={**told, "in_doubt": reason})
            raise Permanent(
                f"The submission has no usable answer, and may be paid: {reason}.",
                advice=f"It was not sent again. {record.path} has its seed: look for it at fal.",
            )
        case never:
            assert_never(never)


async def _follow(
    fal: Fal,
    settings: Settings,
    record: Record,
    heard: Overheard,
    submission: Submission,
    caught: Catcher,
) -> None:
    watcher = Watcher(
        fal=fal,
        heard=heard,
        record=record,
        submission=submission,
        pause_seconds=0.2 if settings.on_loopback else 2.0,
    )
    listing: asyncio.Task[Any] = asyncio.create_task(watcher.listed())
    streaming: asyncio.Task[Any] = asyncio.create_task(watcher.stream())
    try:
        async with asyncio.timeout(settings.start_timeout + settings.run_timeout):
            await watcher.status()
        ended_at = time.time()
        if not await _collect(fal, settings, record, heard, submission):
            return
        late = LATE_SECONDS / 20 if settings.on_loopback else LATE_SECONDS
        watched: dict[str, Awaitable[Any]] = {
            "stream": streaming,
            "list": listing,
            "bill": watcher.billed(),
        }
        if caught.url:
            watched["webhook"] = caught.complete.wait()
        await asyncio.gather(*(for_a_while(*one, record, late) for one in watched.items()))
        record.note(webhook=await caught.told(settings.jwks_url, ended_at))
    finally:
        listing.cancel()
        streaming.cancel()
        await asyncio.gather(listing, streaming, return_exceptions=True)


async def _collect(
    fal: Fal, settings: Settings, record: Record, heard: Overheard, submission: Submission
) -> bool:
    """The result, and the video beside the record; False where fal knows of none any more.

    A canary that failed has taught something, too.
    """
    answer = await _result(fal, submission)
    told = heard.last("result")
    facts: dict[str, Any] = {"http_status": told.http_status, "headers": told.headers}
    match answer:
        case GoodResult():
            video = told.body.get("video")
            facts |= {"keys": sorted(told.body), "video_keys": sorted(video or {})}
            facts["seed_as_sent"] = answer.seed == record.content["arguments"]["seed"]
            record.note(result=facts)
            await _keep(settings, record, answer)
        case FailedResult(failure=failure):
            error = {"error": failure.error_type, "raw": failure.raw}
            record.note(result={**facts, **error, "billable_units": answer.billable_units})
        case Gone():
            record.note(result={**facts, "error": "gone"})
            return False
    return True


async def _result(fal: Fal, submission: Submission) -> GoodResult | FailedResult | Gone:
    for n in range(RESULT_TRIES):
        try:
            answer = await fal.result(submission)
        except Transient:
            if n + 1 == RESULT_TRIES:
                raise
        else:
            if not isinstance(answer, NotYet):
                return answer
        await asyncio.sleep(1.0)
    raise Transient("fal says it is done, and that its result is still in progress.")


async def _keep(settings: Settings, record: Record, answer: GoodResult) -> None:
    """It was paid: whatever its boxes say, the file is kept."""
    file = answer.output
    try:
        async with fetcher_for(settings) as fetcher:
            found = await fetcher.get(file.url, cap_bytes=DOWNLOAD_CAP_BYTES)
        (record.folder / VIDEO).write_bytes(found.content)
        media = asdict(check_video(found.content, expected_bytes=file.file_size))
    except ReelbatchError as error:
        record.note(media={"reason": error.message})
        return
    size = len(found.content)
    media |= {"bytes": size, "content_type": found.content_type}
    media["size_as_announced"] = None if file.file_size is None else file.file_size == size
    record.note(media=media)

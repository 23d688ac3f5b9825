"""Archive a result: download, check, hash, put once, sidecar beside it.

Hash, size and key are committed before the put, so that after a crash a look at the archive
is enough. What does not work is tried again as collection; nothing is generated anew.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import asdict, replace

from sqlalchemy import RowMapping

from reelbatch.archive.open import open_archive
from reelbatch.archive.sidecar import sidecar_key
from reelbatch.config import DOWNLOAD_CAP_BYTES
from reelbatch.errors import Permanent, Transient
from reelbatch.jobs import JobId, State
from reelbatch.ledger import keeping, reading, results
from reelbatch.ledger.answers import Why
from reelbatch.ledger.keeping import Kept
from reelbatch.manifest.output import render_output
from reelbatch.media.mp4 import Media, check_video
from reelbatch.run.entries import good_of
from reelbatch.run.run import Run
from reelbatch.run.sidecars import sidecar_of
from tasks.lost import COUNTS_AFTER, found_again

TRIES = 6
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 15.0
NOT_THERE = frozenset({"not_found", "download_refused"})
"""What a download says of a video that fal's media host does not give."""
JSON_TYPE = "application/json"


async def archive(run: Run, job_id: JobId) -> State:
    """Bring one completed job's video home. COMPLETED comes back when it did not work yet."""
    run.waiting_for_archive += 1
    try:
        for n in range(1, TRIES + 1):
            async with run.bringing:
                state = await _try(run, job_id)
            if state is not State.COMPLETED or run.leaving.is_set():
                return state
            if run.stopped == "archive":
                return State.COMPLETED
            if n < TRIES:
                await asyncio.sleep(min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** (n - 1)))
        return State.COMPLETED
    finally:
        run.waiting_for_archive -= 1


async def _try(run: Run, job_id: JobId) -> State:
    job = await run.move(reading.job, run.ledger, job_id)
    try:
        content, sha256, media = await _bytes_of(run, job)
    except SourceLost as error:
        why = Why(error_type="source_lost", message=str(error))
        await run.book(keeping.source_lost, run.ledger, job_id, why)
        return State.FAILED
    except (Transient, Permanent) as error:
        if job["reused_from"]:
            return await _not_kept(run, job_id, error)
        return await _not_fetched(run, job, error)
    try:
        kept = Kept(key=_key(run, job), sha256=sha256, bytes=len(content), media=asdict(media))
        return await _keep(run, job, content, kept)
    except (Transient, Permanent) as error:
        return await _not_kept(run, job_id, error)


async def _keep(run: Run, job: RowMapping, content: bytes, kept: Kept) -> State:
    """Committed, put, told beside it, and only then ARCHIVED."""
    attempts = await run.move(keeping.about_to_keep, run.ledger, job["id"], kept)
    stored = await run.keeper.store_video(kept.key, job["id"], content, kept.sha256)
    sidecar = sidecar_of(run.batch, run.settings.account, {**job, **asdict(kept)}, attempts, stored)
    await run.keeper.put(sidecar_key(stored.key), sidecar.render(), JSON_TYPE)
    await run.move(keeping.kept, run.ledger, job["id"], stored.key)
    if stored.warning:
        run.warn(stored.warning)
    run.archive_refusals = 0
    return State.ARCHIVED


class SourceLost(Exception):
    """The bytes that a reused job should have been copied from are gone."""


async def _bytes_of(run: Run, job: RowMapping) -> tuple[bytes, str, Media]:
    """The video, checked, from fal or from the archive that holds its twin."""
    if job["reused_from"]:
        return await _copy_of(run, job)
    downloaded = await run.fetcher.get(job["output_url"], cap_bytes=DOWNLOAD_CAP_BYTES)
    media = check_video(downloaded.content, expected_bytes=job["output_bytes"])
    return downloaded.content, downloaded.sha256, media


async def _copy_of(run: Run, job: RowMapping) -> tuple[bytes, str, Media]:
    source = await run.book(reading.source, run.ledger, job["reused_from"])
    here = source.archive == run.archive.uri
    place = run.archive if here else open_archive(source.archive)
    content = await run.carry(place.read, source.key)
    if content is None or hashlib.sha256(content).hexdigest() != source.sha256:
        raise SourceLost(
            f"The video this take should be copied from ({place.uri_of(source.key)}) is gone. "
            "Make it anew with --fresh."
        )
    return content, source.sha256, check_video(content)


def _key(run: Run, job: RowMapping) -> str:
    """The name the video was promised; once it is committed it stays."""
    if job["key"]:
        return str(job["key"])
    return render_output(
        job["output"],
        batch=run.batch.name,
        row_id=job["row_id"],
        take=job["take"],
        revision=job["revision"],
        labels=job["labels"],
    )


async def _not_fetched(run: Run, job: RowMapping, error: Transient | Permanent) -> State:
    """fal does not give the video now: it is asked for elsewhere, and again, before it is lost."""
    why = Why(error_type=_kind(error, "download_later"), message=error.message)
    await run.book(results.note_trouble, run.ledger, job["id"], why)
    if isinstance(error, Transient):
        return State.COMPLETED
    try:
        found = await found_again(run, dict(job))
    except Transient:
        return State.COMPLETED
    if found is not None:
        await run.book(results.renewed, run.ledger, job["attempt_id"], good_of(found))
        return State.COMPLETED
    silence = await run.book(results.gone, run.ledger, job["attempt_id"])
    return await _lost(run, job, why) if silence >= COUNTS_AFTER else State.COMPLETED


async def _lost(run: Run, job: RowMapping, why: Why) -> State:
    """It was paid, and cannot be had: FAILED, under the name that `retry` looks for."""
    if why.error_type in NOT_THERE:
        why = replace(why, error_type="result_lost")
    await run.book(results.lost, run.ledger, job["attempt_id"], why)
    return (await run.book(reading.states_of, run.ledger, [job["id"]]))[job["id"]]


async def _not_kept(run: Run, job_id: JobId, error: Transient | Permanent) -> State:
    """Keep the reason with the job; an archive that refuses stops the buying."""
    kind = _kind(error, "archive_later")
    why = Why(error_type=kind, message=error.message)
    await run.book(results.note_trouble, run.ledger, job_id, why)
    if kind in ("archive_refused", "archive_full"):
        run.archive_refused(str(error))
    return State.COMPLETED


def _kind(error: Transient | Permanent, later: str) -> str:
    return error.error if isinstance(error, Permanent) else later

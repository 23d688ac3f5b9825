"""Failed jobs, put back in line: chosen, asked about at fal, and only then made anew."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import RowMapping

from reelbatch.cli.asking import confirm
from reelbatch.cli.session import session, tell
from reelbatch.config import DOWNLOAD_CAP_BYTES, Settings
from reelbatch.errors import Permanent, Refused, Transient
from reelbatch.fal.answers import GoodResult
from reelbatch.fal.client import Fal, open_fal
from reelbatch.fal.endpoints import ENDPOINTS
from reelbatch.jobs import JobId, RowId
from reelbatch.ledger import Ledger, batches, reading, results, retrying
from reelbatch.ledger.results import Good
from reelbatch.media.download import Downloader
from reelbatch.media.mp4 import check_video
from reelbatch.run.entries import good_of
from reelbatch.run.handover import Handover
from reelbatch.run.opening import downloader_for
from reelbatch.run.prices import Prices, read_prices
from reelbatch.run.request import GenerateRequest
from reelbatch.run.totals import Totals


def retry_batch(
    request: GenerateRequest, flags: Mapping[str, Any], *, emulated: bool, yes: bool, as_json: bool
) -> Totals:
    """Choose, ask, run. Raises Refused where there is no such batch or nothing to retry."""
    with session(request, flags, emulated=emulated) as at_hand:
        batch = batches.find_batch(at_hand.ledger, request.batch or "")
        if batch is None:
            raise Refused(
                f"There is no batch named {request.batch!r} in {at_hand.ledger.url}.",
                advice="`reelbatch status` lists those there are.",
            )
        chosen = retrying.failed_jobs(at_hand.ledger, batch.id, request.where)
        if not chosen:
            raise Refused(f"Nothing of {batch.name} failed that way; nothing was submitted.")
        confirm(
            f"Try {len(chosen)} failed takes of {batch.name} again, and pay for them?",
            yes=yes or emulated,
        )
        asyncio.run(settle_what_fal_holds(at_hand.settings, at_hand.ledger, chosen))
        retrying.put_back(at_hand.ledger, chosen)
        batches.set_mark(at_hand.ledger, batch.id, None)
        settings = at_hand.settings.model_copy(update={"archive": batch.archive})
        only = frozenset(RowId(reading.job(at_hand.ledger, one)["row_id"]) for one in chosen)
        handover = Handover(settings=settings, ledger=at_hand.ledger, only=only)
        return tell(request, handover, at_hand.server, as_json=as_json)


async def settle_what_fal_holds(
    settings: Settings, ledger: Ledger, job_ids: Sequence[JobId]
) -> None:
    """What was paid and failed on the way home is collected before it is paid again."""
    downloader = downloader_for(settings)
    async with open_fal(settings) as fal:
        prices = await read_prices(settings, fal)
        for job_id in job_ids:
            job = reading.job(ledger, job_id)
            if job["request_id"]:
                await _ask_once_more(fal, ledger, job, prices, downloader)


async def _ask_once_more(
    fal: Fal, ledger: Ledger, job: RowMapping, prices: Prices, downloader: Downloader
) -> None:
    handle = fal.submission(job["endpoint_id"], job["request_id"])
    try:
        answer = await fal.result(handle, output=ENDPOINTS[job["endpoint_id"]].output)
    except (Transient, Permanent):
        return
    if isinstance(answer, GoodResult):
        good = good_of(answer, inference_seconds=job["inference_seconds"])
        if job["output_url"] is None or _is_there(downloader, good):
            results.settle_good(ledger, job["attempt_id"], good, prices.of(job["endpoint_id"]))


def _is_there(downloader: Downloader, good: Good) -> bool:
    """A video that was lost once is believed when it is seen."""
    try:
        found = downloader.get(good.output_url, cap_bytes=DOWNLOAD_CAP_BYTES)
        check_video(found.content, expected_bytes=good.output_bytes)
    except (Transient, Permanent):
        return False
    return True

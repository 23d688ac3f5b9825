"""Failed jobs, put back in line: chosen, asked about at fal, and only then made anew."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any

from sqlalchemy import RowMapping

from reelbatch.cli.asking import confirm
from reelbatch.cli.making import lift_orders, tell
from reelbatch.cli.session import Session, session
from reelbatch.config import DOWNLOAD_CAP_BYTES, Settings
from reelbatch.errors import Permanent, Refused, Transient
from reelbatch.fal.answers import GoodResult, NotYet, ResultAnswer
from reelbatch.fal.client import Fal, open_fal
from reelbatch.fal.endpoints import ENDPOINTS
from reelbatch.jobs import JobId, RowId
from reelbatch.ledger import Ledger, batches, reading, results, retrying
from reelbatch.ledger.batches import Batch
from reelbatch.ledger.results import Good
from reelbatch.media.fetch import Fetcher
from reelbatch.media.mp4 import check_video
from reelbatch.money import as_text
from reelbatch.run.choosing import failed_takes
from reelbatch.run.entries import good_of
from reelbatch.run.handover import Handover
from reelbatch.run.opening import fetcher_for
from reelbatch.run.prices import Prices, read_prices
from reelbatch.run.request import GenerateRequest
from reelbatch.run.totals import Totals

AT_ONCE = 12
PAUSES_SECONDS = (1.0, 2.0)
"""Between the times that fal is asked about one request."""


def retry_batch(
    request: GenerateRequest, flags: Mapping[str, Any], *, emulated: bool, yes: bool, as_json: bool
) -> Totals:
    """Choose, ask, run. Raises Refused where there is no such batch or nothing to retry."""
    if request.in_doubt == "resubmit":
        raise Refused(
            "A retry is for what failed, not for what is in doubt; nothing was submitted.",
            advice="`reelbatch run` with --in-doubt resubmit sends that again.",
        )
    if emulated:
        request = request.model_copy(update={"archive": None})
    with session(request, flags, emulated=emulated) as at_hand:
        batch = batches.find_batch(at_hand.ledger, request.batch or "")
        if batch is None:
            raise Refused(
                f"There is no batch named {request.batch!r} in {at_hand.ledger.url}.",
                advice="`reelbatch status` lists those there are.",
            )
        settings = at_hand.settings
        batches.check_batch(
            batch, account_id=settings.account_id, place=batch.place, named_by_hand=True
        )
        chosen = failed_takes(at_hand.ledger, batch.id, request.where)
        if not chosen:
            raise Refused(f"Nothing of {batch.name} failed that way; nothing was submitted.")
        confirm(_question(settings, at_hand.ledger, chosen), yes=yes or emulated)
        unknown = asyncio.run(settle_what_fal_holds(at_hand.settings, at_hand.ledger, chosen))
        chosen = _without(unknown, chosen)
        only = frozenset(RowId(reading.job(at_hand.ledger, one)["row_id"]) for one in chosen)
        handover = Handover(
            settings=settings, ledger=at_hand.ledger, only=only, only_jobs=frozenset(chosen)
        )
        handover.opened = partial(_put_back, request, at_hand, batch, chosen)
        return tell(request, handover, at_hand.server, as_json=as_json)


def _question(settings: Settings, ledger: Ledger, chosen: Sequence[JobId]) -> str:
    """What it may cost; what fal still holds is collected for nothing."""
    prices = asyncio.run(_prices(settings))
    usd = sum((prices.of(reading.job(ledger, one)["endpoint_id"]) for one in chosen), Decimal(0))
    n = len(chosen)
    return f"Spend up to ${as_text(usd)} for {n} failed take{'' if n == 1 else 's'}?"


async def _prices(settings: Settings) -> Prices:
    async with open_fal(settings) as fal:
        return await read_prices(settings, fal)


def _put_back(
    request: GenerateRequest, at_hand: Session, batch: Batch, chosen: Sequence[JobId]
) -> None:
    retrying.put_back(at_hand.ledger, chosen)
    lift_orders(request, at_hand, batch)


def _without(unknown: Collection[JobId], chosen: Sequence[JobId]) -> list[JobId]:
    """Raises Refused where nothing is left."""
    rest = [job_id for job_id in chosen if job_id not in unknown]
    said = f"fal does not say now what became of {len(unknown)} takes that were paid"
    if not rest:
        raise Refused(f"{said}; nothing was submitted.", advice="Say it again later.")
    if unknown:
        print(f"{said}: they stay as they are. Say it again later.", file=sys.stderr)
    return rest


async def settle_what_fal_holds(
    settings: Settings, ledger: Ledger, job_ids: Sequence[JobId]
) -> set[JobId]:
    """What was paid and failed on the way home is collected before it is paid again.

    Returns the jobs with a paid request of which nothing certain could be learned.
    """
    async with open_fal(settings) as fal, fetcher_for(settings) as fetcher:
        prices = await read_prices(settings, fal)
        turn = asyncio.Semaphore(AT_ONCE)

        async def ask(job_id: JobId) -> bool:
            async with turn:
                return await _settled(fal, ledger, job_id, prices, fetcher)

        asked = await asyncio.gather(*(ask(job_id) for job_id in job_ids))
    return {job_id for job_id, is_certain in zip(job_ids, asked, strict=True) if not is_certain}


async def _settled(
    fal: Fal, ledger: Ledger, job_id: JobId, prices: Prices, fetcher: Fetcher
) -> bool:
    """Ask for every request of the job, the newest first; False where a paid one stays unknown."""
    job, is_certain = reading.job(ledger, job_id), True
    for attempt in reversed(reading.attempts_of(ledger, job_id)):
        try:
            good = await _result_of(fal, job, attempt, fetcher)
        except Transient:
            is_certain = is_certain and not attempt["cost_usd"]
            continue
        if good is not None:
            results.settle_good(ledger, attempt["id"], good, prices.of(job["endpoint_id"]))
            return True
    return is_certain


async def _result_of(
    fal: Fal, job: RowMapping, attempt: RowMapping, fetcher: Fetcher
) -> Good | None:
    """A good result that can be had now. Raises Transient where nothing is known."""
    if not attempt["request_id"]:
        return None
    answer = await _ask(fal, job["endpoint_id"], attempt["request_id"])
    if not isinstance(answer, GoodResult):
        return None
    good = good_of(answer, inference_seconds=attempt["inference_seconds"])
    if job["output_url"] is None or await _is_there(fetcher, good):
        return good
    return None


async def _ask(fal: Fal, endpoint_id: str, request_id: str) -> ResultAnswer:
    """Raises Transient where fal does not answer, several times, or is not done with it."""
    handle, output = fal.submission(endpoint_id, request_id), ENDPOINTS[endpoint_id].output
    for pause in (*PAUSES_SECONDS, None):
        try:
            answer = await fal.result(handle, output=output)
            break
        except Permanent as error:
            raise Transient(error.message) from error
        except Transient:
            if pause is None:
                raise
            await asyncio.sleep(pause)
    if isinstance(answer, NotYet):
        raise Transient("fal is not done with it.")
    return answer


async def _is_there(fetcher: Fetcher, good: Good) -> bool:
    """A video that was lost once is believed when it is seen. Raises Transient: nobody knows."""
    try:
        found = await fetcher.get(good.output_url, cap_bytes=DOWNLOAD_CAP_BYTES)
        check_video(found.content, expected_bytes=good.output_bytes)
    except Permanent:
        return False
    return True

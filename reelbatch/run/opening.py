"""Open a run: ledger first, then archive, then fal; each refusal before any money is spent."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal

from aiolimiter import AsyncLimiter

from reelbatch.archive.keeper import open_keeper
from reelbatch.archive.open import open_archive
from reelbatch.config import Settings
from reelbatch.errors import Refused
from reelbatch.fal.answers import KeyCheck
from reelbatch.fal.client import Fal, open_fal
from reelbatch.jobs import RowId
from reelbatch.ledger import Ledger, batches, parking, reading, slots
from reelbatch.ledger.batches import Batch
from reelbatch.media.fetch import Fetcher
from reelbatch.media.remote import FAL_MEDIA, remote_for
from reelbatch.run.bookkeeping import Bookkeeper
from reelbatch.run.plan import Plan
from reelbatch.run.polling import REMOTE_CALLS_PER_SECOND, Poller
from reelbatch.run.prices import read_prices
from reelbatch.run.request import GenerateRequest
from reelbatch.run.run import Run
from reelbatch.run.run_times import RunTimes
from reelbatch.run.schedule import Schedule
from reelbatch.run.streams import Streams, places_for_streams

PORTERS = 16
SWITCH_SECONDS = 0.0005
"""SQLite gives the GIL away at every statement; at Python's 5 ms each waits for a busy loop."""


@asynccontextmanager
async def open_run(
    request: GenerateRequest,
    settings: Settings,
    ledger: Ledger,
    batch: Batch,
    plan: Plan | None,
    *,
    only: frozenset[RowId] | None = None,
    sweeps: bool = False,
) -> AsyncIterator[Run]:
    """Everything a run needs, for as long as the block lasts. Raises Refused.

    `only` chooses rows where there is no plan to say it; a run that `sweeps` claims nothing.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    async with AsyncExitStack() as stack:
        fal = await stack.enter_async_context(open_fal(settings))
        await check_key(fal, settings)
        bookkeeper = Bookkeeper(ledger, settings.account_id)
        stack.callback(bookkeeper.close)
        porters = ThreadPoolExecutor(PORTERS, "porter")
        stack.callback(porters.shutdown, wait=True, cancel_futures=True)
        archive = open_archive(settings.archive, pool_size=PORTERS)
        facts = reading.account_facts(ledger, settings.account_id)
        run = Run(
            request=request,
            settings=settings,
            ledger=ledger,
            batch=batch,
            selected=plan.selected if plan else only,
            fal=fal,
            archive=archive,
            keeper=await stack.enter_async_context(open_keeper(archive, porters)),
            fetcher=await stack.enter_async_context(fetcher_for(settings)),
            remote=remote_for(settings),
            prices=await read_prices(settings, fal),
            window=_window(settings, ledger),
            bookkeeper=bookkeeper,
            porters=porters,
            poller=poller_for(fal, settings, facts.run_seconds if facts else None),
            started_at=datetime.now(UTC),
            sweeps=sweeps,
        )
        if not sweeps:
            parking.probe_now(ledger, settings.account_id)
        await run.doubt_the_late()
        yield run


def poller_for(fal: Fal, settings: Settings, usual_seconds: float | None) -> Poller:
    """Streams and looks share one pace. Who listens for webhooks only looks after the missing."""
    per_call = 1 / REMOTE_CALLS_PER_SECOND
    pace = None if settings.on_loopback else AsyncLimiter(1, per_call)
    streams = None
    if settings.collect == "stream":
        streams = Streams(fal.stream, places=places_for_streams(), pace=pace)
    return Poller(
        fal.status,
        Schedule(RunTimes(usual_seconds)),
        pace=pace,
        run_timeout_seconds=settings.run_timeout,
        streams=streams,
    )


async def check_key(fal: Fal, settings: Settings) -> None:
    """The free look of fal.md, section 3.3. Raises Refused for no key, a wrong one, no answer."""
    match await fal.check_key():
        case KeyCheck.MISSING:
            raise Refused("There is no fal key.", advice="Set FAL_KEY=id:secret and run again.")
        case KeyCheck.BAD:
            raise Refused(
                "fal does not accept this key (FAL_KEY).",
                advice="Copy it again from fal.ai/dashboard/keys: it reads id:secret.",
            )
        case KeyCheck.UNREACHABLE:
            raise Refused(
                f"fal cannot be reached at {settings.fal_queue_url}.",
                advice="Check the network and run again.",
            )
        case KeyCheck.GOOD | KeyCheck.LOCKED | KeyCheck.UNKNOWN:
            return


def open_the_batch(
    settings: Settings,
    ledger: Ledger,
    name: str,
    *,
    place: str,
    named_by_hand: bool,
    budget_usd: Decimal | None,
) -> Batch:
    """The batch's row, with the archive it will use and the manifest's own budget."""
    batches.open_account(ledger, settings.account_id, settings.queue_identity)
    archive = open_archive(settings.archive)
    return batches.open_batch(
        ledger,
        name,
        account_id=settings.account_id,
        place=place,
        archive=archive.uri,
        named_by_hand=named_by_hand,
        budget_usd=budget_usd,
    )


def _window(settings: Settings, ledger: Ledger) -> int:
    """How many requests may be at fal at once, as things stand."""
    if settings.max_in_flight != "auto":
        return settings.max_in_flight
    return slots.standing(ledger, settings.account_id).window


def fetcher_for(settings: Settings) -> Fetcher:
    """fal's media hosts, and this machine where fal is an emulator on it."""
    rewrite = dict.fromkeys(FAL_MEDIA, settings.fal_cdn_url) if settings.on_loopback else {}
    return Fetcher(hosts=settings.media_hosts, allow_loopback=settings.on_loopback, rewrite=rewrite)

"""A batch compared with fal's own records, and the outcome in words."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TextIO

from reelbatch.cli.finding import batch_named
from reelbatch.config import Settings, read_settings
from reelbatch.errors import Refused
from reelbatch.fal.client import open_fal
from reelbatch.ledger import Ledger, open_ledger
from reelbatch.ledger.batches import Batch
from reelbatch.ledger.unknown_calls import UnknownCall
from reelbatch.logs import open_log
from reelbatch.money import as_text
from reelbatch.run.opening import check_key
from reelbatch.run.reconciling import Reconciled
from reelbatch.run.reconciling import reconcile as compared

SHOWN = 20


def compare(name: str, ledger_url: str | None, *, adopt: bool) -> Reconciled:
    """Raises Refused where there is no such batch, or fal refuses the key."""
    settings = read_settings(ledger=ledger_url)
    open_log(settings.log_level)
    if settings.fal_key is None:
        raise Refused("There is no fal key.", advice="Set FAL_KEY=id:secret and try again.")
    ledger = open_ledger(settings.ledger_url)
    try:
        batch = batch_named(ledger, name)
        if batch.account_id != settings.account_id:
            raise Refused(
                f"Batch {name!r} was made at {batch.queue_url}, not at the fal configured now.",
                advice="Set REELBATCH_FAL_QUEUE_URL (and REELBATCH_ACCOUNT) as they were then.",
            )
        return asyncio.run(_compare(settings, ledger, batch, adopt=adopt))
    finally:
        ledger.close()


async def _compare(settings: Settings, ledger: Ledger, batch: Batch, *, adopt: bool) -> Reconciled:
    async with open_fal(settings) as fal:
        await check_key(fal, settings)
        return await compared(settings, ledger, batch, fal, adopt=adopt)


def say_reconciled(found: Reconciled, out: TextIO) -> None:
    """A few lines: what agrees, what is left over, and what to do about it."""
    if found.since is None:
        print(f"{found.batch}: nothing was ever sent.", file=out)
    else:
        _say_compared(found, out)
    if found.unknown_calls:
        _say_unknown(found.unknown_calls, out)


def _say_compared(found: Reconciled, out: TextIO) -> None:
    books = found.books
    print(f"{found.batch}: fal's records since {found.since:%Y-%m-%d %H:%M} UTC", file=out)
    print(f"  held    {books.held} requests, ${as_text(books.held_usd)} booked", file=out)
    print(f"  listed  {books.listed} of them{_unlisted(books.held - books.listed)}", file=out)
    print(f"  billed  {_billed(found)}", file=out)
    if found.unknown:
        print(f"  others  {found.unknown} more of this account, not of this batch", file=out)
    if found.adopted:
        print(f"  adopted {found.adopted}: run again to collect them", file=out)
    for stray in found.strays[:SHOWN]:
        print(f"  stray   {stray.request_id}, a request of job {stray.job_id}", file=out)
    print(_verdict(found), file=out)


def _say_unknown(calls: Sequence[UnknownCall], out: TextIO) -> None:
    """They cannot be put down to a batch: something to know of, whatever is being compared."""
    n = len(calls)
    print(
        f"warning: webhooks came for {n} request{'s' if n > 1 else ''} that this ledger never "
        "sent: fal ran them for another ledger, perhaps another machine's, or an older copy of "
        "this one. Look there; nothing here waits for them.",
        file=out,
    )
    for call in calls[:SHOWN]:
        print(
            f"  unknown {call.request_id}, {call.status}, heard of {_times(call.times)}, last "
            f"{call.last_heard_at:%Y-%m-%d %H:%M} UTC, for fal's user {call.user_id}",
            file=out,
        )
    if n > SHOWN:
        print(f"  ... and {n - SHOWN} more: --json has them", file=out)


def _times(n: int) -> str:
    return "once" if n == 1 else f"{n} times"


def _unlisted(n: int) -> str:
    return f"; {n} not listed yet (queued, or fal's list lags)" if n else ""


def _billed(found: Reconciled) -> str:
    if not found.bill_read:
        return "not known: this key may not read fal's bill (it needs the ADMIN scope)"
    unbilled = found.books.unbilled
    missing = f"; {unbilled} results are on our books and not on fal's bill" if unbilled else ""
    return f"${as_text(found.books.billed_usd)}{missing}"


def _verdict(found: Reconciled) -> str:
    if not found.left_over:
        return "Nothing is left over."
    words = []
    if found.strays:
        n = len(found.strays)
        words.append(
            f"fal ran {n} request{'s' if n > 1 else ''} that nothing here holds: "
            "say --adopt to bring them home."
        )
    if found.made:
        words.append(f"fal made {found.made} that are booked as failed: say --adopt to fetch them.")
    if found.in_doubt:
        words.append(f"{found.in_doubt} in doubt: run again to settle them.")
    if found.bill_read and found.books.unbilled:
        words.append("What fal did not bill may still come; ask again later.")
    return " ".join(words)

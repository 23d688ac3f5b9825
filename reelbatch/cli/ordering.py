"""Orders to live runs, given through the ledger from any terminal."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from reelbatch.cli.asking import request_of
from reelbatch.cli.finding import batch_named, ledger_to_read
from reelbatch.cli.rehearsing import rehearsal_ledger
from reelbatch.config import REHEARSAL, read_settings
from reelbatch.errors import Refused
from reelbatch.ledger import Ledger, batches, open_ledger, orders, reading
from reelbatch.ledger.batches import Batch, Mark
from reelbatch.run.cancelling import cancel_batch
from reelbatch.run.totals import Totals


@dataclass(frozen=True, kw_only=True)
class Ordered:
    """What the order found."""

    in_flight: int
    place: str


def order(
    name: str,
    mark: Mark | None,
    max_in_flight: str | None,
    ledger_url: str | None,
    *,
    emulated: bool,
) -> Ordered:
    """Set or lift the mark, and another window if one is named. Raises Refused."""
    wanted = request_of(max_in_flight=max_in_flight).max_in_flight
    with _opened(ledger_url, name, emulated=emulated) as (ledger, batch):
        if wanted is not None:
            window = None if wanted == "auto" else wanted
            orders.set_window(ledger, batch.account_id, window)
        batches.set_mark(ledger, batch.id, mark)
        return Ordered(
            in_flight=reading.counts(ledger, batch.id).in_flight,
            place=batch.place,
        )


def call_off(name: str, ledger_url: str | None, *, emulated: bool) -> Totals:
    """Raises Refused where there is no such batch, or it belongs to another fal."""
    settings = read_settings(ledger=ledger_url)
    with _opened(ledger_url, name, emulated=emulated) as (ledger, batch):
        if batch.queue_url != REHEARSAL and batch.account_id != settings.account_id:
            raise Refused(
                f"Batch {name!r} was made at {batch.queue_url}, not at the fal configured now.",
                advice="Set REELBATCH_FAL_QUEUE_URL (and REELBATCH_ACCOUNT) as they were then.",
            )
        return asyncio.run(cancel_batch(settings, ledger, batch))


@contextmanager
def _opened(url: str | None, name: str, *, emulated: bool) -> Iterator[tuple[Ledger, Batch]]:
    """A ledger that is there already, to be written, and its batch of this name."""
    ledger_to_read(url, emulated=emulated).close()
    settings = read_settings(ledger=rehearsal_ledger() if emulated else url)
    ledger = open_ledger(settings.ledger_url)
    try:
        yield ledger, batch_named(ledger, name)
    finally:
        ledger.close()

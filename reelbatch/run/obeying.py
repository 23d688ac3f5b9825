"""Obey what a person orders from another terminal, besides what every claim obeys by itself."""

from __future__ import annotations

import asyncio

from reelbatch.ledger import orders
from reelbatch.run.run import Run

LOOK_EVERY_SECONDS = 1.0


async def obey(run: Run) -> None:
    """Look and obey, for ever; cancel it to stop."""
    while True:
        await obey_now(run)
        await asyncio.sleep(LOOK_EVERY_SECONDS)


async def obey_now(run: Run) -> None:
    """Another window is taken at once; a batch that was called off is not waited for."""
    ordered = await run.book(orders.read_orders, run.ledger, run.batch.id)
    run.take_window(ordered.window)
    run.paused = ordered.mark == "pause"
    if ordered.mark == "cancel":
        run.stop("cancelled")
        run.poller.settled(await run.book(orders.cancelled_requests, run.ledger, run.batch.id))

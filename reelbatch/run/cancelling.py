"""Call a batch off: claims stop, and what still waits in fal's queue leaves it unpaid.

What runs at fal already is paid: it stays in flight, and a run collects it. CANCELLED is only
what fal itself has confirmed (fal.md, section 3.6).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from aiolimiter import AsyncLimiter
from sqlalchemy import RowMapping

from reelbatch.config import REHEARSAL, Settings
from reelbatch.errors import Permanent, Refused, Transient
from reelbatch.fal.answers import Completed, FailedResult, Gone, Queued, Running
from reelbatch.fal.client import Fal, open_fal
from reelbatch.fal.endpoints import ENDPOINTS
from reelbatch.ledger import Ledger, answers, batches, orders, strays
from reelbatch.ledger.batches import Batch
from reelbatch.run.entries import submission_in
from reelbatch.run.opening import check_key
from reelbatch.run.polling import REMOTE_CALLS_PER_SECOND
from reelbatch.run.settling import settle, settle_cancelled
from reelbatch.run.totals import Totals, read_totals

AT_ONCE = 8
LOOK_AGAIN_SECONDS = 0.5
PAUSES_SECONDS = (1.0, 2.0)
"""Between the times that one request is asked about."""


async def cancel_batch(settings: Settings, ledger: Ledger, batch: Batch) -> Totals:
    """Mark it for every process, then cancel at fal; how the batch stands after that."""
    began = time.monotonic()
    batches.set_mark(ledger, batch.id, "cancel")
    warnings = [] if batch.queue_url == REHEARSAL else await _called_off(settings, ledger, batch)
    return read_totals(
        ledger,
        batch,
        stopped="cancelled",
        elapsed_seconds=time.monotonic() - began,
        warnings=warnings,
    )


async def _called_off(settings: Settings, ledger: Ledger, batch: Batch) -> list[str]:
    """Why some of it could not be cancelled, if so: the mark stands all the same."""
    async with open_fal(settings) as fal:
        calls = None if settings.on_loopback else REMOTE_CALLS_PER_SECOND
        calling_off = CallingOff(ledger, batch, fal, calls_per_second=calls)
        try:
            await check_key(fal, settings)
            await calling_off.work()
        except (Refused, Permanent) as error:
            return [f"what waits at fal could not be cancelled: {error}"]
    if not calling_off.silent:
        return []
    return [f"fal did not answer for {calling_off.silent} requests: cancel again"]


class CallingOff:
    """Every request of the batch that fal has is asked about, and cancelled if it waits."""

    def __init__(
        self, ledger: Ledger, batch: Batch, fal: Fal, *, calls_per_second: float | None
    ) -> None:
        self.silent = 0
        self._ledger = ledger
        self._batch = batch
        self._fal = fal
        self._at_once = asyncio.Semaphore(AT_ONCE)
        self._pace = AsyncLimiter(1, 1 / calls_per_second) if calls_per_second else None
        self._asked: set[str] = set()
        self._put: set[str] = set()

    async def work(self) -> None:
        """Until nothing is left to ask about. Raises Permanent where fal refuses us."""
        await self._ask_all(strays.stragglers_of(self._ledger, self._batch.id))
        while True:
            answers.doubt_the_late(self._ledger, self._batch.account_id)
            on_the_wire = orders.on_the_wire(self._ledger, self._batch.id)
            await self._ask_all(orders.submitted(self._ledger, self._batch.id))
            if not on_the_wire:
                return
            await asyncio.sleep(LOOK_AGAIN_SECONDS)

    async def _ask_all(self, attempts: Sequence[RowMapping]) -> None:
        new = [one for one in attempts if one["id"] not in self._asked]
        self._asked.update(one["id"] for one in new)
        try:
            async with asyncio.TaskGroup() as group:
                for attempt in new:
                    group.create_task(self._patiently(attempt))
        except BaseExceptionGroup as broken:
            raise broken.exceptions[0] from broken

    async def _patiently(self, attempt: RowMapping) -> None:
        async with self._at_once:
            for pause in (*PAUSES_SECONDS, None):
                try:
                    return await self._ask(attempt)
                except Transient as error:
                    if pause is None:
                        break
                    await asyncio.sleep(error.retry_after or pause)
            self.silent += 1

    async def _ask(self, attempt: RowMapping) -> None:
        """Its status first: what runs is not stopped."""
        await self._take_turn()
        match await self._fal.status(submission_in(attempt)):
            case Queued():
                await self._cancel(attempt)
            case Gone() if attempt["id"] in self._put:
                await self._cancel(attempt)
            case Completed() if attempt["id"] in self._put:
                await self._settle(attempt)
            case Running() | Completed() | Gone():
                return

    async def _cancel(self, attempt: RowMapping) -> None:
        """Where an answer is lost the PUT is sent again, and fal's word to that one counts."""
        self._put.add(attempt["id"])
        await self._take_turn()
        answer = await self._fal.cancel(submission_in(attempt))
        settle_cancelled(self._ledger, attempt["id"], answer, attempt["reserved_usd"])

    async def _settle(self, attempt: RowMapping) -> None:
        """The PUT whose answer was lost has worked, or came too late: a video is left to a run."""
        await self._take_turn()
        output = ENDPOINTS[attempt["endpoint_id"]].output
        answer = await self._fal.result(submission_in(attempt), output=output)
        if isinstance(answer, FailedResult):
            settle(self._ledger, attempt["id"], answer, attempt["reserved_usd"])

    async def _take_turn(self) -> None:
        if self._pace:
            await self._pace.acquire()

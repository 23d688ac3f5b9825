"""Fetch the results a webhook did not carry: failures tell their price and cause in headers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import asdict

from reelbatch.errors import Permanent, Transient
from reelbatch.fal.answers import FailedResult, GoodResult
from reelbatch.fal.client import Fal
from reelbatch.fal.endpoints import ENDPOINTS
from reelbatch.ledger.webhooks import Heard
from reelbatch.logs import say
from reelbatch.run.entries import submission_in

TRIES = 4
PAUSE_SECONDS = 1.0
AT_ONCE = 16

log = logging.getLogger("reelbatch.serve")

Settle = Callable[[Heard, GoodResult | FailedResult], Awaitable[object]]


class Fetcher:
    """In the background, after the call was answered; what fails is left to a run or the sweep."""

    def __init__(self, fal: Fal, settle: Settle) -> None:
        self._fal = fal
        self._settle = settle
        self._tasks: set[asyncio.Task[None]] = set()
        self._places = asyncio.Semaphore(AT_ONCE)

    def fetch(self, heard: Heard) -> None:
        task = asyncio.get_running_loop().create_task(self._see_through(heard))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def finish(self) -> None:
        """Wait for those on their way."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _see_through(self, heard: Heard) -> None:
        async with self._places:
            for n in range(1, TRIES + 1):
                try:
                    if await self._try(heard):
                        return
                except (Transient, Permanent) as error:
                    words = f"job {heard.job_id}: its result is not here yet: {error}"
                    request_id = heard.handle.request_id
                    say(log, logging.WARNING, words, job_id=heard.job_id, request_id=request_id)
                await asyncio.sleep(PAUSE_SECONDS * n)

    async def _try(self, heard: Heard) -> bool:
        submission = submission_in(asdict(heard.handle))
        answer = await self._fal.result(submission, output=ENDPOINTS[heard.endpoint_id].output)
        if isinstance(answer, GoodResult | FailedResult):
            await self._settle(heard, answer)
            return True
        return False

"""What goes on beside the work: polling, waiting for others, progress, and the way out."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from time import monotonic
from uuid import UUID

from prefect.artifacts import acreate_progress_artifact, aupdate_progress_artifact

from flows.budget import BudgetWatch
from reelbatch.run.handover import HANDOVER
from reelbatch.run.obeying import obey
from reelbatch.run.progress import Progress, ProgressLog, look, tell
from reelbatch.run.run import Run
from reelbatch.run.unshaken import DRAIN_SECONDS
from reelbatch.run.unwaited import in_thread
from reelbatch.run.window import keep_window
from tasks.report import write_files

BETWEEN_LOOKS_SECONDS = 2.0
INDEX_WITHIN_SECONDS = 8.0
"""Prefect kills a cancelled run after 30 s, and its POSTs may have taken 15 of them."""
PATIENCE_SECONDS = 5.0
"""So long the end of a run waits for Prefect's page."""


@asynccontextmanager
async def at_work(run: Run) -> AsyncIterator[None]:
    """Run the poller, the look-out and the progress for as long as the block lasts."""
    handover = HANDOVER.get()
    listeners = list(handover.listeners) if handover else []
    if handover:
        handover.run = run
        if handover.interrupted:
            run.leave()
    page, told = ProgressPage(), ProgressLog(run.journal)
    budget = BudgetWatch(run)
    beside = [
        asyncio.create_task(run.poller.work()),
        asyncio.create_task(run.elsewhere.work()),
        asyncio.create_task(obey(run)),
        asyncio.create_task(tell(run, [*listeners, page.listen, told.listen])),
        asyncio.create_task(page.work()),
        asyncio.create_task(budget.work()),
        asyncio.create_task(_leave_after_draining(run)),
    ]
    if not run.sweeps:
        beside += [asyncio.create_task(keep_window(run)), asyncio.create_task(_tidy_up(run))]
    for task in beside:
        task.add_done_callback(lambda ended: _end_with(run, ended))
    try:
        yield
    except asyncio.CancelledError:
        await _leave_an_index(run)
        raise
    finally:
        for task in beside:
            task.cancel()
        endings = await asyncio.gather(*beside, return_exceptions=True)
    for ending in endings:
        if isinstance(ending, Exception):
            raise ending
    await budget.look()
    await page.finish(await look(run, deque()))


async def _tidy_up(run: Run) -> None:
    """What a killed run has left half-written is of no use to anybody."""
    with suppress(Exception):  # No video depends on it.
        await in_thread(partial(run.archive.take_away_unfinished, run.batch.name))


async def _leave_an_index(run: Run) -> None:
    """Cancelled on Prefect's page, or evicted: nobody reports, but the archive has its index."""
    with suppress(Exception):  # Nothing keeps a run that is told to go.
        async with asyncio.timeout(INDEX_WITHIN_SECONDS):
            await in_thread(partial(write_files, run))


def _end_with(run: Run, ended: asyncio.Task[None]) -> None:
    """Without its poller a run would wait for ever: what breaks beside the work ends the work."""
    if not ended.cancelled() and ended.exception():
        run.gate.close()
        run.gone.set()


async def _leave_after_draining(run: Run) -> None:
    """Asked to go: what is on the wire gets its time, then everybody goes."""
    await run.leaving.wait()
    end = monotonic() + DRAIN_SECONDS
    while run.busy_leaving and monotonic() < end:  # noqa: ASYNC110 - two counters, rarely
        await asyncio.sleep(0.05)
    run.gone.set()


class ProgressPage:
    """The progress bar on the flow run's page; without a reachable Prefect, nothing."""

    def __init__(self) -> None:
        self._news: asyncio.Queue[Progress] = asyncio.Queue(maxsize=1)
        self._artifact: UUID | None = None

    def listen(self, progress: Progress) -> None:
        """Keep the newest look only: the page may be slower than we are."""
        if self._news.full():
            self._news.get_nowait()
        self._news.put_nowait(progress)

    async def work(self) -> None:
        """Show what was heard, for ever; cancel it to stop."""
        while True:
            progress = await self._news.get()
            try:
                await self._show(progress)
                await asyncio.sleep(BETWEEN_LOOKS_SECONDS)
            except Exception:  # The money path does not need Prefect to live.
                await asyncio.sleep(5)

    async def finish(self, progress: Progress) -> None:
        """The last word: else the bar stays where it was a second before the end."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._show(progress)
        except Exception:  # As above.
            return

    async def _show(self, progress: Progress) -> None:
        percent = 100 * progress.share
        if self._artifact is None:
            self._artifact = await acreate_progress_artifact(
                percent, key="progress", description="Takes that reached their end"
            )
        else:
            await aupdate_progress_artifact(self._artifact, percent)

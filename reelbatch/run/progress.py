"""Tell whoever listens how a run goes, once a second: counts, money, time left."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from reelbatch.ledger import reading
from reelbatch.ledger.reading import Counts
from reelbatch.run.run import Run

EVERY_SECONDS = 1.0
LATELY = 120


@dataclass(frozen=True, kw_only=True)
class Progress:
    """One look at a running batch."""

    counts: Counts
    elapsed_seconds: float
    eta_seconds: float | None
    """None until something was archived in this run."""
    reserved_usd: Decimal
    paused: bool = False
    """Somebody has said `pause`: nothing new is bought until `resume`."""

    @property
    def share(self) -> float:
        """Of the chosen jobs, 0 to 1."""
        return self.counts.finished / self.counts.jobs if self.counts.jobs else 1.0


Listener = Callable[[Progress], None]


async def tell(run: Run, listeners: list[Listener]) -> None:
    """Look and tell, for ever; cancel it to stop."""
    seen: deque[tuple[float, int]] = deque(maxlen=LATELY)
    while True:
        progress = await look(run, seen)
        for listener in listeners:
            listener(progress)
        await asyncio.sleep(EVERY_SECONDS)


async def look(run: Run, seen: deque[tuple[float, int]]) -> Progress:
    """How the batch stands now; `seen` is what was seen before: (elapsed, finished)."""
    counts = await run.book(reading.counts, run.ledger, run.batch.id, selected=run.selected)
    elapsed = (datetime.now(UTC) - run.started_at).total_seconds()
    seen.append((elapsed, counts.finished))
    return Progress(
        counts=counts,
        elapsed_seconds=elapsed,
        eta_seconds=_eta(seen, counts),
        reserved_usd=counts.reserved_usd,
        paused=run.paused,
    )


def _eta(seen: deque[tuple[float, int]], counts: Counts) -> float | None:
    """From the rate of the last two minutes."""
    (then, before), (now, done) = seen[0], seen[-1]
    if done <= before or now <= then:
        return None
    return counts.remaining * (now - then) / (done - before)

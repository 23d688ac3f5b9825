"""Tell whoever listens how a run goes, once a second: counts, money, time left."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from time import monotonic

from reelbatch.ledger import reading
from reelbatch.ledger.reading import Counts
from reelbatch.money import as_text
from reelbatch.run.journal import Journal
from reelbatch.run.run import Run

EVERY_SECONDS = 1.0
LATELY = 120
ROWS_BETWEEN_LINES = 100
SECONDS_BETWEEN_LINES = 30.0


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


class ProgressLog:
    """A line in the log at the start, every hundred rows, and every half minute."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._said: Progress | None = None
        self._said_at = 0.0

    def listen(self, progress: Progress) -> None:
        if self._said is None or self._is_due(progress, self._said):
            self._said, self._said_at = progress, monotonic()
            self._journal.say(in_words(progress))

    def _is_due(self, progress: Progress, said: Progress) -> bool:
        further = progress.counts.finished - said.counts.finished >= ROWS_BETWEEN_LINES
        later = monotonic() - self._said_at >= SECONDS_BETWEEN_LINES
        return further or later or progress.paused != said.paused


def in_words(progress: Progress) -> str:
    """`12 of 40 archived, 1 failed; 8 in flight; $2.60 spent, $1.60 reserved; 2 min left`."""
    counts = progress.counts
    failed = f", {counts.failed} failed" if counts.failed else ""
    doubt = f", {counts.in_doubt} in doubt" if counts.in_doubt else ""
    paused = ", paused" if progress.paused else ""
    left = f"{span(progress.eta_seconds)} left" if progress.eta_seconds is not None else "..."
    return (
        f"{counts.archived} of {counts.jobs} archived{failed}{doubt}{paused}; "
        f"{counts.in_flight} in flight; "
        f"${as_text(counts.spent_usd)} spent, ${as_text(counts.reserved_usd)} reserved; "
        f"{span(progress.elapsed_seconds)} so far, {left}"
    )


def span(seconds: float) -> str:
    """A time span as people say it: 40 s, 12 min, 3.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"

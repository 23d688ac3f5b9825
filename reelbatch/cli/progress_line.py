"""Progress on stderr: one live line at a terminal, now and then a line elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from reelbatch.cli.saying import span
from reelbatch.money import as_text
from reelbatch.run.progress import Progress

QUIET_SECONDS = 10.0
"""Between two lines where nobody watches, as long as nothing new was archived."""


class ProgressLine:
    """Archived, in flight, money, time left."""

    def __init__(self, *, live: bool) -> None:
        self._live = live
        self._said = ""
        self._said_at = 0.0

    @classmethod
    @contextmanager
    def open(cls) -> Iterator[ProgressLine]:
        line = cls(live=sys.stderr.isatty())
        try:
            yield line
        finally:
            if line._live and line._said:
                print(file=sys.stderr)

    def show(self, progress: Progress) -> None:
        text = as_line(progress)
        if self._live:
            print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
        elif text.partition(";")[0] == self._said.partition(";")[0]:
            if monotonic() - self._said_at < QUIET_SECONDS:
                return
            print(text, file=sys.stderr, flush=True)
        else:
            print(text, file=sys.stderr, flush=True)
        self._said, self._said_at = text, monotonic()


def as_line(progress: Progress) -> str:
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

"""Progress at a terminal: one live line on stderr. Elsewhere the log tells of it.

Where the log leaves it out (REELBATCH_LOG_LEVEL=warning, as in the demo) it is a line now and then.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from reelbatch.logs import ROOT
from reelbatch.run.progress import Listener, Progress, in_words


@contextmanager
def progress_line(listeners: list[Listener]) -> Iterator[None]:
    """Archived, in flight, money, time left, as long as the block lasts."""
    if not sys.stderr.isatty():
        if logging.getLogger(ROOT).level == logging.WARNING:
            listeners.append(Lines())
        yield
        return
    shown = False

    def show(progress: Progress) -> None:
        nonlocal shown
        shown = True
        print(f"\r\033[K{in_words(progress)}", end="", file=sys.stderr, flush=True)

    listeners.append(show)
    try:
        yield
    finally:
        if shown:
            print(file=sys.stderr)


class Lines:
    """One whenever another video is there."""

    def __init__(self) -> None:
        self._archived: int | None = None

    def __call__(self, progress: Progress) -> None:
        if progress.counts.archived != self._archived:
            self._archived = progress.counts.archived
            print(in_words(progress), file=sys.stderr, flush=True)

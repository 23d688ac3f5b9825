"""Progress at a terminal: one live line on stderr. Elsewhere the log tells of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from reelbatch.run.progress import Listener, Progress, in_words


@contextmanager
def progress_line(listeners: list[Listener]) -> Iterator[None]:
    """Archived, in flight, money, time left, as long as the block lasts."""
    if not sys.stderr.isatty():
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

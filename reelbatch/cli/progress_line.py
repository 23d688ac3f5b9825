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
    listeners.append(_show)
    try:
        yield
    finally:
        print(file=sys.stderr)


def _show(progress: Progress) -> None:
    print(f"\r\033[K{in_words(progress)}", end="", file=sys.stderr, flush=True)

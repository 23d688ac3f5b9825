"""Refused calls in the log. Anybody can make them, so not each of them is worth a line."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from reelbatch.logs import say

SECONDS_BETWEEN = 10.0

log = logging.getLogger("reelbatch.serve")


class Refusals:
    """The first is told at once, those that follow with the next line; `/metrics` counts all."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._said_at = float("-inf")
        self._untold = 0

    def note(self, reason: str) -> None:
        if self._clock() - self._said_at < SECONDS_BETWEEN:
            self._untold += 1
            return
        more = f" ({self._untold} more were since the last such line)" if self._untold else ""
        say(log, logging.WARNING, f"a call was refused: {reason}{more}")
        self._said_at, self._untold = self._clock(), 0

"""How many requests of ours run while others wait: fal's slots, as its streams show them."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from statistics import median
from typing import Generic, TypeVar

LATELY = 20
"""An end and the next start are heard a moment apart, in either order: the middle of several."""

Key = TypeVar("Key", bound=Hashable)


class Tally(Generic[Key]):
    """Who runs and who waits, by what was heard of each last."""

    def __init__(self) -> None:
        self._running: set[Key] = set()
        self._waiting: set[Key] = set()
        self._lately: deque[int] = deque(maxlen=LATELY)

    @property
    def slots(self) -> int | None:
        """None until one of ours has waited while others ran."""
        return round(median(self._lately)) if self._lately else None

    def waits(self, key: Key) -> None:
        self._running.discard(key)
        self._waiting.add(key)

    def runs(self, key: Key) -> None:
        """It counts where it had to wait for its place, and others still do."""
        waited = key in self._waiting
        self._waiting.discard(key)
        self._running.add(key)
        if waited and self._waiting:
            self._lately.append(len(self._running))

    def gone(self, key: Key) -> None:
        self._waiting.discard(key)
        self._running.discard(key)

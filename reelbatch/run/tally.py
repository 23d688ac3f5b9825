"""How many requests of ours run while others wait: fal's slots, as its streams show them."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Hashable
from typing import Generic, TypeVar

LATELY = 200

Key = TypeVar("Key", bound=Hashable)


class Tally(Generic[Key]):
    """Who runs and who waits, by what was heard of each last. Times are seconds on one clock."""

    def __init__(self) -> None:
        self._running: set[Key] = set()
        self._waiting: set[Key] = set()
        self._since = 0.0
        self._lately: deque[tuple[int, float]] = deque(maxlen=LATELY)
        """So many ran, for so long, while others waited."""

    @property
    def slots(self) -> int | None:
        """What was so for longest: an end and the next start are heard in either order."""
        lasted: Counter[int] = Counter()
        for running, seconds in self._lately:
            lasted[running] += round(1e6 * seconds)
        return lasted.most_common(1)[0][0] if lasted else None

    def waits(self, key: Key, now: float) -> None:
        self._until(now)
        self._running.discard(key)
        self._waiting.add(key)

    def runs(self, key: Key, now: float) -> None:
        self._until(now)
        self._waiting.discard(key)
        self._running.add(key)

    def gone(self, key: Key, now: float) -> None:
        self._until(now)
        self._waiting.discard(key)
        self._running.discard(key)

    def _until(self, now: float) -> None:
        if self._running and self._waiting:
            self._lately.append((len(self._running), now - self._since))
        self._since = now

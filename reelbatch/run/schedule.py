"""When to ask fal about each request, from a model of its queue: slots, and run times.

fal starts requests in about the order it took them, as slots come free. So a request's end
can be foretold from its place in line. How many slots there are is found by bisection: in
the line, the running ones stand before the queued ones. Times are seconds on one clock.
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from reelbatch.run.census import Census
from reelbatch.run.run_times import RunTimes

NEVER = float("inf")
SCOUT_SHORTEST = 0.25
SCOUT_GROWTH = 0.12
REMEMBERED = 2000
UNFORESEEN = 0.25
"""Share of a run by which a start must have been mistaken to count as a surprise."""


Key = TypeVar("Key")


@dataclass(eq=False)
class Waiting(Generic[Key]):
    """One accepted request, as the model sees it."""

    key: Key
    accepted: float
    start: float
    """When it started, or will, as far as is known."""
    due: float = NEVER
    looks: int = 0
    not_before: float = 0.0
    """It was still queued then."""
    running: bool = False
    asked: bool = False
    """A look is on its way."""
    timed: bool = False
    """That look was meant to find it done."""


class Schedule(Generic[Key]):
    """The line of requests at fal, and the next look at each."""

    def __init__(self, run_times: RunTimes, slots: int | None = None) -> None:
        self.run_times = run_times
        self.census = Census(slots)
        self.eager = False
        """Nothing waits for a place any more: the end of the batch is all that counts."""
        self._line: dict[Key, Waiting[Key]] = {}
        self._finished: deque[float] = deque(maxlen=REMEMBERED)
        self._due: list[tuple[float, int, Waiting[Key]]] = []
        self._tickets = itertools.count()

    @property
    def slots(self) -> int | None:
        """How many run at once; None until fal's answers have shown it."""
        return self.census.slots

    def accepted(self, key: Key, at: float, now: float) -> None:
        """fal has taken this request, at that time."""
        self._line[key] = Waiting(key, at, start=at)
        self._plan(now)

    def look_at(self, key: Key, at: float) -> None:
        """Look at this one then, whatever the model says."""
        if waiting := self._line.get(key):
            waiting.asked = False
            self._set_due(waiting, at)

    def next_at(self) -> float:
        """When the next look is due; infinity where none is."""
        while self._due and not _valid(self._due[0]):
            heapq.heappop(self._due)
        return self._due[0][0] if self._due else NEVER

    def take(self, now: float) -> Key | None:
        """The request to look at now, if one is due."""
        if self.next_at() > now:
            return None
        due, _, waiting = heapq.heappop(self._due)
        waiting.asked, waiting.timed, waiting.due = True, due > waiting.start, NEVER
        waiting.looks += 1
        return waiting.key

    def queued(self, key: Key, now: float) -> None:
        """It has not started: there are no more slots than requests before it."""
        if waiting := self._answered(key):
            waiting.running, waiting.not_before = False, now
            self.census.queued(ahead=self._ahead(waiting, now))
            self._plan(now)

    def runs(self, key: Key, now: float) -> None:
        """It has started and is not done: there are slots for all before it, and for it."""
        waiting = self._answered(key)
        if waiting is None:
            return
        unforeseen = self._is_unforeseen(waiting.start - now)
        self.census.runs(ahead=self._ahead(waiting, now), unforeseen=unforeseen)
        if waiting.looks == 1 and waiting.timed:
            self.run_times.was_early()
        if not waiting.running:
            waiting.running, waiting.start = True, min(waiting.start, now)
        again = self.run_times.next_look(now - waiting.start) if self.run_times.known else 0.0
        self._set_due(waiting, now + max(again, self._scout(waiting, now)))
        self._plan(now)

    def completed(self, key: Key, now: float, run_seconds: float | None) -> None:
        """It is done; its slot has gone to the next in line."""
        waiting = self._line.pop(key, None)
        if waiting is None:
            return
        if waiting.looks == 1:
            self.run_times.was_late()
        if run_seconds is not None and self._is_unforeseen(waiting.start + run_seconds - now):
            self.census.ended_early()
        self.run_times.add(run_seconds if run_seconds is not None else now - waiting.accepted)
        ended = waiting.start + (run_seconds or 0.0) if waiting.looks <= 1 else now
        self._finished.append(min(now, max(ended, waiting.accepted)))
        self._plan(now)

    def drop(self, key: Key, now: float) -> None:
        """Nobody waits for it any more; if it was the scout, another one is."""
        if self._line.pop(key, None):
            self._plan(now)

    def _is_unforeseen(self, early: float) -> bool:
        return early > UNFORESEEN * (self.run_times.median or 0.0)

    def _answered(self, key: Key) -> Waiting[Key] | None:
        waiting = self._line.get(key)
        if waiting:
            waiting.asked = False
        return waiting

    def _ahead(self, waiting: Waiting[Key], now: float) -> int:
        """How many were accepted earlier and take a place now; some are done and unseen."""
        before = itertools.takewhile(lambda each: each is not waiting, self._all())
        if not self.run_times.known:
            return sum(1 for _ in before)
        usual = self.run_times.first_look(eager=False)
        return sum(1 for each in before if each.running or each.start + usual > now)

    def _all(self) -> Iterator[Waiting[Key]]:
        return iter(self._line.values())

    def _plan(self, now: float) -> None:
        """Foretell every start and end, first come first served, over the slots we know of."""
        self._count(now)
        if not self.run_times.known:
            return self._scout_the_first(now)
        run = self.run_times.median or 0.0
        first_look = self.run_times.first_look(eager=self.eager)
        free = self._free_slots()
        for waiting in self._all():
            freed = heapq.heappop(free) if free else 0.0
            if not waiting.running:
                waiting.start = max(waiting.accepted, freed, waiting.not_before)
                if not waiting.asked:
                    self._set_due(waiting, waiting.start + first_look)
            if free or self.slots is not None:
                heapq.heappush(free, max(waiting.start + run, now if waiting.looks else 0.0))
        return None

    def _free_slots(self) -> list[float]:
        """When each slot came free; empty while their number is not known."""
        if self.slots is None:
            return []
        last = list(self._finished)[-self.slots :]
        free = [0.0] * (self.slots - len(last)) + last
        heapq.heapify(free)
        return free

    def _scout_the_first(self, now: float) -> None:
        """While nothing is known, one request is followed closely, in growing steps."""
        first = next(self._all(), None)
        if first and first.due == NEVER and not first.asked:
            self._set_due(first, now + self._scout(first, now))

    def _scout(self, waiting: Waiting[Key], now: float) -> float:
        if self.run_times.known:
            return 0.0
        age, prior = now - waiting.accepted, self.run_times.prior
        far = prior is not None and age < 0.6 * prior
        return max(SCOUT_SHORTEST, (3 if far else 1) * SCOUT_GROWTH * age)

    def _count(self, now: float) -> None:
        """One look of the census, where it wants one: at its place in the line."""
        place = self.census.next_place(len(self._line), now, self.run_times.median)
        if place is None:
            return
        one = next(itertools.islice(self._all(), place, None))
        if not one.asked:
            self._set_due(one, now)

    def _set_due(self, waiting: Waiting[Key], due: float) -> None:
        if due != waiting.due:
            waiting.due = due
            heapq.heappush(self._due, (due, next(self._tickets), waiting))


def _valid(entry: tuple[float, int, Waiting[Key]]) -> bool:
    due, _, waiting = entry
    return waiting.due == due and not waiting.asked

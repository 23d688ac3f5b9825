"""Poll fal for all jobs of a process: one queue of looks, one pace, never one loop a job.

A status read never fails a job: what goes wrong is looked at again, later.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiolimiter import AsyncLimiter

from reelbatch.errors import Permanent, Transient
from reelbatch.fal.answers import Completed, Gone, Queued, Running, Status, Submission
from reelbatch.run.schedule import Schedule

AT_ONCE = 32
AFTER_TROUBLE_SECONDS = 2.0
REMOTE_CALLS_PER_SECOND = 10.0
"""An old FAQ of fal said 10 requests a second per user (fal.md, section 3.3)."""

Ask = Callable[[Submission], Awaitable[Status]]


@dataclass(eq=False)
class Watch:
    """One request that is waited for."""

    submission: Submission
    accepted: float
    """When fal took it, on the event loop's clock."""
    done: asyncio.Future[Ending]
    looks: int = 0
    started: float | None = None
    """When it was first seen running."""
    patient: bool = False
    """Whether it may run for as long as it likes: it was cancelled, or we were told to wait."""


@dataclass(frozen=True)
class Overdue:
    """The request has been running for longer than the run timeout."""


Ending = Completed | Gone | Overdue


class Poller:
    """Follow requests until fal says they are finished, or does not know them."""

    def __init__(
        self,
        ask: Ask,
        schedule: Schedule,
        *,
        calls_per_second: float | None,
        run_timeout_seconds: float,
    ) -> None:
        self.schedule = schedule
        self.calls = 0
        self._ask = ask
        self._run_timeout = run_timeout_seconds
        self._scouted = False
        """Whether one request is followed closely, while nothing is known."""
        self._due: list[tuple[float, int, Watch]] = []
        self._tickets = itertools.count()
        self._changed = asyncio.Event()
        self._busy = asyncio.Semaphore(AT_ONCE)
        self._pace = AsyncLimiter(1, 1 / calls_per_second) if calls_per_second else None
        self._unseen: dict[Watch, None] = {}
        """Accepted, and not planned yet: nothing is known of how long they take."""

    async def finished(
        self, submission: Submission, *, age: float, at_once: bool = False, patient: bool = False
    ) -> Ending:
        """Wait for the request's end. `age`: seconds since fal took it.

        `at_once` looks first thing, for a request that somebody else left behind; `patient`
        waits past the run timeout too. Raises Permanent where fal may not be asked.
        """
        done: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        watch = Watch(submission, _now() - age, done, patient=patient)
        if at_once:
            self._look_in(watch, 0.0)
        else:
            self._unseen[watch] = None
            self._plan_unseen()
        try:
            return await done
        finally:
            self._unseen.pop(watch, None)

    async def work(self) -> None:
        """Look at whatever is due, for ever; cancel it to stop."""
        async with asyncio.TaskGroup() as looks:
            while True:
                watch = await self._next()
                await self._busy.acquire()
                looks.create_task(self._look(watch))

    def _plan_unseen(self) -> None:
        """Until the first completion of a run only the oldest request is looked at."""
        unseen = list(self._unseen)
        if not self.schedule.knows:
            unseen = [] if self._scouted else unseen[:1]
        for watch in unseen:
            self._unseen.pop(watch)
            self._scouted = not self.schedule.knows
            self._look_in(watch, self.schedule.first_look(_now() - watch.accepted))

    def _look_in(self, watch: Watch, seconds: float) -> None:
        heapq.heappush(self._due, (_now() + seconds, next(self._tickets), watch))
        self._changed.set()

    async def _next(self) -> Watch:
        while True:
            self._changed.clear()
            if not self._due:
                await self._changed.wait()
                continue
            wait = self._due[0][0] - _now()
            if wait <= 0:
                watch = heapq.heappop(self._due)[2]
                if not watch.done.done():
                    return watch
                self._forget()
                continue
            await _wait_at_most(self._changed, wait)

    async def _look(self, watch: Watch) -> None:
        try:
            if self._pace:
                await self._pace.acquire()
            self.calls += 1
            watch.looks += 1
            self._read(watch, await self._ask(watch.submission))
        except Transient as error:
            self._look_in(watch, error.retry_after or AFTER_TROUBLE_SECONDS)
        except Permanent as error:
            self._give_up(watch, error)
        finally:
            self._busy.release()

    def _read(self, watch: Watch, status: Status) -> None:
        age = _now() - watch.accepted
        match status:
            case Queued():
                again = self.schedule.next_look(age=age, queued=True, looks=watch.looks)
                self._look_in(watch, again)
            case Running():
                watch.started = watch.started or _now()
                if not watch.patient and _now() - watch.started > self._run_timeout:
                    self._end(watch, Overdue())
                    return
                again = self.schedule.next_look(age=age, queued=False, looks=watch.looks)
                self._look_in(watch, again)
            case Completed():
                self.schedule.completed(
                    age=age, looks=watch.looks, run_seconds=status.inference_seconds
                )
                self._end(watch, status)
            case Gone():
                self._end(watch, status)

    def _end(self, watch: Watch, ending: Ending) -> None:
        if not watch.done.done():
            watch.done.set_result(ending)
        self._forget()

    def _give_up(self, watch: Watch, error: Permanent) -> None:
        """This request may not be asked about; whoever waits for it hears why."""
        if not watch.done.done():
            watch.done.set_exception(error)
        self._forget()

    def _forget(self) -> None:
        """Let the next one scout, or time all of those that nobody has looked at yet."""
        self._scouted = False
        self._plan_unseen()


def _now() -> float:
    """The event loop's clock: monotonic, and a test's loop may run ahead of time."""
    return asyncio.get_running_loop().time()


async def _wait_at_most(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return

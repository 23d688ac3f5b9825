"""Follow all jobs of a process at fal: by its status stream, else by polling at one pace.

What fal says of a status never fails a job: what goes wrong is asked again, later. Polling is
one queue of looks, never one loop a job.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from time import monotonic

from aiolimiter import AsyncLimiter

from reelbatch.errors import Permanent, Transient
from reelbatch.fal.answers import Completed, Gone, Queued, Running, Status, Submission
from reelbatch.run.schedule import NEVER, Schedule
from reelbatch.run.streams import Streams
from reelbatch.run.tally import Tally
from reelbatch.run.watches import Ending, Overdue, Settled, Unfinished, Watch

AT_ONCE = 12
AFTER_TROUBLE_SECONDS = 2.0
REMOTE_CALLS_PER_SECOND = 10.0
"""An old FAQ of fal said 10 requests a second per user (fal.md, section 3.3)."""

Ask = Callable[[Submission], Awaitable[Status]]


class Poller:
    """Follow requests until fal says they are finished, or does not know them."""

    def __init__(
        self,
        ask: Ask,
        schedule: Schedule[Watch],
        *,
        pace: AsyncLimiter | None = None,
        run_timeout_seconds: float,
        streams: Streams | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.schedule = schedule
        self._ask = ask
        self._streams = streams
        self._tally: Tally[Watch] = Tally()
        self._run_timeout = run_timeout_seconds
        self._clock = clock
        self._changed = asyncio.Event()
        self._watches: set[Watch] = set()
        self._busy = asyncio.Semaphore(AT_ONCE)
        self._pace = pace

    @property
    def slots(self) -> int | None:
        """How many fal runs at once, as far as its answers have shown it."""
        return self._tally.slots or self.schedule.slots

    async def finished(
        self,
        submission: Submission,
        *,
        age: float,
        at_once: bool = False,
        patient: bool = False,
        heard: asyncio.Event | None = None,
    ) -> Ending:
        """Wait for the request's end. `age`: seconds since fal took it; `heard` is set
        whenever fal says that it is on its way.

        `at_once` looks first thing, for a request that somebody else left behind; `patient`
        waits past the run timeout too. Raises Permanent where fal may not be asked.
        """
        done: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        watch = Watch(submission, done, patient=patient, heard=heard or asyncio.Event())
        accepted = self._clock() - age
        self._watches.add(watch)
        listening = None
        if self._streams:
            listening = asyncio.create_task(self._listen(self._streams, watch, accepted))
        else:
            self._look_out_for(watch, accepted, at_once=at_once)
        try:
            return await done
        finally:
            if listening:
                listening.cancel()
            watch.starts_anew()
            self._watches.discard(watch)
            self.schedule.drop(watch, self._clock())
            self._changed.set()

    async def _listen(self, streams: Streams, watch: Watch, accepted: float) -> None:
        """By its stream, and by looks once that is of no use."""
        try:
            await streams.follow(watch.submission, lambda status: self._hear(watch, status))
        except Exception as error:  # Nobody awaits this task: whoever waits for the end must hear.
            self._give_up(watch, error)
        finally:
            watch.told = None
            self._tally.gone(watch, self._clock())
        if not watch.done.done():
            self._look_out_for(watch, accepted, at_once=True)

    def _look_out_for(self, watch: Watch, accepted: float, *, at_once: bool) -> None:
        now = self._clock()
        self.schedule.accepted(watch, accepted, now)
        if at_once:
            self.schedule.look_at(watch, now)
        self._changed.set()

    def _hear(self, watch: Watch, status: Status) -> bool:
        """A word of its stream; whether more is to come."""
        watch.told = status
        match status:
            case Queued():
                self._tally.waits(watch, self._clock())
            case Running():
                self._tally.runs(watch, self._clock())
                if watch.runs_since is None and not watch.patient:
                    loop = asyncio.get_running_loop()
                    watch.deadline = loop.call_later(self._run_timeout, self._overtime, watch)
            case Completed(inference_seconds=seconds):
                took = self._clock() - watch.runs_since if watch.runs_since else None
                if usual := seconds if seconds is not None else took:
                    self.schedule.run_times.add(usual)
            case Gone():
                pass
        self._read(watch, status)
        return not watch.done.done()

    def _overtime(self, watch: Watch) -> None:
        if isinstance(watch.told, Running):
            self._end(watch, Overdue())

    async def look(
        self, submission: Submission, *, heard: asyncio.Event
    ) -> Completed | Gone | Unfinished:
        """One look now, at the shared pace; the schedule learns nothing. Raises Permanent."""
        try:
            async with self._busy:
                status = await self._status_of(submission)
        except Transient:
            return Unfinished()
        if isinstance(status, Completed | Gone):
            return status
        heard.set()
        return Unfinished()

    async def ask(self, submission: Submission) -> Status:
        """What its stream has said, else a call beside the schedule; who waits for it here
        hears of that, too.

        Raises Transient and Permanent.
        """
        for watch in self._watches:
            if watch.told and watch.submission.request_id == submission.request_id:
                return watch.told
        async with self._busy:
            status = await self._status_of(submission)
        for watch in self._watches:
            if watch.submission.request_id == submission.request_id and not watch.done.done():
                self._read(watch, status)
        self._changed.set()
        return status

    def settled(self, request_ids: Collection[str]) -> None:
        """Nobody need wait for these any more."""
        for watch in self._watches:
            if watch.submission.request_id in request_ids:
                self._end(watch, Settled())

    async def work(self) -> None:
        """Look at whatever is due, for ever; cancel it to stop."""
        async with asyncio.TaskGroup() as looks:
            while True:
                await self._busy.acquire()
                watch = await self._next()
                looks.create_task(self._look(watch))

    async def _next(self) -> Watch:
        while True:
            self._changed.clear()
            now = self._clock()
            if watch := self.schedule.take(now):
                return watch
            await _wait_at_most(self._changed, self.schedule.next_at() - now)

    async def _look(self, watch: Watch) -> None:
        try:
            self._read(watch, await self._status_of(watch.submission))
        except Transient as error:
            again = error.retry_after or AFTER_TROUBLE_SECONDS
            self.schedule.look_at(watch, self._clock() + again)
        except Permanent as error:
            self._give_up(watch, error)
        finally:
            self._changed.set()
            self._busy.release()

    async def _status_of(self, submission: Submission) -> Status:
        if self._pace:
            await self._pace.acquire()
        return await self._ask(submission)

    def _read(self, watch: Watch, status: Status) -> None:
        now = self._clock()
        if isinstance(status, Queued | Running):
            watch.heard.set()
        match status:
            case Queued():
                watch.starts_anew()
                self.schedule.queued(watch, now)
            case Running():
                watch.runs_since = watch.runs_since or now
                if not watch.patient and now - watch.runs_since >= self._run_timeout:
                    return self._end(watch, Overdue())
                self.schedule.runs(watch, now)
            case Completed(inference_seconds=seconds):
                self.schedule.completed(watch, now, seconds)
                self._end(watch, status)
            case Gone():
                self._end(watch, status)

    def _end(self, watch: Watch, ending: Ending) -> None:
        if not watch.done.done():
            watch.done.set_result(ending)
        self.schedule.drop(watch, self._clock())

    def _give_up(self, watch: Watch, error: Exception) -> None:
        """This request may not be asked about; whoever waits for it hears why."""
        if not watch.done.done():
            watch.done.set_exception(error)
        self.schedule.drop(watch, self._clock())


async def _wait_at_most(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(None if seconds == NEVER else seconds):
            await event.wait()
    except TimeoutError:
        return

"""First in, first out, into the account's slots; nothing is ever rejected here.

Only IN_PROGRESS counts against the limit. A run that fails for the runner's own reasons goes
back to IN_QUEUE by itself, ten runs in all (fal.md, section 3.8).
"""

import asyncio
import itertools
import traceback
from bisect import bisect_left, insort
from collections.abc import Awaitable, Callable

from reelbatch.emulator.clock import now, uuid7
from reelbatch.emulator.errors import cancelled, missed_start, request_error
from reelbatch.emulator.settings import Settings
from reelbatch.emulator.slots import Slots
from reelbatch.emulator.submission import State, Submission
from reelbatch.emulator.wire import Answer

MOST_RUNS = 10


class Queue:
    def __init__(
        self,
        settings: Settings,
        run: Callable[[Submission], Awaitable[Answer]],
        done: Callable[[Submission], None],
    ) -> None:
        self.settings = settings
        self.slots = Slots(settings)
        self.submissions: dict[str, Submission] = {}
        self._run_once = run
        self._done = done
        self._tickets = itertools.count(1)
        self._line: list[tuple[bool, int, str]] = []
        self._runs: dict[str, asyncio.Task[None]] = {}

    def add(self, submission: Submission) -> None:
        submission.ticket = next(self._tickets)
        self.submissions[submission.request_id] = submission
        self.slots.submitted()
        if submission.start_timeout is not None:
            self._later(submission.start_timeout, self._miss_start, submission)
        if not submission.stuck:
            self._line_up_in(submission.ahead / submission.ahead_per_second, submission)

    def position(self, submission: Submission) -> int:
        """How many are in front; a stuck one is first for ever."""
        if submission.stuck:
            return 0
        waited = (now() - submission.sent_at).total_seconds()
        others = max(0, round(submission.ahead - waited * submission.ahead_per_second))
        return others + bisect_left(self._line, self._place(submission))

    def cancel(self, submission: Submission) -> Answer:
        if submission.state is State.COMPLETED:
            return Answer(status=400, body={"status": "ALREADY_COMPLETED"})
        submission.cancel_requested = True
        if submission.state is State.IN_QUEUE:
            submission.gone = self.settings.cancelled_status == "gone"
            self._complete(submission, cancelled())
            return Answer(status=200, body={"status": "OK"})
        if self.settings.honour_cancel:
            self._runs[submission.request_id].cancel()
        return Answer(status=202, body={"status": "CANCELLATION_REQUESTED"})

    def dispatch(self) -> None:
        """Fill free slots; called whenever one may have become free."""
        while self._line and self.slots.running < self.settings.slots_left:
            self._start(self.submissions[self._line.pop(0)[2]])

    async def forget(self) -> None:
        """Stop everything and start with an empty queue."""
        runs = list(self._runs.values())
        self.submissions.clear()
        self._line.clear()
        for run in runs:
            run.cancel()
        await asyncio.gather(*runs, return_exceptions=True)

    @property
    def waiting(self) -> int:
        return len(self._line)

    def _place(self, submission: Submission) -> tuple[bool, int, str]:
        return submission.low_priority, submission.ticket, submission.request_id

    def _line_up_in(self, seconds: float, submission: Submission) -> None:
        if seconds > 0:
            self._later(seconds, self._line_up, submission)
        else:
            self._line_up(submission)

    def _line_up(self, submission: Submission) -> None:
        if submission.state is State.IN_QUEUE and submission.request_id in self.submissions:
            insort(self._line, self._place(submission))
            self.dispatch()
            self.slots.waits(self.waiting)

    def _start(self, submission: Submission) -> None:
        submission.attempts += 1
        submission.started_at = now()
        if submission.attempts > 1:
            submission.gateway_request_id = uuid7()
        self.slots.taken()
        submission.move(State.IN_PROGRESS)
        run = asyncio.get_running_loop().create_task(self._run(submission))
        self._runs[submission.request_id] = run

    async def _run(self, submission: Submission) -> None:
        try:
            answer = await self._answer(submission)
        finally:
            del self._runs[submission.request_id]
            self.slots.freed()
        self._settle(submission, answer)
        self.dispatch()

    async def _answer(self, submission: Submission) -> Answer:
        try:
            return await self._run_once(submission)
        except asyncio.CancelledError:
            if not submission.cancel_requested:
                raise
            return cancelled()
        except Exception:
            traceback.print_exc()
            return request_error("internal_error", "The emulator has a bug; see its stderr")

    def _settle(self, submission: Submission, answer: Answer) -> None:
        if not self._worth_another_run(submission, answer):
            self._complete(submission, answer)
        elif submission.missed_start:
            self._complete(submission, missed_start())
        else:
            submission.move(State.IN_QUEUE)
            wait = self.settings.retry_backoff_seconds * 2 ** min(submission.attempts - 1, 4)
            self._line_up_in(wait, submission)

    def _worth_another_run(self, submission: Submission, answer: Answer) -> bool:
        incomplete = answer.headers.get("X-Fal-Error-Type") == "runner_incomplete_response"
        wanted = answer.status in (503, 504) or incomplete
        allowed = not submission.no_retry and not submission.cancel_requested
        return wanted and allowed and submission.attempts < MOST_RUNS

    def _complete(self, submission: Submission, answer: Answer) -> None:
        place = self._place(submission)
        at = bisect_left(self._line, place)
        if self._line[at : at + 1] == [place]:
            del self._line[at]
        submission.answer = answer
        submission.ended_at = now()
        self.slots.completed()
        submission.move(State.COMPLETED)
        self._done(submission)

    def _miss_start(self, submission: Submission) -> None:
        if submission.state is State.IN_QUEUE:
            self._complete(submission, missed_start())
        submission.missed_start = True

    def _later(
        self, seconds: float, call: Callable[[Submission], None], submission: Submission
    ) -> None:
        asyncio.get_running_loop().call_later(seconds, call, submission)

"""One line for claims: who stands first waits for the account, the others wait for him.

As long as there are places the next few ask together, for the ledger commits them together.
What is a job's own matter (a twin in flight, a back-off) leaves the line at once, so that
one job never holds another up.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from itertools import islice

from reelbatch.ledger.claims import Claim, Stop, Wait

LOOK_AGAIN_SECONDS = 1.0
"""Another process may have freed a place; nobody tells us."""
LONGEST_LOOK_SECONDS = 5.0
MOST_TOGETHER = 8
"""The first of them waits until the last is written down: some four milliseconds."""

Refusal = Wait | Stop
"""What holds for everybody in line."""
Try = Callable[[], Awaitable[Claim]]
Parked = Callable[[], Awaitable[None]]
Paused = Callable[[], Awaitable[bool]]
"""Whether to wait for `resume`."""


class _Place:
    """One in line."""

    def __init__(self, attempt: Try) -> None:
        self.attempt = attempt
        self.answer: asyncio.Future[Claim | None] = asyncio.get_running_loop().create_future()

    def take(self, answer: Claim | BaseException | None) -> None:
        if self.answer.done():  # Whoever stood here has gone.
            return
        if isinstance(answer, BaseException):
            self.answer.set_exception(answer)
        else:
            self.answer.set_result(answer)


class Gate:
    """Take turns at the ledger's claim."""

    def __init__(self, on_parked: Parked, on_paused: Paused) -> None:
        self._line: deque[_Place] = deque()
        self._usher: asyncio.Task[None] | None = None
        self._together = 1
        self._moved = asyncio.Event()
        self._answered = asyncio.Event()
        self._on_parked = on_parked
        self._on_paused = on_paused
        self.closed = asyncio.Event()
        """Set when this run claims nothing more."""

    def place_freed(self) -> None:
        """A job left the account's window: the first in line may try."""
        self._moved.set()

    def probe_answered(self) -> None:
        """fal buys again: whoever waits for that may try."""
        self._answered.set()

    def close(self) -> None:
        """No more claims; everybody in line is sent home."""
        self.closed.set()
        self._moved.set()
        self._answered.set()

    async def claim(self, attempt: Try) -> Claim | None:
        """Try until there is an answer for this job; None once the gate is closed."""
        place = _Place(attempt)
        self._line.append(place)
        if self._usher is None:
            self._usher = asyncio.create_task(self._serve())
        try:
            return await place.answer
        finally:
            self._leave(place)

    def _leave(self, place: _Place) -> None:
        if place in self._line:
            self._line.remove(place)

    async def _serve(self) -> None:
        """Until nobody stands in line, or the gate is closed."""
        try:
            while self._line and not self.closed.is_set():
                try:
                    await self._serve_some()
                except Exception as error:  # Nobody awaits this task: who stands first must hear.
                    if self._line:
                        self._line.popleft().take(error)
        finally:
            self._usher = None
            for place in self._line:
                place.take(None)

    async def _serve_some(self) -> None:
        """One try for the next in line; after a refusal everybody waits for what is in the way."""
        self._moved.clear()
        self._answered.clear()
        some = list(islice(self._line, self._together))
        answers = await asyncio.gather(*(one.attempt() for one in some), return_exceptions=True)
        refused = self._handed_on(some, answers)
        self._together = 1 if refused else min(MOST_TOGETHER, 2 * self._together)
        if refused:
            await self._sit_out(*refused)

    def _handed_on(
        self, some: Sequence[_Place], answers: Sequence[Claim | BaseException]
    ) -> tuple[_Place, Refusal] | None:
        """What concerns one alone is his; who was refused first for all of them stays in line."""
        refused = None
        for place, answer in zip(some, answers, strict=True):
            match answer:
                case Stop() | Wait(reason="window" | "share" | "pace" | "parked"):
                    refused = refused or (place, answer)
                case _:
                    self._leave(place)
                    place.take(answer)
        return refused

    async def _sit_out(self, place: _Place, refusal: Refusal) -> None:
        match refusal:
            case Wait(reason="pace"):
                await self.wait_until(refusal.until)
            case Wait(reason="parked"):
                await self._on_parked()
                await _wait(self._answered, _seconds_until(refusal.until))
            case Wait():
                await _wait(self._moved, LOOK_AGAIN_SECONDS)
            case Stop(reason="paused") if await self._on_paused():
                await self.wait_until(None)
            case Stop():
                self.close()
                place.take(refusal)

    async def wait_until(self, until: datetime | None) -> None:
        """Until then, until it closes, or until it is time to look again."""
        await _wait(self.closed, _seconds_until(until))


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return


def _seconds_until(until: datetime | None) -> float:
    seconds = (until - datetime.now(UTC)).total_seconds() if until else LOOK_AGAIN_SECONDS
    return max(0.001, min(seconds, LONGEST_LOOK_SECONDS))

"""One line for claims: who stands first waits for the account, the others wait for him.

What is a job's own matter (a twin in flight, a back-off) leaves the line at once, so that
one job never holds another up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from reelbatch.ledger.claims import Claim, Stop, Wait

LOOK_AGAIN_SECONDS = 1.0
"""Another process may have freed a place; nobody tells us."""
LONGEST_LOOK_SECONDS = 5.0

Try = Callable[[], Awaitable[Claim]]
Parked = Callable[[], Awaitable[None]]
Paused = Callable[[], Awaitable[bool]]
"""Whether to wait for `resume`."""


class Gate:
    """Take turns at the ledger's claim."""

    def __init__(self, on_parked: Parked, on_paused: Paused) -> None:
        self._turn = asyncio.Lock()
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
        async with self._turn:
            while not self.closed.is_set():
                self._moved.clear()
                self._answered.clear()
                answer = await attempt()
                match answer:
                    case Wait(reason="window" | "share"):
                        await _wait(self._moved, LOOK_AGAIN_SECONDS)
                    case Wait(reason="pace"):
                        await self.wait_until(answer.until)
                    case Wait(reason="parked"):
                        await self._on_parked()
                        await _wait(self._answered, _seconds_until(answer.until))
                    case Stop(reason="paused") if await self._on_paused():
                        await self.wait_until(None)
                    case Stop():
                        self.close()
                        return answer
                    case _:
                        return answer
        return None

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

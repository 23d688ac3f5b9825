"""Follow requests by fal's status stream: one connection each, and every change is heard at once.

Measured beside polling (`python -m bench.stream`): fewer calls, less CPU, and an end is known
within milliseconds. Where streams do not work, behind a proxy that buffers or cuts, whoever
listens polls instead.
"""

from __future__ import annotations

import asyncio
import resource
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress

from aiolimiter import AsyncLimiter

from reelbatch.errors import Transient
from reelbatch.fal.answers import Status, Submission

FIRST_WORD_SECONDS = 10.0
"""fal says at once how a request stands; a proxy that buffers says nothing."""
NEXT_WORD_SECONDS = 120.0
"""Words, not bytes: some servers keep a stream alive with comments and have lost the request. The
next stream says how it stands."""
BREAKS = 3
"""After so many a request is polled."""
AGAIN_AFTER_SECONDS = 0.5
IN_A_ROW = 5
REST_SECONDS = 60.0
"""After so many streams in a row without a word, none is opened for a while."""
MOST = 1000
FOR_THE_REST = 200
"""Files and connections that are no streams."""

Listen = Callable[[Submission], AsyncGenerator[Status, None]]
Read = Callable[[Status], bool]
"""Takes in a change; says whether more of them are wanted."""


class Streams:
    """The streams of one process. `places`: how many may be open; the others are polled."""

    def __init__(self, listen: Listen, *, places: int, pace: AsyncLimiter | None = None) -> None:
        self._listen = listen
        self._places = asyncio.Semaphore(places)
        self._pace = pace
        self._wordless = 0
        self._rest_until = float("-inf")

    async def follow(self, submission: Submission, read: Read) -> None:
        """Hand on each change until no more is wanted; back before that, it has to be polled.

        Raises Permanent where fal may not be asked.
        """
        for _ in range(BREAKS):
            if self._places.locked() or _now() < self._rest_until:
                return
            async with self._places:
                pause = await self._heard_out(submission, read)
            if pause is None:
                return
            await asyncio.sleep(pause)

    async def _heard_out(self, submission: Submission, read: Read) -> float | None:
        """One stream; how long to wait before the next one, where it broke off or fell silent."""
        if self._pace:
            await self._pace.acquire()
        heard = False
        try:
            async with aclosing(self._listen(submission)) as changes:
                status = await _word(changes, FIRST_WORD_SECONDS)
                heard, self._wordless = True, 0
                while read(status):
                    status = await _word(changes, NEXT_WORD_SECONDS)
        except (Transient, TimeoutError) as error:
            if not heard:
                self._count_wordless()
            return getattr(error, "retry_after", None) or AGAIN_AFTER_SECONDS
        return None

    def _count_wordless(self) -> None:
        self._wordless += 1
        if self._wordless >= IN_A_ROW:
            self._wordless, self._rest_until = 0, _now() + REST_SECONDS


async def _word(changes: AsyncGenerator[Status, None], seconds: float) -> Status:
    async with asyncio.timeout(seconds):
        return await anext(changes)


def _now() -> float:
    return asyncio.get_running_loop().time()


def places_for_streams() -> int:
    """As many as the system lets us open: its usual limit of 1024 files is raised where it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = MOST + FOR_THE_REST
    if 0 <= soft < enough:  # RLIM_INFINITY is below zero.
        soft = enough if hard < 0 else min(hard, enough)
        with suppress(OSError, ValueError):  # Some sandboxes forbid it.
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return MOST if soft < 0 else max(1, min(MOST, soft - FOR_THE_REST))

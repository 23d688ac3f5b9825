"""Wait for jobs that somebody else drives: another process, or a twin with the same request."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from reelbatch.jobs import State

LOOK_EVERY_SECONDS = 0.3

Read = Callable[[list[str]], Awaitable[dict[str, State]]]


class Elsewhere:
    """One look at the ledger for all that wait, not one each."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._waiting: dict[asyncio.Future[State], tuple[str, State]] = {}
        self._some = asyncio.Event()

    async def changed(self, job_id: str, state: State, *, patience: float | None = None) -> State:
        """The job's state once it is another than `state`, or that one when patience ends."""
        future: asyncio.Future[State] = asyncio.get_running_loop().create_future()
        self._waiting[future] = (job_id, state)
        self._some.set()
        try:
            async with asyncio.timeout(patience):
                return await future
        except TimeoutError:
            return state
        finally:
            self._waiting.pop(future, None)

    async def work(self) -> None:
        """Look, for as long as somebody waits; cancel it to stop."""
        while True:
            await self._some.wait()
            await asyncio.sleep(LOOK_EVERY_SECONDS)
            states = await self._read([job_id for job_id, _ in self._waiting.values()])
            for future, (job_id, before) in list(self._waiting.items()):
                state = states.get(job_id, before)
                if state != before and not future.done():
                    future.set_result(state)
            if not self._waiting:
                self._some.clear()

"""See a POST through to its answer, even while the event loop is being ended around it.

Under a Prefect worker SIGTERM must stay Prefect's own (prefect.md, "Stops and crashes"), and
what it does is end the loop: every task is cancelled at once. The loop waits for its tasks,
though; so one that is not shaken by that has its time, and the answer is written down.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

DRAIN_SECONDS = 15.0
"""POSTs on their way may answer, and puts may end, before a run leaves."""


class Unshaken(asyncio.Task[T]):
    """A task that an ending loop cannot cancel; its own timeouts can."""

    def cancel(self, msg: Any | None = None) -> bool:
        """`asyncio.run` cancels what is left while the loop stands still."""
        return self.get_loop().is_running() and super().cancel(msg)


async def see_through(work: Coroutine[Any, Any, T], *, gone: asyncio.Event) -> T:
    """Its result. Cancelled, it still has fifteen seconds, unless they are `gone` already."""
    loop = asyncio.get_running_loop()
    task = Unshaken(work, loop=loop)
    told_to_go: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            if told_to_go is None:
                loop.call_later(0 if gone.is_set() else DRAIN_SECONDS, task.cancel)
            told_to_go = error
    if told_to_go:
        raise told_to_go
    return task.result()


async def all_ended(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Wait for their end, however often we are told to go ourselves meanwhile."""
    told_to_go: asyncio.CancelledError | None = None
    while waiting := [task for task in tasks if not task.done()]:
        try:
            await asyncio.wait(waiting)
        except asyncio.CancelledError as error:
            told_to_go = error
    for task in tasks:
        if not task.cancelled():
            task.exception()  # Whoever waited for the first has said it.
    if told_to_go:
        raise told_to_go

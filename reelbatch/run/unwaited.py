"""Work on a thread that nobody waits for: a place without answers must not hold up our end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar, cast

T = TypeVar("T")


async def in_thread(work: Callable[[], T]) -> T:
    """Its result. Cancel it, and the thread is left to itself."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    def tell(value: T | None, error: Exception | None) -> None:
        if answer.done():
            return
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(cast(T, value))

    def run() -> None:
        value, failure = None, None
        try:
            value = work()
        except Exception as error:  # it is raised again where it is awaited
            failure = error
        with suppress(RuntimeError):  # the loop has ended without us
            loop.call_soon_threadsafe(tell, value, failure)

    threading.Thread(target=run, daemon=True).start()
    return await answer

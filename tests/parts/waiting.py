"""Waiting with words instead of sleeping: `wait_until(predicate, description="...")`."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from reelbatch.cli.children import wait_until

__all__ = ["async_wait_until", "wait_until"]

T = TypeVar("T")


async def async_wait_until(
    predicate: Callable[[], T | Awaitable[T | None] | None],
    *,
    description: str,
    timeout_seconds: float = 30.0,
    interval_seconds: float = 0.02,
) -> T:
    """The first true answer; the loop goes on meanwhile. Raises TimeoutError with the words."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        answer = predicate()
        if inspect.isawaitable(answer):
            answer = await answer
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout_seconds:g} s until {description}")
        await asyncio.sleep(interval_seconds)

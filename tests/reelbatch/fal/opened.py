"""A `Fal` in front of answers made up for a test, or of a server on this machine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx

from reelbatch.config import Settings
from reelbatch.fal.answers import Submission
from reelbatch.fal.client import Fal, open_fal
from reelbatch.fal.submit import submission_of

KEY = "0b7d1f3c-9f4e-4a56-8a57-2d9f0a4c1e11:5d41402abc4b2a76b9719d911017c592"
QUEUE = "https://queue.fal.run"
OVI = "fal-ai/ovi/image-to-video"
REQUEST_ID = "019e6d0a-e5be-7b82-b329-35ae64296902"

Handler = Callable[[httpx.Request], httpx.Response]


def real_settings(**changes: Any) -> Settings:
    """The settings of someone who uses fal itself."""
    return Settings(**{"fal_key": KEY, "fal_queue_url": QUEUE} | changes)


def local_settings(url: str, **changes: Any) -> Settings:
    """The settings for a fal on this machine."""
    urls = {f"fal_{name}_url": url for name in ("queue", "rest", "cdn")}
    return Settings(**{"fal_key": KEY, "fal_api_url": f"{url}/v1", **urls} | changes)


def submission(queue_url: str = QUEUE) -> Submission:
    return submission_of(queue_url, OVI, REQUEST_ID)


def fal_with(handler: Handler, **changes: Any) -> AbstractAsyncContextManager[Fal]:
    """fal itself, as far as we can tell; the handler sees what would have left."""
    return open_fal(real_settings(**changes), transport=httpx.MockTransport(handler))


@asynccontextmanager
async def fal_saying(
    status: int, content: Any = None, *, text: str | None = None, **headers: str
) -> AsyncIterator[Fal]:
    """fal gives this one answer to everything. Header names with underscores."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    body = {"text": text} if text is not None else {"json": content}
    async with fal_with(lambda _: httpx.Response(status, headers=names, **body)) as fal:
        yield fal

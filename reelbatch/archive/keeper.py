"""Videos and sidecars on their way from the event loop into the archive.

Straight into the bucket where that is possible; everything else is the archive's own business,
in a thread.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from concurrent.futures import Executor
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from reelbatch.archive.contract import Archive, Stored
from reelbatch.archive.video import VIDEO_TYPE, store_video
from reelbatch.jobs import JobId

if TYPE_CHECKING:
    from reelbatch.archive.signed_puts import SignedPuts


class Keeper:
    """One archive, seen from the event loop. Raises what the archive raises."""

    def __init__(self, archive: Archive, threads: Executor, puts: SignedPuts | None) -> None:
        self._archive = archive
        self._threads = threads
        self._puts = puts

    async def store_video(self, key: str, job_id: JobId, content: bytes, sha256: str) -> Stored:
        """As reelbatch.archive.video.store_video."""
        if await self._put(key, content, sha256, VIDEO_TYPE, once=True):
            return Stored(key=key, uri=self._archive.uri_of(key))
        loop, archive = asyncio.get_running_loop(), self._archive
        return await loop.run_in_executor(
            self._threads, store_video, archive, key, job_id, content, sha256
        )

    async def put(self, key: str, content: bytes, content_type: str) -> None:
        """As Archive.put."""
        sha256 = hashlib.sha256(content).hexdigest()
        if not await self._put(key, content, sha256, content_type, once=False):
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._threads, self._archive.put, key, content, content_type)

    async def _put(
        self, key: str, content: bytes, sha256: str, content_type: str, *, once: bool
    ) -> bool:
        return self._puts is not None and await self._puts.put(
            key, content, sha256=sha256, content_type=content_type, once=once
        )


@asynccontextmanager
async def open_keeper(archive: Archive, threads: Executor) -> AsyncIterator[Keeper]:
    """For as long as the block lasts."""
    async with AsyncExitStack() as stack:
        puts = None
        if archive.uri.startswith("s3://"):  # boto3 takes its time to be imported.
            from reelbatch.archive.signed_puts import puts_for

            puts = puts_for(archive)
        yield Keeper(archive, threads, await stack.enter_async_context(puts) if puts else None)

"""Fetching for code that runs in threads: the same rules, one connection a file."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from reelbatch.media.fetch import Downloaded, Fetcher


class Downloader:
    """Fetch files by URL; safe to share between threads, but not from within an event loop."""

    def __init__(self, fetcher: Callable[[], Fetcher] = Fetcher) -> None:
        self._fetcher = fetcher

    def get(self, url: str, *, cap_bytes: int) -> Downloaded:
        """As Fetcher.get."""
        return asyncio.run(self._get(url, cap_bytes))

    async def _get(self, url: str, cap_bytes: int) -> Downloaded:
        async with self._fetcher() as fetcher:
            return await fetcher.get(url, cap_bytes=cap_bytes)

"""Who writes into the ledger for a run: alone, or together with others that wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from reelbatch.ledger import Ledger
from reelbatch.ledger.engine import ConnectionLost
from reelbatch.run.lines import Line, LoopLine, ThreadLine

T = TypeVar("T")

PAUSES = (0.5, 2.0, 5.0)
"""A database that is started anew, or that let go of us while our machine slept."""


class Bookkeeper:
    """Calls the ledger's functions in its own threads; again, where the database went away.

    Each is a compare-and-set: one whose commit was lost on the way back changes nothing the
    second time, and a claim is found SUBMITTING, without a POST, and doubted.
    """

    def __init__(self, ledger: Ledger, account_id: str) -> None:
        # SQLite's writers would only wait for each other.
        self._threads = ThreadPoolExecutor(1 if ledger.is_sqlite else 3, "ledger")
        kind = LoopLine if ledger.is_sqlite else ThreadLine
        self._line: Line = kind(ledger, account_id, self._threads)

    def close(self) -> None:
        self._threads.shutdown()
        self._line.close()

    async def alone(self, call: Callable[[], T]) -> T:
        """Whatever it does, and for as long as it takes."""
        loop = asyncio.get_running_loop()
        return await self._again(lambda: loop.run_in_executor(self._threads, call))

    async def together(self, move: Callable[[], T]) -> T:
        """A short move, in one transaction with those that wait beside it."""
        return await self._again(lambda: self._line.join(move))

    async def _again(self, begun: Callable[[], asyncio.Future[T]]) -> T:
        for pause in PAUSES:
            try:
                return await begun()
            except ConnectionLost:
                await asyncio.sleep(pause)
        return await begun()

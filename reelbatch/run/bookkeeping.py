"""The threads that write into the ledger; short moves that wait are committed together.

Nobody waits for company: a move that comes alone is written at once, and those that come
meanwhile share the next transaction.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from reelbatch.ledger import Ledger
from reelbatch.ledger.engine import ConnectionLost
from reelbatch.ledger.together import Move, together

T = TypeVar("T")

MOST_TOGETHER = 16
"""Some ten milliseconds: so long may others wait for the account's lock, or for SQLite's."""
PAUSES = (0.5, 2.0, 5.0)
"""A database that is started anew, or that let go of us while our machine slept."""

Waiting = tuple[Move, "asyncio.Future[Any]"]
Outcome = tuple[Any, BaseException | None]


class Bookkeeper:
    """Calls the ledger's functions in its own threads; again, where the database went away.

    Each is a compare-and-set: one whose commit was lost on the way back changes nothing the
    second time, and a claim is found SUBMITTING, without a POST, and doubted.
    """

    def __init__(self, ledger: Ledger, account_id: str) -> None:
        self._ledger = ledger
        self._account_id = account_id
        # SQLite's writers would only wait for each other.
        self._threads = ThreadPoolExecutor(1 if ledger.is_sqlite else 3, "ledger")
        self._waiting: deque[Waiting] = deque()
        self._writing = False
        self._lock = threading.Lock()

    def close(self) -> None:
        self._threads.shutdown()

    async def alone(self, call: Callable[[], T]) -> T:
        """Whatever it does, and for as long as it takes."""
        loop = asyncio.get_running_loop()
        return await self._again(lambda: loop.run_in_executor(self._threads, call))

    async def together(self, move: Callable[[], T]) -> T:
        """A short move, in one transaction with those that wait beside it."""
        return await self._again(lambda: self._in_line(move))

    async def _again(self, begun: Callable[[], asyncio.Future[T]]) -> T:
        for pause in PAUSES:
            try:
                return await begun()
            except ConnectionLost:
                await asyncio.sleep(pause)
        return await begun()

    def _in_line(self, move: Move) -> asyncio.Future[Any]:
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        with self._lock:
            self._waiting.append((move, answer))
            if not self._writing:
                self._writing = True
                self._threads.submit(self._write_down)
        return answer

    def _write_down(self) -> None:
        """The next of the line; what comes meanwhile goes to the end of the threads' own."""
        with self._lock:
            some = [self._waiting.popleft() for _ in range(min(MOST_TOGETHER, len(self._waiting)))]
        wanted = [one for one in some if not one[1].cancelled()]
        if wanted:
            outcomes = self._outcomes([move for move, _ in wanted])
            loop = wanted[0][1].get_loop()
            loop.call_soon_threadsafe(_tell, [answer for _, answer in wanted], outcomes)
        with self._lock:
            more = self._writing = bool(self._waiting)
        if more:
            self._go_on()

    def _go_on(self) -> None:
        try:
            self._threads.submit(self._write_down)
        except RuntimeError:  # They are told to end: what is in line is written all the same.
            self._write_down()

    def _outcomes(self, moves: Sequence[Move]) -> list[Outcome]:
        if len(moves) > 1:
            try:
                answers = together(self._ledger, self._account_id, moves)
            except Exception:  # Undone; whose it was shows when each is made alone.
                pass
            else:
                return [(answer, None) for answer in answers]
        return [_outcome(move) for move in moves]


def _outcome(move: Move) -> Outcome:
    try:
        return move(), None
    except Exception as error:  # Raised again where it is awaited.
        return None, error


def _tell(waiting: Sequence[asyncio.Future[Any]], outcomes: Sequence[Outcome]) -> None:
    for answer, (value, error) in zip(waiting, outcomes, strict=True):
        if answer.done():  # Whoever asked has gone.
            continue
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(value)

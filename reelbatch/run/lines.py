"""Where moves of the ledger wait to be committed together.

Nobody waits for company: a move that comes alone is written at once, and those that come
meanwhile share the next transaction.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from typing import Any, Protocol

from reelbatch.ledger import Ledger
from reelbatch.ledger.at_hand import AtHand
from reelbatch.ledger.together import Move, together

MOST_TOGETHER = 16
"""Some ten milliseconds: so long may others wait for the account's lock, or for SQLite's."""
MOST_IN_THE_LOOP = 8
"""Meanwhile the loop does nothing else."""

Waiting = tuple[Move, "asyncio.Future[Any]"]
Outcome = tuple[Any, BaseException | None]


class Line(Protocol):
    def join(self, move: Move) -> asyncio.Future[Any]:
        """Its answer, once it is committed."""

    def close(self) -> None:
        """Once nobody waits any more."""


class ThreadLine:
    """For Postgres: each group in a thread of its own, for it waits for answers from afar."""

    def __init__(self, ledger: Ledger, account_id: str, threads: Executor) -> None:
        self._ledger = ledger
        self._account_id = account_id
        self._threads = threads
        self._waiting: deque[Waiting] = deque()
        self._writing = False
        self._lock = threading.Lock()

    def join(self, move: Move) -> asyncio.Future[Any]:
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        with self._lock:
            self._waiting.append((move, answer))
            if not self._writing:
                self._writing = True
                self._threads.submit(self._write_down)
        return answer

    def close(self) -> None:
        """What is in line is written by those who write."""

    def _write_down(self) -> None:
        """The next of the line; what comes meanwhile goes to the end of the threads' own."""
        with self._lock:
            wanted = _next(self._waiting, MOST_TOGETHER)
        if wanted:
            outcomes = _outcomes(self._ledger, self._account_id, [move for move, _ in wanted])
            loop = wanted[0][1].get_loop()
            loop.call_soon_threadsafe(_tell, wanted, outcomes)
        with self._lock:
            more = self._writing = bool(self._waiting)
        if more:
            self._go_on()

    def _go_on(self) -> None:
        try:
            self._threads.submit(self._write_down)
        except RuntimeError:  # They are told to end: what is in line is written all the same.
            self._write_down()


class LoopLine:
    """For SQLite: statements in the loop's own thread, and only their commit in another.

    SQLite lets go of the interpreter's lock twice a statement. From another thread a busy loop
    has to give it back each time, which costs more than the statements themselves.
    """

    def __init__(self, ledger: Ledger, account_id: str, threads: Executor) -> None:
        self._ledger = ledger
        self._account_id = account_id
        self._threads = threads
        self._committer = ThreadPoolExecutor(1, "commit")
        self._at_hand = AtHand(ledger)
        self._waiting: deque[Waiting] = deque()
        self._writing = False

    def join(self, move: Move) -> asyncio.Future[Any]:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        self._waiting.append((move, answer))
        if not self._writing:
            self._writing = True
            loop.call_soon(self._write_down)
        return answer

    def close(self) -> None:
        self._committer.shutdown()
        self._at_hand.close()

    def _write_down(self) -> None:
        wanted = _next(self._waiting, MOST_IN_THE_LOOP)
        moves = [move for move, _ in wanted]
        answers = self._at_hand.written(moves) if moves else []
        if not moves:
            self._writing = False
        elif answers is None:  # Where one breaks or has to wait, the threads have the patience.
            work = partial(_outcomes, self._ledger, self._account_id, moves)
            self._go_on_after(self._threads, work, wanted)
        else:
            self._go_on_after(self._committer, partial(self._committed, moves, answers), wanted)

    def _go_on_after(
        self, threads: Executor, work: Callable[[], list[Outcome]], wanted: Sequence[Waiting]
    ) -> None:
        try:
            done = asyncio.get_running_loop().run_in_executor(threads, work)
        except RuntimeError:  # They are told to end: what is in line is written all the same.
            _tell(wanted, work())
            self._write_down()
        else:
            done.add_done_callback(partial(self._written, wanted))

    def _committed(self, moves: Sequence[Move], answers: Sequence[Any]) -> list[Outcome]:
        try:
            self._at_hand.commit()
        except Exception:  # Undone; what was in the way shows when each is made alone.
            return [_outcome(move) for move in moves]
        return [(answer, None) for answer in answers]

    def _written(self, wanted: Sequence[Waiting], work: asyncio.Future[list[Outcome]]) -> None:
        _tell(wanted, work.result())
        self._write_down()


def _next(waiting: deque[Waiting], most: int) -> list[Waiting]:
    """The first of the line, without those who have gone."""
    wanted: list[Waiting] = []
    while waiting and len(wanted) < most:
        one = waiting.popleft()
        if not one[1].cancelled():
            wanted.append(one)
    return wanted


def _outcomes(ledger: Ledger, account_id: str, moves: Sequence[Move]) -> list[Outcome]:
    if len(moves) > 1:
        try:
            answers = together(ledger, account_id, moves)
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


def _tell(waiting: Sequence[Waiting], outcomes: Sequence[Outcome]) -> None:
    for (_, answer), (value, error) in zip(waiting, outcomes, strict=True):
        if answer.done():  # Whoever asked has gone.
            continue
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(value)

"""SQLite's write transaction for whoever must not wait: begun at once or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from reelbatch.ledger.engine import Ledger
from reelbatch.ledger.together import Move


class AtHand:
    """A connection of its own; written and committed in turn, each from any thread."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._connection: Connection | None = None

    def written(self, moves: Sequence[Move]) -> list[Any] | None:
        """The answers of moves that wait for `commit`; None where nothing was written.

        That is where somebody else writes just now, or where a move breaks.
        """
        try:
            tx = self._opened()
            tx.exec_driver_sql("BEGIN IMMEDIATE")
            with self._ledger.sharing(tx):
                return [move() for move in moves]
        except Exception:
            self._undo()
            return None

    def commit(self) -> None:
        """Of what was written. Raises DBAPIError where all of it is undone."""
        assert self._connection is not None
        try:
            self._connection.commit()
        except DBAPIError:
            self._undo()
            raise

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _undo(self) -> None:
        """Without the connection, where that is what was broken."""
        try:
            if self._connection is not None:
                self._connection.rollback()
        except DBAPIError:
            self.close()

    def _opened(self) -> Connection:
        if self._connection is None:
            self._connection = self._ledger.engine.connect()
            self._connection.detach()  # Nobody else gets one that does not wait.
            self._connection.exec_driver_sql("PRAGMA busy_timeout = 0")
            self._connection.commit()
        return self._connection

"""Moves that come at once share one transaction: one lock, one commit, one flush of the disk.

It is all of them or none: where one breaks, nothing was written, and each may be tried alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from reelbatch.ledger.engine import Ledger
from reelbatch.ledger.posts import lock_account

Move = Callable[[], Any]
"""Reads and writes the ledger, and does nothing else: it may be undone and made again."""


def together(ledger: Ledger, account_id: str, moves: Sequence[Move]) -> list[Any]:
    """Their answers, in order, once all is committed. Raises what the first to break raised."""
    with ledger.writing() as tx, ledger.sharing(tx):
        if not ledger.is_sqlite:
            # Else two groups could each hold a job that the other waits for.
            lock_account(tx, account_id)
        return [move() for move in moves]

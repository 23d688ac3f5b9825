"""The ledger seen from outside, while others write into it: how jobs stand, and a hand on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Table, func, select, text

from reelbatch.ledger import Ledger, open_ledger
from reelbatch.ledger.schema import attempts, batches, jobs

MINUTE = timedelta(minutes=1)


class Book:
    """One ledger, of a test's own connection. Close it: a test has many."""

    def __init__(self, url: str) -> None:
        self.ledger: Ledger = open_ledger(url)

    def close(self) -> None:
        self.ledger.close()

    def states(self) -> Counter[str]:
        """How many jobs there are in each state."""
        with self.ledger.reading() as tx:
            return Counter(tx.execute(select(jobs.c.state)).scalars())

    def states_of(self, batch: str) -> Counter[str]:
        """The same of one batch."""
        mine = select(jobs.c.state).join(batches, batches.c.id == jobs.c.batch_id)
        with self.ledger.reading() as tx:
            return Counter(tx.execute(mine.where(batches.c.name == batch)).scalars())

    def has_asked(self, batch: str) -> bool:
        """Whether one of its claims found every place taken."""
        asked = select(batches.c.asked_at).where(batches.c.name == batch)
        with self.ledger.reading() as tx:
            return tx.execute(asked).scalar() is not None

    def hashed(self) -> int:
        """How many videos are checked and about to be put."""
        with self.ledger.reading() as tx:
            return tx.execute(select(func.count(jobs.c.sha256))).scalar_one()

    def claimed_at(self) -> list[datetime]:
        """When each attempt was claimed, in order."""
        with self.ledger.reading() as tx:
            found = tx.execute(select(attempts.c.claimed_at).order_by(attempts.c.claimed_at))
            return list(found.scalars())

    def a_minute_passes(self) -> None:
        """A POST without an answer is in doubt only then, and its absence may count."""
        with self.ledger.writing() as tx:
            _turn_back(tx, jobs, jobs.c.state_at)
            _turn_back(tx, attempts, attempts.c.deadline_at)

    @contextmanager
    def held(self, table: Table) -> Iterator[None]:
        """Postgres: nobody else writes into this table, and whoever wants to waits."""
        with self.ledger.engine.begin() as connection:
            connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
            connection.execute(text(f"LOCK TABLE {table.name} IN EXCLUSIVE MODE"))
            yield

    def waiting(self) -> int:
        """Postgres: how many connections wait for a lock that somebody else holds."""
        with self.ledger.reading() as tx:
            return int(tx.execute(_BLOCKED).scalar_one())

    def is_waited_for(self) -> bool:
        """Whether somebody waits for a table that is held."""
        with self.ledger.reading() as tx:
            return bool(tx.execute(_WAITING).scalar_one())


_WAITING = text(
    "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database "
    "WHERE NOT granted AND locktype = 'relation' AND datname = current_database()"
)

_BLOCKED = text(
    "SELECT count(*) FROM pg_stat_activity "
    "WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0"
)


def _turn_back(tx: Connection, table: Table, column: Any) -> None:
    for row_id, at in tx.execute(select(table.c.id, column)).tuples().all():
        earlier = {column.name: at - MINUTE}
        tx.execute(table.update().where(table.c.id == row_id).values(earlier))

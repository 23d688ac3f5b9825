"""Add a row, change a row: the values travel as parameters, so each statement is built once.

Building a statement anew costs several times what the database does with it.
"""

from __future__ import annotations

from functools import cache

from sqlalchemy import Connection, Insert, Table, Update, bindparam
from sqlalchemy.dialects import postgresql, sqlite

from reelbatch.jobs import State
from reelbatch.ledger.schema import in_state, jobs


def add(tx: Connection, table: Table, **values: object) -> None:
    tx.execute(_new(table), values)


def change(tx: Connection, table: Table, row_id: str, **values: object) -> None:
    tx.execute(by_id(table), {"this_id": row_id, **values})


def insert_or(tx: Connection, table: Table) -> postgresql.Insert | sqlite.Insert:
    """An insert that still has to say what it does on conflict: another process may be first."""
    return postgresql.insert(table) if tx.dialect.name == "postgresql" else sqlite.insert(table)


@cache
def _new(table: Table) -> Insert:
    return table.insert()


@cache
def by_id(table: Table) -> Update:
    """An update of the row whose id is the parameter `this_id`."""
    return table.update().where(table.c.id == bindparam("this_id"))


@cache
def job_in(states: frozenset[State]) -> Update:
    """An update of the job whose id is `this_id`, while it is in one of these states."""
    return by_id(jobs).where(in_state(states))

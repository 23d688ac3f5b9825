"""Inserts that another process may have made first: each database has its own ON CONFLICT."""

from __future__ import annotations

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def insert_or(tx: Connection, table: Table) -> postgresql.Insert | sqlite.Insert:
    """An insert that still has to say what it does on conflict."""
    return postgresql.insert(table) if tx.dialect.name == "postgresql" else sqlite.insert(table)

"""An empty ledger on each database it may live in, migrated once for the session."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import URL

from reelbatch.ledger import Ledger, open_ledger
from reelbatch.ledger.schema import metadata


@pytest.fixture(params=["sqlite", "postgres"])
def new_ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where there is no ledger yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/ledger.db"
    return str(request.getfixturevalue("postgres"))


@pytest.fixture(params=["sqlite", "postgres"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where there is a ledger with nothing in it."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_ledger"), tmp_path / "ledger.db")
        return f"sqlite:///{tmp_path}/ledger.db"
    url: URL = request.getfixturevalue("postgres_ledger")
    emptied = [table.name for table in metadata.sorted_tables if table.name != "ledgers"]
    with psycopg.connect(_said(url), autocommit=True) as connection:
        for name in reversed(emptied):
            connection.execute(f"DELETE FROM {name}".encode())
    return _said(url)


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    opened = open_ledger(ledger_url)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def sqlite_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ledger") / "ledger.db"
    open_ledger(f"sqlite:///{path}").close()
    return path


@pytest.fixture(scope="session")
def postgres_ledger(postgres_server: URL) -> URL:
    with psycopg.connect(_said(postgres_server), autocommit=True) as connection:
        connection.execute("CREATE DATABASE one_ledger")
    url = postgres_server.set(drivername="postgresql", database="one_ledger")
    open_ledger(_said(url)).close()
    return url


def _said(url: URL) -> str:
    return url.set(drivername="postgresql").render_as_string(hide_password=False)

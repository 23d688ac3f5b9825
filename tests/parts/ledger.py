"""An empty ledger on each database it may live in: opened once a session, emptied for each test."""

from __future__ import annotations

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


@pytest.fixture(params=["ledger_in_sqlite", "ledger_in_postgres"], ids=["sqlite", "postgres"])
def ledger(request: pytest.FixtureRequest) -> Ledger:
    """A ledger with nothing in it."""
    opened: Ledger = request.getfixturevalue(request.param)
    with opened.writing() as tx:
        for table in reversed(metadata.sorted_tables):
            if table.name != "ledgers":
                tx.execute(table.delete())
    return opened


@pytest.fixture
def ledger_url(ledger: Ledger) -> str:
    """Where the test's ledger is."""
    return ledger.engine.url.render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def sqlite_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file to copy: a ledger that is migrated, with nothing in it."""
    path = tmp_path_factory.mktemp("ledger") / "ledger.db"
    open_ledger(f"sqlite:///{path}").close()
    return path


@pytest.fixture(scope="session")
def ledger_in_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    ledger = open_ledger(f"sqlite:///{tmp_path_factory.mktemp('ledger')}/ledger.db")
    yield ledger
    ledger.close()


@pytest.fixture(scope="session")
def ledger_in_postgres(postgres_server: URL) -> Iterator[Ledger]:
    maintenance = postgres_server.set(drivername="postgresql")
    with psycopg.connect(
        maintenance.render_as_string(hide_password=False), autocommit=True
    ) as connection:
        connection.execute("CREATE DATABASE one_ledger")
    url = maintenance.set(database="one_ledger")
    ledger = open_ledger(url.render_as_string(hide_password=False))
    yield ledger
    ledger.close()

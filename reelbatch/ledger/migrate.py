"""Bring a ledger to the schema of this release, or say why not.

SQLite upgrades itself, after a copy made by its backup API; so does an empty Postgres.
A shared Postgres is upgraded by `reelbatch ledger upgrade` alone: others may be at work on it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from sqlalchemy import Connection, Engine, inspect, select, text

from reelbatch.errors import Refused
from reelbatch.ledger import schema
from reelbatch.ledger.engine import read, shown, write

HEAD = "0001"
KNOWN = ("0001",)
"""Every revision this release can upgrade from, oldest first."""
PROGRAM = "reelbatch"
_POSTGRES_LOCK = 7_333_355_524  # any number, as long as every release uses the same one


def prepare(engine: Engine, *, upgrade: bool = False) -> str:
    """Create or upgrade what may be, and return the ledger's id.

    Raises Refused for another program's database and for a newer schema.
    """
    version = version_of(engine)
    if version != HEAD:
        _refuse_shared(version, engine, upgrade)
        _migrate(engine)
    return ledger_id(engine)


def version_of(engine: Engine) -> str | None:
    """The schema's revision; None for an empty database.

    Raises Refused for another program's database and for a newer schema.
    """
    with read(engine) as connection:
        tables = set(inspect(connection).get_table_names())
        if "alembic_version" in tables and "ledgers" in tables:
            found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
            _refuse_unknown(found, engine)
            return found
        if tables:
            raise Refused(
                f"{_name(engine)} is not a ledger of Reelbatch: it holds {sorted(tables)[0]!r}.",
                advice="Name another database with --ledger or REELBATCH_LEDGER.",
            )
        return None


def ledger_id(engine: Engine) -> str:
    with read(engine) as connection:
        return str(connection.execute(select(schema.ledgers.c.id)).scalar_one())


def _refuse_unknown(version: str | None, engine: Engine) -> None:
    if version is not None and version not in KNOWN:
        raise Refused(
            f"{_name(engine)} was written by a newer Reelbatch (schema {version}, "
            f"this release knows {HEAD}). It was left alone.",
            advice="Upgrade Reelbatch: pip install --upgrade reelbatch.",
        )


def _refuse_shared(version: str | None, engine: Engine, upgrade: bool) -> None:
    if engine.dialect.name != "sqlite" and version is not None and not upgrade:
        raise Refused(
            f"{_name(engine)} has schema {version}, this release wants {HEAD}.",
            advice="Run `reelbatch ledger upgrade` when no run is live.",
        )


def _migrate(engine: Engine) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with _alone(engine):
        if (version := version_of(engine)) == HEAD:
            return
        _copy_before(engine, version)
        with write(engine) as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, HEAD)
            _sign(connection)


def _sign(connection: Connection) -> None:
    """A ledger has an id of its own; archives remember it."""
    if connection.execute(select(schema.ledgers.c.id)).first() is None:
        connection.execute(
            schema.ledgers.insert().values(
                id=uuid4().hex, program=PROGRAM, created_at=datetime.now(UTC)
            )
        )


@contextmanager
def _alone(engine: Engine) -> Iterator[None]:
    """Four processes may start on a ledger that does not exist yet: one makes it."""
    if engine.dialect.name == "sqlite":
        import fcntl

        with open(f"{_path(engine)}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        return
    with write(engine) as connection:  # its end, whatever it is, lets the next one in
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _POSTGRES_LOCK})
        yield


def _copy_before(engine: Engine, version: str | None) -> None:
    if engine.dialect.name != "sqlite" or version is None:
        return
    path = _path(engine)
    with (
        sqlite3.connect(path) as source,
        sqlite3.connect(f"{path}.before-{HEAD}") as target,
    ):
        source.backup(target)


def _path(engine: Engine) -> str:
    return str(engine.url.database)


def _name(engine: Engine) -> str:
    return shown(engine.url)

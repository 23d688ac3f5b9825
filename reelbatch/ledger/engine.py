"""Open a ledger: one engine, with each database told what durability we need.

SQLite runs in WAL with synchronous FULL, and every write begins with BEGIN IMMEDIATE:
a transaction that reads first and writes later would lose a race it cannot retry.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError

from reelbatch.errors import Refused, Transient
from reelbatch.ledger.places import refuse_network_file_system
from reelbatch.urls import without_login

BUSY_SECONDS = 30.0
"""How long one process may hold the others up."""
HASTY_SECONDS = 0.1
"""Once a wait was in vain: a run that ends has a word to write for each job it lets go."""


class ConnectionLost(Transient):
    """The database went away in the middle: what was begun is rolled back, or was committed."""


class Ledger:
    """The only place where processes meet. Use `writing` and `reading`; hold neither long."""

    def __init__(self, engine: Engine, *, ledger_id: str) -> None:
        self.engine = engine
        self.id = ledger_id
        self.url = shown(engine.url)
        self._waited_in_vain = False
        self._shared = threading.local()

    @property
    def is_sqlite(self) -> bool:
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One write transaction; commits at the end. Raises Transient when it could not."""
        if shared := self._shared_here:
            yield shared
            return
        hasty = self._waited_in_vain
        with _said_plainly(self.url), self._remembering(), write(self.engine, hasty=hasty) as tx:
            yield tx

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One consistent snapshot; writes nothing."""
        if shared := self._shared_here:
            yield shared
            return
        with _said_plainly(self.url), read(self.engine) as tx:
            yield tx

    @contextmanager
    def sharing(self, tx: Connection) -> Iterator[None]:
        """This transaction for all that this thread reads and writes within the block."""
        self._shared.tx = tx
        try:
            yield
        finally:
            self._shared.tx = None

    @property
    def _shared_here(self) -> Connection | None:
        return getattr(self._shared, "tx", None)

    def close(self) -> None:
        self.engine.dispose()

    @contextmanager
    def _remembering(self) -> Iterator[None]:
        """Whether another program holds the ledger for longer than we wait."""
        try:
            yield
        except OperationalError as error:
            self._waited_in_vain = "locked" in reason_of(error)
            raise
        self._waited_in_vain = False


@contextmanager
def write(engine: Engine, *, hasty: bool = False) -> Iterator[Connection]:
    """One write transaction; commits at the end.

    SQLite's BEGIN is said here: an engine that listens for it pays at each statement.
    """
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            _have_patience(connection, hasty=hasty)
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        yield connection


@contextmanager
def read(engine: Engine) -> Iterator[Connection]:
    """One consistent snapshot."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            _have_patience(connection)
            connection.exec_driver_sql("BEGIN")
        else:
            connection.execution_options(isolation_level="REPEATABLE READ")
        yield connection


def _have_patience(connection: Connection, *, hasty: bool = False) -> None:
    if connection.info.get("hasty", False) is not hasty:
        connection.info["hasty"] = hasty
        milliseconds = 1000 * (HASTY_SECONDS if hasty else BUSY_SECONDS)
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {milliseconds:.0f}")


def shown(url: URL) -> str:
    """As people may see it: libpq takes a password in the query, too."""
    return url.set(query={}).render_as_string(hide_password=True)


def now(connection: Connection) -> datetime:
    """The database's clock: the one that all processes share."""
    if connection.dialect.name == "sqlite":
        return datetime.now(UTC)
    found: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    return found.astimezone(UTC)


def connect(url: str, *, read_only: bool = False) -> Engine:
    """An engine for SQLite or Postgres. Raises Refused for any other place."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise Refused(
            f"The ledger {without_login(url)!r} is no database URL.", advice=_EXAMPLES
        ) from None
    match parsed.get_backend_name():
        case "sqlite":
            return _sqlite(Path(parsed.database or ""), read_only=read_only)
        case "postgresql":
            return _postgres(parsed)
        case other:
            raise Refused(f"A ledger cannot live in {other}.", advice=_EXAMPLES)


def is_still_to_be_made(engine: Engine) -> bool:
    """Whether it is a file that nobody has made yet."""
    return engine.dialect.name == "sqlite" and not Path(str(engine.url.database)).exists()


_EXAMPLES = (
    "Use sqlite:////absolute/path/ledger.db, or postgresql://user@host/database "
    "(--ledger or REELBATCH_LEDGER)."
)


def _postgres(url: URL) -> Engine:
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_size=3,
        max_overflow=2,
        pool_pre_ping=True,
        hide_parameters=True,
    )
    event.listen(engine, "connect", _let_go_of_sleepers)
    return engine


def _let_go_of_sleepers(connection: Any, _record: object) -> None:
    """A machine that sleeps within a transaction would hold its locks until it wakes up."""
    milliseconds = int(1000 * BUSY_SECONDS)
    connection.execute(f"SET idle_in_transaction_session_timeout = {milliseconds}")
    connection.commit()


def _sqlite(path: Path, *, read_only: bool) -> Engine:
    path = path.expanduser().absolute()
    refuse_network_file_system(path)
    if not read_only:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Refused(
                f"The ledger's folder {path.parent} cannot be made: {error.strerror}.",
                advice=_EXAMPLES,
            ) from error
    mode = "ro" if read_only else "rwc"

    def open_file() -> sqlite3.Connection:
        return sqlite3.connect(
            f"{path.as_uri()}?mode={mode}",
            uri=True,
            timeout=BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
        )

    # The URL names the file for people; the connection itself is made by open_file.
    url = URL.create("sqlite", database=str(path))
    engine = create_engine(
        url, creator=open_file, pool_size=3, max_overflow=2, hide_parameters=True
    )
    event.listen(engine, "connect", _read_pragmas if read_only else _write_pragmas)
    return engine


def _write_pragmas(connection: Any, _record: object) -> None:
    if _is_strange(connection):
        return
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "temp_store=MEMORY"):
        connection.execute(f"PRAGMA {pragma}")


def _is_strange(connection: Any) -> bool:
    """Another program's database, which WAL mode would change for good."""
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    return bool(tables) and ("ledgers",) not in tables


def _read_pragmas(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA query_only=ON")


@contextmanager
def _said_plainly(url: str) -> Iterator[None]:
    """A full disk, a locked or read-only file, a server gone: one sentence each."""
    try:
        yield
    except DBAPIError as error:
        if error.connection_invalidated:
            raise ConnectionLost(
                f"The ledger {url} went away: {reason_of(error)}.",
                advice=_advice(reason_of(error)),
            ) from error
        if not isinstance(error, OperationalError):
            raise
        raise Transient(
            f"The ledger {url} cannot be used: {reason_of(error)}.",
            advice=_advice(reason_of(error)),
        ) from error


def reason_of(error: DBAPIError) -> str:
    return str(error.orig).strip().splitlines()[0] if error.orig else "unknown reason"


def _advice(reason: str) -> str:
    if "full" in reason:
        return "Free some disk space and run again: what was paid is on record."
    if "locked" in reason:
        return "Another program holds it; close that program and run again."
    if "readonly" in reason or "read-only" in reason:
        return "Make the file and its folder writable, or set REELBATCH_LEDGER."
    return "Run again when it is back: what was paid is on record."

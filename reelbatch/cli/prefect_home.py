"""Where a local Prefect server keeps its database, and that only one server uses it at a time.

A home is prepared once per Prefect version (8 seconds of migrations); the empty, migrated
database is put aside in it, and a second run at the same time works on a copy of that.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

LARGEST_COPY_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class PrefectHome:
    """A folder for one server. The lock is held by whoever inherits its descriptor."""

    path: Path
    prepared: Path
    lock: int | None
    """None for a copy, which nobody else knows."""

    @property
    def database(self) -> Path:
        return self.path / "prefect.db"

    @property
    def is_new(self) -> bool:
        """Whether its first server has to prepare it."""
        return not self.prepared.exists()

    def put_aside(self) -> None:
        """Keep the migrated database for those who come while this one is in use."""
        if not self.is_new or self.database.stat().st_size > LARGEST_COPY_BYTES:
            return
        unfinished = self.prepared.with_suffix(f".{os.getpid()}")
        _copy_database(self.database, unfinished)
        unfinished.rename(self.prepared)

    def leave(self) -> None:
        if self.lock is None:
            shutil.rmtree(self.path, ignore_errors=True)
        else:
            os.close(self.lock)


def home_path(environment: Mapping[str, str]) -> Path:
    """PREFECT_HOME made absolute; else a home of our own, apart from any server of the user's."""
    given = environment.get("PREFECT_HOME")
    home = Path(given) if given else Path.home() / ".reelbatch" / "prefect"
    return home.expanduser().absolute()


def take_home(path: Path) -> PrefectHome:
    """The home itself; where another run's server uses it, a copy of its migrated database."""
    path.mkdir(parents=True, exist_ok=True)
    prepared = path / f"migrated-{version('prefect')}.db"
    lock = os.open(path / "reelbatch.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return copy_of(prepared)
    return PrefectHome(path=path, prepared=prepared, lock=lock)


def copy_of(prepared: Path) -> PrefectHome:
    """A home that vanishes when it is left; an empty one while `prepared` does not exist yet."""
    path = Path(tempfile.mkdtemp(prefix="reelbatch-prefect-"))
    if prepared.exists():
        shutil.copy(prepared, path / "prefect.db")
    return PrefectHome(path=path, prepared=prepared, lock=None)


def _copy_database(source: Path, target: Path) -> None:
    """SQLite's own backup: consistent while a server writes."""
    reading, writing = sqlite3.connect(source), sqlite3.connect(target)
    try:
        reading.backup(writing)
    finally:
        reading.close()
        writing.close()

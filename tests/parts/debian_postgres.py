"""Debian's own Postgres: Prefect needs pg_trgm, which the wheel of our ledger tests lacks."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import URL, make_url

from reelbatch.cli.children import start_watched
from reelbatch.cli.ports import free_port
from reelbatch.cli.prefect_server import answers
from tests.parts.command import BIN
from tests.parts.prefect import WITHOUT_PREFECT

NAMES = ("prefect", "ledger")
DURABILITY = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
"""Without it, for tests kill no machine."""


class DebianPostgres:
    """A cluster with a database for Prefect and one for the ledger."""

    def __init__(self, folder: Path) -> None:
        self.url = make_url(f"postgresql://postgres@127.0.0.1:{free_port()}/postgres")
        _make_cluster(folder)
        self.child = start_watched(
            _command("postgres", "-D", str(folder / "data"), *self._settings(folder)),
            name="Debian's Postgres",
            folder=folder,
        )
        self.child.wait_ready(self._made, timeout_seconds=60)

    def url_of(self, name: str, driver: str) -> str:
        url = self.url.set(drivername=f"postgresql+{driver}", database=name)
        return url.render_as_string(hide_password=False)

    def _settings(self, folder: Path) -> list[str]:
        settings = [*DURABILITY, f"port={self.url.port}", "listen_addresses=127.0.0.1"]
        settings += [f"unix_socket_directories={folder}", "max_connections=200"]
        return [word for setting in settings for word in ("-c", setting)]

    def _made(self) -> bool | None:
        """Whether it answers, and has its databases."""
        try:
            with psycopg.connect(_plain(self.url), autocommit=True) as connection:
                for name in NAMES:
                    connection.execute(f"CREATE DATABASE {name}")
        except psycopg.OperationalError:
            return None
        return True


def _plain(url: URL) -> str:
    return url.render_as_string(hide_password=False)


def _program(name: str) -> Path:
    """The newest there is; the test is skipped where there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    if not found:
        pytest.skip("Debian's postgresql is not installed: apt-get install postgresql")
    return found[-1]


def _command(name: str, *arguments: str) -> list[str]:
    """Postgres refuses to run as root."""
    become = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    return [*(become if os.geteuid() == 0 else []), str(_program(name)), *arguments]


def _make_cluster(folder: Path) -> None:
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
    wishes = ("--auth=trust", "--username=postgres", "--no-sync", "-D", str(folder / "data"))
    done = subprocess.run(_command("initdb", *wishes), cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="session")
def debian_postgres() -> Iterator[DebianPostgres]:
    """Not below pytest's own folder, whose way in is closed to other users."""
    _program("initdb")
    with tempfile.TemporaryDirectory(prefix="reelbatch-debian-") as folder:
        server = DebianPostgres(Path(folder))
        yield server
        server.child.stop()


@pytest.fixture(scope="session")
def prefect_on_postgres(
    debian_postgres: DebianPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The API URL of a server as operators start it, for several workers.

    A run's own server is none: without its services nobody cancels a run's children. And on
    SQLite it answers several workers with 503.
    """
    port = free_port()
    url = f"http://127.0.0.1:{port}/api"
    home = tmp_path_factory.mktemp("prefect")
    environment = {
        **WITHOUT_PREFECT,
        "PREFECT_HOME": str(home),
        "PREFECT_API_DATABASE_CONNECTION_URL": debian_postgres.url_of("prefect", "asyncpg"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }
    command = [str(BIN / "prefect"), "server", "start", f"--port={port}", "--host=127.0.0.1"]
    server = start_watched(command, name="Prefect", environment=environment, folder=home)
    server.wait_ready(lambda: answers(url), timeout_seconds=120)
    yield url
    server.stop()

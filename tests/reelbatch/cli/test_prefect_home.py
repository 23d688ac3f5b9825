"""A Prefect home serves one server at a time, and is prepared once."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from reelbatch.cli.prefect_home import PrefectHome, home_path, take_home
from reelbatch.cli.prefect_server import LocalPrefect


@pytest.fixture
def home(tmp_path: Path) -> Iterator[PrefectHome]:
    home = take_home(tmp_path / "prefect")
    with closing(sqlite3.connect(home.database)) as database:
        database.execute("CREATE TABLE flow_run (id)")
    yield home
    home.leave()


def tables(home: PrefectHome) -> list[tuple[str]]:
    with closing(sqlite3.connect(home.database)) as database:
        return database.execute("SELECT name FROM sqlite_master").fetchall()


def test_a_second_run_works_on_a_copy_of_the_prepared_home(home: PrefectHome) -> None:
    home.put_aside()
    second = take_home(home.path)
    assert second.path != home.path
    assert not second.is_new
    assert tables(second) == tables(home)
    second.leave()
    assert not second.path.exists()


def test_a_second_run_does_not_copy_a_half_prepared_home(home: PrefectHome) -> None:
    second = take_home(home.path)
    assert second.is_new
    assert not second.database.exists()
    second.leave()


def test_a_home_that_was_left_can_be_taken_again(home: PrefectHome, tmp_path: Path) -> None:
    other = take_home(tmp_path / "other")
    other.leave()
    again = take_home(tmp_path / "other")
    assert again.path == other.path
    again.leave()


def test_a_relative_home_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server stands in another folder than we do."""
    monkeypatch.chdir(tmp_path)
    assert home_path({"PREFECT_HOME": "here"}) == tmp_path / "here"


def test_the_users_own_server_is_used() -> None:
    environment = {"PREFECT_API_URL": "http://prefect.example/api"}
    prefect = LocalPrefect.start(say=print, environment=environment)
    assert prefect.server is None
    prefect.wait_ready()
    prefect.stop()
    assert environment["PREFECT_API_URL"] == "http://prefect.example/api"
    assert environment["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"] == "30"

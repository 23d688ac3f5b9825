"""One Prefect server for all tests that need one.

It works on a copy of a migrated database, which is made once per Prefect version and kept in
pytest's cache (prefect.md, "pytest").
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest

from reelbatch.cli.prefect_home import PrefectHome, copy_of, take_home
from reelbatch.cli.prefect_server import OwnServer
from reelbatch.errors import Refused

WITHOUT_PREFECT = {
    name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")
}


@pytest.fixture(scope="session")
def prefect_server(pytestconfig: pytest.Config) -> Iterator[OwnServer]:
    """The server for other processes: `.api_url`. Nothing of Prefect is imported here."""
    server = _started(pytestconfig)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def prefect_api(prefect_server: OwnServer) -> Iterator[str]:
    """Flows called in this process run on the shared server. Yields its API URL."""
    from prefect.settings import PREFECT_API_URL, PREFECT_LOGGING_LEVEL, temporary_settings

    changes = {PREFECT_API_URL: prefect_server.api_url, PREFECT_LOGGING_LEVEL: "ERROR"}
    with temporary_settings(changes):
        yield prefect_server.api_url


def _started(pytestconfig: pytest.Config, tries: int = 3) -> OwnServer:
    """On a busy machine a server has ended while it started: then another, with what it said."""
    server = OwnServer(_home(pytestconfig), WITHOUT_PREFECT)
    try:
        server.wait_ready()
    except Refused as error:
        server.stop()
        print(error.message, error.advice, file=sys.stderr)
        if tries == 1:
            raise
        return _started(pytestconfig, tries - 1)
    return server


def _home(pytestconfig: pytest.Config) -> PrefectHome:
    home = take_home(pytestconfig.cache.mkdir("prefect"))
    if home.is_new:
        return home
    home.leave()
    return copy_of(home.prepared)

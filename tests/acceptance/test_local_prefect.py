"""A run without a Prefect server has one of its own: silent, recorded, gone afterwards."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from reelbatch.cli.prefect_server import OwnServer
from tests.parts.prefect import WITHOUT_PREFECT
from tests.parts.waiting import wait_until

RUN = """
import asyncio, sys
from reelbatch.cli.prefect_server import LocalPrefect

local = LocalPrefect.start(say=lambda sentence: print(sentence, file=sys.stderr))
from prefect import flow, task
from prefect.cache_policies import NO_CACHE

@task(cache_policy=NO_CACHE)
async def one(n):
    await asyncio.sleep(0)

@flow
async def every(seconds):
    print(local.api_url, local.server.child.process.pid, flush=True)
    await asyncio.sleep(seconds)
    await asyncio.gather(*(one(n) for n in range(20)))

local.wait_ready()
state = asyncio.run(every(float(sys.argv[1]), return_state=True))
local.stop()
print(state.name)
"""


@pytest.fixture
def home(tmp_path: Path, prefect_server: OwnServer) -> Path:
    """Prepared already: preparing takes the time of five runs."""
    home = tmp_path / "prefect"
    home.mkdir()
    prepared = prefect_server.home.prepared
    for name in ("prefect.db", prepared.name):
        shutil.copy(prepared, home / name)
    return home


@pytest.fixture
def script(tmp_path: Path) -> Path:
    script = tmp_path / "run.py"
    script.write_text(RUN)
    return script


def start(script: Path, home: Path, *, seconds: float) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, script, str(seconds)],
        env={**WITHOUT_PREFECT, "PREFECT_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ready(run: subprocess.Popen[str]) -> tuple[str, int]:
    """Where the run's server answers, and its process group, once the flow is running."""
    assert run.stdout is not None
    api_url, group = run.stdout.readline().split()
    return api_url, int(group)


def answers(api_url: str) -> bool:
    try:
        return httpx.get(f"{api_url}/health", trust_env=False).is_success
    except httpx.TransportError:
        return False


def states(home: Path, table: str) -> list[tuple[str, int]]:
    with closing(sqlite3.connect(home / "prefect.db")) as database:
        counted = f"SELECT state_type, count(*) FROM {table} GROUP BY 1"
        return database.execute(counted).fetchall()


def test_everything_is_recorded_and_nothing_else_is_said(script: Path, home: Path) -> None:
    run = start(script, home, seconds=0)
    api_url, _ = ready(run)
    out, err = run.communicate()
    assert (run.returncode, out, err) == (0, "Completed\n", "")
    assert states(home, "task_run") == [("COMPLETED", 20)]
    assert states(home, "flow_run") == [("COMPLETED", 1)]
    assert not answers(api_url)


def test_a_killed_run_leaves_no_server(script: Path, home: Path) -> None:
    run = start(script, home, seconds=600)
    api_url, _ = ready(run)
    run.kill()
    run.communicate()
    wait_until(lambda: not answers(api_url), description="the server is gone")


def test_a_server_that_dies_is_started_again(script: Path, home: Path) -> None:
    """Otherwise Prefect's client would hold up the end of the run for minutes."""
    run = start(script, home, seconds=2)
    _, group = ready(run)
    os.killpg(group, signal.SIGKILL)
    out, _ = run.communicate()
    assert (run.returncode, out) == (0, "Completed\n")

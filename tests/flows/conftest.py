"""A worker as an operator has it: a process pool, the repository's deployments, a real server."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from reelbatch.cli.children import Child, start_watched
from reelbatch.cli.emulated import EmulatedFal
from reelbatch.cli.prefect_server import OwnServer
from tests.parts.command import BIN
from tests.parts.emulator import Emulator
from tests.parts.prefect import WITHOUT_PREFECT
from tests.parts.waiting import wait_until

REPOSITORY = Path(__file__).parents[2]
POOL = "reelbatch"
FINAL = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


@pytest.fixture(scope="session")
def fal() -> Iterator[Emulator]:
    emulator = Emulator(
        EmulatedFal.start(concurrency=8, service_seconds=0.2, options=["--media=tiny"])
    )
    yield emulator
    emulator.stop()


class Patient(httpx.HTTPTransport):
    """Prefect on SQLite answers 503 while its database is locked: ask again (prefect.md)."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        def answer() -> httpx.Response | None:
            response = super(Patient, self).handle_request(request)
            if response.status_code != 503:
                return response
            response.close()
            return None

        return wait_until(answer, description="Prefect's database is free", timeout_seconds=60)


@dataclass(frozen=True, kw_only=True)
class Deployed:
    """The deployments with one worker behind them, and Prefect's API to ask."""

    folder: Path
    archive: Path
    environment: Mapping[str, str]
    """The worker's own."""
    worker: Child
    api: httpx.Client
    ids: Mapping[str, str]
    """Of each deployment, by its flow's name."""

    @property
    def id(self) -> str:
        return self.ids["generate"]

    def start(
        self,
        flow: str = "generate",
        *,
        environment: Mapping[str, str | None] | None = None,
        **request: Any,
    ) -> str:
        """Order a run with this request; returns its id."""
        order: dict[str, Any] = {"parameters": {"request": request}}
        if environment:
            order["job_variables"] = {"env": dict(environment)}
        answer = self.api.post(f"/deployments/{self.ids[flow]}/create_flow_run", json=order)
        answer.raise_for_status()
        return str(answer.json()["id"])

    def end_of(self, flow_run_id: str) -> dict[str, Any]:
        """The flow run, once its state is final."""

        def ended() -> dict[str, Any] | None:
            run = dict(self.api.get(f"/flow_runs/{flow_run_id}").json())
            return run if run["state_type"] in FINAL else None

        try:
            return wait_until(ended, description="the flow run has ended", timeout_seconds=90)
        except TimeoutError as error:
            pytest.fail(f"{error}\n{self.worker.said()}\n{self.worker.last_words()}")

    def artifacts_of(self, flow_run_id: str) -> dict[str, dict[str, Any]]:
        """What is on the flow run's page, by key; the newest of each."""
        wanted = {"artifacts": {"flow_run_id": {"any_": [flow_run_id]}}, "sort": "UPDATED_DESC"}
        found = self.api.post("/artifacts/filter", json=wanted).json()
        return {one["key"]: one for one in reversed(found)}

    def log_of(self, flow_run_id: str) -> list[str]:
        """What the flow run's page shows of our log."""
        wanted = {"logs": {"flow_run_id": {"any_": [flow_run_id]}}, "sort": "TIMESTAMP_ASC"}
        found = self.api.post("/logs/filter", json=wanted).json()
        return [one["message"] for one in found if one["name"].startswith("reelbatch")]

    @property
    def written(self) -> list[str]:
        """Every line the worker and its runs have written so far."""
        files = [one.fileno() for one in (self.worker.out, self.worker.err)]
        content = b"\n".join(os.pread(one, os.fstat(one).st_size, 0) for one in files)
        return content.decode().splitlines()

    def videos(self, batch: str) -> list[str]:
        """Every archived video, below the batch's folder."""
        folder = self.archive / batch
        return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.mp4"))


@pytest.fixture(scope="session")
def deployed(
    prefect_server: OwnServer, fal: Emulator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployed]:
    folder = tmp_path_factory.mktemp("deployed")
    with deployed_at(prefect_server.api_url, fal, folder) as everything:
        yield everything


@contextmanager
def deployed_at(api_url: str, fal: Emulator, folder: Path) -> Iterator[Deployed]:
    """What the README says of schedules: a pool, `prefect deploy --all`, a worker."""
    shutil.copy(REPOSITORY / "prefect.yaml", folder)
    environment = {
        **WITHOUT_PREFECT,
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_API_URL": api_url,
        "PREFECT_WORKER_QUERY_SECONDS": "2",
        "DO_NOT_TRACK": "1",
        "HOME": str(folder),
        **fal.environment,
        "REELBATCH_LEDGER": f"sqlite:///{folder / 'ledger.db'}",
        "REELBATCH_ARCHIVE": str(folder / "videos"),
    }
    with httpx.Client(base_url=api_url, transport=Patient(), trust_env=False, timeout=30) as api:
        make_pool(at=folder, env=environment)
        prefect("--no-prompt", "deploy", "--all", at=folder, env=environment)
        command = [str(BIN / "prefect"), "worker", "start", "--pool", POOL]
        worker = start_watched(command, name="The worker", environment=environment, folder=folder)
        ids = {one["name"]: one["id"] for one in api.post("/deployments/filter").json()}
        for one in ids.values():  # Schedules are theirs; the runs of a test are its own.
            api.post(f"/deployments/{one}/pause_deployment").raise_for_status()
        yield Deployed(
            folder=folder,
            archive=folder / "videos",
            environment=environment,
            worker=worker,
            api=api,
            ids=ids,
        )
        worker.stop()


def make_pool(*, at: Path, env: Mapping[str, str]) -> None:
    """Anew, where another file of tests had one at the same server."""
    prefect("work-pool", "create", "--overwrite", "--type", "process", POOL, at=at, env=env)


def prefect(*arguments: str, at: Path, env: Mapping[str, str]) -> None:
    done = subprocess.run(
        [BIN / "prefect", *arguments], cwd=at, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr

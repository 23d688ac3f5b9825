"""More machines join a batch: one is killed, one is called off, and a person cancels them all."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from reelbatch.cli.children import Child, start_watched
from reelbatch.cli.emulated import EmulatedFal
from reelbatch.ledger.schema import attempts
from tests.flows.conftest import FINAL, POOL, REPOSITORY, make_pool, prefect
from tests.parts.book import Book
from tests.parts.command import BIN
from tests.parts.debian_postgres import DebianPostgres
from tests.parts.emulator import Emulator
from tests.parts.prefect import WITHOUT_PREFECT
from tests.parts.waiting import wait_until

pytestmark = pytest.mark.timeout(900)
FEW, MANY = 20, 1000
SLOTS = 1000
"""So that nothing waits at fal."""
SOON = {"REELBATCH_START_TIMEOUT": "20", "REELBATCH_IN_DOUBT_GRACE": "2"}
"""When fal gives up what it has not started, and a doubt can end."""


@dataclass(frozen=True, kw_only=True)
class Site:
    """The deployment `generate`, where Prefect and our ledger are in Postgres."""

    folder: Path
    environment: Mapping[str, str]
    api: httpx.Client
    fal: Emulator
    id: str
    workers: list[Child] = field(default_factory=list)

    def worker(self) -> Child:
        """A machine that takes one run at a time, until the end of the test."""
        command = [str(BIN / "prefect"), "worker", "start", "--pool", POOL, "--limit", "1"]
        self.workers.append(
            start_watched(
                command, name="A worker", environment=self.environment, folder=self.folder
            )
        )
        return self.workers[-1]

    def start(
        self, batch: str, rows: int, *, environment: Mapping[str, str] | None = None, **wishes: Any
    ) -> str:
        """Order a run by two workers; returns its id."""
        path = self.folder / f"{batch}.csv"
        lines = (f"{batch}-{n},Cat {n} of {batch},{n}" for n in range(rows))
        path.write_text("\n".join(["id,prompt,seed", *lines]) + "\n")
        request = {"manifest": str(path), "batch": batch, "workers": 2, **wishes}
        order: dict[str, Any] = {"parameters": {"request": request}}
        if environment:
            order["job_variables"] = {"env": dict(environment)}
        answer = self.api.post(f"/deployments/{self.id}/create_flow_run", json=order)
        answer.raise_for_status()
        return str(answer.json()["id"])

    def cancel(self, flow_run_id: str) -> None:
        """As the button does."""
        wish = {"state": {"type": "CANCELLING", "name": "Cancelling"}}
        self.api.post(f"/flow_runs/{flow_run_id}/set_state", json=wish).raise_for_status()

    def group_of(self, flow_run_id: str) -> int:
        """A run's process group: Prefect gives each one of its own."""
        run = self.api.get(f"/flow_runs/{flow_run_id}").json()
        return int(run["infrastructure_pid"].rpartition(":")[2])

    def joining(self, flow_run_id: str) -> dict[str, Any]:
        """The run that joins this one; empty while there is none."""
        wanted = {"flow_runs": {"parent_flow_run_id": {"any_": [flow_run_id]}}}
        found = self.api.post("/flow_runs/filter", json=wanted).json()
        return dict(found[0]) if found else {}

    def joining_is(self, state: str, flow_run_id: str) -> dict[str, Any]:
        def reached() -> dict[str, Any] | None:
            run = self.joining(flow_run_id)
            return run if run.get("state_type") == state else None

        description = f"the joining run is {state}"
        return wait_until(reached, description=description, timeout_seconds=200)

    def end_of(self, flow_run_id: str) -> dict[str, Any]:
        def ended() -> dict[str, Any] | None:
            run = dict(self.api.get(f"/flow_runs/{flow_run_id}").json())
            return run if run["state_type"] in FINAL else None

        try:
            return wait_until(ended, description="the run has ended", timeout_seconds=500)
        except TimeoutError as error:
            pytest.fail("\n".join([str(error), *(worker.said() for worker in self.workers)]))

    def book(self) -> closing[Book]:
        return closing(Book(self.environment["REELBATCH_LEDGER"]))

    @property
    def accepted(self) -> tuple[int, int]:
        """Submissions, and how many of them asked for the very same as an earlier one."""
        counts = self.fal.state()["accepted"]
        return counts["total"], counts["duplicates"]

    def videos(self, batch: str) -> int:
        return len(list((self.folder / "videos" / batch).rglob("*.mp4")))


@pytest.fixture(scope="module")
def empty_fal() -> Iterator[Emulator]:
    options = ["--media=tiny"]
    emulator = Emulator(EmulatedFal.start(concurrency=8, service_seconds=0.2, options=options))
    yield emulator
    emulator.stop()


@pytest.fixture(scope="module")
def one_site(
    prefect_on_postgres: str,
    debian_postgres: DebianPostgres,
    empty_fal: Emulator,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    shutil.copy(REPOSITORY / "prefect.yaml", folder)
    environment = {
        **WITHOUT_PREFECT,
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_API_URL": prefect_on_postgres,
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "DO_NOT_TRACK": "1",
        "HOME": str(folder),
        **empty_fal.environment,
        "REELBATCH_LEDGER": debian_postgres.url_of("ledger", "psycopg"),
        "REELBATCH_ARCHIVE": str(folder / "videos"),
    }
    make_pool(at=folder, env=environment)
    prefect("--no-prompt", "deploy", "--name", "generate", at=folder, env=environment)
    with httpx.Client(base_url=prefect_on_postgres, trust_env=False, timeout=30) as api:
        deployment = api.get("/deployments/name/generate/generate").json()
        yield Site(
            folder=folder, environment=environment, api=api, fal=empty_fal, id=deployment["id"]
        )


@pytest.fixture
def site(one_site: Site) -> Iterator[Site]:
    """Where nothing is counted yet, and no machine works.

    fal keeps what it ran: a doubt ends only when its list shows all that our ledger holds.
    """
    one_site.fal.count_anew()
    one_site.fal.set(concurrency=8, service_seconds=0.2)
    yield one_site
    while one_site.workers:
        one_site.workers.pop().stop()


@pytest.mark.slow
def test_whoever_has_not_begun_at_the_end_is_called_off(site: Site) -> None:
    """There is one machine only: the run has ended before another could join."""
    site.worker()
    run = site.end_of(site.start("alone", FEW))
    assert (run["state_type"], run["state"]["name"]) == ("COMPLETED", "Completed"), run["state"]
    assert site.joining_is("CANCELLED", run["id"])["name"] == "alone: joined"
    assert (site.accepted, site.videos("alone")) == ((FEW, 0), FEW)


@pytest.mark.slow
def test_with_the_run_that_is_cancelled_those_stop_that_joined_it(site: Site) -> None:
    """And the same batch, started again, is made by two again; nothing is paid anew."""
    site.fal.set(concurrency=0)
    site.worker(), site.worker()
    parent = site.start("stopped", FEW)
    site.joining_is("RUNNING", parent)
    wait_until(lambda: site.accepted[0] == FEW, description="all is at fal")
    site.cancel(parent)
    site.joining_is("CANCELLED", parent)
    assert site.end_of(parent)["state_type"] == "CANCELLED"
    again = site.start("stopped", FEW)
    site.joining_is("RUNNING", again)
    site.fal.set(concurrency=8)
    run = site.end_of(again)
    assert run["state"]["message"].startswith(f"{FEW} of {FEW} archived"), run["state"]
    site.joining_is("COMPLETED", again)
    assert (site.accepted, site.videos("stopped")) == ((FEW, 0), FEW)


@pytest.mark.slow
def test_what_a_killed_worker_leaves_the_other_makes(site: Site) -> None:
    """Both stand at the ledger before either may claim; then one machine dies in mid-work.

    A POST that died with it is in doubt, as are three that fal drops; the same batch started
    again ends that, in its time.
    """
    site.fal.set(concurrency=SLOTS)
    site.worker()
    with site.book() as book, book.held(attempts):
        parent = site.start("killed", MANY, environment=SOON, max_in_flight=MANY)
        site.joining_is("SCHEDULED", parent)
        second = site.worker()
        both = "both wait for their first claim"
        wait_until(lambda: book.waiting() >= 2, description=both, timeout_seconds=200)
    wait_until(lambda: site.accepted[0] > MANY // 4, description="both are at work")
    site.fal.break_("drop_before_accept", times=3)
    for group in (second.process.pid, site.group_of(site.joining(parent)["id"])):
        os.killpg(group, signal.SIGKILL)
    run = site.end_of(parent)
    while "in doubt" in run["state"]["message"]:
        run = site.end_of(site.start("killed", MANY, environment=SOON))
    assert run["state"]["message"].startswith(f"{MANY} of {MANY} archived"), run["state"]["message"]
    assert (run["state_type"], run["state"]["name"]) == ("COMPLETED", "Completed")
    assert (site.accepted, site.videos("killed")) == ((MANY, 0), MANY)
    dead = site.joining(parent)
    assert dead["state_type"] not in FINAL, "nobody was left to tell Prefect"
    assert dead["job_variables"] == {"env": SOON}

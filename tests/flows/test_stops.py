"""Stopped from outside: cancelled on Prefect's page, or evicted with the machine it ran on.

Either way the POSTs on the wire are answered first, and the next run carries on.
"""

from __future__ import annotations

import csv
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from tests.flows.conftest import Deployed
from tests.parts.book import Book
from tests.parts.command import BIN
from tests.parts.emulator import Emulator
from tests.parts.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
ROWS = 6
SLOW = "the last"
"""Its POST is answered late."""


def order(deployed: Deployed, name: str) -> dict[str, Any]:
    """A request for six rows of its own."""
    prompts = [f"{name} {n}" for n in range(1, ROWS)] + [f"{name} {SLOW}"]
    path = deployed.folder / f"{name}.csv"
    path.write_text("\n".join(["prompt,seed", *(f"{one},{n}" for n, one in enumerate(prompts))]))
    return {"manifest": str(path), "batch": name}


def accepted(fal: Emulator, name: str) -> Counter[str]:
    """How often fal took each of them."""
    asked = (one["body"]["prompt"] for one in fal.submissions())
    return Counter(prompt for prompt in asked if prompt.startswith(name))


@contextmanager
def in_the_middle(fal: Emulator, name: str) -> Iterator[None]:
    """fal starts nothing, and the last row's POST is answered late."""
    fal.mend()
    fal.set(concurrency=0)
    fal.break_("slow_answer", prompt=f"{name} {SLOW}", with_={"seconds": 4})
    yield
    fal.mend()
    fal.set(concurrency=8)


def until_all_are_taken(fal: Emulator, name: str) -> None:
    wait_until(
        lambda: len(accepted(fal, name)) == ROWS,
        description=f"fal has taken all of {name}",
        timeout_seconds=120,
    )


def states(deployed: Deployed, name: str) -> Counter[str]:
    with closing(Book(f"sqlite:///{deployed.folder / 'ledger.db'}")) as book:
        return book.states_of(name)


def index(deployed: Deployed, name: str) -> list[str]:
    """What the batch's index says of each row."""
    with (deployed.archive / name / "index.csv").open(encoding="utf-8-sig") as file:
        return [row["status"] for row in csv.DictReader(file)]


def test_a_cancellation_on_the_page_is_a_ctrl_c(deployed: Deployed, fal: Emulator) -> None:
    request = order(deployed, "cancelled")
    with in_the_middle(fal, "cancelled"):
        run = deployed.start(**request)
        until_all_are_taken(fal, "cancelled")
        wish = {"state": {"type": "CANCELLING", "name": "Cancelling"}}
        deployed.api.post(f"/flow_runs/{run}/set_state", json=wish).raise_for_status()
        ended = deployed.end_of(run)
    assert ended["state_type"] == "CANCELLED", ended["state"]
    assert states(deployed, "cancelled") == {"submitted": ROWS}
    assert index(deployed, "cancelled") == ["submitted"] * ROWS
    assert (deployed.archive / "cancelled/batch.json").is_file()
    again = deployed.end_of(deployed.start(**request))
    assert again["state"]["name"] == "Completed", again["state"]
    assert set(accepted(fal, "cancelled").values()) == {1}
    assert len(deployed.videos("cancelled")) == ROWS


@pytest.mark.parametrize("behaviour", ["reschedule", "relinquish"])
def test_an_evicted_run_is_carried_on(deployed: Deployed, fal: Emulator, behaviour: str) -> None:
    request = order(deployed, behaviour)
    run = by_hand(deployed, request)
    with in_the_middle(fal, behaviour):
        evicted = execute(deployed, run, behaviour)
        until_all_are_taken(fal, behaviour)
        evicted.send_signal(signal.SIGTERM)
        said, _ = evicted.communicate(timeout=150)
    state = deployed.api.get(f"/flow_runs/{run}").json()["state"]
    assert state["name"] == {"reschedule": "AwaitingRetry", "relinquish": "Running"}[behaviour]
    assert states(deployed, behaviour) == {"submitted": ROWS}, said
    said, _ = execute(deployed, run, behaviour).communicate(timeout=150)
    assert deployed.end_of(run)["state"]["name"] == "Completed", said
    assert set(accepted(fal, behaviour).values()) == {1}
    assert len(deployed.videos(behaviour)) == ROWS


def by_hand(deployed: Deployed, request: dict[str, Any]) -> str:
    """A run of the same deployment that no worker takes: we are its infrastructure."""
    known = deployed.api.get(f"/deployments/{deployed.id}").json()
    kept = ("flow_id", "entrypoint", "pull_steps", "path", "parameter_openapi_schema")
    wish = {"name": "by-hand", **{name: known[name] for name in kept}}
    answer = deployed.api.post("/deployments/", json=wish)
    answer.raise_for_status()
    wanted = {"parameters": {"request": request}}
    answer = deployed.api.post(f"/deployments/{answer.json()['id']}/create_flow_run", json=wanted)
    answer.raise_for_status()
    return str(answer.json()["id"])


def execute(deployed: Deployed, run: str, behaviour: str) -> subprocess.Popen[str]:
    """What Kubernetes starts, and evicts."""
    behave = {"PREFECT_FLOW_RUN_EXECUTE_SIGTERM_BEHAVIOR": behaviour}
    return subprocess.Popen(
        [BIN / "prefect", "flow-run", "execute", run],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**deployed.environment, **behave},
        cwd=deployed.folder,
        start_new_session=True,
    )

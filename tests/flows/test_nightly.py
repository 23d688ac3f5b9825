"""What runs by the clock: the sweep finishes what a run left behind, the inbox takes in."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.flows.conftest import Deployed
from tests.parts.emulator import Emulator

LEFT = "A cat that was left behind"


@dataclass(frozen=True, kw_only=True)
class Night:
    """The final states of what ran, and how often fal was asked for a video until then."""

    left: dict[str, Any]
    swept: dict[str, Any]
    asked: tuple[int, int]
    quiet: dict[str, Any]
    inbox: dict[str, Any]
    folder: Path


@pytest.fixture(scope="module")
def night(deployed: Deployed, fal: Emulator) -> Night:
    """A run whose only answer was lost, two sweeps one after the other, and an inbox."""
    fal.break_("accept_then_drop", prompt=LEFT)
    fal.break_("late_record", prompt=LEFT, with_={"seconds": 3600})
    (deployed.folder / "left.csv").write_text(f"prompt,seed\n{LEFT},1\n")
    hasty = {"REELBATCH_IN_DOUBT_GRACE": "0.1"}
    manifest = str(deployed.folder / "left.csv")
    left = deployed.end_of(deployed.start(manifest=manifest, batch="left", environment=hasty))
    fal.mend()
    before = submissions(fal)
    swept = deployed.end_of(deployed.start("sweep", overdue_seconds=0))
    after = submissions(fal)
    quiet, inbox = deployed.start("sweep"), deployed.start("inbox", inbox=filled(deployed.folder))
    return Night(
        left=left,
        swept=swept,
        asked=(before, after),
        quiet=deployed.end_of(quiet),
        inbox=deployed.end_of(inbox),
        folder=deployed.folder / "inbox",
    )


def filled(folder: Path) -> str:
    """An inbox with one manifest that was written an hour ago."""
    (folder / "inbox").mkdir()
    manifest = folder / "inbox" / "owls.csv"
    manifest.write_text("prompt,seed\nAn owl,1\nAnother owl,2\n")
    os.utime(manifest, (time.time() - 3600, time.time() - 3600))
    return str(folder / "inbox")


def submissions(fal: Emulator) -> int:
    return int(fal.state()["calls"]["submit"])


def said(run: dict[str, Any]) -> tuple[str, str]:
    return run["state"]["name"], run["state"]["message"]


def test_the_sweep_finishes_what_a_run_left_behind(night: Night, deployed: Deployed) -> None:
    assert night.left["state"]["name"] == "PartlyFailed", night.left["state"]
    assert said(night.swept) == ("Completed", "left: 1 archived.")
    assert len(deployed.videos("left")) == 1


def test_the_sweep_submits_nothing(night: Night) -> None:
    before, after = night.asked
    assert before == after


def test_the_next_sweep_has_nothing_to_do(night: Night) -> None:
    assert said(night.quiet) == ("Completed", "Nothing to do.")


def test_the_inbox_makes_a_batch_of_what_has_arrived(night: Night) -> None:
    assert said(night.inbox) == ("Completed", "owls.csv: 2 of 2 archived; $0.40 spent.")
    assert [path.name for path in (night.folder / "done").iterdir()] == ["owls.csv"]
    assert not (night.folder / "owls.csv").exists()


def test_each_batch_of_an_inbox_has_a_run_of_its_own(night: Night, deployed: Deployed) -> None:
    """With its name, its tables and its bill, below the inbox's."""
    wanted = {"flow_runs": {"parent_flow_run_id": {"any_": [night.inbox["id"]]}}}
    (run,) = deployed.api.post("/flow_runs/filter", json=wanted).json()
    assert run["name"].startswith("owls-")
    assert run["name"].endswith(": 2 rows")
    assert "bill" in deployed.artifacts_of(run["id"])


def test_the_sweep_runs_every_five_minutes_and_never_beside_itself(deployed: Deployed) -> None:
    sweep = deployed.api.get(f"/deployments/{deployed.ids['sweep']}").json()
    (schedule,) = sweep["schedules"]
    assert (schedule["active"], schedule["schedule"]["interval"]) == (True, 300.0)
    assert sweep["global_concurrency_limit"]["limit"] == 1
    assert sweep["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"


def test_the_inbox_is_off_until_somebody_names_it(deployed: Deployed) -> None:
    inbox = deployed.api.get(f"/deployments/{deployed.ids['inbox']}").json()
    assert [one["active"] for one in inbox["schedules"]] == [False]

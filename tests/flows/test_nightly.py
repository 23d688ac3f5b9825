"""What runs by the clock: the sweep finishes what a run left behind, the inbox takes in."""

from __future__ import annotations

import os
import time
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from flows.outcome import state_of_sweep
from reelbatch.jobs import State
from reelbatch.run.swept import Swept
from tests.flows.conftest import Deployed
from tests.parts.emulator import Emulator

LEFT = "A cat that was left behind"


@dataclass(kw_only=True)
class Night:
    """A run whose only answer was lost, and an inbox beside it; each test waits for its own."""

    deployed: Deployed
    fal: Emulator
    ids: dict[str, str]

    @cached_property
    def inbox(self) -> dict[str, Any]:
        return self.deployed.end_of(self.ids["inbox"])

    @cached_property
    def left(self) -> dict[str, Any]:
        """Once it has ended, fal's list shows what it has."""
        ended = self.deployed.end_of(self.ids["left"])
        self.fal.mend()
        return ended

    @cached_property
    def swept(self) -> dict[str, Any]:
        assert self.left["state"]["name"] == "PartlyFailed", self.left["state"]
        return self.deployed.end_of(self.deployed.start("sweep"))

    @cached_property
    def quiet(self) -> dict[str, Any]:
        """The sweep after it."""
        assert self.swept
        return self.deployed.end_of(self.deployed.start("sweep"))


@pytest.fixture(scope="module")
def night(deployed: Deployed, fal: Emulator) -> Night:
    fal.break_("accept_then_drop", prompt=LEFT)
    fal.break_("late_record", prompt=LEFT, with_={"seconds": 3600})
    manifest = deployed.folder / "left.csv"
    manifest.write_text(f"prompt,seed\n{LEFT},1\n")
    hasty = {"REELBATCH_IN_DOUBT_GRACE": "0.1"}
    ids = {
        "left": deployed.start(manifest=str(manifest), batch="left", environment=hasty),
        "inbox": deployed.start("inbox", inbox=filled(deployed.folder)),
    }
    return Night(deployed=deployed, fal=fal, ids=ids)


def filled(folder: Path) -> str:
    """An inbox with one manifest that was written an hour ago."""
    (folder / "inbox").mkdir()
    manifest = folder / "inbox" / "owls.csv"
    manifest.write_text("prompt,seed\nAn owl,1\nAnother owl,2\n")
    os.utime(manifest, (time.time() - 3600, time.time() - 3600))
    return str(folder / "inbox")


def said(run: dict[str, Any]) -> tuple[str, str]:
    return run["state"]["name"], run["state"]["message"]


def test_the_sweep_runs_every_five_minutes_and_never_beside_itself(deployed: Deployed) -> None:
    sweep = deployed.api.get(f"/deployments/{deployed.ids['sweep']}").json()
    (schedule,) = sweep["schedules"]
    assert (schedule["active"], schedule["schedule"]["interval"]) == (True, 300.0)
    assert sweep["global_concurrency_limit"]["limit"] == 1
    assert sweep["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"


def test_the_inbox_is_off_until_somebody_names_it(deployed: Deployed) -> None:
    inbox = deployed.api.get(f"/deployments/{deployed.ids['inbox']}").json()
    assert [one["active"] for one in inbox["schedules"]] == [False]


def test_a_run_leaves_behind_what_nobody_can_know_yet(night: Night) -> None:
    assert said(night.left)[0] == "PartlyFailed", said(night.left)


def test_the_sweep_finishes_what_a_run_left_behind_and_submits_nothing(
    night: Night, deployed: Deployed, fal: Emulator
) -> None:
    name, message = said(night.swept)
    assert (name, "left: 1 archived" in message) == ("Completed", True), message
    assert len(deployed.videos("left")) == 1
    assert [one["body"]["prompt"] for one in fal.submissions()].count(LEFT) == 1


def test_the_next_sweep_finds_nothing_of_it(night: Night) -> None:
    """Other batches of this ledger are other tests' own."""
    name, message = said(night.quiet)
    assert (name, "left:" in message) == ("Completed", False), message


def test_a_sweep_says_what_it_found_and_fails_where_a_batch_cannot_be_opened() -> None:
    swept = Swept(batch="cats", states=Counter({State.SUBMITTED: 2, State.ARCHIVED: 1}))
    closed = Swept(batch="dogs", refusal="There is no bucket.")
    assert state_of_sweep([]).message == "Nothing to do."
    assert state_of_sweep([swept]).message == "cats: 1 archived, 2 still at fal."
    both = state_of_sweep([swept, closed])
    assert (both.name, both.is_failed()) == ("Refused", True)
    assert str(both.message).endswith("; dogs: There is no bucket.")


def test_the_inbox_makes_a_batch_of_what_has_arrived(night: Night, deployed: Deployed) -> None:
    assert said(night.inbox) == ("Completed", "owls.csv: 2 of 2 archived; $0.40 spent.")
    folder = deployed.folder / "inbox"
    assert [path.name for path in (folder / "done").iterdir()] == ["owls.csv"]
    assert not (folder / "owls.csv").exists()


def test_each_batch_of_an_inbox_has_a_run_of_its_own(night: Night, deployed: Deployed) -> None:
    """With its name, its tables and its bill, below the inbox's."""
    wanted = {"flow_runs": {"parent_flow_run_id": {"any_": [night.inbox["id"]]}}}
    (run,) = deployed.api.post("/flow_runs/filter", json=wanted).json()
    assert run["name"].startswith("owls-")
    assert run["name"].endswith(": 2 rows")
    assert "bill" in deployed.artifacts_of(run["id"])

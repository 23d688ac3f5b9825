"""Whoever asked to be told hears of each end once: what happened, in which batch, and where.

Prefect's own database is in Postgres here: on SQLite it is locked now and then while events are
weighed, and a message comes twice or not at all.
"""

from __future__ import annotations

import ast
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from flows.events import RUN_ENDED
from flows.outcome import state_of_inbox
from reelbatch.run.taken import Taken
from tests.flows.conftest import Deployed, deployed_at
from tests.parts.command import BIN, Command
from tests.parts.emulator import Emulator
from tests.parts.listener import Listener, listening
from tests.parts.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
FLAGGED = "A dog that fal will not show"
HUSH = "/hush-0123456789abcdef"
HOW_MANY = 8


@dataclass(kw_only=True)
class Told:
    """The installed automations, the channel that hears them, and runs to be told of."""

    deployed: Deployed
    channel: Listener
    installed: list[str] = field(default_factory=list)
    """What each installation said."""
    ids: dict[str, str] = field(default_factory=dict)
    """Real flow runs, by batch."""
    ends: int = 0

    def alerts(self, *arguments: str) -> str:
        done = subprocess.run(
            [BIN / "reelbatch", "alerts", "--as=json", *arguments],
            env={**self.deployed.environment, "REELBATCH_ALERTS_URL": f"{self.channel.url}{HUSH}"},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def of(self, words: str) -> list[dict[str, str]]:
        """Every message in which these words are, oldest first."""
        bodies = [ast.literal_eval(text.splitlines()[-1]) for text in self.channel.heard]
        messages = [json.loads(body) for body in bodies]
        return [one for one in messages if words in f"{one}"]

    def until_heard(self, words: str) -> list[dict[str, str]]:
        return wait_until(
            lambda: self.of(words), description=f"{words!r} is told", timeout_seconds=90
        )

    def order(self, batch: str, *prompts: str, **wishes: Any) -> None:
        manifest = self.deployed.folder / f"{batch}.csv"
        lines = (f"{prompt},{n}" for n, prompt in enumerate(prompts))
        manifest.write_text("\n".join(["prompt,seed", *lines]) + "\n")
        self.ids[batch] = self.deployed.start(manifest=str(manifest), batch=batch, **wishes)

    def ended(self, batch: str) -> list[dict[str, str]]:
        """All that is told of a real run, once its end is told."""
        name = self.deployed.end_of(self.ids[batch])["name"]
        self.until_heard(name)
        self.until_all_is_told()
        return self.of(page(self, self.ids[batch]))

    def run_that_ends(self, name: str, state: dict[str, Any], flow: str = "generate") -> str:
        """A flow run without a process, which ends as it is told; returns its id."""
        return self.run_of_somebody(name, state, flow, ["reelbatch"])

    def run_of_somebody(self, name: str, state: dict[str, Any], flow: str, tags: list[str]) -> str:
        api = self.deployed.api
        flow_id = api.post("/flows/", json={"name": flow}).json()["id"]
        wish = {"flow_id": flow_id, "name": name, "tags": tags, "state": {"type": "PENDING"}}
        run_id = str(api.post("/flow_runs/", json=wish).json()["id"])
        end = {"state": state, "force": True}
        api.post(f"/flow_runs/{run_id}/set_state", json=end).raise_for_status()
        return run_id

    def until_all_is_told(self) -> None:
        """Prefect works at two events at once: with two later ends, the earlier are told."""
        for _ in range(2):
            self.ends += 1
            self.run_that_ends(f"later-{self.ends}.", COMPLETED)
            self.until_heard(f"later-{self.ends}.")

    def automations(self) -> list[dict[str, Any]]:
        return list(self.deployed.api.post("/automations/filter", json={}).json())


COMPLETED = {"type": "COMPLETED", "message": "1 of 1 archived; $0.20 spent."}
CANCELLED = {"type": "CANCELLED", "message": "0 of 1 archived. Run again to carry on."}
REFUSED = {"type": "FAILED", "name": "Refused", "message": "There is no bucket."}


@pytest.fixture(scope="module")
def told(
    prefect_on_postgres: str, fal: Emulator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Told]:
    """Installed twice; three real runs are on their way."""
    fal.mend()
    fal.break_("model_refusal", prompt=FLAGGED)
    folder = tmp_path_factory.mktemp("alerts")
    with listening() as channel, deployed_at(prefect_on_postgres, fal, folder) as deployed:
        told = Told(deployed=deployed, channel=channel)
        told.installed = [told.alerts(), told.alerts()]
        told.order("told-sound", "one", "two")
        told.order("told-partly", "three", FLAGGED)
        told.order("told-dear", "four", "five", "six", budget_usd="0.45")
        yield told
        told.alerts("--remove")
    fal.mend()


@pytest.fixture
def typed(told: Told, run_cli: Command, fal: Emulator) -> Command:
    """The command line, at the server that tells."""
    api_url = told.deployed.environment["PREFECT_API_URL"]
    run_cli.environment |= fal.environment | {"PREFECT_API_URL": api_url}
    return run_cli


def test_installing_twice_changes_nothing(told: Told) -> None:
    assert told.installed == [
        f"Automations: {HOW_MANY} new, 0 changed, 0 as they were.",
        f"Automations: 0 new, 0 changed, {HOW_MANY} as they were.",
    ]
    assert len(told.automations()) == HOW_MANY


def test_a_batch_that_is_finished_is_told_once_with_its_page(told: Told) -> None:
    assert told.ended("told-sound") == [
        {
            "subject": "Finished: told-sound: 2 rows",
            "body": "2 of 2 archived; $0.40 spent.\n" + page(told, told.ids["told-sound"]),
        }
    ]


def page(told: Told, run_id: str) -> str:
    api = str(told.deployed.environment["PREFECT_API_URL"])
    return f"{api.removesuffix('/api')}/runs/flow-run/{run_id}"


def test_a_batch_with_failed_rows_is_told_once(told: Told) -> None:
    (message,) = told.ended("told-partly")
    assert message["subject"] == "Finished with failures: told-partly: 2 rows"
    assert message["body"].startswith("1 of 2 archived, 1 failed;")


def test_a_batch_whose_budget_ends_is_told_before_and_after(told: Told) -> None:
    nearly, stopped = sorted(told.ended("told-dear"), key=lambda one: one["subject"])
    assert nearly["subject"] == "Budget nearly spent: told-dear"
    assert nearly["body"].startswith("$0.40 of $0.45, the budget of the batch, are spent or res")
    assert nearly["body"].endswith(page(told, told.ids["told-dear"]))
    assert stopped["subject"] == "Stopped: told-dear: 3 rows"
    assert stopped["body"].startswith("budget: 2 of 3 archived, 1 to do; $0.40 spent.")


def test_a_run_from_the_command_line_is_told_of_as_well(told: Told, typed: Command) -> None:
    """It has no deployment to take its tag from."""
    (typed.folder / "typed.csv").write_text("prompt\nseven\n")
    done = typed("run", "typed.csv", "--yes", "--budget=0.2")
    assert done.code == 0, done.text
    told.until_heard("Budget nearly spent: typed")
    told.until_heard("Finished: typed: 1 row")
    run_id = told.of("Finished: typed: 1 row")[0]["body"].rpartition("/")[2]
    resource = {"id": [f"prefect.flow-run.{run_id}"]}
    wanted = {"filter": {"event": {"name": [RUN_ENDED]}, "resource": resource}}

    def ends() -> list[dict[str, Any]]:
        return list(told.deployed.api.post("/events/filter", json=wanted).json()["events"])

    (ended,) = wait_until(ends, description="Prefect has kept the run's end", timeout_seconds=90)
    assert "prefect.tag.reelbatch" in [one["prefect.resource.id"] for one in ended["related"]]


def test_nobody_is_told_of_what_a_person_cancelled_or_of_somebody_else_s(told: Told) -> None:
    runs = [
        told.run_that_ends("by-hand", CANCELLED),
        told.run_that_ends("by-hand: joined", COMPLETED),
        told.run_of_somebody("not-ours", COMPLETED, "generate", []),
        told.run_of_somebody("not-ours", REFUSED, "sweep", ["theirs"]),
        told.run_of_somebody("not-ours", COMPLETED, "etl", ["reelbatch"]),
        told.run_of_somebody("not-ours", {"type": "CRASHED"}, "etl", ["reelbatch"]),
    ]
    told.until_all_is_told()
    assert [message for run_id in runs for message in told.of(page(told, run_id))] == []


def test_a_batch_that_cannot_begin_or_breaks_off_is_told_with_the_reason(told: Told) -> None:
    told.run_that_ends("no-bucket", REFUSED)
    told.run_that_ends("a-bug", {"type": "FAILED", "message": "KeyError: 'a'"})
    told.run_that_ends("killed: joined", {"type": "CRASHED", "message": "It exited with -9."})
    for name in ("no-bucket", "a-bug", "killed: joined"):
        told.until_heard(name)
    told.until_all_is_told()
    assert [one["subject"] for one in told.of("no-bucket")] == ["Refused: no-bucket"]
    assert [one["subject"] for one in told.of("a-bug")] == ["Failed: a-bug"]
    assert [one["subject"] for one in told.of("killed")] == ["Crashed: killed: joined"]
    assert told.of("no-bucket")[0]["body"].startswith("There is no bucket.\n")


def test_a_sweep_that_is_refused_every_five_minutes_is_told_once_an_hour(told: Told) -> None:
    for _ in range(3):
        told.run_that_ends("quiet-otter", REFUSED, "sweep")
        told.run_that_ends("busy-otter", {"type": "COMPLETED", "message": "Nothing."}, "sweep")
    told.until_heard("Refused: sweep")
    told.until_all_is_told()
    assert len(told.of("Refused: sweep")) == 1
    assert told.of("otter") == []


def test_a_rejected_manifest_is_told_and_a_batch_not_once_more_by_its_inbox(told: Told) -> None:
    done = Taken(name="owls.csv", outcome="partly", words="1 of 2 archived, 1 failed")
    faulty = Taken(name="bats.csv", outcome="rejected", words="rejected, 2 faults in rejected/b")
    for taken in ([done], [done, faulty]):
        state = state_of_inbox(taken)
        end = {"type": "COMPLETED", "name": state.name, "message": state.message}
        told.run_that_ends("an-inbox", end, "inbox")
    told.until_heard("owls.csv")
    told.until_all_is_told()
    (message,) = told.of("owls.csv")
    assert message["subject"] == "Manifest rejected"
    assert "bats.csv: rejected, 2 faults in rejected/b" in message["body"]


def test_the_address_is_nowhere_to_be_read(told: Told) -> None:
    api = told.deployed.api
    kept = [
        api.post(f"/{place}/filter", json={}).text for place in ("block_documents", "automations")
    ]
    assert "reelbatch-alerts" in kept[0]
    assert not any(HUSH in text for text in (*kept, *told.installed))


def test_what_differs_is_mended_and_what_somebody_paused_stays_paused(told: Told) -> None:
    api, (first, second, third, *_) = told.deployed.api, told.automations()
    api.delete(f"/automations/{first['id']}").raise_for_status()
    changed = {name: second[name] for name in ("name", "enabled", "trigger", "actions")}
    wish = {**changed, "description": "Another."}
    api.put(f"/automations/{second['id']}", json=wish).raise_for_status()
    api.patch(f"/automations/{third['id']}", json={"enabled": False}).raise_for_status()
    rest = HOW_MANY - 2
    assert told.alerts() == f"Automations: 1 new, 1 changed, {rest} as they were."
    assert api.get(f"/automations/{second['id']}").json()["description"] == second["description"]
    assert api.get(f"/automations/{third['id']}").json()["enabled"] is False
    api.patch(f"/automations/{third['id']}", json={"enabled": True}).raise_for_status()
    assert len(told.automations()) == HOW_MANY


def test_what_is_removed_leaves_no_automation_and_no_address(told: Told) -> None:
    other = {**told.automations()[0], "name": "Somebody's own"}
    kept = {name: other[name] for name in ("name", "trigger", "actions")}
    made = told.deployed.api.post("/automations/", json=kept).json()
    assert told.alerts("--remove").startswith(f"{HOW_MANY} automations removed")
    assert [one["name"] for one in told.automations()] == ["Somebody's own"]
    assert "reelbatch-alerts" not in told.deployed.api.post("/block_documents/filter").text
    told.deployed.api.delete(f"/automations/{made['id']}").raise_for_status()
    told.alerts()


def test_a_killed_run_becomes_crashed_and_is_told_while_a_living_one_runs_on(
    told: Told, typed: Command, fal: Emulator
) -> None:
    """Both wait for fal; one of them dies without a word, where no worker sees it."""
    fal.set(concurrency=0)
    runs = {}
    for name in ("alive", "dead"):
        (typed.folder / f"{name}.csv").write_text(f"prompt\n{name} in a test of alerts\n")
        runs[name] = typed.start("run", f"{name}.csv", "--yes")
    alive, dead = (until_it_gives_a_sign(told, f"{name}: 1 row") for name in runs)
    runs["dead"].kill()
    wait_until(
        lambda: state_of(told, dead)["type"] == "CRASHED",
        description="the dead run is Crashed",
        timeout_seconds=300,
    )
    (message,) = told.until_heard("dead: 1 row")
    assert message["subject"] == "Crashed: dead: 1 row"
    assert message["body"].startswith("No sign of life for 90 s")
    assert state_of(told, alive)["type"] == "RUNNING"
    fal.set(concurrency=8)
    assert runs["alive"].finish().code == 0
    told.until_all_is_told()
    assert [one["subject"] for one in told.of("alive: 1 row")] == ["Finished: alive: 1 row"]
    assert failed_actions(told) == [], "runs that had ended were taken for dead"


def failed_actions(told: Told) -> list[dict[str, Any]]:
    wanted = {"filter": {"event": {"name": ["prefect.automation.action.failed"]}}}
    return list(told.deployed.api.post("/events/filter", json=wanted).json()["events"])


def until_it_gives_a_sign(told: Told, name: str) -> str:
    """The flow run of this name, once Prefect has its first heartbeat; returns its id."""
    wanted = {"flow_runs": {"name": {"any_": [name]}}}

    def found() -> list[dict[str, Any]]:
        return list(told.deployed.api.post("/flow_runs/filter", json=wanted).json())

    (run,) = wait_until(found, description=f"{name} has begun", timeout_seconds=120)
    resource = {"id": [f"prefect.flow-run.{run['id']}"]}
    beats = {"event": {"name": ["prefect.flow-run.heartbeat"]}, "resource": resource}

    def heard() -> int:
        answer = told.deployed.api.post("/events/filter", json={"filter": beats})
        return int(answer.json()["total"])

    wait_until(heard, description=f"{name} has given a sign of life", timeout_seconds=60)
    return str(run["id"])


def state_of(told: Told, run_id: str) -> dict[str, Any]:
    return dict(told.deployed.api.get(f"/flow_runs/{run_id}").json()["state"])

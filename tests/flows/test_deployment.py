"""An operator deploys, starts a worker and fills in the form: what the run's page says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.flows.conftest import Deployed
from tests.parts.emulator import Emulator
from tests.parts.waiting import wait_until

FLAGGED = "A cat that fal will not show"


@dataclass(kw_only=True)
class Orders:
    """Flow runs ordered together, so that their starts overlap; each test reads its own."""

    deployed: Deployed
    ids: dict[str, str] = field(default_factory=dict)

    def ended(self, name: str) -> dict[str, Any]:
        return self.deployed.end_of(self.ids[name])

    def artifacts(self, name: str) -> dict[str, dict[str, Any]]:
        self.ended(name)
        return self.deployed.artifacts_of(self.ids[name])

    def line_on_page(self, name: str, words: str) -> str:
        """The one line of its log that has these words, once Prefect shows it."""
        (line,) = wait_until(
            lambda: [one for one in self.deployed.log_of(self.ids[name]) if words in one],
            description=f"Prefect shows {words!r}",
            timeout_seconds=90,
        )
        return line


@pytest.fixture(scope="module")
def orders(deployed: Deployed, fal: Emulator) -> Iterator[Orders]:
    fal.break_("model_refusal", prompt=FLAGGED)
    orders = Orders(deployed=deployed)
    folder = deployed.folder

    def order(name: str, content: str, **wishes: Any) -> None:
        path = folder / f"{name}.csv"
        path.write_text(content)
        orders.ids[name] = deployed.start(manifest=str(path), **wishes)

    order("sound", prompts("dawn", "noon", "night"), batch="from-the-form")
    order("partly", prompts("red", "blue", FLAGGED), batch="partly")
    order("dear", prompts("one", "two", "three"), batch="dear", budget_usd="0.45")
    order("bad", "prompt,seed\nA cat,abc\n", batch="bad")
    order("many", prompts("many"), batch="many", workers=2)
    passing = {"REELBATCH_LEDGER": "", "REELBATCH_ARCHIVE": "./archive"}
    order("passing", prompts("passing"), batch="passing", environment=passing)
    yield orders
    fal.mend()


def prompts(*all_of_them: str) -> str:
    lines = (f"{prompt},{n}" for n, prompt in enumerate(all_of_them))
    return "\n".join(["prompt,seed", *lines]) + "\n"


def asked_at(fal: Emulator) -> list[str]:
    return [submission["body"]["prompt"] for submission in fal.submissions()]


def test_a_run_from_the_form_ends_completed_with_its_videos(
    orders: Orders, deployed: Deployed, fal: Emulator
) -> None:
    run = orders.ended("sound")
    assert (run["state_type"], run["state"]["name"]) == ("COMPLETED", "Completed"), run["state"]
    assert len(deployed.videos("from-the-form")) == 3
    assert sorted(set(asked_at(fal)) & {"dawn", "noon", "night"}) == ["dawn", "night", "noon"]
    assert all(asked_at(fal).count(prompt) == 1 for prompt in ("dawn", "noon", "night"))
    assert "3 of 3 archived" in run["state"]["message"]


def test_its_name_says_which_batch_and_how_many_rows(orders: Orders) -> None:
    assert orders.ended("sound")["name"] == "from-the-form: 3 rows"


def test_its_tasks_are_named_by_their_rows(orders: Orders, deployed: Deployed) -> None:
    orders.ended("sound")
    wanted = {"task_runs": {"flow_run_id": {"any_": [orders.ids["sound"]]}}}
    names = {one["name"] for one in deployed.api.post("/task_runs/filter", json=wanted).json()}
    index = (deployed.archive / "from-the-form" / "index.csv").read_text()
    rows = {line.split(",")[0] for line in index.splitlines()[1:]}
    assert rows <= names


def test_its_page_shows_progress_results_and_the_bill(orders: Orders, deployed: Deployed) -> None:
    shown = orders.artifacts("sound")
    assert set(shown) == {"progress", "results", "bill"}
    assert (shown["progress"]["type"], shown["progress"]["data"]) == ("progress", 100.0)
    results = json.loads(shown["results"]["data"])
    assert [row["status"] for row in results] == ["archived"] * 3
    assert "3 of 3 archived" in shown["results"]["description"]
    assert "| spent for the batch | $0.60 |" in shown["bill"]["data"]
    assert str(deployed.archive / "from-the-form") in shown["bill"]["data"]


def test_a_run_with_a_failed_row_ends_completed_and_partly_failed(
    orders: Orders, deployed: Deployed, fal: Emulator
) -> None:
    run = orders.ended("partly")
    assert (run["state_type"], run["state"]["name"]) == ("COMPLETED", "PartlyFailed"), run["state"]
    assert len(deployed.videos("partly")) == 2
    assert asked_at(fal).count(FLAGGED) == 1
    failures = json.loads(orders.artifacts("partly")["failures"]["data"])
    assert [(row["line"], row["error"]) for row in failures] == [(4, "content_policy_violation")]
    assert failures[0]["what to do"].startswith("Change the prompt or the image and run again")


def test_its_log_names_batch_row_and_request_of_what_failed(
    orders: Orders, deployed: Deployed, fal: Emulator
) -> None:
    orders.ended("partly")
    (sent,) = [one for one in fal.submissions() if one["body"]["prompt"] == FLAGGED]
    index = (deployed.archive / "partly" / "index.csv").read_text().splitlines()
    (row_id,) = [line.split(",")[0] for line in index if sent["request_id"] in line]
    words = f"partly: row {row_id} take 1: failed with content_policy_violation: "
    failed = orders.line_on_page("partly", words)
    assert failed.endswith(f" (request {sent['request_id']})")
    orders.line_on_page("partly", "partly: ended: ")


def test_a_worker_writes_the_same_log_as_one_object_a_line(
    orders: Orders, deployed: Deployed
) -> None:
    """And once: Prefect's own console leaves it out."""
    orders.ended("partly")
    said = wait_until(
        lambda: [line for line in deployed.written if "partly: ended: " in line],
        description="the worker has passed the line on",
        timeout_seconds=90,
    )
    assert [json.loads(line)["batch"] for line in said] == ["partly"]


def test_a_budget_that_is_used_up_ends_failed_and_stopped(
    orders: Orders, deployed: Deployed
) -> None:
    run = orders.ended("dear")
    assert (run["state_type"], run["state"]["name"]) == ("FAILED", "Stopped"), run["state"]
    assert run["state"]["message"].startswith("budget: 2 of 3 archived, 1 to do; $0.40 spent.")
    assert len(deployed.videos("dear")) == 2


def test_a_bad_manifest_is_refused_with_its_fault(orders: Orders) -> None:
    run = orders.ended("bad")
    assert (run["state_type"], run["state"]["name"]) == ("FAILED", "Refused"), run["state"]
    assert "bad.csv:2: seed 'abc' is not an integer." in run["state"]["message"]


def test_a_worker_whose_ledger_would_die_with_it_is_refused(orders: Orders, fal: Emulator) -> None:
    run = orders.ended("passing")
    assert (run["state_type"], run["state"]["name"]) == ("FAILED", "Refused"), run["state"]
    assert "REELBATCH_LEDGER and REELBATCH_ARCHIVE" in run["state"]["message"]
    assert "passing" not in asked_at(fal)


def test_several_workers_on_a_ledger_in_a_file_are_refused(orders: Orders, fal: Emulator) -> None:
    run = orders.ended("many")
    assert (run["state_type"], run["state"]["name"]) == ("FAILED", "Refused"), run["state"]
    assert "2 workers meet in Postgres" in run["state"]["message"]
    assert "many" not in asked_at(fal)


@pytest.mark.parametrize("flow", ["generate", "sweep", "inbox"])
def test_the_form_explains_every_field_and_asks_for_no_secret(
    deployed: Deployed, flow: str
) -> None:
    deployment = deployed.api.get(f"/deployments/{deployed.ids[flow]}").json()
    schema = deployment["parameter_openapi_schema"]
    (form,) = schema["definitions"].values()
    assert all(one.get("title") for one in form["properties"].values())
    assert all(one.get("description") for one in form["properties"].values())
    words = json.dumps(schema).lower()
    assert not any(secret in words for secret in ("fal_key", "password", "secret", "token"))
    assert deployment["description"].endswith(".")
    assert deployment["tags"] == ["reelbatch"]


def test_the_form_knows_choices_and_limits(deployed: Deployed) -> None:
    schema = deployed.api.get(f"/deployments/{deployed.id}").json()["parameter_openapi_schema"]
    fields = schema["definitions"]["GenerateRequest"]["properties"]
    assert fields["in_doubt"]["enum"] == ["auto", "hold", "resubmit"]
    (number,) = [kind for kind in fields["max_in_flight"]["anyOf"] if kind["type"] == "integer"]
    assert (number["minimum"], number["maximum"]) == (1, 5000)
    (dollars,) = [kind for kind in fields["budget_usd"]["anyOf"] if kind["type"] == "number"]
    assert dollars["exclusiveMinimum"] == 0


def test_a_value_out_of_range_is_refused_before_there_is_a_run(deployed: Deployed) -> None:
    for wishes in ({"max_in_flight": 0}, {"in_doubt": "perhaps"}, {"unheard_of": 1}):
        order = {"parameters": {"request": {"manifest": "cats.csv", **wishes}}}
        answer = deployed.api.post(f"/deployments/{deployed.id}/create_flow_run", json=order)
        assert answer.status_code in (409, 422), answer.text


def test_one_click_buys_nothing(deployed: Deployed) -> None:
    """ "Quick run" sends no parameters; and the run itself refuses an empty form."""
    known = deployed.api.get(f"/deployments/{deployed.id}").json()
    assert known["parameter_openapi_schema"]["required"] == ["request"]
    answer = deployed.api.post(f"/deployments/{deployed.id}/create_flow_run", json={})
    assert (answer.status_code, "'request' is a required" in answer.text) == (409, True)
    run = deployed.end_of(deployed.start())
    assert run["state"]["name"] == "Refused", run["state"]
    assert "Neither a manifest nor a batch was named" in run["state"]["message"]

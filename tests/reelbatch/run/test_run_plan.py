"""What a run would do and cost, said before anything is bought or written."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from reelbatch.config import read_settings
from reelbatch.errors import Refused
from reelbatch.jobs import RowId
from reelbatch.ledger import Ledger, open_ledger
from reelbatch.ledger.batches import open_account, open_batch
from reelbatch.ledger.entering import enter
from reelbatch.ledger.schema import accounts
from reelbatch.run.plan import Plan, as_json, make_plan
from reelbatch.run.prices import Prices
from reelbatch.run.request import GenerateRequest
from tests.contracts.ledger_parts import archived

PRICES = Prices(
    usd={"fal-ai/ovi": Decimal("0.20"), "fal-ai/ovi/image-to-video": Decimal("0.20")},
    source={"fal-ai/ovi": "built in", "fal-ai/ovi/image-to-video": "built in"},
)
HEADER = "id,prompt,seed"
TOM, FELIX = "tom,A cat,1", "felix,Another cat,2"
MakePlan = Callable[..., Plan]


@pytest.fixture
def ledger(tmp_path: Path) -> Any:
    opened = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    yield opened
    opened.close()


@pytest.fixture
def plan_of(tmp_path: Path) -> MakePlan:
    """`plan_of("id,prompt", "tom,A cat", ledger=ledger, where=[...])`"""

    def plan_of(*lines: str, ledger: Ledger | None = None, **wishes: Any) -> Plan:
        manifest = tmp_path / "cats.csv"
        manifest.write_text("\n".join(lines) + "\n")
        settings = read_settings(archive=str(tmp_path / "archive"))
        return make_plan(GenerateRequest(manifest=str(manifest), **wishes), settings, ledger)

    return plan_of


def entered(plan: Plan, ledger: Ledger) -> list[str]:
    """Let it into the ledger; returns its jobs."""
    settings = plan.settings
    open_account(ledger, settings.account_id, settings.queue_identity)
    batch = open_batch(
        ledger,
        plan.batch_name,
        account_id=settings.account_id,
        place=plan.manifest.place,
        archive=settings.archive,
        named_by_hand=False,
    )
    found = enter(ledger, batch, plan.manifest.rows, selected=None, complete=True, fresh_key=None)
    return [str(job.values["id"]) for job in found.to_enter]


def test_its_json_has_every_key_of_the_contract(plan_of: MakePlan) -> None:
    said = as_json(plan_of(HEADER, TOM, FELIX), PRICES)
    assert list(said) == [
        *("manifest", "batch", "rows", "jobs", "sound_rows", "new", "edited", "withdrawn"),
        *("kept", "reused", "cost_usd", "hours", "faults"),
    ]
    assert json.loads(json.dumps(said)) == said
    assert (said["rows"], said["jobs"], said["new"], said["cost_usd"]) == (2, 2, 2, "0.40")


def test_every_take_is_a_job_of_its_own(plan_of: MakePlan) -> None:
    said = as_json(plan_of("prompt,takes", "A cat,3", "A dog,2"), PRICES)
    assert (said["rows"], said["jobs"], said["cost_usd"]) == (2, 5, "1.00")


def test_two_rows_with_one_request_cost_once(plan_of: MakePlan) -> None:
    said = as_json(plan_of(HEADER, TOM, "felix,A cat,1"), PRICES)
    assert (said["jobs"], said["reused"], said["cost_usd"]) == (2, 1, "0.20")


def test_time_is_guessed_for_small_and_grown_accounts_until_one_is_known(
    plan_of: MakePlan,
) -> None:
    plan = plan_of("prompt,takes", "A cat,80")
    assert as_json(plan, PRICES)["hours"] == {"2": 0.67, "10": 0.13, "40": 0.03}
    seconds = [round(3600 * hours) for hours in plan.hours().values()]
    assert seconds == [2400, 480, 120], "people are told seconds, too"


def test_time_is_told_for_the_slots_the_account_showed(plan_of: MakePlan, ledger: Ledger) -> None:
    entered(plan_of("prompt,takes", "A cat,80", ledger=ledger), ledger)
    with ledger.writing() as tx:
        tx.execute(accounts.update().values(slots_seen=4, run_seconds=90.0))
    assert plan_of("prompt,takes", "A cat,80", ledger=ledger).hours() == {4: 0.5}


def test_what_is_archived_costs_nothing_and_what_waits_is_still_to_be_paid(
    plan_of: MakePlan, ledger: Ledger
) -> None:
    first, *_ = entered(plan_of(HEADER, TOM, FELIX, ledger=ledger), ledger)
    archived(ledger, first)
    said = as_json(plan_of(HEADER, TOM, FELIX, "kit,A kitten,3", ledger=ledger), PRICES)
    assert (said["kept"], said["new"], said["jobs"], said["cost_usd"]) == (2, 1, 3, "0.40")


def test_an_edit_is_one_new_revision_and_a_removed_row_is_withdrawn(
    plan_of: MakePlan, ledger: Ledger
) -> None:
    entered(plan_of(HEADER, TOM, FELIX, ledger=ledger), ledger)
    said = as_json(plan_of(HEADER, "tom,A big cat,1", ledger=ledger), PRICES)
    assert (said["edited"], said["withdrawn"], said["kept"], said["new"]) == (1, 1, 0, 0)


def test_a_selection_withdraws_nothing_and_prices_only_its_rows(
    plan_of: MakePlan, ledger: Ledger
) -> None:
    header, tom, rex = f"{HEADER},kind", f"{TOM},cat", "rex,A dog,2,dog"
    entered(plan_of(header, tom, rex, ledger=ledger), ledger)
    said = as_json(plan_of(header, tom, rex, ledger=ledger, where=["kind=cat"]), PRICES)
    assert (said["withdrawn"], said["kept"], said["cost_usd"]) == (0, 2, "0.20")


def test_a_selection_that_chooses_nothing_is_refused(plan_of: MakePlan) -> None:
    with pytest.raises(Refused, match="No row has id=nobody"):
        plan_of(HEADER, TOM, where=["id=nobody"])


def test_the_sound_rows_of_a_faulty_manifest_are_counted_apart(plan_of: MakePlan) -> None:
    plan = plan_of(HEADER, TOM, "felix,Another cat,abc")
    said = as_json(plan, PRICES)
    assert (said["rows"], said["sound_rows"], said["jobs"]) == (2, 1, 1)
    assert [(fault["line"], fault["column"]) for fault in said["faults"]] == [(3, "seed")]
    assert plan.selected == frozenset({RowId("tom")})


def test_strict_makes_errors_of_warnings(plan_of: MakePlan) -> None:
    lines = ("prompt,sead", "A cat,7")
    assert not plan_of(*lines).errors
    assert plan_of(*lines, strict=True).errors


def test_a_plan_writes_nothing(plan_of: MakePlan, ledger: Ledger, tmp_path: Path) -> None:
    plan_of(HEADER, TOM, ledger=ledger)
    plan = plan_of(HEADER, TOM, ledger=ledger)
    assert plan.batch is None
    assert not (tmp_path / "archive").exists()


def test_without_a_manifest_there_is_nothing_to_plan(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="Neither a manifest nor a batch"):
        make_plan(GenerateRequest(batch="cats"), read_settings(), None)

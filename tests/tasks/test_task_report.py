"""The report says what the ledger says: index, batch.json, totals."""

from __future__ import annotations

import csv
import json
from decimal import Decimal
from typing import Any

from reelbatch.ledger import slots
from tasks.report import bill, slots_shown_to, totals_of, write_files
from tests.parts.emulator import Emulator
from tests.tasks.conftest import Studio

FLAGGED = "A cat that fal will not show"


def index(studio: Studio) -> list[dict[str, Any]]:
    with (studio.archive / "cats/index.csv").open(encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


async def test_the_index_has_results_beside_the_input_in_the_manifests_order(
    studio: Studio, fal: Emulator
) -> None:
    fal.break_("model_refusal", prompt=FLAGGED)
    studio.write("id,prompt,seed,kind", f"rex,{FLAGGED},1,dog", "tom,A cat,2,cat")
    async with studio.open() as run:
        await studio.produce(run)
        write_files(run)
        totals = totals_of(run)
    rex, tom = index(studio)
    assert (rex["row_id"], rex["status"], rex["video"]) == ("rex", "failed", "")
    assert rex["error"] == "content_policy_violation"
    assert (tom["row_id"], tom["status"], tom["kind"]) == ("tom", "archived", "cat")
    assert (studio.archive / tom["video"]).is_file()
    assert (totals.exit_status, totals.causes) == (3, {"content_policy_violation": 1})


async def test_an_index_that_cannot_be_written_is_a_warning(studio: Studio) -> None:
    studio.write("id,prompt,seed", "tom,A cat,1")
    async with studio.open() as run:
        await studio.produce(run)
        (studio.archive / "cats/index.csv").mkdir()
        write_files(run)
        totals = totals_of(run)
    assert totals.exit_status == 0
    assert any("index" in warning for warning in totals.warnings)


async def test_batch_json_counts_and_names_every_manifest(studio: Studio) -> None:
    for rows in (["tom,A cat,1"], ["tom,A cat,1", "felix,Another cat,2"]):
        studio.write("id,prompt,seed", *rows)
        async with studio.open() as run:
            await studio.produce(run)
            write_files(run)
    said = json.loads((studio.archive / "cats/batch.json").read_text())
    assert (said["counts"]["archived"], Decimal(said["spent_usd"])) == (2, Decimal("0.40"))
    assert len(said["manifests"]) == 2
    assert said["ledger_id"] == studio.ledger.id


async def test_a_run_says_what_it_spent_and_the_batch_what_all_of_them_did(
    studio: Studio,
) -> None:
    studio.write("id,prompt,seed", "tom,A cat,1")
    await studio.make()
    studio.write("id,prompt,seed", "tom,A cat,1", "felix,Another cat,2")
    async with studio.open() as run:
        await studio.produce(run)
        totals = totals_of(run)
    assert (totals.spent_usd, totals.counts.spent_usd) == (Decimal("0.20"), Decimal("0.40"))


async def test_only_a_run_that_works_alone_says_how_many_slots_there_are(studio: Studio) -> None:
    """Four that share forty see ten each, and the next run would leave thirty empty."""
    studio.write("id,prompt,seed", "tom,A cat,1")
    said = []
    for wishes in ({}, {"workers": 4}, {"batch": "cats", "join": True}):
        async with studio.open(**wishes) as run:
            run.poller.schedule.census.slots = 10
            said.append(slots_shown_to(run))
    assert said == [10, None, None]


async def test_the_bill_says_how_many_slots_were_seen(studio: Studio) -> None:
    studio.write("id,prompt,seed", "tom,A cat,1")
    async with studio.open() as run:
        assert "slots" not in bill(totals_of(run))
        slots.keep_count(studio.ledger, run.settings.account_id, 12)
        assert "| slots at fal, as last seen | 12 |" in bill(totals_of(run))

"""A manifest goes in; every row is paid once, and archived once. Run again, it carries on."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from PIL import Image

from reelbatch.cli.prefect_server import OwnServer
from tests.acceptance.conftest import World, cats, emptied
from tests.parts.command import Command, Finished
from tests.parts.emulator import Emulator
from tests.parts.weed import Weed

HEADER = "id,prompt,image,seed,takes,campaign\n"
TOM = "tom,A cat on a wall,,1,2,spring\n"
FELIX = "felix,A cat in a box,,2,,spring\n"
GINGER = "ginger,A cat in the sun,ginger.png,3,,autumn\n"

TOTALS = {
    *("batch", "jobs", "archived", "failed", "in_doubt", "cancelled", "remaining", "reused"),
    *("spent_usd", "stopped", "archive", "elapsed_seconds", "failures"),
}
PLAN = {
    *("manifest", "batch", "rows", "jobs", "sound_rows", "new", "edited", "withdrawn", "kept"),
    *("reused", "cost_usd", "hours", "faults"),
}
SIDECAR = {
    *("schema_version", "batch", "row_id", "line", "take", "revision", "job_id", "fingerprint"),
    *("labels", "input", "provider", "attempts", "timing", "cost", "output", "media"),
    *("ai_disclosure", "generator"),
}


def ginger(world: World) -> None:
    Image.new("RGB", (320, 320), "orange").save(world.folder / "ginger.png")


@dataclass(frozen=True, kw_only=True)
class Made:
    """A batch of three rows and four takes, made once for those who only look at it."""

    world: World
    manifest: Path
    done: Finished
    submissions: list[dict[str, Any]]


@pytest.fixture(scope="module")
def made(
    tmp_path_factory: pytest.TempPathFactory, prefect_server: OwnServer, one_emulator: Emulator
) -> Iterator[Made]:
    command = Command(tmp_path_factory.mktemp("made"), prefect_server)
    command.environment |= one_emulator.environment
    world = World(command=command, fal=emptied(one_emulator))
    ginger(world)
    manifest = world.write("cats.csv", HEADER + TOM + FELIX + GINGER)
    done = world.run("cats.csv")
    yield Made(world=world, manifest=manifest, done=done, submissions=one_emulator.submissions())
    command.end()


def test_every_take_is_paid_once_and_archived_once(made: Made) -> None:
    assert made.done.code == 0, made.done.text
    assert len({sent["body_sha256"] for sent in made.submissions}) == len(made.submissions) == 4
    videos = ["felix/take-1.mp4", "ginger/take-1.mp4", "tom/take-1.mp4", "tom/take-2.mp4"]
    assert made.world.videos() == videos
    assert len({video.read_bytes() for video in made.world.archive.rglob("*.mp4")}) == 4


def test_the_totals_are_one_document(made: Made) -> None:
    totals = made.done.json
    assert set(totals) == TOTALS
    assert (totals["jobs"], totals["archived"], totals["spent_usd"]) == (4, 4, "0.80")
    assert totals["stopped"] is None
    assert totals["archive"] == made.world.archive.as_uri()


def test_an_image_is_uploaded_and_named_to_fal(made: Made) -> None:
    (sent,) = [each for each in made.submissions if "image_url" in each["body"]]
    assert sent["endpoint"] == "fal-ai/ovi/image-to-video"


def test_every_video_has_its_story_beside_it(made: Made) -> None:
    for video in made.world.archive.rglob("*.mp4"):
        story = json.loads(video.with_suffix(".json").read_bytes())
        assert set(story) == SIDECAR
        assert story["output"]["bytes"] == video.stat().st_size
        assert story["provider"]["request_id"] in {s["request_id"] for s in made.submissions}


def test_the_index_has_every_take_beside_its_inputs(made: Made) -> None:
    folder = made.world.archive / "cats"
    table = list(csv.DictReader(io.StringIO((folder / "index.csv").read_text("utf-8-sig"))))
    assert [(row["row_id"], row["take"]) for row in table] == [
        *(("tom", "1"), ("tom", "2"), ("felix", "1"), ("ginger", "1"))
    ]
    assert {row["status"] for row in table} == {"archived"}
    assert [row["campaign"] for row in table] == ["spring", "spring", "spring", "autumn"]
    assert pyarrow.parquet.read_table(folder / "index.parquet").num_rows == 4


def test_the_batch_file_says_how_it_stands(made: Made) -> None:
    batch = json.loads((made.world.archive / "cats" / "batch.json").read_bytes())
    assert (batch["batch"], batch["spent_usd"]) == ("cats", "0.80")
    assert (batch["counts"]["jobs"], batch["counts"]["archived"]) == (4, 4)
    (kept,) = batch["manifests"]
    assert (made.world.archive / kept).read_bytes() == made.manifest.read_bytes()


def test_running_again_pays_nothing(made: Made) -> None:
    before = {video: video.stat().st_mtime_ns for video in made.world.archive.rglob("*.mp4")}
    calls = made.world.accepted
    again = made.world.run("cats.csv")
    assert (again.code, again.json["spent_usd"]) == (0, "0.00"), again.text
    assert made.world.accepted == calls
    assert before == {video: video.stat().st_mtime_ns for video in before}


def test_planning_again_finds_nothing_to_buy(made: Made) -> None:
    plan = made.world.command("plan", "cats.csv", "--json")
    assert set(plan.json) == PLAN
    assert (plan.code, plan.json["kept"], plan.json["cost_usd"]) == (0, 4, "0.00")


def test_status_tells_the_batch_from_anywhere(made: Made, tmp_path: Path) -> None:
    status = made.world.command("status", "cats", "--json", folder=tmp_path)
    assert status.code == 0, status.text
    assert set(status.json) == TOTALS
    assert status.json["archived"] == 4


def test_show_tells_a_rows_whole_story(made: Made) -> None:
    shown = made.world.command("show", "cats", "tom", "--json")
    assert [take["state"] for take in shown.json["takes"]] == ["archived", "archived"]
    requests = {take["attempts"][0]["request_id"] for take in shown.json["takes"]}
    assert requests < {sent["request_id"] for sent in made.submissions}


def test_a_batch_goes_to_a_bucket_as_well(world: World, weed: Weed) -> None:
    world.command.environment |= weed.environment
    bucket = weed.new_bucket()
    world.write("cats.csv", cats(3))
    done = world.run("cats.csv", f"--archive=s3://{bucket}/reels")
    assert done.code == 0, done.text
    names = [f"reels/cats/cat-{n}/take-1.{kind}" for n in (1, 2, 3) for kind in ("json", "mp4")]
    assert set(names) < set(weed.keys(bucket))
    again = world.run("cats.csv")
    assert (again.code, again.json["spent_usd"], world.accepted) == (0, "0.00", 3), again.text


def test_labels_change_nothing_and_an_edit_makes_one_revision(world: World) -> None:
    ginger(world)
    world.write("cats.csv", HEADER + FELIX + GINGER)
    assert world.run("cats.csv").code == 0
    world.write("cats.csv", HEADER + GINGER + FELIX.replace("spring", "winter"))
    assert world.run("cats.csv").json["spent_usd"] == "0.00"
    world.write("cats.csv", HEADER + GINGER + FELIX.replace("in a box", "on a box"))
    edited = world.run("cats.csv").json
    assert (edited["jobs"], edited["archived"], edited["spent_usd"]) == (2, 2, "0.20")
    assert world.accepted == 3
    felix = ["felix/take-1.mp4", "felix/take-1.r2.mp4"]
    assert world.videos() == [*felix, "ginger/take-1.mp4"]


def test_a_row_that_left_is_withdrawn_and_may_come_back(world: World) -> None:
    world.write("cats.csv", cats(3))
    assert world.run("cats.csv").json["jobs"] == 3
    world.write("cats.csv", cats(2))
    plan = world.command("plan", "cats.csv", "--json").json
    assert (plan["withdrawn"], plan["kept"]) == (1, 2)
    assert world.run("cats.csv").json["jobs"] == 2
    assert "cat-3/take-1.mp4" in world.videos()
    world.write("cats.csv", cats(3))
    back = world.run("cats.csv").json
    assert (back["jobs"], back["archived"], back["spent_usd"]) == (3, 3, "0.00")
    assert world.accepted == 3


def test_takes_are_added_and_taken_away(world: World) -> None:
    world.write("cats.csv", HEADER + FELIX.replace("2,,", "2,2,"))
    assert world.run("cats.csv").json["archived"] == 2
    world.write("cats.csv", HEADER + FELIX.replace("2,,", "2,3,"))
    assert world.run("cats.csv").json["spent_usd"] == "0.20"
    world.write("cats.csv", HEADER + FELIX.replace("2,,", "2,1,"))
    fewer = world.run("cats.csv").json
    assert (fewer["jobs"], fewer["archived"], world.accepted) == (1, 1, 3)
    assert len(world.videos()) == 3


def test_one_request_asked_for_twice_is_paid_once_and_delivered_to_each(world: World) -> None:
    """Within a batch, and then to another batch."""
    world.write("cats.csv", "id,prompt,seed\na,A cat,7\nb,A cat,7\n")
    first = world.run("cats.csv").json
    assert (first["archived"], first["reused"], first["spent_usd"]) == (2, 1, "0.20")
    second = world.run("cats.csv", "--batch=more-cats").json
    assert (second["archived"], second["reused"], second["spent_usd"]) == (2, 2, "0.00")
    assert world.accepted == 1
    assert len({video.read_bytes() for video in world.archive.rglob("*.mp4")}) == 1
    assert len(world.videos("cats") + world.videos("more-cats")) == 4


def test_a_selection_is_made_and_the_rest_is_left(world: World) -> None:
    world.write("cats.csv", HEADER + TOM + FELIX)
    chosen = world.run("cats.csv", "--where=id=felix")
    assert (chosen.code, chosen.json["archived"], chosen.json["jobs"]) == (0, 1, 3), chosen.text
    assert (world.videos(), world.accepted) == (["felix/take-1.mp4"], 1)
    rest = world.run("cats.csv").json
    assert (rest["archived"], world.accepted) == (3, 3)


def test_fresh_makes_all_of_it_anew_beside_the_old(world: World) -> None:
    world.write("cats.csv", cats(2))
    world.run("cats.csv")
    fresh = world.run("cats.csv", "--fresh").json
    assert (fresh["jobs"], fresh["archived"], fresh["spent_usd"]) == (2, 2, "0.40")
    assert len({sent["body_sha256"] for sent in world.fal.submissions()}) == 4
    assert len(world.videos()) == 4


def test_sound_rows_may_go_without_the_others(world: World) -> None:
    world.write("cats.csv", cats(2) + "bad,A cat,x\n")
    done = world.run("cats.csv", "--skip-invalid")
    assert (done.code, done.json["archived"], world.accepted) == (0, 2, 2), done.text
    assert "cats.csv:4: seed 'x'" in done.stderr


def test_a_budget_stops_before_it_is_crossed(world: World) -> None:
    world.write("cats.csv", cats(4))
    poor = world.run("cats.csv", "--budget=0.50")
    assert (poor.code, poor.json["stopped"], world.accepted) == (4, "budget", 2), poor.text
    assert (poor.json["archived"], poor.json["remaining"]) == (2, 2)
    richer = world.run("cats.csv", "--budget=0.80")
    assert (richer.code, richer.json["archived"], world.accepted) == (0, 4, 4), richer.text


def test_the_first_manifest_we_offer_is_sound(world: World) -> None:
    assert world.command("init", "--example").code == 0
    plan = world.command("plan", "manifest.yaml", "--json")
    assert (plan.code, plan.json["faults"], plan.json["jobs"]) == (0, [], 3), plan.text

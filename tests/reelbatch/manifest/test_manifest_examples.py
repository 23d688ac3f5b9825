"""The manifests we ship: what they show is true."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import pytest

from reelbatch.manifest import Manifest
from reelbatch.manifest.columns import KNOWN
from reelbatch.manifest.example import example_manifest
from tests.reelbatch.manifest.manifest_parts import MANIFESTS, Desk, picture, sound

EXAMPLE_URL = "https://v3.fal.media/files/reelbatch/example.png"

ROW_FAULTS = [
    "cell-without-column",
    "column-nearly-known",
    "id-twice",
    "id-unsafe",
    "image-data-uri",
    "image-empty",
    "image-format",
    "image-is-directory",
    "image-missing",
    "image-not-decodable",
    "image-not-https",
    "image-private-address",
    "image-ratio",
    "image-scheme",
    "image-small",
    "label-renamed",
    "output-collides",
    "output-outside-archive",
    "output-template-invalid",
    "output-unknown-field",
    "output-unsafe-name",
    "prompt-empty",
    "quote-not-closed",
    "resolution-not-taken",
    "resolution-unknown",
    "row-too-long",
    "row-too-short",
    "seed-not-integer",
    "seed-out-of-range",
    "speech-too-long",
    "spreadsheet-error",
    "steps-not-integer",
    "steps-out-of-range",
    "tags-misordered",
    "tags-unbalanced",
    "takes-not-integer",
    "takes-out-of-range",
]


def shipped(desk: Desk, name: str) -> Manifest:
    desk.web.pages[EXAMPLE_URL] = picture(960, 640)
    return desk.load_place(str(MANIFESTS / name))


def jobs(manifest: Manifest) -> int:
    return sum(row.takes for row in manifest.rows)


def test_broken_has_every_fault_of_a_row_once(desk: Desk) -> None:
    manifest = shipped(desk, "broken.csv")
    assert Counter(fault.code for fault in manifest.faults) == Counter(ROW_FAULTS)


def test_every_fault_says_where_what_and_what_to_do(desk: Desk) -> None:
    for fault in shipped(desk, "broken.csv").faults:
        assert fault.file.endswith("broken.csv")
        assert fault.line
        assert fault.message.endswith((".", "?"))
        assert fault.advice.endswith((".", "?"))


def test_the_demo_shows_both_models_takes_and_labels(desk: Desk) -> None:
    manifest = sound(shipped(desk, "demo.csv"))
    assert {row.endpoint_id for row in manifest.rows} == {
        "fal-ai/ovi",
        "fal-ai/ovi/image-to-video",
    }
    assert (len(manifest.rows), jobs(manifest)) == (9, 11)
    assert all(set(row.labels) == {"campaign", "scene"} for row in manifest.rows)


@pytest.mark.parametrize(
    ("name", "rows", "count"),
    [("demo.yaml", 4, 5), ("campaign.yaml", 6, 12), ("dataset.csv", 20, 20)],
)
def test_the_other_manifests_are_sound(desk: Desk, name: str, rows: int, count: int) -> None:
    manifest = sound(shipped(desk, name))
    assert (len(manifest.rows), jobs(manifest)) == (rows, count)
    assert manifest.budget_usd is None or manifest.budget_usd >= count * Decimal("0.20")


def test_the_first_manifest_is_sound_as_it_is(desk: Desk) -> None:
    manifest = sound(desk.load(example_manifest(), "example.yaml"))
    assert (manifest.name, jobs(manifest)) == ("first-reel", 3)


def test_the_readme_names_every_column() -> None:
    readme = (MANIFESTS / "README.md").read_text()
    assert [name for name in KNOWN if f"`{name}`" not in readme] == []

"""What the names of columns mean."""

from __future__ import annotations

import pytest

from tests.reelbatch.manifest.manifest_parts import Desk, codes, sound, the_fault


@pytest.mark.parametrize("name", ["image_url", "image_path", "Image", "IMAGE PATH"])
def test_aliases_and_spelling_do_not_matter(desk: Desk, name: str) -> None:
    (row,) = sound(desk.load(f"text_prompt,{name}\na cat,mug.png\n")).rows
    assert row.image
    assert row.endpoint_id == "fal-ai/ovi/image-to-video"


def test_a_column_twice_is_a_fault(desk: Desk) -> None:
    fault = desk.load("prompt,seed,seed\na cat,1,2\n").errors[0]
    assert (fault.code, fault.line, fault.column) == ("column-twice", 1, "seed")


def test_a_column_and_its_alias_are_the_same_column_twice(desk: Desk) -> None:
    fault = the_fault(desk.load("prompt,image,image_url\na cat,,\n"))
    assert (fault.code, fault.message) == (
        "column-twice",
        "The column 'image_url' is there twice, also as 'image'.",
    )


def test_a_column_twice_leaves_no_row_sound(desk: Desk) -> None:
    assert not desk.load("prompt,seed,seed\na cat,1,2\n").rows


@pytest.mark.parametrize(
    ("written", "meant"),
    [("sede", "seed"), ("resolutoin", "resolution"), ("steps", "num_inference_steps")],
)
def test_an_unknown_column_that_is_nearly_a_known_one_is_a_suggestion(
    desk: Desk, written: str, meant: str
) -> None:
    manifest = desk.load(f"prompt,{written}\na cat,x\n")
    fault = the_fault(manifest)
    assert (fault.code, fault.severity) == ("column-nearly-known", "warning")
    assert f"did you mean {meant!r}?" in fault.message
    assert manifest.rows[0].labels == {written: "x"}


@pytest.mark.parametrize(
    "name", ["status", "video", "sha256", "request_id", "cost_usd", "error", "take"]
)
def test_a_label_named_like_a_result_is_renamed_with_a_warning(desk: Desk, name: str) -> None:
    manifest = desk.load(f"prompt,{name}\na cat,x\n")
    assert manifest.rows[0].labels == {f"label_{name}": "x"}
    assert (the_fault(manifest).code, the_fault(manifest).severity) == ("label-renamed", "warning")


def test_every_other_column_is_a_label(desk: Desk) -> None:
    (row,) = sound(desk.load("prompt,Campaign Name,区域\na cat,spring,north\n")).rows
    assert row.labels == {"Campaign Name": "spring", "区域": "north"}


def test_what_is_odd_about_a_column_is_said_once(desk: Desk) -> None:
    lines = '{"prompt": "a", "status": 1}\n{"prompt": "b", "status": 2}\n'
    assert codes(desk.load(lines, "cats.jsonl")) == ["label-renamed"]

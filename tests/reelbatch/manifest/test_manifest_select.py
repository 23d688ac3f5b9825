"""`--where column=value`: the rows somebody means."""

from __future__ import annotations

import pytest

from reelbatch.errors import Refused
from reelbatch.manifest import Row
from reelbatch.manifest.select import parse_where, select
from tests.reelbatch.manifest.manifest_parts import Desk, sound


@pytest.fixture
def rows(desk: Desk) -> list[Row]:
    text = (
        "id,prompt,image,seed,resolution,campaign\n"
        "mug,A mug = 1,mug.png,7,,spring\n"
        "lamp,A lamp,,,720x720,spring\n"
        "leaf,A leaf,,,,\n"
    )
    return list(sound(desk.load(text)).rows)


def chosen(rows: list[Row], *conditions: str) -> list[str]:
    return [row.row_id for row in select(rows, [parse_where(text) for text in conditions])]


@pytest.mark.parametrize(
    ("condition", "ids"),
    [
        ("id=mug", ["mug"]),
        ("row_id=mug", ["mug"]),
        ("campaign=spring", ["mug", "lamp"]),
        ("campaign=", ["leaf"]),
        ("prompt=A mug = 1", ["mug"]),
        ("prompt=A l*", ["lamp", "leaf"]),
        ("endpoint=fal-ai/ovi", ["lamp", "leaf"]),
        ("endpoint=*image-to-video", ["mug"]),
        ("image_path=mug.png", ["mug"]),
        ("seed=7", ["mug"]),
        ("resolution=720x720", ["lamp"]),
        ("line=3", ["lamp"]),
        ("campaign=summer", []),
    ],
)
def test_a_condition_chooses_by_any_column(rows: list[Row], condition: str, ids: list[str]) -> None:
    assert chosen(rows, condition) == ids


def test_several_conditions_must_all_be_true(rows: list[Row]) -> None:
    assert chosen(rows, "campaign=spring", "id=l*") == ["lamp"]
    assert chosen(rows, "campaign=spring", "id=leaf") == []


def test_a_column_that_nobody_has_is_refused_with_a_suggestion(rows: list[Row]) -> None:
    with pytest.raises(Refused, match="Did you mean 'campaign'"):
        chosen(rows, "campagin=spring")


@pytest.mark.parametrize("text", ["campaign", "=spring", ""])
def test_a_condition_without_column_or_value_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="--where column=value"):
        parse_where(text)

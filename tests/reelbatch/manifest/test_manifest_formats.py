"""JSONL and Excel, and how the formats are told apart."""

from __future__ import annotations

import datetime
import io
import zipfile
from typing import Any

import openpyxl
import pytest

from tests.reelbatch.manifest.manifest_parts import Desk, codes, prompts, sound, the_fault


def workbook(*lines: list[Any]) -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for line in lines:
        sheet.append(line)
    book.create_sheet("notes").append(["prompt"])
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def test_jsonl_is_one_object_a_line_with_values_as_written(desk: Desk) -> None:
    text = '{"prompt": "a cat", "seed": 7, "ok": true, "size": 1.50, "none": null}\n'
    (row,) = sound(desk.load(text, "cats.jsonl")).rows
    assert row.seed == 7
    assert row.labels == {"ok": "true", "size": "1.50", "none": ""}


def test_jsonl_rows_may_have_different_labels(desk: Desk) -> None:
    text = '{"prompt": "a", "mood": "calm"}\n{"prompt": "b", "place": "here"}\n'
    first, second = sound(desk.load(text, "cats.jsonl")).rows
    assert (first.labels, second.labels) == ({"mood": "calm"}, {"place": "here"})


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("not json", "row-not-json"),
        ('{"prompt": "a"', "row-not-json"),
        ("[" * 100_000, "row-not-json"),
        ("[1, 2]", "row-not-object"),
        ('"text"', "row-not-object"),
        ('{"prompt": ["a"]}', "cell-not-single"),
        ('{"prompt": {"a": 1}}', "cell-not-single"),
        ('{"prompt": "a", "prompt": "b"}', "key-twice"),
        ('{"prompt": "a", "text_prompt": "b"}', "column-twice"),
    ],
)
def test_a_line_that_is_no_row_is_a_fault_with_its_number(desk: Desk, line: str, code: str) -> None:
    manifest = desk.load(f'{{"prompt": "first"}}\n\n{line}\n{{"prompt": "last"}}\n', "cats.jsonl")
    assert code in codes(manifest)
    assert {fault.line for fault in manifest.faults} == {3}
    assert prompts(manifest) == ["first", "last"]


def test_an_empty_jsonl_is_one_fault(desk: Desk) -> None:
    assert codes(desk.load("\n \n", "cats.jsonl")) == ["manifest-empty"]


def test_excel_is_its_first_sheet_as_a_person_sees_it(desk: Desk) -> None:
    content = workbook(
        ["prompt", "seed", "code", "day", "sure"],
        ["a cat", 42, "00012", datetime.datetime(2026, 1, 2), True],  # noqa: DTZ001
        [None, None, None, None, None],
        ["a dog", 7.0, 1.5, None, None],
    )
    first, second = sound(desk.load(content, "cats.xlsx")).rows
    assert (first.seed, second.seed, second.line) == (42, 7, 4)
    assert first.labels == {"code": "00012", "day": "2026-01-02", "sure": "true"}
    assert second.labels == {"code": "1.5", "day": "", "sure": ""}


def test_a_cell_right_of_excels_header_is_a_fault(desk: Desk) -> None:
    manifest = desk.load(workbook(["prompt"], ["a cat", "stray"]), "cats.xlsx")
    assert (the_fault(manifest).code, the_fault(manifest).line) == ("row-too-long", 2)


def test_an_empty_workbook_is_one_fault(desk: Desk) -> None:
    assert codes(desk.load(workbook(), "cats.xlsx")) == ["manifest-empty"]


def test_an_excel_file_with_another_name_is_still_excel(desk: Desk) -> None:
    assert prompts(sound(desk.load(workbook(["prompt"], ["a cat"]), "cats.csv"))) == ["a cat"]


def test_a_workbook_that_is_broken_is_one_fault(desk: Desk) -> None:
    whole = workbook(["prompt"], ["a cat"])
    other_zip = io.BytesIO()
    with zipfile.ZipFile(other_zip, "w") as archive:
        archive.writestr("hello.txt", "hello")
    newer = bytearray(whole)
    newer[whole.index(b"PK\x01\x02") + 6] = 210  # asks for a zip of version 21.0
    for content in (whole[:500], bytes(newer), b"\xd0\xcf\x11\xe0 old excel", other_zip.getvalue()):
        assert codes(desk.load(content, "cats.xlsx")) == ["excel-broken"]


def test_an_unknown_name_is_told_by_its_content(desk: Desk) -> None:
    assert prompts(sound(desk.load('{"prompt": "a"}\n', "cats"))) == ["a"]
    assert prompts(sound(desk.load("prompt\na\n", "cats"))) == ["a"]

"""CSV as people save it: any separator, any encoding, and true line numbers when it is wrong."""

from __future__ import annotations

import pytest

from reelbatch.config import ROW_CAP_BYTES
from tests.reelbatch.manifest.manifest_parts import Desk, codes, prompts, sound, the_fault


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_commas_semicolons_and_tabs_are_told_apart(desk: Desk, separator: str) -> None:
    lines = (["prompt", "seed", "mood"], ["a cat", "7", "calm"])
    text = "".join(separator.join(cells) + "\n" for cells in lines)
    (row,) = sound(desk.load(text)).rows
    assert (row.arguments["prompt"], row.seed, row.labels) == ("a cat", 7, {"mood": "calm"})


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_unicode_is_read_with_or_without_a_mark(desk: Desk, encoding: str) -> None:
    mark = "\ufeff" if encoding[-2:] in ("le", "be") else ""
    content = f"{mark}prompt\nsmörgåsbord 猫\n".encode(encoding)
    assert prompts(sound(desk.load(content))) == ["smörgåsbord 猫"]


def test_windows_1252_is_guessed_and_said_aloud(desk: Desk) -> None:
    manifest = desk.load("prompt\na cat\na caf\u00e9 in N\u00eemes\n".encode("cp1252"))
    assert prompts(manifest) == ["a cat", "a café in Nîmes"]
    fault = the_fault(manifest)
    assert (fault.code, fault.line, fault.severity) == ("encoding-guessed", 3, "warning")
    assert "Windows-1252" in fault.message


@pytest.mark.parametrize(
    "content", [b"\x89PNG\r\n\x1a\n\0\0", b"prompt\n\x81\x8d", b"\xff\xfe\x00"]
)
def test_bytes_that_are_no_text_are_one_fault(desk: Desk, content: bytes) -> None:
    manifest = desk.load(content)
    assert the_fault(manifest).code == "manifest-not-text"
    assert not manifest.rows


@pytest.mark.parametrize("content", [b"", b"\n\n  \n", b"\xef\xbb\xbf"])
def test_an_empty_manifest_is_one_fault(desk: Desk, content: bytes) -> None:
    fault = the_fault(desk.load(content))
    assert fault.code == "manifest-empty"
    assert "init --example" in fault.advice


@pytest.mark.parametrize("content", ["prompt,seed\n", "prompt,seed\n,\n\n"])
def test_a_header_without_rows_is_one_fault(desk: Desk, content: str) -> None:
    assert the_fault(desk.load(content)).code == "no-rows"


def test_a_row_with_too_many_cells_names_both_numbers(desk: Desk) -> None:
    manifest = desk.load("prompt,seed\na cat, on a mat,7\na dog,8\n")
    fault = the_fault(manifest)
    assert (fault.code, fault.line) == ("row-too-long", 2)
    assert "3 cells, the header 2" in fault.message
    assert prompts(manifest) == ["a dog"]


def test_a_row_with_too_few_cells_names_both_numbers(desk: Desk) -> None:
    fault = the_fault(desk.load("prompt,seed\na cat\n"))
    assert (fault.code, fault.line) == ("row-too-short", 2)
    assert "1 cell, the header 2" in fault.message


def test_columns_without_a_name_may_be_there_if_they_are_empty(desk: Desk) -> None:
    assert prompts(sound(desk.load("prompt,,\na cat,,\n"))) == ["a cat"]
    assert the_fault(desk.load("prompt,,\na cat,,x\n")).code == "cell-without-column"


def test_line_numbers_count_lines_inside_quotes_and_blank_ones(desk: Desk) -> None:
    manifest = desk.load('prompt,seed\r\n"a\r\ncat",1\r\n\r\n\r\na dog,x\r\n')
    assert manifest.rows[0].line == 2
    assert the_fault(manifest).line == 6


def test_na_stays_a_word(desk: Desk) -> None:
    (row,) = sound(desk.load("prompt,region\nNA,NaN\n")).rows
    assert (row.arguments["prompt"], row.labels["region"]) == ("NA", "NaN")


def test_a_quote_after_a_space_still_opens_a_cell(desk: Desk) -> None:
    (row,) = sound(desk.load('prompt, mood\n"a cat", "calm, warm"\n')).rows
    assert row.labels["mood"] == "calm, warm"


def test_a_quote_that_is_never_closed_costs_only_its_row(desk: Desk) -> None:
    manifest = desk.load('prompt,seed\na cat,1\n"a dog,2\na bird,3\n')
    fault = the_fault(manifest)
    assert (fault.code, fault.line) == ("quote-not-closed", 3)
    assert prompts(manifest) == ["a cat"]


def test_a_row_over_the_cap_is_a_fault_with_its_size(desk: Desk) -> None:
    long = "x" * (10 * ROW_CAP_BYTES)
    manifest = desk.load(f"prompt,seed\na cat,1\n{long},2\na dog,3\n")
    fault = the_fault(manifest)
    assert (fault.code, fault.line) == ("row-too-large", 3)
    assert "10 MB; 1 MB is the most" in fault.message
    assert prompts(manifest) == ["a cat", "a dog"]


def test_a_quoted_cell_over_the_cap_is_skipped_to_its_end(desk: Desk) -> None:
    long = ("x" * 999 + "\n") * 2500
    manifest = desk.load(f'prompt,seed\n"{long}",2\na dog,3\n')
    assert (the_fault(manifest).code, manifest.rows[0].line) == ("row-too-large", 2503)


def test_a_huge_cell_whose_quote_is_open_says_so(desk: Desk) -> None:
    manifest = desk.load('prompt,seed\na cat,1\n"' + "a line\n" * 200_000)
    assert (the_fault(manifest).code, the_fault(manifest).line) == ("quote-not-closed", 3)


def test_a_cell_just_below_the_cap_is_read(desk: Desk) -> None:
    long = "x" * (ROW_CAP_BYTES - 100)
    assert prompts(sound(desk.load(f"prompt\n{long}\n"))) == [long]


def test_a_manifest_without_a_prompt_column_says_what_it_has(desk: Desk) -> None:
    manifest = desk.load("promt,seed\na cat,1\n")
    assert codes(manifest) == ["column-nearly-known", "no-prompt-column"]
    assert "'promt', 'seed'" in manifest.errors[0].message

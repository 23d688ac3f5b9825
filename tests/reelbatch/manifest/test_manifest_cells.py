"""One cell at a time: what is accepted, and the sentence for what is not."""

from __future__ import annotations

import pytest

from reelbatch.config import ROW_CAP_BYTES
from tests.reelbatch.manifest.manifest_parts import Desk, codes, sound, the_fault


@pytest.mark.parametrize(
    ("column", "value", "code"),
    [
        ("seed", "abc", "seed-not-integer"),
        ("seed", "1.5", "seed-not-integer"),
        ("seed", "-1", "seed-out-of-range"),
        ("seed", "2147483648", "seed-out-of-range"),
        ("seed", "9" * 5000, "seed-not-integer"),
        ("num_inference_steps", "99", "steps-out-of-range"),
        ("num_inference_steps", "0", "steps-out-of-range"),
        ("num_inference_steps", "many", "steps-not-integer"),
        ("resolution", "1920x1080", "resolution-unknown"),
        ("takes", "0", "takes-out-of-range"),
        ("takes", "1001", "takes-out-of-range"),
        ("takes", "two", "takes-not-integer"),
    ],
)
def test_a_value_out_of_place_is_a_fault_of_its_own(
    desk: Desk, column: str, value: str, code: str
) -> None:
    manifest = desk.load(f"prompt,{column}\na cat,\na dog,{value}\n")
    fault = the_fault(manifest)
    assert (fault.code, fault.line, fault.column) == (code, 3, column)
    assert len(manifest.rows) == 1
    assert len(fault.message) < 300


def test_a_fault_reads_as_file_line_reason_and_advice(desk: Desk) -> None:
    fault = the_fault(desk.load("prompt,seed\na cat,abc\n"))
    assert str(fault) == (
        f"{desk.folder}/cats.csv:2: seed 'abc' is not an integer. "
        "Fix the row and run again: finished rows are kept."
    )


@pytest.mark.parametrize(("written", "seed"), [("42", 42), ("42.0", 42), ("00012", 12), ("", None)])
def test_a_seed_is_a_whole_number_however_a_sheet_writes_it(
    desk: Desk, written: str, seed: int | None
) -> None:
    (row,) = sound(desk.load(f"prompt,seed\na cat,{written}\n")).rows
    assert row.seed == seed
    assert "seed" not in row.arguments


def test_a_resolution_on_an_image_row_says_why_not(desk: Desk) -> None:
    fault = the_fault(desk.load("prompt,image,resolution\na cat,mug.png,720x720\n"))
    assert fault.code == "resolution-not-taken"
    assert "shape of its image" in fault.advice


@pytest.mark.parametrize("written", ["992x512", "992 X 512", "992\u00d7512"])
def test_a_resolution_may_be_written_loosely(desk: Desk, written: str) -> None:
    (row,) = sound(desk.load(f"prompt,resolution\na cat,{written}\n")).rows
    assert row.arguments["resolution"] == "992x512"


def test_an_empty_prompt_is_an_error(desk: Desk) -> None:
    assert codes(desk.load("prompt,seed\n  ,7\n")) == ["prompt-empty"]


def test_speech_and_audio_become_ovis_tags(desk: Desk) -> None:
    (row,) = sound(desk.load("prompt,speech,audio\nA baker,Come in!,an oven door\n")).rows
    assert row.arguments == {
        "prompt": "A baker <S>Come in!<E> <AUDCAP>an oven door<ENDAUDCAP>",
    }


def test_speech_alone_is_a_prompt(desk: Desk) -> None:
    (row,) = sound(desk.load("speech\nCome in!\n")).rows
    assert row.arguments["prompt"] == "<S>Come in!<E>"


def test_arguments_hold_only_what_was_said(desk: Desk) -> None:
    (row,) = sound(
        desk.load("prompt,negative_prompt,num_inference_steps,takes,output\na cat,blur,30,,\n")
    ).rows
    assert row.arguments == {
        "prompt": "a cat",
        "negative_prompt": "blur",
        "num_inference_steps": 30,
    }
    assert (row.takes, row.output, row.image) == (1, None, None)


def test_every_fault_of_a_row_comes_at_once(desk: Desk) -> None:
    manifest = desk.load("prompt,seed,takes,resolution,image\n,x,y,z,nope.png\n")
    assert {"prompt-empty", "seed-not-integer", "takes-not-integer"} <= set(codes(manifest))


@pytest.mark.parametrize("escape", ["\\u0000", "\\ud800"])
def test_a_character_that_is_no_text_is_a_fault(desk: Desk, escape: str) -> None:
    manifest = desk.load(f'{{"prompt": "a{escape}cat"}}', "cats.jsonl")
    assert the_fault(manifest).code == "cell-not-text"


def test_a_row_over_the_cap_is_a_fault_in_every_format(desk: Desk) -> None:
    long = "x" * (ROW_CAP_BYTES + 1)
    for name, content in {
        "cats.jsonl": f'{{"prompt": "{long}"}}',
        "cats.yaml": f"rows: [{{prompt: {long}}}]",
    }.items():
        assert codes(desk.load(content, name)) == ["row-too-large"]

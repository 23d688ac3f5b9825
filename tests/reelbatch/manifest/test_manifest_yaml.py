"""YAML without opinions about what a value is, and with a line for every fault."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.reelbatch.manifest.manifest_parts import Desk, codes, picture, prompts, sound, the_fault


def test_a_manifest_says_name_archive_and_budget(desk: Desk) -> None:
    manifest = sound(
        desk.load(
            "name: spring\narchive: s3://bucket/videos\nbudget_usd: $4.50\n"
            "rows:\n  - prompt: a cat\n",
            "cats.yaml",
        )
    )
    assert (manifest.name, manifest.archive) == ("spring", "s3://bucket/videos")
    assert manifest.budget_usd == Decimal("4.50")


def test_a_bare_list_is_its_rows(desk: Desk) -> None:
    manifest = sound(desk.load("- prompt: a cat\n- prompt: a dog\n", "cats.yml"))
    assert (manifest.name, prompts(manifest)) == ("cats", ["a cat", "a dog"])


def test_json_is_yaml_with_line_numbers(desk: Desk) -> None:
    manifest = desk.load('{"rows": [\n{"prompt": "a cat"},\n{"seed": 3}]}', "cats.json")
    assert prompts(manifest) == ["a cat"]
    assert (the_fault(manifest).code, the_fault(manifest).line) == ("prompt-empty", 3)


def test_values_stay_as_they_are_written(desk: Desk) -> None:
    text = "rows: [{prompt: 12:30, id: 00012, active: no, day: 2026-01-02, none: ~, said: 'null'}]"
    (row,) = sound(desk.load(text, "cats.yaml")).rows
    assert (row.row_id, row.arguments["prompt"]) == ("00012", "12:30")
    assert row.labels == {"active": "no", "day": "2026-01-02", "none": "", "said": "null"}


def test_a_fault_is_on_the_line_of_its_key(desk: Desk) -> None:
    fault = the_fault(desk.load("rows:\n  - prompt: a cat\n    mood: x\n    seed: abc\n", "c.yaml"))
    assert (fault.line, fault.column, fault.code) == (4, "seed", "seed-not-integer")


def test_an_image_fault_is_on_the_line_of_its_key(desk: Desk) -> None:
    fault = the_fault(desk.load("rows:\n  - prompt: a cat\n    image: nope.png\n", "c.yaml"))
    assert (fault.line, fault.code) == (3, "image-missing")


def test_defaults_are_what_a_row_leaves_out(desk: Desk) -> None:
    first, second = sound(
        desk.load(
            "defaults: {negative_prompt: blur, mood: calm, seed: 5}\n"
            "rows:\n- prompt: a cat\n- {prompt: a dog, mood: wild, seed: 6, negative_prompt: ''}\n",
            "cats.yaml",
        )
    ).rows
    assert (first.arguments["negative_prompt"], first.labels["mood"], first.seed) == (
        "blur",
        "calm",
        5,
    )
    assert (second.labels["mood"], second.seed) == ("wild", 6)


def test_a_wrong_default_is_told_once_on_its_own_line(desk: Desk) -> None:
    manifest = desk.load("defaults:\n  seed: abc\nrows:\n- prompt: a\n- prompt: b\n", "cats.yaml")
    assert (the_fault(manifest).line, len(manifest.rows)) == (2, 0)


def test_included_files_share_the_defaults(desk: Desk) -> None:
    desk.write("more/dogs.csv", "prompt,seed\na dog,\n,7\n")
    manifest = desk.load(
        "defaults: {seed: 5}\nrows:\n- prompt: a cat\ninclude: [more/dogs.csv]\n", "cats.yaml"
    )
    assert [(row.arguments["prompt"], row.seed) for row in manifest.rows] == [
        ("a cat", 5),
        ("a dog", 5),
    ]
    fault = the_fault(manifest)
    assert (fault.code, fault.line) == ("prompt-empty", 3)
    assert fault.file == f"{desk.folder}/more/dogs.csv"


def test_an_included_files_images_are_relative_to_it(desk: Desk) -> None:
    desk.write("more/dog.png", picture())
    desk.write("more/dogs.csv", "prompt,image\na dog,dog.png\na cat,\n")
    manifest = sound(desk.load("defaults: {image: mug.png}\ninclude: more/dogs.csv\n", "c.yaml"))
    assert [row.image.location for row in manifest.rows if row.image] == [
        f"{desk.folder}/more/dog.png",
        f"{desk.folder}/mug.png",
    ]


def test_a_missing_include_is_a_fault_on_its_line(desk: Desk) -> None:
    manifest = desk.load("rows:\n- prompt: a cat\ninclude:\n- nope.csv\n", "cats.yaml")
    assert (the_fault(manifest).code, the_fault(manifest).line) == ("include-missing", 4)


def test_yaml_is_not_included(desk: Desk) -> None:
    desk.write("more.yaml", "- prompt: x\n")
    assert codes(desk.load("include: more.yaml\n", "cats.yaml")) == ["include-yaml"]


def test_a_matrix_makes_every_combination(desk: Desk) -> None:
    manifest = sound(
        desk.load(
            "matrix: {thing: [mug, lamp], mood: [calm, wild]}\n"
            "rows:\n- {id: '{thing}-{mood}', prompt: 'A {mood} {thing}'}\n",
            "cats.yaml",
        )
    )
    assert [row.row_id for row in manifest.rows] == [
        "mug-calm",
        "mug-wild",
        "lamp-calm",
        "lamp-wild",
    ]
    assert manifest.rows[1].labels == {"thing": "mug", "mood": "wild"}


def test_a_matrix_needs_no_rows(desk: Desk) -> None:
    text = "matrix: {thing: [mug, lamp]}\ndefaults: {prompt: 'A {thing}'}\n"
    assert prompts(sound(desk.load(text, "cats.yaml"))) == ["A mug", "A lamp"]


def test_a_matrix_whose_rows_share_an_id_says_so(desk: Desk) -> None:
    manifest = desk.load("matrix: {mood: [a, b]}\nrows: [{id: x, prompt: p}]\n", "cats.yaml")
    assert "matrix makes the id 'x'" in the_fault(manifest).message


def test_a_column_of_row_and_matrix_is_a_conflict(desk: Desk) -> None:
    text = "matrix: {mood: [a, b]}\nrows: [{prompt: p, mood: c}]\n"
    assert codes(desk.load(text, "cats.yaml")) == ["matrix-conflict"]


def test_a_matrix_that_explodes_is_stopped(desk: Desk) -> None:
    values = ", ".join(str(n) for n in range(110))
    text = f"matrix: {{a: [{values}], b: [{values}], c: [{values}]}}\nrows: [{{mood: x}}]\n"
    manifest = desk.load(text, "cats.yaml")
    assert the_fault(manifest).code == "matrix-too-large"
    assert not manifest.rows


def test_the_columns_of_an_included_sheet_fill_the_templates(desk: Desk) -> None:
    desk.write("goods.csv", "thing,copy\nmug,Only {5} left\n")
    text = "defaults: {prompt: 'The {thing}', speech: '{copy}'}\ninclude: goods.csv\n"
    assert prompts(sound(desk.load(text, "c.yaml"))) == ["The mug <S>Only {5} left<E>"]


def test_braces_are_written_twice_and_unknown_columns_are_faults(desk: Desk) -> None:
    assert prompts(sound(desk.load("- prompt: a {{sign}}\n", "c.yaml"))) == ["a {sign}"]
    fault = the_fault(desk.load("- prompt: a {sign}\n", "c.yaml"))
    assert (fault.code, fault.column) == ("template-unknown-column", "prompt")


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("rows:\n- !!python/object:os.system x\n", "yaml-tag", 2),
        ("rows:\n- prompt: !secret x\n", "yaml-tag", 2),
        ("rows:\n- prompt: a\n  seed: [\n", "yaml-not-parsed", 4),
        ("rows:\n- prompt: a: b\n", "yaml-not-parsed", 2),
        ("rows: []\n---\nrows: []\n", "yaml-two-documents", 2),
        ("rows: [*nobody]\n", "yaml-alias-unknown", 1),
        ("rows: " + "[" * 50 + "]" * 50, "yaml-too-deep", 1),
        ("? [a]\n: b\n", "yaml-key", 1),
        ("just a text\n", "yaml-not-mapping", 1),
        ("# nothing\n", "manifest-empty", 0),
        ("rows: []\n", "no-rows", 0),
    ],
)
def test_yaml_that_is_no_manifest_is_one_fault(desk: Desk, text: str, code: str, line: int) -> None:
    manifest = desk.load(text, "cats.yaml")
    assert (the_fault(manifest).code, the_fault(manifest).line) == (code, line)
    assert not manifest.rows


def test_an_alias_bomb_is_refused_with_a_sentence(desk: Desk) -> None:
    levels = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    manifest = desk.load("a0: &a0 [x, x]\n" + "\n".join(levels), "cats.yaml")
    assert the_fault(manifest).code == "yaml-alias-bomb"


def test_ordinary_anchors_and_merges_are_read(desk: Desk) -> None:
    text = "rows:\n- &cat {prompt: a cat, mood: calm}\n- {<<: *cat, prompt: a dog}\n"
    manifest = sound(desk.load(text, "cats.yaml"))
    assert [(row.arguments["prompt"], row.labels["mood"]) for row in manifest.rows] == [
        ("a cat", "calm"),
        ("a dog", "calm"),
    ]


def test_a_duplicate_key_is_a_fault_and_its_row_is_not_sound(desk: Desk) -> None:
    manifest = desk.load("rows:\n- prompt: a\n  seed: 1\n  seed: 2\n- prompt: b\n", "cats.yaml")
    assert (the_fault(manifest).code, the_fault(manifest).line) == ("key-twice", 4)
    assert prompts(manifest) == ["b"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("rows: [a cat]\n", "row-not-mapping"),
        ("rows: [{prompt: [a, b]}]\n", "cell-not-single"),
        ("rows: {prompt: a}\n", "rows-not-list"),
        ("defaults: x\nrows: [{prompt: a}]\n", "defaults-not-mapping"),
        ("defaults: {id: x}\nrows: [{prompt: a}]\n", "defaults-id"),
        ("budget_usd: lots\nrows: [{prompt: a}]\n", "budget-usd-invalid"),
        ("budget_usd: -1\nrows: [{prompt: a}]\n", "budget-usd-invalid"),
        ("budget_usd: 1e999999\nrows: [{prompt: a}]\n", "budget-usd-invalid"),
        ("name: ../x\nrows: [{prompt: a}]\n", "name-unsafe"),
        ("name: [x]\nrows: [{prompt: a}]\n", "name-not-single"),
        ("include: [[x]]\nrows: [{prompt: a}]\n", "include-not-file"),
    ],
)
def test_what_does_not_belong_in_a_manifest_is_a_fault(desk: Desk, text: str, code: str) -> None:
    assert code in codes(desk.load(text, "cats.yaml"))


def test_an_unknown_key_is_a_fault_with_a_suggestion(desk: Desk) -> None:
    fault = the_fault(desk.load("budget: 5\nrows: [{prompt: a}]\n", "cats.yaml"))
    assert (fault.code, fault.advice) == ("key-unknown", "Did you mean 'budget_usd'?")


def test_a_name_may_hold_the_date(desk: Desk) -> None:
    text = "name: daily-{date}\nrows: [{prompt: a}]\n"
    assert sound(desk.load(text, "cats.yaml")).name == "daily-{date}"


def test_a_guessed_encoding_is_said_aloud_here_too(desk: Desk) -> None:
    manifest = desk.load("- prompt: a caf\u00e9\n".encode("cp1252"), "cats.yaml")
    assert (codes(manifest), prompts(manifest)) == (["encoding-guessed"], ["a café"])

"""Where a video goes: always inside its batch, never where another one is."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelbatch.errors import Permanent
from reelbatch.manifest.output import render_output
from tests.reelbatch.manifest.manifest_parts import Desk, codes, sound, the_fault


def key(
    template: str | None,
    *,
    row_id: str = "mug",
    take: int = 1,
    revision: int = 1,
    labels: Mapping[str, str] | None = None,
) -> str:
    return render_output(
        template, batch="cats", row_id=row_id, take=take, revision=revision, labels=labels or {}
    )


def test_without_a_template_it_is_row_and_take() -> None:
    assert key(None, take=3) == "cats/mug/take-3.mp4"


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{row_id}-{take}.mp4", "cats/mug-1.mp4"),
        ("{batch}/{row_id}.mp4", "cats/mug.mp4"),
        ("{mood}/{id}", "cats/calm/mug.mp4"),
        ("{take:03}-{revision}.MP4", "cats/001-1.mp4"),
        ("{Brand Name}/clip", "cats/A-B/clip.mp4"),
        ("{empty}/clip", "cats/none/clip.mp4"),
        ("{dots}/clip", "cats/etc/clip.mp4"),
    ],
)
def test_a_template_is_filled_and_gets_its_extension(template: str, expected: str) -> None:
    labels = {"mood": "calm", "Brand Name": "A/B", "empty": "", "dots": "..etc"}
    assert key(template, labels=labels) == expected


@pytest.mark.parametrize("template", [None, "{row_id}.mp4", "{row_id}", "{row_id}-{revision}"])
def test_a_second_revision_never_meets_the_first(template: str | None) -> None:
    assert key(template, revision=2) != key(template)
    assert key(template, revision=2).endswith(".r2.mp4")


@pytest.mark.parametrize(
    ("template", "error"),
    [
        ("../x", "output_outside_archive"),
        ("a/../../x", "output_outside_archive"),
        ("/etc/x", "output_outside_archive"),
        ("a//b", "output_outside_archive"),
        ("a/", "output_outside_archive"),
        ("./x", "output_outside_archive"),
        (".mp4", "output_outside_archive"),
        ("a\\b", "output_unsafe_name"),
        ("a\x07b", "output_unsafe_name"),
        (".hidden", "output_unsafe_name"),
        ("x" * 300, "output_unsafe_name"),
        ("/".join(["x" * 100] * 10), "output_unsafe_name"),
        ("batch.mp4", "output_unsafe_name"),
        ("{nobody}", "output_unknown_field"),
        ("{}", "output_unknown_field"),
        ("{row_id.__class__}", "output_unknown_field"),
        ("{row_id[0]}", "output_unknown_field"),
        ("{row_id!r}", "output_template_invalid"),
        ("{take:9999999999}", "output_template_invalid"),
        ("{row_id:>30}", "output_template_invalid"),
        ("{row_id", "output_template_invalid"),
        ("row_id}", "output_template_invalid"),
    ],
)
def test_a_template_that_leaves_the_batch_or_is_none_is_refused(template: str, error: str) -> None:
    with pytest.raises(Permanent) as refused:
        key(template)
    assert refused.value.error == error
    assert refused.value.advice


@given(template=st.text(max_size=60), label=st.text(max_size=40), row_id=st.text(max_size=20))
def test_whatever_is_written_the_key_stays_inside_the_batch(
    template: str, label: str, row_id: str
) -> None:
    for text in (template, f"{{mood}}/{template}", "{mood}", "{row_id}{mood}"):
        try:
            parts = key(text, labels={"mood": label}, row_id=row_id).split("/")
        except Permanent:
            continue
        assert parts[0] == "cats"
        assert len(parts) > 1
        assert not {"", ".", ".."} & set(parts)
        assert "\\" not in "".join(parts)


def test_a_template_that_climbs_out_is_a_fault_of_its_row(desk: Desk) -> None:
    manifest = desk.load("prompt,output\na cat,../../{row_id}.mp4\na dog,\n")
    fault = the_fault(manifest)
    assert (fault.code, fault.line, fault.column) == ("output-outside-archive", 2, "output")
    assert len(manifest.rows) == 1


def test_two_rows_with_one_name_are_a_fault_naming_the_other(desk: Desk) -> None:
    manifest = desk.load("prompt,mood,output\na cat,calm,{mood}.mp4\na dog,calm,{mood}.mp4\n")
    fault = the_fault(manifest)
    assert (fault.code, fault.line) == ("output-collides", 3)
    assert "cats.csv:2" in fault.message
    assert [row.line for row in manifest.rows] == [2]


def test_takes_that_share_a_name_are_a_fault(desk: Desk) -> None:
    fault = the_fault(desk.load("prompt,takes,output\na cat,3,clip.mp4\n"))
    assert (fault.code, fault.advice) == ("output-collides", "Put {take} into the output.")


def test_a_template_may_not_meet_the_default_of_another_row(desk: Desk) -> None:
    text = "id,prompt,output\nmug,a cat,\nlamp,a dog,mug/take-1.mp4\n"
    assert codes(desk.load(text)) == ["output-collides"]


def test_a_template_may_not_meet_the_revisions_of_another_row(desk: Desk) -> None:
    text = "id,prompt,output\nmug,a cat,clip.mp4\nlamp,a dog,clip.r2.mp4\n"
    assert codes(desk.load(text)) == ["output-collides"]


def test_a_label_that_a_row_lacks_is_an_unknown_field(desk: Desk) -> None:
    lines = '{"prompt": "a", "mood": "x", "output": "{mood}"}\n{"prompt": "b", "output": "{mood}"}'
    assert codes(desk.load(lines, "cats.jsonl")) == ["output-unknown-field"]


def test_distinct_names_are_sound(desk: Desk) -> None:
    text = "prompt,takes,output\na cat,2,{row_id}-{take}\na dog,2,{row_id}-{take}\n"
    assert len(sound(desk.load(text)).rows) == 2

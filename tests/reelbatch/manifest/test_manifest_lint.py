"""Warnings: what is probably a slip, and stops nothing."""

from __future__ import annotations

import pytest

from reelbatch.fal.endpoints import OVI_TEXT
from reelbatch.manifest.prompts import lint_prompt
from tests.reelbatch.manifest.manifest_parts import Desk, codes, picture, sound


def slips(prompt: str) -> list[str]:
    return [lint.code for lint in lint_prompt(prompt, OVI_TEXT.speech)]


@pytest.mark.parametrize(
    "prompt",
    [
        "a cat",
        "a < b and b > c",
        "<S>one<E> then <S>two<E>",
        "<S>hello<E> <AUDCAP>birds<ENDAUDCAP>",
        "<AUDCAP>birds<ENDAUDCAP> <S>hello<E>",
    ],
)
def test_sound_prompts_have_no_warning(prompt: str) -> None:
    assert slips(prompt) == []


@pytest.mark.parametrize("prompt", ["<S>hello", "hello<E>", "<S>a<E><S>", "<AUDCAP>birds"])
def test_a_tag_without_its_partner_is_a_warning(prompt: str) -> None:
    assert slips(prompt) == ["tags-unbalanced"]


@pytest.mark.parametrize("prompt", ["<E>hello<S>", "<S>a<AUDCAP>b<E>c<ENDAUDCAP>", "<S><S>a<E><E>"])
def test_tags_in_the_wrong_order_are_a_warning(prompt: str) -> None:
    assert slips(prompt) == ["tags-misordered"]


def test_speech_longer_than_the_clip_is_a_warning() -> None:
    assert slips(f"<S>{'word ' * 17}<E>") == []
    assert slips(f"<S>{'word ' * 18}<E>") == ["speech-too-long"]
    assert slips(f"<S>{'word ' * 10}<E> and <S>{'word ' * 10}<E>") == ["speech-too-long"]


def test_speech_without_spaces_is_measured_by_its_characters() -> None:
    assert slips(f"<S>{'猫' * 20}<E>") == []
    assert slips(f"<S>{'猫' * 60}<E>") == ["speech-too-long"]


def test_a_spreadsheets_error_in_a_prompt_is_a_warning() -> None:
    assert slips("a #REF! cat") == ["spreadsheet-error"]


def test_a_warning_leaves_the_row_sound(desk: Desk) -> None:
    manifest = desk.load("prompt\na cat says <S>hello\n")
    assert [fault.severity for fault in manifest.faults] == ["warning"]
    assert len(manifest.rows) == 1
    assert not manifest.errors


@pytest.mark.parametrize(
    ("width", "height", "code"),
    [(1000, 300, "image-ratio"), (300, 1000, "image-ratio"), (200, 200, "image-small")],
)
def test_an_image_ovi_will_hardly_like_is_a_warning(
    desk: Desk, width: int, height: int, code: str
) -> None:
    desk.write("odd.png", picture(width, height))
    manifest = desk.load("prompt,image\na cat,odd.png\na dog,odd.png\n")
    assert codes(manifest) == [code]
    assert len(manifest.rows) == 2


def test_images_of_ovis_own_shapes_have_no_warning(desk: Desk) -> None:
    for width, height in ((448, 1120), (1120, 448), (720, 720)):
        desk.write("fine.png", picture(width, height))
        sound(desk.load("prompt,image\na cat,fine.png\n"))
